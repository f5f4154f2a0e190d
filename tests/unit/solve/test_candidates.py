"""Which changes are tried for what a recording shows, and which values are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.report.build import build
from oauthtap.solve.candidates import candidates
from oauthtap.solve.model import Need

SEED2 = Path(__file__).parents[2] / "recordings" / "live" / "cc197__seed2.har"


def heard(
    values: dict[str, str], issuers: tuple[str, ...] = (), misplaced: dict[str, Any] | None = None
) -> tuple[list[tuple[str, ...]], list[Need]]:
    recording = loader.read(SEED2)
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    changes, needs = candidates(tap, build(tap), values, issuers, misplaced)
    return [change.names for change in changes], needs


def test_an_issuer_that_nobody_knows_is_asked_for() -> None:
    changes, needs = heard({})
    need = next(one for one in needs if one.name == "issuer")
    assert need.rule == "prm-as-entry-is-endpoint"
    assert not [names for names in changes if any("=" in name for name in names)]


def test_an_issuer_that_was_named_or_checked_is_tried_first_and_not_asked_for() -> None:
    for changes, needs in (heard({"issuer": "https://t.example"}), heard({}, ("https://t.example",))):
        assert changes[0] == ("prm-authorization-servers=https://t.example",)
        assert "issuer" not in {need.name for need in needs}


def test_a_client_that_was_named_is_tried_even_where_no_finding_asks_for_it() -> None:
    changes, _ = heard({"client-id": "abc", "issuer": "https://t.example"})
    assert ("client-id-endpoint", "client-id") in changes


def test_metadata_that_lies_elsewhere_is_tried_where_clients_look() -> None:
    changes, _ = heard(
        {}, misplaced={"issuer": "https://as.example/team", "authorization_endpoint": "https://as.example/a"}
    )
    assert ("as-metadata-copy",) in changes
    assert ("as-metadata-copy",) not in heard({})[0]
