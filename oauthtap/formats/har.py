"""Reads HAR 1.2 of browsers and proxies, and our own.

What a HAR leaves out is unseen, never empty. Our own HARs say in `_oauthtap` what the
format has no place for, so that the very same exchanges come out again.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlencode

from oauthtap.formats import hosted_client
from oauthtap.model.exchange import Actor, Exchange, Message, Pairs, Request, Response
from oauthtap.model.recording import Recording, SourceError

EXTRAS = ("id", "at", "took", "connection", "injected")
"""Members of an exchange that stand there as they are."""

PATCHED = ("shown", "sent", "patched_by", "fixes", "excerpt", "role")
"""Members that stand there only where a fix was at work, or a log is where it comes from."""


_NO_BODY = (204, 205, 304)
_SKIPPED = ("data:", "blob:", "about:", "chrome-extension:", "moz-extension:")
_SECRET = ("authorization", "cookie")
_FORM = "application/x-www-form-urlencoded"


def read(document: Any) -> Recording:
    """The recording in a parsed HAR. Raises SourceError with the place (`log.entries[3].request.url`)."""
    log = _dict(document, "log", "")
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise SourceError("log.entries: a list is expected")
    own = isinstance(log.get("_oauthtap"), dict)
    header: dict[str, Any] = log["_oauthtap"] if own else {}
    exchanges, skipped = [], 0
    for place, entry in enumerate(entries):
        exchange = _exchange(entry, f"log.entries[{place}]", own)
        if exchange.request.url.startswith(_SKIPPED):
            skipped += 1
        else:
            exchanges.append(exchange)
    if not own:  # ours are in the order in which they were judged, whichever began first
        exchanges, header = _with_steps_told(exchanges), _hosted(exchanges)
        exchanges = [_numbered(exchange, number) for number, exchange in enumerate(_in_order(exchanges), 1)]
        if _sanitized(log, exchanges):
            exchanges = list(map(_without_secrets, exchanges))
    until = _seconds(log.get("_recordedUntil"))
    ended = header.get("ended")
    until = _number(ended) if _number(ended) is not None else until
    header = {name: value for name, value in header.items() if name != "ended"}
    return Recording(tuple(exchanges), header, until, tuple(_notes(log, exchanges, skipped)))


def _hosted(exchanges: list[Exchange]) -> dict[str, Any]:
    """What a hosted client's own API says, as a session's header has it."""
    client = hosted_client.client_of(exchanges)
    if client is None:
        return {}
    upstream, notes = hosted_client.upstream_of(exchanges), hosted_client.notes_of(exchanges, client)
    return {"client": client, **({"upstream": upstream} if upstream else {}), **({"notes": notes} if notes else {})}


def _with_steps_told(exchanges: list[Exchange]) -> list[Exchange]:
    told = {id(behind): step for behind, step in hosted_client.steps_of(exchanges)}
    return [one for exchange in exchanges for one in (exchange, told.get(id(exchange))) if one is not None]


def _notes(log: dict[str, Any], exchanges: list[Exchange], skipped: int) -> Iterator[str]:
    if skipped:
        yield f"{skipped} entries that are no HTTP (data:, blob:, …) were left out"
    if _sanitized(log, exchanges):
        yield (
            "Chrome leaves Authorization and cookies out of a HAR unless told otherwise, so a missing token may"
            " only be missing here. Try: in DevTools, Settings > Preferences > Network, allow HAR with sensitive data"
        )


def _sanitized(log: dict[str, Any], exchanges: list[Exchange]) -> bool:
    """A browser left the headers with secrets out, as Chrome does unless told otherwise."""
    creator = log.get("creator")
    names = {name.lower() for exchange in exchanges for name, _ in exchange.request.headers}
    return isinstance(creator, dict) and creator.get("name") == "WebInspector" and not names & set(_SECRET)


def _without_secrets(exchange: Exchange) -> Exchange:
    request = exchange.request.model_copy(update={"unrecorded_headers": _SECRET})
    return exchange.model_copy(update={"request": request})


def _in_order(exchanges: list[Exchange]) -> list[Exchange]:
    """By time, but only where the order of the file contradicts it: equal times keep their order."""
    times = [exchange.started_at for exchange in exchanges if exchange.started_at is not None]
    if len(times) < len(exchanges) or times == sorted(times):
        return exchanges
    return sorted(exchanges, key=lambda exchange: exchange.started_at or 0.0)


def _numbered(exchange: Exchange, number: int) -> Exchange:
    return Exchange(**{**{name: getattr(exchange, name) for name in Exchange.model_fields}, "id": number})


# --- one entry


def _exchange(entry: Any, place: str, own: bool) -> Exchange:
    entry = _dict(entry, None, place)
    extras = entry.get("_oauthtap")
    extras = extras if own and isinstance(extras, dict) else {}
    request = _request(_dict(entry, "request", place), f"{place}.request", extras)
    raw = entry.get("response") if isinstance(entry.get("response"), dict) else {}
    response = _response(raw, f"{place}.response", request.method, extras)
    # Status 0 without a word of why: the recording may have ended before the answer came.
    error = _text(raw.get("_error", entry.get("_error")))
    took = _number(entry.get("time"))
    members: dict[str, Any] = {
        "at": _seconds(entry.get("startedDateTime")),
        "took": took / 1000 if took is not None and took >= 0 else None,
        "actor": _actor(entry, request),
        "connection": _text(entry.get("connection")),
    }
    members.update({name: extras.get(name) for name in EXTRAS} if extras else {})
    patched = {name: extras[name] for name in PATCHED if name in extras}
    try:
        return Exchange(
            **{**members, "id": members.get("id") or 0},
            request=request,
            response=response,
            error=error,
            **patched,
        )
    except ValueError:
        raise SourceError(f"{place}._oauthtap: not as oauthtap writes it") from None


def _actor(entry: dict[str, Any], request: Request) -> str:
    named = entry.get("_actor")
    if named in get_args(Actor):
        return str(named)
    return "browser" if request.header("sec-fetch-mode") == "navigate" else "client"


def _request(raw: dict[str, Any], place: str, extras: dict[str, Any]) -> Request:
    url, method = _text(raw.get("url")), _text(raw.get("method"))
    if not url or not method:
        raise SourceError(f"{place}.{'method' if url else 'url'}: a text is expected")
    headers = _headers(raw.get("headers"), f"{place}.headers", own=bool(extras))
    return Request(
        method=method,
        url=url,
        headers=headers,
        body=_request_body(raw, headers, extras),
        truncated="request" in extras.get("truncated", ()),
        partial="request" in extras.get("partial", ()),
    )


def _request_body(raw: dict[str, Any], headers: Pairs, extras: dict[str, Any]) -> str | None:
    data = raw.get("postData")
    if isinstance(data, dict):
        text = _text(data.get("text"))
        if text is not None and (text or not data.get("params")):
            return _decoded(text, data.get("encoding"), _text(data.get("mimeType")) or "")
        params = data.get("params")
        if isinstance(params, list) and str(data.get("mimeType", _FORM)).startswith(_FORM):
            return urlencode([(str(p.get("name", "")), str(p.get("value", ""))) for p in params if isinstance(p, dict)])
        return None
    if extras:
        return None if "request" in extras.get("unseen", ()) else ""
    length = Message(headers=headers).header("content-length") or "0"
    size = raw.get("bodySize")
    return None if (isinstance(size, int) and size > 0) or length.strip("0") else ""


def _response(raw: dict[str, Any], place: str, method: str, extras: dict[str, Any]) -> Response | None:
    status = raw.get("status")
    if not status:
        return None
    if isinstance(status, bool) or not isinstance(status, int):
        raise SourceError(f"{place}.status: a number is expected")
    return Response(
        status=status,
        headers=_headers(raw.get("headers"), f"{place}.headers", own=bool(extras)),
        body=_response_body(raw, status, method, extras),
        truncated="response" in extras.get("truncated", ()),
        partial="response" in extras.get("partial", ()),
    )


def _response_body(raw: dict[str, Any], status: int, method: str, extras: dict[str, Any]) -> str | None:
    content = raw.get("content")
    content = content if isinstance(content, dict) else {}
    text = _text(content.get("text"))
    if text is not None:
        return _decoded(text, content.get("encoding"), _text(content.get("mimeType")) or "")
    if extras:
        return None if "response" in extras.get("unseen", ()) else ""
    empty = content.get("size") == 0 or status in _NO_BODY or method == "HEAD"
    return "" if empty else None


def _decoded(text: str, encoding: Any, media_type: str) -> str | None:
    """The text behind base64, in the charset its type names; None when it is broken."""
    if encoding != "base64":
        return text
    charset = media_type.partition("charset=")[2].partition(";")[0].strip(' "') or "utf-8"
    try:
        octets = base64.b64decode(text)
        return octets.decode(charset, "replace")
    except (ValueError, binascii.Error):
        return None
    except LookupError:
        return octets.decode("utf-8", "replace")


def _headers(raw: Any, place: str, *, own: bool) -> Pairs:
    """Name and value of every line. Pseudo-headers of HTTP/2 go, but for the host they hold."""
    lines: list[tuple[str, str]] = []
    if not isinstance(raw, list | None):
        raise SourceError(f"{place}: a list is expected")
    for line in raw or ():
        name, value = (_text(line.get("name")), _text(line.get("value"))) if isinstance(line, dict) else (None, None)
        if name is None:
            raise SourceError(f"{place}: every header needs a name and a value")
        if own or not (name.startswith(":") or name.lower() == "set-cookie"):
            lines.append((name, value or ""))
        elif name.lower() == "set-cookie":
            lines += [(name, one) for one in (value or "").split("\n")]
        elif name == ":authority":
            lines.append(("host", value or ""))
    return tuple(lines)


def _dict(value: Any, member: str | None, place: str) -> dict[str, Any]:
    if member is not None:
        place = f"{place}.{member}".lstrip(".")
        value = value.get(member) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise SourceError(f"{place}: an object is expected")
    return value


def _text(value: Any) -> str | None:
    """A text without the halves of characters that JSON can hold and UTF-8 cannot."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _number(value: Any) -> float | None:
    """A number that a clock could show; None for anything else."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if known else None


def _seconds(value: Any) -> float | None:
    if not isinstance(value, str):
        return _number(value)
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


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
    took = (exchange.duration or 0.0) * 1000
    entry: dict[str, Any] = {
        "startedDateTime": _iso(exchange.started_at or 0.0),
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
    members = exchange.model_dump(exclude={"request", "response"})
    extras: dict[str, Any] = {name: members[name] for name in EXTRAS}
    messages = {"request": exchange.request, "response": exchange.response}
    extras["unseen"] = [name for name, message in messages.items() if message and message.body is None]
    extras["truncated"] = [name for name, message in messages.items() if message and message.truncated]
    extras["partial"] = [name for name, message in messages.items() if message and message.partial]
    extras = {name: value for name, value in extras.items() if value not in (None, [])}
    told = exchange.model_dump(exclude={"request", "response"}, exclude_defaults=True)
    return extras | {name: told[name] for name in PATCHED if name in told}


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
