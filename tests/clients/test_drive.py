"""`oauthtap drive` with real clients against the bed: the proof of a repair in one command, and a fault in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from oauthtap.drive.driver import drivers
from oauthtap.grants.grant_file import KEY, new_key
from tests.cures import TENANT
from tests.injected import drive
from tests.support.bed import Bed
from tests.support.bed.consent import Consent, PushedConsent
from tests.support.running import call, to_the_bed

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("client", ["claude-code", "python-sdk"])
def test_a_real_client_connects_where_all_is_well(bed: Bed, tmp_path: Path, client: str) -> None:
    driven = drive(bed, client, "good", tmp_path)
    assert driven.code == 0, driven.told
    assert driven.report["connected"] is True
    assert ": connected.\n" in driven.told


def test_claude_code_connects_by_a_stored_grant_where_consent_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, new_key())
    with Bed(Consent) as bed:
        kept = call("grant", bed.url("consent"), "-o", tmp_path / "g", "--headless", *to_the_bed(bed), home=tmp_path)
        assert kept.returncode == 0, kept.stderr
        server = bed.origins[Consent.host]
        assert isinstance(server, Consent)
        server.asks = True
        driven = drive(bed, "claude-code", "consent", tmp_path, "--grant", str(tmp_path / "g"))
        assert (driven.code, server.refreshed, server.reused) == (0, 1, 0), driven.told
        states = {entry.query.get("state", "") for entry in bed.log}
        secrets = [value for value in bed.issued if value not in states and not value.startswith("jti_")]
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not [value for value in secrets if any(value.encode() in text for text in written)]


PUSHES = Path(__file__).parents[1] / "support" / "clients" / "programs" / "openid-client.toml"


@pytest.mark.more_clients
@pytest.mark.parametrize(("client", "code", "refreshed"), [(str(PUSHES), 0, 1), ("claude-code", 1, 0)])
def test_a_stored_grant_stands_in_for_a_pushed_request_and_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str, code: int, refreshed: int
) -> None:
    """What the server would refuse without the grant is refused with it (RFC 9126, 5)."""
    monkeypatch.setenv(KEY, new_key())
    with Bed(PushedConsent) as bed:
        kept = call("grant", bed.url("pushed"), "-o", tmp_path / "g", "--headless", *to_the_bed(bed), home=tmp_path)
        assert kept.returncode == 0, kept.stderr
        server = bed.origins[PushedConsent.host]
        assert isinstance(server, PushedConsent)
        server.asks = True
        driven = drive(bed, client, "pushed", tmp_path, "--grant", str(tmp_path / "g"))
    assert (driven.code, server.refreshed, server.reused) == (code, refreshed, 0), driven.told
    assert (driven.report["cause"] or {}).get("rule") == (None if code == 0 else "as-par-required")
    errors = {one["rule"] for one in driven.report["findings"] if one["severity"] == "error"}
    assert errors == (set() if code == 0 else {"as-par-required"})


def test_claude_code_fails_on_seed2_and_the_fix_is_proved_in_one_command(bed: Bed, tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("before", "after")]
    for home in homes:
        home.mkdir()
    before = drive(bed, "claude-code", "seed2", homes[0])
    assert before.code == 1
    assert before.report["cause"]["rule"] == "prm-as-entry-is-endpoint"
    assert "Dynamic Client Registration rejected (HTTP 404)" in before.told
    after = drive(bed, "claude-code", "seed2", homes[1], "--fix", f"prm-as-entry-is-endpoint={TENANT}")
    assert after.code == 0, after.told


def test_a_refused_registration_is_shown_by_claude_code_and_laid_on_nobody(bed: Bed, tmp_path: Path) -> None:
    driven = drive(bed, "claude-code", "good", tmp_path, "--inject", "registration-refused")
    assert driven.code == 1
    assert driven.report["cause"] is None
    assert [one["name"] for one in driven.report["injected"]] == ["registration-refused"]
    assert "registration is closed" in driven.told


@pytest.mark.more_clients
@pytest.mark.parametrize("client", sorted(set(drivers()) - {"claude-code", "python-sdk"}))
def test_every_other_driven_client_connects_where_all_is_well(bed: Bed, tmp_path: Path, client: str) -> None:
    # Gemini CLI takes no authorization response without `iss`.
    driven = drive(bed, client, "f16" if client == "gemini-cli" else "good", tmp_path)
    assert driven.code == 0, driven.told


@pytest.mark.parametrize("client", ["python-sdk"])
def test_an_authorization_server_that_does_not_resolve_fails_with_its_cause(
    bed: Bed, tmp_path: Path, client: str
) -> None:
    driven = drive(bed, client, "nosuch-as", tmp_path)
    assert driven.code == 1, driven.told
    assert driven.report["cause"]["rule"] == "connection-failed"
