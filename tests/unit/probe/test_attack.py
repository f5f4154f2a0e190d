"""`oauthtap probe --attack`: a sound server refuses all of it, and each fault that lets something in is named."""

from __future__ import annotations

import argparse
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from oauthtap.cli import attack as cli_attack
from oauthtap.cli import main
from oauthtap.cli.errors import UsageError
from oauthtap.probe import attack as attacks
from oauthtap.probe.runner import Browser, probe
from oauthtap.probe.walk import Plan
from tests.cli.test_probe import hands, reach
from tests.support.bed import Bed
from tests.support.bed.authorization import Grant
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import LegacyMcpServer

HOSTILE = attacks.HOSTILE


class Sound(Good):
    """Nothing of the attacks is accepted."""

    host = "sound.mcp.test"

    def access_token(self, grant: Grant) -> str:
        inside = jwt.decode(super().access_token(grant), options={"verify_signature": False})
        return jwt.encode(inside | {"sid": self.secret("sid")}, self.key, "ES256")

    def turned_away(self, request: Request) -> Response | None:
        if request.headers.get("origin", self.origin) != self.origin:
            return JSONResponse({"error": "forbidden origin"}, 403)
        return super().turned_away(request)


class AnyOrigin(Sound):
    host = "any-origin.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return Good.turned_away(self, request)


class AnyToken(Sound):
    host = "any-token.mcp.test"

    def accepts(self, token: str) -> bool:
        return bool(token)


class AlgNone(Sound):
    host = "alg-none.mcp.test"

    def accepts(self, token: str) -> bool:
        try:
            return super().accepts(token) or jwt.get_unverified_header(token)["alg"] == "none"
        except jwt.InvalidTokenError:
            return False


class QueryToken(Sound):
    host = "query-token.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if self.accepts(request.query_params.get("access_token", "")) else super().turned_away(request)


class SessionInstead(Sound):
    host = "session-instead.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if request.headers.get("mcp-session-id") in self.sessions else super().turned_away(request)


class ForeignAudience(Sound):
    """Issues tokens for any resource, and takes all of them."""

    host = "foreign-audience.mcp.test"
    expected_audience = False

    def grants(self, resource: str) -> bool:
        return True

    def audience(self, grant: Grant) -> str:
        return grant.resource


class AnyVerifier(Sound):
    host = "any-verifier.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        return self.codes.pop(asked.get("code", ""), None)


class CodeTwice(Sound):
    host = "code-twice.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        code = asked.get("code", "")
        grant, again = self.codes.get(code), super().redeemed(asked)
        if again is not None and grant is not None:
            self.codes[code] = grant
        return again


class RefreshTwice(Sound):
    host = "refresh-twice.mcp.test"

    async def token(self, request: Request) -> Response:
        kept = dict(self.refresh_tokens)
        answer = await super().token(request)
        self.refresh_tokens |= kept
        return answer


class SameRefresh(Sound):
    """Never rotates."""

    host = "same-refresh.mcp.test"

    def tokens(self, grant: Grant) -> dict[str, Any]:
        self.refresh_tokens["made-up-refresh-token-that-stays"] = grant
        return super().tokens(grant) | {"refresh_token": "made-up-refresh-token-that-stays"}


class AnyRedirect(Sound):
    host = "any-redirect.mcp.test"

    async def authorize(self, request: Request) -> Response:
        if (uri := request.query_params.get("redirect_uri", "")).startswith(HOSTILE):
            return RedirectResponse(f"{uri}?code={self.secret('code')}&state={request.query_params['state']}", 302)
        return await super().authorize(request)


class SoundSse(LegacyMcpServer, Sound):
    """The same with the transport of 2024-11-05."""

    host = "sound-sse.mcp.test"


class AnyOriginSse(LegacyMcpServer, AnyOrigin):
    host = "any-origin-sse.mcp.test"


class AnyTokenSse(LegacyMcpServer, AnyToken):
    host = "any-token-sse.mcp.test"


class QueryTokenSse(LegacyMcpServer, QueryToken):
    host = "query-token-sse.mcp.test"


class SessionInsteadSse(LegacyMcpServer, Sound):
    """Whoever knows the URL of the messages may post there."""

    host = "session-instead-sse.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if request.method == "POST" and request.url.query else super().turned_away(request)


FORGED = {"alg=none", "altered signature", "wrong issuer", "expired"}

FAULTS: dict[type[Good], tuple[set[str], set[str]]] = {
    Sound: (set(), set()),
    AnyOrigin: ({"hostile Origin"}, {"rs-accepts-foreign-origin"}),
    AnyToken: (FORGED, {"rs-accepts-made-up-token", "rs-accepts-expired-token"}),
    AlgNone: ({"alg=none"}, {"rs-accepts-made-up-token"}),
    QueryToken: ({"token in the query"}, {"rs-accepts-query-token"}),
    SessionInstead: ({"session id without token"}, {"rs-accepts-session-instead-of-token"}),
    ForeignAudience: ({"foreign audience"}, {"rs-accepts-foreign-audience"}),
    AnyVerifier: (
        {"wrong code_verifier", "wrong redirect_uri, token request"},
        {"token-pkce-not-enforced", "token-redirect-uri-not-enforced"},
    ),
    CodeTwice: ({"reused code"}, {"token-code-replay-accepted"}),
    RefreshTwice: ({"reused refresh token"}, {"refresh-replay-accepted"}),
    SameRefresh: ({"reused refresh token"}, {"refresh-rotation-missing"}),
    SoundSse: (set(), set()),
    AnyOriginSse: ({"hostile Origin"}, {"rs-accepts-foreign-origin"}),
    AnyTokenSse: (FORGED, {"rs-accepts-made-up-token", "rs-accepts-expired-token"}),
    QueryTokenSse: ({"token in the query"}, {"rs-accepts-query-token"}),
    SessionInsteadSse: ({"session id without token"}, {"rs-accepts-session-instead-of-token"}),
    AnyRedirect: ({"unregistered redirect_uri"}, {"authz-open-redirect"}),
}
"""Server, to the attacks it accepts and the findings that follow."""


@pytest.fixture(scope="module")
def weak() -> Iterator[Bed]:
    with Bed(*FAULTS) as started:
        yield started


def attacked(weak: Bed, folder: Path, name: str, *more: str) -> int:
    ways = [word for rule in weak.connect_to for word in ("--connect-to", rule)]
    flags = ("--ca", str(weak.ca_file), "--session", str(folder), "--headless", "--attack", *ways, *more)
    return main(["probe", weak.url(name), *flags])


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_accepted_is_named_and_nothing_else(
    weak: Bed, kind: type[Good], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "GRACE", 0.1)
    monkeypatch.setattr("oauthtap.rules.token_refresh.answers._GRACE", 0.05)
    accepted, rules = FAULTS[kind]
    code = attacked(weak, tmp_path / "s", kind.host.partition(".")[0], "--yes", "--format", "json")
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    lines = [re.split(" {2,}", line) for line in shown.err.partition("Attack  ")[2].splitlines()[1:] if line.strip()]
    assert {words[0] for words in lines if words[-1] == "ACCEPTED"} == accepted
    found = {f["rule"] for f in report["findings"] if f["severity"] != "note" or f["rule"] in rules}
    assert found == rules
    assert not [f["rule"] for f in report["findings"] if f["who"] == "client"], "no client sent this"
    assert code == bool(accepted)
    assert report["ending"] == "connected"


def test_what_was_sent_is_marked_as_an_attack_and_no_secret_is_left(weak: Bed, tmp_path: Path, capsys: Any) -> None:
    with weak.watching() as arrived:
        assert attacked(weak, tmp_path / "s", "sound", "--yes") == 0
    assert main(["verify", str(tmp_path / "s")]) == 0
    marks = {entry.headers.get("user-agent", "").partition("(attack: ")[2].rstrip(")") for entry in arrived}
    assert FORGED | {"hostile Origin", "reused code", "unregistered redirect_uri"} <= marks
    texts = [*capsys.readouterr(), *(p.read_text("utf-8", "replace") for p in (tmp_path / "s").iterdir())]
    forged = {entry.headers.get("authorization", "").partition(" ")[2] for entry in arrived} - {""}
    assert len(forged) > len(FORGED)
    assert not [token for token in forged for text in texts if token in text]


async def test_a_person_signs_in_anew_for_each_code(weak: Bed) -> None:
    came: list[attacks.AttackOutcome] = []
    plan = Plan(weak.url("sound"), "1.0", sign_in="person", attack=True)
    async for _ in probe(plan, reach(weak), Browser(hands(weak), patience=10), tell_attack=came.append):
        pass
    assert {one.verdict for one in came} == {"refused"}
    assert len(came) == 13


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--attack"], "--login --attack"),
        (["--attack", "--login", "--client", "codex"], "without --client"),
        (["--attack", "--headless"], "--attack --yes"),
    ],
)
def test_wrong_usage_sends_nothing(weak: Bed, flags: list[str], hint: str, capsys: Any) -> None:
    with weak.watching() as arrived:
        assert main(["probe", weak.url("sound"), *flags]) == 2
    assert hint in capsys.readouterr().err
    assert not arrived


@pytest.mark.parametrize(("answer", "sent"), [("y\n", True), ("\n", False), ("", False)])
def test_it_asks_whose_the_server_is(answer: str, sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked)
    arguments = argparse.Namespace(url="https://mcp.example.com/mcp", yes=False)
    if sent:
        cli_attack.ask(arguments)
    else:
        with pytest.raises(UsageError, match="nothing was sent"):
            cli_attack.ask(arguments)
    assert "Is it yours? [y/N]" in asked.getvalue()
