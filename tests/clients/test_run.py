"""Real clients under the installed `oauthtap run`: they fare as without it, and it says why. Each pair runs once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.bed import Bed, Received
from tests.support.clients import Outcome, run
from tests.support.running import COMMAND, to_the_bed

pytestmark = pytest.mark.clients

CLIENTS = ("claude-code", "python-sdk-2")
PAIRS = [(client, target) for client in CLIENTS for target in ("good", "seed2")]


@dataclass(frozen=True)
class Wrapped:
    """One client, run without us and under us."""

    direct: Outcome
    direct_seen: list[Received]
    outcome: Outcome
    seen: list[Received]
    sessions: list[Path]
    """One for each of its commands that sent a request of the sign-in, oldest first."""
    temporary: Path

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads((folder / "report.json").read_text()) for folder in self.sessions]


@pytest.fixture(scope="module")
def under(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Wrapped]:
    """Run a client at a target in both ways, or give the run that was made before."""
    runs: dict[tuple[str, str], Wrapped] = {}

    def wrapped(client: str, target: str) -> Wrapped:
        if (client, target) not in runs:
            runs[client, target] = wrap(bed, client, target, tmp_path_factory.mktemp("run"))
        return runs[client, target]

    return wrapped


def wrap(bed: Bed, client: str, target: str, home: Path) -> Wrapped:
    temporary = home / "t"
    temporary.mkdir()
    env = bed.browser_env() | {"XDG_STATE_HOME": str(home / "state"), "TMPDIR": str(temporary)}
    with bed.watching() as direct_seen:
        direct = run(client, bed.url(target), env=bed.direct_env(), timeout=60)
    with bed.watching() as seen:
        outcome = run(client, bed.url(target), env=env, timeout=90, under=(str(COMMAND), "run", *to_the_bed(bed), "--"))
    sessions = sorted(file.parent for file in home.rglob("session.jsonl"))
    return Wrapped(direct, direct_seen, outcome, seen, sessions, temporary)


def audiences(seen: list[Received]) -> set[str]:
    """`aud` of every JWT that was sent as a bearer token."""
    tokens = [entry.headers.get("authorization", "").removeprefix("Bearer ") for entry in seen]
    claims = [token.split(".")[1] for token in tokens if token.count(".") == 2]
    return {str(json.loads(base64.urlsafe_b64decode(part + "=="))["aud"]) for part in claims}


def refused(seen: list[Received]) -> list[str]:
    return sorted(str(entry) for entry in seen if (entry.status or 0) >= 400)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_client_fares_as_without_us(bed: Bed, under: Callable[[str, str], Wrapped], client: str, target: str) -> None:
    one = under(client, target)
    assert (one.outcome.connected, one.outcome.tools) == (one.direct.connected, one.direct.tools), one.outcome.said
    assert one.outcome.connected == (target == "good")
    assert refused(one.seen) == refused(one.direct_seen)
    assert audiences(one.seen) == audiences(one.direct_seen) == ({bed.url("good")} if target == "good" else set())


@pytest.mark.parametrize("client", CLIENTS)
def test_a_sign_in_that_connects_has_no_cause(under: Callable[[str, str], Wrapped], client: str) -> None:
    reports = under(client, "good").reports
    assert reports[-1]["connected"] is True
    assert [report["cause"] for report in reports] == [None] * len(reports)
    assert {report["upstream"] for report in reports} == {"https://good.mcp.test/mcp"}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_authorize_request_is_there_and_what_follows_in_the_browser_is_out_of_sight(
    under: Callable[[str, str], Wrapped], client: str
) -> None:
    report = under(client, "good").reports[0]
    stages = [step["stage"] for step in report["exchanges"]]
    assert stages.index("client-registration") < stages.index("authorization-request") < stages.index("token-request")
    browser = [step for step in report["exchanges"] if step["actor"] == "browser"]
    assert [step["stage"] for step in browser] == ["authorization-request"]
    assert "out of sight" in browser[0]["error"]
    assert "authorization-response" not in {stage for step in report["exchanges"] for stage in step["stages"]}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_cause_on_seed2_is_named_and_said(under: Callable[[str, str], Wrapped], client: str) -> None:
    one = under(client, "seed2")
    assert one.reports[0]["cause"]["rule"] == "prm-as-entry-is-endpoint"
    assert "  Cause    `authorization_servers` names an endpoint where an issuer belongs" in one.outcome.said


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_the_session_has_what_the_client_sent_and_no_secret(
    bed: Bed, under: Callable[[str, str], Wrapped], client: str, target: str
) -> None:
    one = under(client, target)
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = {value for value in bed.issued if value not in states and not value.startswith("jti_")}
    files = [file for folder in one.sessions for file in folder.iterdir()]
    texts = {file: file.read_text("utf-8", "surrogateescape") for file in files}
    assert [(str(file), value) for file, text in texts.items() for value in secrets if value in text] == []
    assert sum(len(report["exchanges"]) for report in one.reports) == len(one.seen)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_the_ca_and_all_that_was_made_for_the_run_is_gone(
    under: Callable[[str, str], Wrapped], client: str, target: str
) -> None:
    assert list(under(client, target).temporary.glob("oauthtap-run-*")) == []
