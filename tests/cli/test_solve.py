"""`oauthtap solve` as a command: what it refuses, a recording by simulation, registrations taken back. No clients."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from oauthtap.cli import main
from oauthtap.drive.registrations import Registrations
from oauthtap.upstream.options import UpstreamOptions
from tests.support.bed import Bed
from tests.support.running import to_the_bed

LIVE = Path(__file__).parents[1] / "recordings" / "live"
ISSUER = "issuer=https://tenant.authkit.test"


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main(["solve", *map(str, words)])
    heard = capsys.readouterr()
    return code, heard.out, heard.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nobody"], "Try: oauthtap solve claude-code --upstream"),
        (["claude-code"], "name the server"),
        (["claude-code", "--upstream", "mcp.example.com"], "has no scheme"),
        (["claude-code", "--upstream", "https://x.example/mcp", "--set", "colour=red"], "known are issuer, client-id"),
    ],
)
def test_wrong_usage_ends_with_2_and_what_to_type(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    code, _, err = said(capsys, *words)
    assert code == 2
    assert hint in err


def test_a_recording_is_simulated_and_never_called_proved(capsys: pytest.CaptureFixture[str]) -> None:
    recording = LIVE / "cc197__seed2.har"
    code, out, _ = said(capsys, recording, "--offline", "--format", "json")
    asked = json.loads(out)
    assert (code, asked["outcome"], asked["simulated"]) == (3, "needs-value", True)
    assert asked["needs"][0]["name"] == "issuer"
    code, out, _ = said(capsys, recording, "--offline", "--set", ISSUER)
    assert code == 0
    assert "Simulated, not proved" in out
    assert "not proven by a client" in out
    assert "Proved" not in out
    assert "connected" not in out
    assert "Next     oauthtap solve claude-code --upstream" in out


async def test_a_registration_is_deleted_at_its_own_server_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url), request.headers["authorization"]))
        return httpx.Response(204)

    monkeypatch.setattr(UpstreamOptions, "client", lambda _: httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    passed: list[Any] = []
    registrations = Registrations(lambda flow, step: passed.append(flow))
    for url in ("http://localhost:8081/register/1", "https://elsewhere.example/register/2"):
        body = json.dumps({"registration_client_uri": url, "registration_access_token": "t"}).encode()
        flow = SimpleNamespace(response=SimpleNamespace(content=body))
        registrations.hear(flow, SimpleNamespace(stage="client-registration"))
    registrations.hear(SimpleNamespace(response=None), SimpleNamespace(stage="client-registration"))
    deleted = await registrations.delete(UpstreamOptions(), {"http://localhost:8081": "https://as.example.com"})
    assert (deleted, len(passed)) == (1, 3)
    assert asked == [("DELETE", "https://as.example.com/register/1", "Bearer t")]


def test_a_hosted_client_is_emulated_and_never_called_proved(
    bed: Bed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["claude-ai@emulated", "--upstream", bed.url("f02"), *to_the_bed(bed), "--session", tmp_path / "s"]
    code, out, _ = said(capsys, *words, "--format", "json")
    found = json.loads(out)
    assert (code, found["outcome"], found["emulated"], found["cause_proved"]) == (0, "emulated", True, False)
    assert [part["fix"] for part in found["change"]] == ["prm-resource-origin-mismatch"]
    assert found["deploy"]["proved"] is False
    with bed.watching() as arrived:  # a second time nothing is asked
        code, out, _ = said(capsys, *words)
    assert (code, arrived) == (0, [])
    assert "Emulated, not proved: Claude.ai" in out
    assert "Proved" not in out
    assert said(capsys, "nobody@emulated", "--upstream", bed.url("good"))[0] == 2
