"""Writes HAR 1.2. Knows the format; knows no rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from oauthtap.har.extras import EXTRAS, PATCHED
from oauthtap.recording import Recording
from oauthtap.wire import Exchange, Request


def write(recording: Recording, comments: Mapping[int, str] | None = None) -> str:
    """The recording as a HAR, with `comments` (by exchange id) on their entries."""
    log: dict[str, Any] = {
        "version": "1.2",
        "creator": {"name": "oauthtap", "version": str(recording.header.get("versions", {}).get("oauthtap", ""))},
        "pages": [],
        "entries": [_entry(exchange, (comments or {}).get(exchange.id)) for exchange in recording.exchanges],
        "_oauthtap": {**recording.header, **({} if recording.until is None else {"ended": recording.until})},
    }
    if recording.until is not None:
        log["_recordedUntil"] = _iso(recording.until)
    return json.dumps({"log": log}, ensure_ascii=False, indent=1)


def _entry(exchange: Exchange, comment: str | None) -> dict[str, Any]:
    took = (exchange.took or 0.0) * 1000
    entry: dict[str, Any] = {
        "startedDateTime": _iso(exchange.at or 0.0),
        "time": took,
        "request": _written_request(exchange.request),
        "response": _written_response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        "_oauthtap": _extras(exchange),
    }
    if exchange.actor != "client":
        entry["_actor"] = exchange.actor
    return {**entry, "comment": comment} if comment else entry


def _extras(exchange: Exchange) -> dict[str, Any]:
    extras: dict[str, Any] = {name: getattr(exchange, name) for name in EXTRAS}
    messages = {"request": exchange.request, "response": exchange.response}
    extras["unseen"] = [name for name, message in messages.items() if message and message.body is None]
    extras["truncated"] = [name for name, message in messages.items() if message and message.truncated]
    extras["partial"] = [name for name, message in messages.items() if message and message.partial]
    extras = {name: value for name, value in extras.items() if value not in (None, [])}
    return extras | exchange.model_dump(include=set(PATCHED), exclude_defaults=True)


def _written_request(request: Request) -> dict[str, Any]:
    written = {
        "method": request.method,
        "url": request.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in request.headers],
        "queryString": [{"name": name, "value": value} for name, value in request.query],
        "headersSize": -1,
        "bodySize": -1 if request.body is None else len(request.body.encode()),
    }
    if request.body:
        written["postData"] = {"mimeType": request.header("content-type") or "", "text": request.body}
    return written


def _written_response(exchange: Exchange) -> dict[str, Any]:
    response = exchange.response
    content: dict[str, Any] = {"size": -1, "mimeType": (response and response.header("content-type")) or "x-unknown"}
    if response is not None and response.body is not None:
        content |= {"size": len(response.body.encode()), "text": response.body}
    written: dict[str, Any] = {
        "status": response.status if response else 0,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in (response.headers if response else ())],
        "content": content,
        "redirectURL": (response.header("location") if response else None) or "",
        "headersSize": -1,
        "bodySize": -1,
    }
    return {**written, "_error": exchange.error} if exchange.error is not None else written


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
