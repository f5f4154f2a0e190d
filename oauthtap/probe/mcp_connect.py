"""How a client greets an MCP endpoint, in whichever way the server speaks. A generator, like the walk."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from oauthtap.handshake.stages import text
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Message, Request
from oauthtap.model.sse import sse_events
from oauthtap.probe.requests import BrowserStep, ProbeRequest, RequestBuilder
from oauthtap.rewriting.ssrf_guard import blocked_reason, is_private_host

Leg = Generator[ProbeRequest | BrowserStep, Exchange, Exchange]

_MOST_HOPS = 5


def connect(url: str, asker: RequestBuilder, token: str | None) -> Leg:
    """`initialize` and a first request behind it; else what the server speaks instead. Gives the deciding answer."""
    if asker.client.transport == "by-path" and urls.path_of(url).rstrip("/").endswith("/sse"):
        return (yield from _streamed(url, asker, token))
    if asker.client.first_request == "discover":
        modern = yield ProbeRequest(asker.modern(url, "server/discover", token))
        if modern.ok and "result" in reply_of(modern):
            yield ProbeRequest(asker.modern(url, "tools/list", token))
            return modern
        if is_challenge(modern, asker.client.challenges):
            return modern
    answer = yield from followed(url, ProbeRequest(asker.initialize(url, token)))
    reply = reply_of(answer)
    if answer.ok and "result" in reply:
        return (yield from _talked(answer, asker, token, reply))
    if answer.status in (404, 405) and "error" not in reply and asker.client.transport != "streamable":
        return (yield from _streamed(url, asker, token))
    if answer.status == 400 or "error" in reply:
        modern = yield ProbeRequest(asker.modern(url, "server/discover", token))
        if modern.ok:
            yield ProbeRequest(asker.modern(url, "tools/list", token))
        return modern
    return answer


def is_challenge(answer: Exchange, statuses: tuple[int, ...]) -> bool:
    """The server wants the client to sign in, as this client understands it."""
    return answer.status in statuses


def speaks_mcp(answer: Exchange) -> bool:
    """The server answered as MCP servers do; else a client looks whether it should sign in."""
    stream = answer.response is not None and answer.response.media_type == "text/event-stream"
    return answer.ok and (stream or "result" in reply_of(answer))


def _talked(answer: Exchange, asker: RequestBuilder, token: str | None, reply: dict[str, Any]) -> Leg:
    """The rest of the greeting, a first request, and a polite goodbye."""
    session = answer.response.header("mcp-session-id") if answer.response else None
    chosen = reply["result"].get("protocolVersion") if isinstance(reply["result"], dict) else None
    revision, url = text(chosen) or asker.revision, answer.request.url
    yield ProbeRequest(asker.initialized(url, token, session, revision))
    listed = yield ProbeRequest(asker.tools(url, token, session, revision))
    if session:
        yield ProbeRequest(asker.end(url, token, session, revision))
    told = listed.response is not None and (listed.status in (401, 403) or (token and not listed.ok))
    return listed if told else answer


def _streamed(url: str, asker: RequestBuilder, token: str | None) -> Leg:
    """The transport of 2024-11-05: the stream names where to post. Answers come on it, where we do not look."""
    stream = yield ProbeRequest(asker.stream(url, token), opening=True)
    named = stream_endpoint(stream)
    place = absolute(named, url) if named else ""
    if urls.origin(place) != urls.origin(url):
        return stream
    posted = yield ProbeRequest(asker.initialize(place, token))
    if not posted.ok:
        return posted
    yield ProbeRequest(asker.initialized(place, token, None, asker.revision))
    yield ProbeRequest(asker.tools(place, token, None, asker.revision))
    return stream


def stream_endpoint(answer: Exchange) -> str:
    """Where a stream of 2024-11-05 wants messages posted, as it says it; empty where it says nothing of the kind."""
    if answer.request.method != "GET" or not answer.ok or answer.response is None:
        return ""
    events = sse_events(answer.response.body or "")
    return events[0][1].strip() if events and events[0][0] == "endpoint" else ""


def reply_of(answer: Exchange) -> dict[str, Any]:
    """The JSON-RPC message in an answer, plain or as the first message of a stream."""
    if answer.response is None:
        return {}
    if answer.response.media_type != "text/event-stream":
        messages = [answer.response.json_object]
    else:
        messages = [Message(body=data).json_object for _, data in sse_events(answer.response.body or "")]
    return next((m for m in messages if "jsonrpc" in m and ("result" in m or "error" in m)), {})


def followed(start: str, ask: ProbeRequest) -> Leg:
    """Each redirect is an exchange of its own; credentials stay with the origin they are for.

    `start`: the MCP URL that the user named.
    """
    answer = yield ask
    for _ in range(_MOST_HOPS):
        location = answer.response.header("location") if answer.response else None
        if location is None or answer.status not in (301, 302, 303, 307, 308):
            break
        request = answer.request
        target = absolute(location, request.url)
        if not may_go(start, target) or (request.method != "GET" and answer.status not in (307, 308)):
            break
        moved = urls.origin(target) != urls.origin(request.url)
        headers = tuple(line for line in request.headers if not (moved and line[0].lower() == "authorization"))
        answer = yield ProbeRequest(
            Request(method=request.method, url=target, headers=headers, body=request.body), ask.actor
        )
    return answer


def may_go(start: str, url: str) -> bool:
    """A document of a public server does not make us ask what only this machine can reach."""
    parts = urls.split(start)
    return blocked_reason(url, private=bool(parts and is_private_host(parts.hostname or ""))) is None
