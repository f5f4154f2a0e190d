"""What fixes come to once they are to stay: the change of each document, and the lines for the server's stack."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import jsonpatch
from pydantic import BaseModel, ConfigDict

from oauthtap.fixes.change_log import ABOUT_THE_BODY, changes
from oauthtap.fixes.model import PLACEHOLDER
from oauthtap.fixes.presets import presets
from oauthtap.fixes.stacks import Snippet, Stack, stacks
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, Response


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Change(_Row):
    """What has to become of one answer of the server."""

    exchange: int
    method: str
    url: str
    """Without query."""
    fixes: tuple[str, ...]
    was: int
    """The status of the answers that are meant."""
    status: int | None = None
    """The status it has to have; None: the one it has."""
    headers: dict[str, str | None] = {}
    """Headers it has to have; None: it must not have that one."""
    encoding: str | None = None
    """`json`: the same members have to come as JSON. None: as they do."""
    json_patch: tuple[dict[str, Any], ...] = ()
    """For the JSON of its body (RFC 6902)."""
    repeats: tuple[str, ...] = ()
    """Members of the request's JSON that the answer has to repeat (RFC 7591, 3.2.1)."""
    diff: str
    """All of it as a unified diff of the answer."""


class Recipe(_Row):
    """The lines for one stack."""

    stack: str
    because: tuple[str, ...]
    """By what it was recognized, as ends of sentences; empty when somebody named it."""
    version: str
    checked: date
    how: str
    source: str
    where: str
    language: str
    text: str


class Deploy(_Row):
    """All that is to be changed so that no fix is needed any more."""

    proved: bool
    """A client connected with these fixes."""
    changes: tuple[Change, ...] = ()
    requests: tuple[str, ...] = ()
    """What the server has to do where a fix changed requests, and no answer of it: sentences."""
    recipes: tuple[Recipe, ...] = ()


def deploy(
    patched: Sequence[Exchange], handshake: Handshake, *, proved: bool, stack: str | None = None
) -> Deploy | None:
    """What to change, given exchanges with what fixes made of them; None when they changed nothing.

    `stack`: the name of its file, when somebody named it.
    """
    changed = [exchange for exchange in patched if exchange.applied_fixes]
    if not changed:
        return None
    names = {name for exchange in changed for name in exchange.applied_fixes}
    return Deploy(
        proved=proved,
        changes=tuple(_once(map(change, changed))),
        requests=tuple(dict.fromkeys(sentence for exchange in changed for sentence in _of_requests(exchange))),
        recipes=tuple(_recipes(names, handshake, changed, stack)),
    )


# --- the change of one answer


def change(exchange: Exchange) -> Change | None:
    """The change of an answer that a fix made; None when it only changed the request."""
    before, after = exchange.response, exchange.delivered_response
    if before is None or after is None:
        return None
    repeats = _repeated(exchange.request, before, after)
    was, becomes = _document(before), _document(after)
    kept = {name: value for name, value in becomes.items() if name not in repeats} if becomes is not None else None
    return Change(
        exchange=exchange.id,
        method=exchange.request.method,
        url=exchange.request.bare_url,
        fixes=exchange.applied_fixes,
        was=before.status,
        status=after.status if after.status != before.status else None,
        headers=_headers(before, after),
        encoding="json" if not before.json_object and was and becomes else None,
        json_patch=tuple(_operations(was, kept)),
        repeats=repeats,
        diff=_diff(exchange.request.bare_url, before, after),
    )


def _document(response: Response) -> dict[str, Any] | None:
    """The members of an answer, as JSON or as a form; None when it has none."""
    if isinstance(response.json_value, dict):
        return response.json_value
    is_form = "=" in (response.body or "") and "html" not in response.media_type
    return dict(response.form) if response.form and is_form else None


def _operations(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    if after is None:
        return
    if before is None:
        yield {"op": "add", "path": "", "value": after}
        return
    yield from jsonpatch.JsonPatch.from_diff(before, after).patch


def _repeated(request: Request, before: Response, after: Response) -> tuple[str, ...]:
    asked, said, becomes = request.json_object, before.json_object, after.json_object
    return tuple(name for name in asked if name in becomes and becomes[name] == asked[name] and name not in said)


def _headers(before: Response, after: Response) -> dict[str, str | None]:
    named = {name.lower(): name for name, _ in (*before.headers, *after.headers)}
    return {
        name: after.header(name)
        for key, name in named.items()
        if key not in ABOUT_THE_BODY and before.header(key) != after.header(key)
    }


def _diff(url: str, before: Response, after: Response) -> str:
    differing = _headers(before, after)
    was, becomes = (list(_lines(side, differing)) for side in (before, after))
    return "\n".join(difflib.unified_diff(was, becomes, f"{url} (as it is)", f"{url} (as it has to be)", lineterm=""))


def _lines(response: Response, headers: Iterable[str]) -> Iterator[str]:
    yield str(response.status)
    yield from (f"{name}: {value}" for name in headers if (value := response.header(name)) is not None)
    yield ""
    value = response.json_value
    shown = json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else response.body or ""
    yield from shown.splitlines()


def _once(found: Iterable[Change | None]) -> Iterator[Change]:
    """Each change of a place once, whichever exchange showed it."""
    seen: set[str] = set()
    for one in found:
        if one is None:
            continue
        mark = one.model_dump_json(exclude={"exchange", "diff"})
        if mark not in seen:
            seen.add(mark)
            yield one


def _of_requests(exchange: Exchange) -> Iterator[str]:
    back = {"code", "error"} & {name for name, _ in exchange.request.query}
    for one in changes(exchange) if exchange.forwarded_request else ():
        if not one.at.startswith("request."):
            continue
        gave, got = ("nothing" if value is None else value for value in (one.original, one.delivered))
        if back:
            yield f"The authorization server's redirect has to carry `{one.name}` as it should be: {got}, not {gave}."
        else:
            yield (
                f"{exchange.request.bare_url} has to take `{one.name}` as clients send it ({gave}); "
                f"it was {got} that went through."
            )


# --- the lines for a stack


def recognized(handshake: Handshake) -> dict[str, tuple[str, ...]]:
    """Stacks that the server gave away, by name, with what was seen. The surest first."""
    return recognized_in([(stages[0].slug, stages[0].exchange) for stages in handshake.exchanges()])


def recognized_in(exchanges: Sequence[tuple[str, Exchange]]) -> dict[str, tuple[str, ...]]:
    """The same, given exchanges with their stages."""
    found = {name: tuple(_seen(stack, exchanges)) for name, stack in stacks().items()}
    return {name: found[name] for name in sorted(found, key=lambda name: -len(found[name])) if found[name]}


def _seen(stack: Stack, exchanges: Sequence[tuple[str, Exchange]]) -> Iterator[str]:
    return (sign.says for sign in stack.sign if any(sign.is_in(stage, exchange) for stage, exchange in exchanges))


def _recipes(names: set[str], handshake: Handshake, changed: Sequence[Exchange], stack: str | None) -> Iterator[Recipe]:
    does = names | {fix.name for fix in presets() if set(fix.cures) & names}
    values = _values(handshake, changed)
    for name, seen in ({stack: ()} if stack else recognized(handshake)).items():
        known = stacks()[name]
        for lines in known.lines:
            if does & set(lines.for_):
                yield _recipe(known, seen, lines, values)


def _recipe(stack: Stack, seen: tuple[str, ...], lines: Snippet, values: dict[str, str]) -> Recipe:
    where, text = (PLACEHOLDER.sub(lambda m: values.get(m[1]) or m[1].upper(), t) for t in (lines.where, lines.text))
    return Recipe(
        stack=stack.name, because=seen, version=stack.version, checked=stack.checked, how=stack.how,
        source=stack.source, where=where, language=lines.language, text=text.strip("\n"),
    )  # fmt: skip


def _values(handshake: Handshake, changed: Sequence[Exchange]) -> dict[str, str]:
    """What stands for the placeholders: what the client got, fixes and all."""
    shown: dict[str, Any] = {}
    for exchange in changed:
        shown |= exchange.patched.response.json_object if exchange.patched.response else {}
    named = shown.get("authorization_servers") or [shown.get("issuer") or handshake.issuer or ""]
    issuer = str(named[0]) if isinstance(named, list) and named else ""
    resource = handshake.resource or ""
    place = next((one.url for one in urls.as_metadata_locations(issuer)), "") if issuer else ""
    sent = [dict(exchange.forwarded_request.query) for exchange in changed if exchange.forwarded_request]
    return {
        "issuer": issuer,
        "resource": resource,
        "document_resource": str(shown.get("resource") or resource),
        "origin": urls.origin(resource),
        "path": urls.path_of(resource),
        "as_metadata": place,
        "as_metadata_path": urls.path_of(place) if place else "",
        "client_id": str(shown.get("client_id") or ""),
        "scope": next((one["scope"] for one in sent if "scope" in one), ""),
    }
