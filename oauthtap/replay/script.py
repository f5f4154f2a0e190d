"""A recording turned into a script that a small server can play.

Names are mapped here: every origin of the recording is `http://oauthtap-origin:1`, `:2`, …, until
the server that plays it knows its ports. Secrets are marks such as `‹token 1›`, until it makes
stand-ins for them. So a script holds nothing that is anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    LegacySse,
    Mcp,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
    Unseen,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Pairs, Response
from oauthtap.model.sse import sse_events
from oauthtap.redaction.alias_format import ALIAS, claims, jose_header
from oauthtap.redaction.pii import NAMES
from oauthtap.rewriting import responses
from oauthtap.rewriting.origins import Origins
from oauthtap.rewriting.responses import DocumentKind
from oauthtap.rules.authorization_interaction.pages import form_action

PLACEHOLDER = "oauthtap-origin"
"""The host that stands for wherever the script is played."""
_MARK = re.compile(
    r"(?:‹|\\u2039|%E2%80%B9)(?P<kind>[a-z]+(?:-[a-z]+)?)(?: |\+|%20)(?P<number>\d+)"
    r"(?:(?!›|\\u203a|%E2%80%BA).)*(?:›|\\u203[aA]|%E2%80%BA)",
    re.S,
)
_NOT_REPLAYED = {
    *("content-length", "transfer-encoding", "connection", "keep-alive", "content-encoding", "date", "server"),
    *("set-cookie", "trailer", "upgrade", "via", "proxy-connection"),
}
_KINDS: tuple[tuple[type[Stage], DocumentKind], ...] = (
    (ResourceMetadata, "resource-metadata"),
    (ServerMetadata, "server-metadata"),
    (Registration, "registration"),
    (TokenEndpoint, "token"),
    (Mcp, "mcp"),
)

Answer = dict[str, Any]
"""`origin` (a number), `method`, `path`, `query`, what it is told by (`rpc`, `grant`, `credentials`),
and `status`, `headers`, `body`; see `replay_server` for how it is used."""


def build_script(handshake: Handshake, streams: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Everything a server needs to answer as it was answered in this handshake: plain JSON.

    `streams`: all that came down an event stream, by exchange, where the exchange holds its beginning alone.
    Raises ValueError, saying why, when a client could do nothing with it.
    """
    rows = [stages for stages in handshake.exchanges() if not _at_the_client(stages)]
    known = _origins(handshake, rows)
    answers = [_answer(stages, handshake, known, (streams or {}).get(stages[0].exchange.id, "")) for stages in rows]
    if not handshake.resource:
        raise ValueError("no request to an MCP server in it, so a client could not begin")
    if not any(answers):
        raise ValueError("no answer of a server in it")
    return {
        "upstream": handshake.resource,
        "mcp": known.local(handshake.resource, PLACEHOLDER),
        "origins": list(known.ports),
        "answers": [answer for answer in answers if answer],
        "secrets": _secrets(stages[0].exchange for stages in rows),
    }


def _at_the_client(stages: Sequence[Stage]) -> bool:
    """The request went to the client's own callback."""
    first = stages[0]
    return isinstance(first, AuthorizationResponse) and first.callback


def _origins(handshake: Handshake, rows: Sequence[tuple[Stage, ...]]) -> Origins:
    """Every origin that was asked, or that an answer named: the MCP server's is the first."""
    found = [urls.origin(handshake.resource or "")]
    for stages in rows:
        if stages[0].exchange.actor in ("client", "browser"):
            found.append(urls.origin(stages[0].url))
        response, kind = stages[0].exchange.response, _kind(stages)
        if response is not None and kind in ("resource-metadata", "server-metadata", "mcp") and response.status < 500:
            found += map(urls.origin, responses.named(kind, response))
    wanted = dict.fromkeys(origin for origin in found if origin.startswith(("http://", "https://")))
    return Origins({origin: number for number, origin in enumerate(wanted, 1)})


def _kind(stages: Sequence[Stage]) -> DocumentKind:
    return next((kind for stage in stages for types, kind in _KINDS if isinstance(stage, types)), "other")


def _answer(stages: tuple[Stage, ...], handshake: Handshake, known: Origins, stream: str) -> Answer | None:
    stage = stages[0]
    exchange, response = stage.exchange, stage.exchange.response
    port = known.ports.get(urls.origin(stage.url))
    if port is None or exchange.actor not in ("client", "browser", "reporter"):
        return None
    row: Answer = {
        "origin": port,
        "method": exchange.request.method,
        "path": exchange.request.path,
        "query": _marked(exchange.request.parts.query),
        "told_by": _told_by(stage),
        "first_look": exchange.actor == "reporter",
    }
    if isinstance(stage, AuthorizationRequest):
        return row | _authorization(stage, handshake, known)
    if response is None:
        return row | {"status": None, "why": exchange.error or "no answer was recorded"}
    return row | _content(stage, _kind(stages), response, known, stream)


def _told_by(stage: Stage) -> dict[str, Any]:
    """By what a request is told from others to the same place."""
    told: dict[str, Any] = {"credentials": _credentials(stage)}
    try:
        if isinstance(stage, Mcp):
            told |= {"rpc": stage.method or "", "id": stage.message.get("id")}
        elif isinstance(stage, TokenEndpoint):
            told |= {"grant": stage.grant or ""}
        elif isinstance(stage, Registration):
            told |= {"redirect_uris": list(texts(stage.requested.get("redirect_uris")))}
    except Unseen:
        pass
    return told


def _credentials(stage: Stage) -> str | None:
    """`token 1` for a token of the recording, `other` for any other credentials, empty without; None: not recorded."""
    try:
        if stage.authorization is None:
            return ""
    except Unseen:
        return None
    match = ALIAS.search(stage.authorization[1])
    return f"{match['kind']} {match['number']}" if match and match["kind"] == "token" else "other"


def _content(stage: Stage, kind: DocumentKind, response: Response, known: Origins, stream: str = "") -> Answer:
    body = responses.body(response.body or "", kind, known, PLACEHOLDER)
    streamed = response.media_type == "text/event-stream"
    row: Answer = {
        "status": response.status,
        "headers": [[name, _marked(value)] for name, value in _headers(response, known)],
        "body": _marked(body),
        "echo": _echoed(stage),
        "unseen": response.body is None or response.truncated,
    }
    if streamed and stage.request.method == "GET":
        row |= {"hold": True, **_stream(stage, body, known, stream)}
    return row


def _headers(response: Response, known: Origins) -> Pairs:
    kept = tuple((name, value) for name, value in response.headers if name.lower() not in _NOT_REPLAYED)
    return responses.headers(kept, known, PLACEHOLDER)


def _echoed(stage: Stage) -> list[str]:
    """Members of a registration answer that say what the request said."""
    if not isinstance(stage, Registration) or not stage.ok:
        return []
    try:
        return [
            name for name, value in stage.issued.items() if name in stage.requested and stage.requested[name] == value
        ]
    except Unseen:
        return []


def _stream(stage: Stage, body: str, known: Origins, whole: str) -> Answer:
    """What a stream says at once, and what it says when it is asked (legacy transport: answers come here)."""
    at_once, later = [], {}
    events = list(sse_events(body))
    for event, data in [*events, *list(sse_events(whole))[len(events) :]]:
        if isinstance(stage, LegacySse) and event == "endpoint":
            data = known.local(data, PLACEHOLDER)
        text = (f"event: {event}\n" if event else "") + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"
        if match := re.search(r'"id"\s*:\s*("[^"]*"|\d+)', data) if '"result"' in data or '"error"' in data else None:
            later[match[1]] = _marked(text)
        else:
            at_once.append(_marked(text))
    return {"body": "".join(at_once), "later": later, "legacy": isinstance(stage, LegacySse)}


# --- the leg through the browser


def _authorization(stage: AuthorizationRequest, handshake: Handshake, known: Origins) -> Answer:
    """Straight back to the client with what came back then: nobody has to log in to a recording."""
    response = stage.exchange.response
    if response is not None and response.status >= 400:
        return _content(stage, "other", response, known)
    back = next((a for a in handshake.all(AuthorizationResponse) if a.exchange.id >= stage.exchange.id), None)
    if back is not None and response is not None and _stays(stage, back, handshake):
        return _content(stage, "other", response, known)
    if back is not None:
        own = stage.get("state")
        told = [
            [name, "‹state›" if name == "state" and value == own else _marked(known.local(value, PLACEHOLDER))]
            for name, value in back.params
        ]
        return {"query": "", "status": 302, "callback": told, "fragment": "#" in back.target}
    words = "The recording ends here: nobody came back from this page."
    return {"status": 200, "headers": [["Content-Type", "text/plain; charset=utf-8"]], "body": words, "echo": []}


def _stays(stage: AuthorizationRequest, back: AuthorizationResponse, handshake: Handshake) -> bool:
    """The browser was not led back: by a policy of the page, or because the redirect leads to the server's own page."""
    if any(stage.exchange.id <= (blocked.exchange or 0) <= back.exchange.id for blocked in form_action(handshake)):
        return True
    own, asked = urls.origin(stage.url), urls.without_query(stage.redirect_uri or "")
    target = urls.without_query(back.target)
    return bool(asked) and urls.origin(target) == own != urls.origin(asked) and not urls.redirect_matches(target, asked)


# --- secrets


def _marked(text: str) -> str:
    """The text with every alias in its shortest form, whichever way it was written: `‹token 1›`."""
    return _MARK.sub(lambda match: f"‹{match['kind']} {match['number']}›", text)


def _secrets(exchanges: Iterator[Exchange]) -> dict[str, Any]:
    """What a stand-in has to look like: header and claims of every token that was a JWT."""
    found: dict[str, Any] = {}
    for exchange in exchanges:
        content = exchange.response.json_object if exchange.response else {}
        for value in content.values():
            match = ALIAS.fullmatch(value) if isinstance(value, str) else None
            if match and (header := jose_header(value)) is not None:
                found[f"{match['kind']} {match['number']}"] = {
                    "header": header,
                    "claims": _impersonal(claims(value) or {}),
                }
    return found


def _impersonal(said: dict[str, Any]) -> dict[str, Any]:
    """Claims without the person: a script is made to be given away. No client looks at a token's id."""
    return {name: "replayed" if name in NAMES else value for name, value in said.items() if name != "jti"}
