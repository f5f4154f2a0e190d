"""What a log or a paste does not show is unseen: no finding rests on its absence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from oauthtap import rules
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader, notation
from oauthtap.model.exchange import Exchange, Message, Unseen, strict
from oauthtap.report.build import build
from oauthtap.rules import RULES

LIVE = sorted((Path(__file__).parents[2] / "recordings" / "live").glob("*.har"))
ALLOWED = {
    # What is left reads differently without what is gone, and is as true: another document takes its place, or what
    # was a step of its own is an answer of the MCP server.
    "as-issuer-mismatch", "as-pkce-methods-missing", "authz-duplicate-params", "bearer-malformed", "dcr-error-body",
    "dcr-refused-by-policy", "dcr-rejects-metadata-value", "dcr-requires-initial-token", "mcp-accept-header",
    "oidc-pkce-methods-missing", "prm-scope-unknown-to-as",
}  # fmt: skip


def found(exchanges: Sequence[Exchange], upstream: str | None) -> set[str]:
    tap = SessionAnalyzer(upstream)
    for number, exchange in enumerate(exchanges, 1):
        tap.add(exchange.replace(id=number))
    return {one.rule for one in build(tap, story=False).findings}


def bare(exchange: Exchange) -> Exchange:
    """The exchange as an access log shows it: no header lines, no bodies."""
    request = exchange.request.model_copy(update={"headers": (), "body": None, "partial": True})
    response = exchange.response and exchange.response.model_copy(update={"headers": (), "body": None, "partial": True})
    return exchange.replace(request=request, response=response, excerpt=True)


@pytest.mark.parametrize("path", LIVE[::8], ids=lambda path: path.stem)
def test_nothing_new_is_found_where_header_lines_and_bodies_are_unseen(path: Path) -> None:
    recording = loader.read(path)
    whole = found(recording.exchanges, recording.upstream)
    seen = found([bare(exchange) for exchange in recording.exchanges], recording.upstream)
    assert not {rule for rule in seen - whole - ALLOWED if rule in RULES and RULES[rule].severity != "note"}


@pytest.mark.parametrize("path", LIVE[::16], ids=lambda path: path.stem)
def test_nothing_new_is_found_where_an_exchange_is_not_told(path: Path) -> None:
    recording = loader.read(path)
    every = [exchange.replace(excerpt=True) for exchange in recording.exchanges][:20]
    whole = found(every, recording.upstream)
    for place in range(len(every)):
        left = every[:place] + every[place + 1 :]
        assert not found(left, recording.upstream) - whole - ALLOWED, f"without exchange {place + 1}"


def test_every_rule_of_absence_is_a_rule() -> None:
    assert rules.of_absence() <= set(rules.load())


def test_a_header_that_may_have_been_there_is_unseen_to_rules_alone() -> None:
    message = Message(headers=(("A", "1"),), partial=True)
    assert message.header("b") is None
    with strict():
        assert message.header("a") == "1"
        with pytest.raises(Unseen):
            message.header("b")
        with pytest.raises(Unseen):
            message.header_lines("b")
        with pytest.raises(Unseen):
            message.media_type  # noqa: B018  (reading it is the test)


def test_a_member_that_may_have_been_there_is_unseen_to_rules_alone() -> None:
    message = Message(body='{"a": 1}', truncated=True)
    assert message.json_object.get("b") is None
    with strict():
        assert message.json_object.get("a") == 1
        with pytest.raises(Unseen):
            message.json_object.get("b")
        with pytest.raises(Unseen):
            assert "b" in message.json_object


def test_a_401_without_its_header_lines_lacks_no_challenge() -> None:
    text = "POST https://mcp.example.com/mcp\n401\n"
    [exchange] = notation.parse(text)
    assert "challenge-header-missing" in found([exchange], "https://mcp.example.com/mcp")
    assert not found([bare(exchange)], "https://mcp.example.com/mcp")
