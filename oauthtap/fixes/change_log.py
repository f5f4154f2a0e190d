"""What fixes made of one exchange: upstream said X, client saw Y."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from oauthtap.model.exchange import Exchange, Message, Pairs, Request, Response, json_keys

_LONGEST = 400
ABOUT_THE_BODY = frozenset(("content-length", "content-encoding", "transfer-encoding"))


class AppliedChange(BaseModel):
    """One place that a fix changed."""

    model_config = json_keys(original="said", delivered="saw")

    at: str
    """The place, as findings name it: `response.json.issuer`, `request.query.resource`, …"""
    original: str | None = None
    """What the upstream said there, or the client (in a request). Members of JSON as JSON; None: nothing."""
    delivered: str | None = None
    """What came to the other side in its place; None: nothing."""

    @property
    def name(self) -> str:
        """The member, header or parameter alone."""
        for begin in ("response.json.", "response.header.", "request.query.", "request.form.", "request.json."):
            if self.at.startswith(begin):
                return self.at.removeprefix(begin)
        return self.at.rpartition(".")[2]


def changes(exchange: Exchange) -> tuple[AppliedChange, ...]:
    """What differs between the messages that were sent and those that arrived; nothing where no fix was at work."""
    return tuple(_changes(exchange))


def _changes(exchange: Exchange) -> Iterator[AppliedChange]:
    if exchange.forwarded_request is not None:
        yield from _of_request(exchange.request, exchange.forwarded_request)
    if exchange.response is not None and exchange.delivered_response is not None:
        yield from _of_answer(exchange.response, exchange.delivered_response)


def _of_request(before: Request, after: Request) -> Iterator[AppliedChange]:
    yield from _of_mapping("request.query", dict(before.query), dict(after.query), str)
    yield from _of_headers("request.header", before.headers, after.headers)
    yield from _of_body("request", before, after)


def _of_answer(before: Response, after: Response) -> Iterator[AppliedChange]:
    if before.status != after.status:
        yield AppliedChange(at="response.status", original=str(before.status), delivered=str(after.status))
    yield from _of_headers("response.header", before.headers, after.headers)
    yield from _of_body("response", before, after)


def _of_headers(place: str, before: Pairs, after: Pairs) -> Iterator[AppliedChange]:
    was, now = _by_name(before), _by_name(after)
    yield from _of_mapping(place, was, now, str)


def _by_name(headers: Pairs) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower() not in ABOUT_THE_BODY:
            found[name.lower()] = ", ".join(filter(None, (found.get(name.lower()), value)))
    return found


def _of_body(side: str, before: Message, after: Message) -> Iterator[AppliedChange]:
    if before.body == after.body:
        return
    if before.json_object and after.json_object:
        yield from _of_mapping(f"{side}.json", before.json_object, after.json_object, _json)
    elif before.form and after.form:
        yield from _of_mapping(f"{side}.form", dict(before.form), dict(after.form), str)
    else:
        yield AppliedChange(at=f"{side}.body", original=_short(before.body or ""), delivered=_short(after.body or ""))


def _of_mapping(place: str, before: Mapping[str, Any], after: Mapping[str, Any], write: Any) -> Iterator[AppliedChange]:
    for name in dict.fromkeys((*before, *after)):
        if (name in before, before.get(name)) != (name in after, after.get(name)):
            said, saw = (_short(write(side[name])) if name in side else None for side in (before, after))
            yield AppliedChange(at=f"{place}.{name}", original=said, delivered=saw)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def phrase(found: Iterable[AppliedChange], most: int = 3) -> str:
    """Changes in few words: "`authorization_servers` → […]"; each place once, the newest value."""
    news = {one.at: f"`{one.name}` → {'nothing' if one.delivered is None else one.delivered}" for one in found}
    shown = list(news.values())[:most]
    more = len(news) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
