"""Of several clients at once each has a handshake of its own, and what is filled from one is filled from its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.faults.injector import FaultInjector
from oauthtap.fixes.actions import ResponseChange
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.model import Fix, When
from oauthtap.handshake.stages import Registration
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange
from tests.support.tapped import Came, document, tapped, upstream
from tests.unit.diagnosis.multi.test_attribution import MCP, SERVER, Client, in_turns
from tests.unit.faults.test_faults import fault

FIX = Fix(
    name="tells-issuer",
    when=When(stage=("mcp-*",), status=(200,)),
    answer=ResponseChange(merge={"is": "${issuer}"}),
    assumes="${issuer} is the issuer of this client",
)
TELLS_ISSUER = ActiveFixes(fixes=(FIX,))


def issuer_of(name: str) -> str:
    return f"https://as-{name}.example.com"


def own_issuer(name: str, exchange: Exchange) -> Exchange:
    """The same, with an authorization server that only this client is sent to."""
    response = exchange.response
    if response is None or exchange.request.bare_url.rpartition("/.well-known/")[1] == "":
        return exchange
    body = (response.body or "").replace(f'"issuer": "{SERVER}"', f'"issuer": "{issuer_of(name)}"')
    body = body.replace(f'"authorization_servers": ["{SERVER}"]', f'"authorization_servers": ["{issuer_of(name)}"]')
    return exchange.model_copy(update={"response": response.model_copy(update={"body": body})})


def two_at_once() -> Iterator[tuple[str, Exchange]]:
    """Two whole sign-ins, a step each in turn, and whose each exchange is."""
    walks = [
        [(name, own_issuer(name, exchange)) for exchange in Client(name, 40001 + number).whole()]
        for number, name in enumerate("ab")
    ]
    for number, (name, exchange) in enumerate(pair for pairs in zip(*walks, strict=True) for pair in pairs):
        yield name, exchange.replace(started_at=1000.0 + number, duration=0.01)


def registered(handshake: Handshake) -> set[str]:
    return {str(stage.requested.get("client_name")) for stage in handshake.all(Registration)}


def test_what_a_fix_sees_is_the_handshake_of_its_own_client() -> None:
    analyzer, seen = SessionAnalyzer(MCP), 0
    for name, exchange in two_at_once():
        before = analyzer.handshake_for(exchange.model_copy(update={"response": None, "error": None}))
        several = len(analyzer.clients) > 1
        analyzed = analyzer.analyze(exchange)
        known = registered(analyzed.handshake)
        if several:
            seen += 1
            assert before is analyzed.handshake
            assert known == {name}
        elif len(analyzer.clients) > 1:  # with this exchange it shows that there are two
            assert known <= {name}
        analyzer.record_delivery(analyzed)
    assert seen >= 9


def test_placeholders_of_a_fix_are_filled_from_its_own_clients_handshake() -> None:
    analyzer = SessionAnalyzer(MCP)
    filled: list[tuple[str, str]] = []
    for name, exchange in two_at_once():
        analyzed = analyzer.analyze(exchange)
        assert exchange.response is not None
        delivered, applied = TELLS_ISSUER.apply(analyzed, exchange.request, exchange.response)
        recorded = analyzer.record_delivery(analyzed, delivered if applied else None, applied)
        if applied:
            assert recorded.exchange.applied_fixes == ("tells-issuer",)
            filled.append((name, str(delivered.json_object["is"])))
    assert filled == [(name, issuer_of(name)) for name in "ababab"]


def test_a_fault_asks_its_own_client_whether_the_token_has_worked() -> None:
    """A token that was just issued has to work once before it is refused, whoever else has one that worked."""
    clients = [Client(name, 40001 + number) for number, name in enumerate("ab")]
    first, second = clients[0].whole(), clients[1].whole()
    analyzer, injecting = SessionAnalyzer(MCP), FaultInjector([fault("expired-token")])
    for number, exchange in enumerate([*in_turns(first[:7], second[:7]), *first[7:]]):
        analyzer.add(exchange.replace(started_at=1000.0 + number, duration=0.01))
    fresh, worked = (
        second[8].replace(started_at=1100.0, response=None),
        first[8].replace(started_at=1101.0, response=None),
    )
    assert injecting.instead(fresh, analyzer) is None
    assert injecting.instead(worked, analyzer) == fault("expired-token")


def test_what_was_delivered_is_redacted_like_everything_else() -> None:
    analyzer = SessionAnalyzer(MCP, keeps_secrets=True)
    asked = Client("a", 40001).whole()[6]
    assert asked.response is not None
    analyzed = analyzer.analyze(asked.replace(started_at=1.0, duration=0.1))
    recorded = analyzer.record_delivery(analyzed, asked.response, ("x",))
    assert "at_a_0123456789abcdef" not in recorded.exchange.as_json()
    assert recorded.unredacted is not None
    assert "at_a_0123456789abcdef" in recorded.unredacted.as_json()


async def test_through_the_proxy_two_clients_at_once_get_what_is_their_own() -> None:
    prm = "/.well-known/oauth-protected-resource/mcp"

    async def by_agent(came: Came, writer: asyncio.StreamWriter) -> None:
        name = came.headers["user-agent"].partition("/")[0]
        if came.target.startswith(prm):
            value: object = {"resource": f"{origin}/mcp", "authorization_servers": [issuer_of(name)]}
        elif came.target == "/register":
            value = {"client_id": f"id-{name}", **json.loads(came.body)}
        else:
            value = {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}
        await document(value, 201 if came.target == "/register" else 200)(came, writer)

    async with upstream({"/mcp": by_agent, prm: by_agent, "/register": by_agent}) as server:
        origin = server.origin()
        async with tapped(server, fixes=TELLS_ISSUER) as tap:
            got: list[tuple[str, str]] = []
            async with (
                httpx.AsyncClient(trust_env=False, headers={"User-Agent": "alpha/1"}) as alpha,
                httpx.AsyncClient(trust_env=False, headers={"User-Agent": "beta/1"}) as beta,
            ):
                both = (("alpha", alpha), ("beta", beta))
                for _, client in both:
                    await client.get(tap.origin + prm)
                for number, (_, client) in enumerate(both):
                    wanted = {"redirect_uris": [f"http://127.0.0.1:{40001 + number}/callback"]}
                    await client.post(f"{tap.origin}/register", json=wanted)
                for name, client in both * 2:
                    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                    answer = await client.post(tap.url, json=call, headers={"Authorization": f"Bearer at-{name}-0123"})
                    got.append((name, str(answer.json().get("is"))))
            assert got == [(name, issuer_of(name)) for name in ("alpha", "beta")] * 2
            assert len(tap.tap.clients) == 2
