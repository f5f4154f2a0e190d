"""Access logs whose lines (or whose whole) are JSON: each server names method, path and status in its own way.

Read from: Caddy 2, Traefik 3, Cloudflare Logpush (`http_requests`), `wrangler tail --format json`, Vercel log
drains and exports, Google Cloud load balancers (`httpRequest`), AWS API Gateway, pino-http, and lines like these.
"""

# ruff: noqa: E501  (patterns and names of members are written whole)

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from oauthtap.formats.builder import Draft, recording, seconds
from oauthtap.model.recording import Recording

WHAT = "a log in JSON"
FORM = "logs in JSON: Caddy, Traefik, Envoy, Cloudflare Logpush, wrangler tail, Vercel, Google Cloud, API Gateway, pino-http"

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_METHOD = ("request.method", "req.method", "RequestMethod", "ClientRequestMethod", "event.request.method", "httpRequest.requestMethod",
           "proxy.method", "requestMethod", "httpMethod", "http.method", "http_method", "method", "verb")  # fmt: skip
_URL = ("event.request.url", "httpRequest.requestUrl", "ClientRequestURL", "request.url", "req.url", "http.url", "url", "request.uri",
        "RequestPath", "ClientRequestURI", "requestPath", "proxy.path", "path", "uri", "request_uri", "request.path",
        "x-envoy-original-path", "x-envoy-origin-path")  # fmt: skip
_STATUS = ("status", "event.response.status", "response.status", "OriginStatus", "DownstreamStatus", "EdgeResponseStatus", "httpRequest.status",
           "proxy.statusCode", "responseStatusCode", "statusCode", "res.statusCode", "status_code", "http.status_code", "resultCode", "responseStatus", "statuscode", "code", "response_code")  # fmt: skip
_HOST = (
    "request.host",
    "RequestHost",
    "ClientRequestHost",
    "proxy.host",
    "host",
    "http_host",
    "vhost",
    "requestHost",
    "domainName",
    ":authority",
    "authority",
)
_AGENT = (
    "ClientRequestUserAgent",
    "httpRequest.userAgent",
    "request_User-Agent",
    "http_user_agent",
    "userAgent",
    "user_agent",
    "requestUserAgent",
    "user-agent",
)
_ID = ("reqId", "req.id", "requestId", "request_id", "traceId", "trace_id", "correlationId", "id")
_TIME = (
    "ts",
    "time",
    "StartUTC",
    "EdgeStartTimestamp",
    "eventTimestamp",
    "timestamp",
    "timestampInMs",
    "@timestamp",
    "requestTime",
    "TimeUTC",
    "start_time",
)


_MOST_FAILED = 200
"""Objects that begin on one line and break off on another: each costs a look through the whole text."""


def read(text: str) -> Recording | None:
    """The exchanges a log tells of; None when it tells of none."""
    drafts: list[Draft] = []
    waiting: dict[str, Draft] = {}
    """By the id of a request that one line tells, and another its answer (Fastify, Pino)."""
    for row in _rows(text):
        mark, status = str(_first(row, _ID) or ""), _number(_first(row, _STATUS))
        if draft := _draft(row):
            asked = waiting.pop(mark, None) if draft.status is not None else None
            if asked is not None and (asked.method, asked.target) == (draft.method, draft.target):
                drafts.remove(asked)
            drafts.append(draft)
            if mark and draft.status is None:
                waiting[mark] = draft
        elif status and 100 <= status <= 599:
            place = _first(row, _URL)
            asked = waiting.pop(mark, None) or next(
                (d for d in reversed(drafts) if d.target == place and d.status is None), None
            )
            if asked is not None:
                asked.status = status
    if not drafts:
        return None
    if all(draft.started_at is not None for draft in drafts):
        drafts.sort(key=lambda draft: draft.started_at or 0.0)
    return recording(drafts, text, what=WHAT)


def _rows(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object at the top: one a line, several lines each, or the members of a list."""
    decoder, place, failed = json.JSONDecoder(), 0, 0
    while (place := _next(text, place)) < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        try:
            value, length = decoder.raw_decode(text[place:end])
            place += length
        except (ValueError, RecursionError) as problem:
            goes_on = isinstance(problem, json.JSONDecodeError) and problem.pos >= len(text[place:end].rstrip()) - 1
            try:
                if not goes_on or failed > _MOST_FAILED:
                    raise ValueError from None
                value, place = decoder.raw_decode(text, place)
            except (ValueError, RecursionError):
                failed += 1
                # Words may stand in brackets in front of an object: `[cimd] rejected {…}`.
                place = end + 1 if goes_on or failed > _MOST_FAILED else place + 1
                continue
        for row in value if isinstance(value, list) else [value]:
            if isinstance(row, dict):
                yield row


def _next(text: str, place: int) -> int:
    starts = [found for mark in "{[" if (found := text.find(mark, place)) >= 0]
    return min(starts, default=len(text))


def _draft(row: dict[str, Any]) -> Draft | None:
    method, url = _first(row, _METHOD), _first(row, _URL)
    status = _number(_first(row, _STATUS))
    if fetched := _fetched(row, method, status):
        return fetched
    if not isinstance(method, str) or method.upper() not in _METHODS or not isinstance(url, str) or not url:
        return None
    host = _first(row, _HOST)
    if url.startswith("/") and isinstance(host, str) and host:
        local = host.split(":")[0] in ("localhost", "127.0.0.1")
        url = f"http{'' if local else 's'}://{host}{url}"
    if re.match(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?/", url):
        url = f"https://{url}"
    if not url.startswith(("/", "http://", "https://")):
        return None
    draft = Draft(method.upper(), url, status=status if status and 100 <= status <= 599 else None)
    draft.started_at = next((at for name in _TIME if (at := seconds(_at(row, name))) is not None), None)
    draft.headers = list(_headers(row, "request", "req", "event.request"))
    draft.answer_headers = list(_headers(row, "response", "res", "event.response"))
    if resp := row.get("resp_headers"):
        draft.answer_headers = list(_lines(resp))
    agent = _first(row, _AGENT)
    if isinstance(agent, list):
        agent = " ".join(map(str, agent))
    if isinstance(agent, str) and agent and not any(name.lower() == "user-agent" for name, _ in draft.headers):
        draft.headers.append(("User-Agent", agent))
    if draft.status is None:
        outcome = row.get("outcome") or row.get("err") or row.get("error")
        draft.error = f"no answer is shown ({outcome})" if isinstance(outcome, str) else None
    return draft


def _fetched(row: dict[str, Any], method: Any, status: int | None) -> Draft | None:
    """What became of a client's metadata document, in the log of the server that fetched it."""
    place = row.get("client_id")
    if method is not None or not isinstance(place, str) or not re.match(r"https://[^/\s]+/\S", place):
        return None
    if status is None or not 100 <= status <= 599:
        return None
    return Draft("GET", place, status=status, actor="authorization-server", role="client-metadata-fetch")


def _headers(row: dict[str, Any], *places: str) -> Iterator[tuple[str, str]]:
    for place in places:
        yield from _lines(_at(row, f"{place}.headers"))


def _lines(value: Any) -> Iterator[tuple[str, str]]:
    for name, content in value.items() if isinstance(value, dict) else ():
        text = ", ".join(map(str, content)) if isinstance(content, list) else str(content)
        yield str(name), text


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := _at(row, name)) not in (None, "", "-")), None)


def _at(row: dict[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else None
