"""What an answer says: its code, its words and where they stand, in whatever form it has."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from oauthtap.model import www_authenticate
from oauthtap.model.exchange import Exchange, Message, Response
from oauthtap.model.sse import sse_events

LONGEST = 400
"""Characters of words that are kept."""


READ = 20_000
"""Characters of a body that are read: an error stands at its beginning, and a hostile page must not cost time."""


GENERAL = {
    "unauthorized",
    "forbidden",
    "bad request",
    "not found",
    "error",
    "http error",
    "access denied",
    "authentication required",
    "authorization required",
    "missing token",
    "no token provided",
}
"""Words that repeat the status, and no more."""


FILLER = re.compile(
    r"(?:\berror:? )?\b[45]\d\d\b:? (?:bad request|unauthorized|forbidden|not found|internal server error)"
    r"|\b(?:you may have|perhaps you) (?:mis)?typed the (?:address|url)(?: incorrectly)?"
    r"|\bor you may have used an outdated link"
    r"|your browser sent a request that this server could not understand"
    r"|the (?:server (?:could ?not|can ?not) understand the request|request could not be understood by the server)"
    r"(?: due to (?:malformed|invalid) syntax)?"
    r"|(?:oops[!,.]? )?(?:something went wrong|an (?:unexpected )?error (?:has )?occurred)|please try again(?: later)?"
    r"|(?:please )?contact (?:the (?:site )?administrator|support)"
)
"""Sentences of error pages that give no reason."""


SAYS_NOTHING = re.compile(
    r"(?:the )?(?:provided )?(?:access |bearer )?token (?:is |was )?(?:invalid|not valid|rejected)"
    r"|(?:an? )?(?:invalid|bad|unknown) (?:access |bearer )?token"
    r"|invalid or (?:missing|expired) (?:access |bearer )?token"
    r"|(?:http )?(?:error )?\d{3}:? ?(?:unauthorized|forbidden|not found|bad request)?"
)
"""Words of a whole refusal that give no reason."""


@dataclass(frozen=True)
class Said:
    code: str | None
    words: str
    at: str


def read_words(exchange: Exchange) -> Said:
    """Code and words of an answer, wherever they stand; the longest of those that are at hand."""
    response = exchange.response
    assert response is not None
    header = _of_challenge(response)
    body = (response.body or "")[:READ]
    value = response.json_value if response.body is not None and len(response.body) <= 1_000_000 else None
    if value is None and response.media_type == "text/event-stream":
        value = next((m.json_value for _, data in sse_events(body) if (m := Message(body=data)).json_value), None)
    if isinstance(value, dict | list) and value:
        said = read_json(value, "response.json")
    elif "<" in body and re.search(r"<(?:html|body|head|title|h1|!doctype|div|p)\b", body, re.I):
        said = Said(None, page_words(*page_parts(body)), "response.body")
    else:
        said = Said(None, fold_spaces(body), "response.body")
    if header is not None and _telling(header) and not (_telling(said) and len(said.words) > len(header.words)):
        return Said(header.code or said.code, header.words, header.at)
    if header is not None and said.code is None:
        return Said(header.code, said.words, said.at if said.words else header.at)
    return said


def _telling(said: Said) -> bool:
    return bool(said.words) and said.words.lower().strip(" .!") not in GENERAL and said.words != said.code


def _of_challenge(response: Response) -> Said | None:
    parsed = www_authenticate.parse(response.header_lines("www-authenticate"))
    for challenge in (parsed.bearer, *parsed.challenges):
        if challenge is None:
            continue
        code, words = challenge.get("error"), challenge.get("error_description")
        if code or words:
            return Said(code, fold_spaces(words or ""), "response.header.www-authenticate")
    return None


_CODES = ("error", "code", "errorCode", "error_code", "type", "name", "reason", "__type", "Code")


_WORDS = (
    "error_description",
    "errorSummary",
    "message",
    "Message",
    "msg",
    "detail",
    "details",
    "error_message",
    "errorMessage",
    "description",
    "title",
    "reason",
    "error_hint",
    "error_debug",
    "hint",
)


_INSIDE = (
    "error",
    "errors",
    "errorCauses",
    "data",
    "cause",
    "fault",
    "result",
    "response",
    "issues",
    "detail",
    "details",
)


def read_json(value: Any, at: str, depth: int = 0) -> Said:
    """Code and words of a JSON error in any shape."""
    if isinstance(value, str):
        return Said(None, fold_spaces(value), at)
    if isinstance(value, list):
        parts = (
            [read_json(item, f"{at}[{n}]", depth + 1) for n, item in enumerate(value[:5]) if item] if depth < 5 else []
        )
        words = _joined(part.words for part in parts)
        return Said(next((p.code for p in parts if p.code), None), words, parts[0].at if parts else at)
    if not isinstance(value, dict) or depth >= 5:
        return Said(None, "", at)
    code = next((c for name in _CODES if (c := _code(value.get(name)))), None)
    found = [
        (name, fold_spaces(value[name])) for name in _WORDS if isinstance(value.get(name), str) and value[name].strip()
    ]
    inner = [
        read_json(held, f"{at}.{name}", depth + 1)
        for name in _INSIDE
        if isinstance(held := _unpacked(value.get(name)), dict | list) or (name == "data" and isinstance(held, str))
    ]
    if isinstance(value.get("error"), str) and not found and not _looks_code(value["error"]):
        found = [("error", fold_spaces(value["error"]))]
        code = next((c for name in _CODES[1:] if (c := _code(value.get(name)))), None)
    words = _joined([text for _, text in found if text != code] + [part.words for part in inner])
    code = code or next((part.code for part in inner if part.code), None)
    place = f"{at}.{found[0][0]}" if found else next((part.at for part in inner if part.words), at)
    if not words and code:
        place = next((f"{at}.{name}" for name in _CODES if _code(value.get(name)) == code), place)
    return Said(code, words, place)


def _unpacked(value: Any) -> Any:
    """JSON that a gateway passes on as a string, as what it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and len(value) <= READ:
        inner = Message(body=value).json_value
        return value if inner is None else inner
    return value


def _code(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and _looks_code(value) else None


def _looks_code(value: str) -> bool:
    return (
        0 < len(value) <= 80 and re.fullmatch(r"[A-Za-z0-9_.:/#-]+", value) is not None and not value.startswith("http")
    )


def _joined(texts: Any) -> str:
    """The texts one behind the other, none twice, none that stands in another."""
    kept: list[str] = []
    for text in texts:
        if text and not any(text in other for other in kept):
            kept = [other for other in kept if other not in text] + [text]
    return fold_spaces("; ".join(kept))


_SCRIPT = re.compile(r"<(script|style|svg|noscript|template)\b.*?(?:</\1\s*>|\Z)", re.I | re.S)


_HEAD = re.compile(r"<h[1-3]\b[^>]{0,300}>(.{0,400}?)</h[1-3]\s*>", re.I | re.S)


_TITLE = re.compile(r"<title\b[^>]{0,300}>(.{0,400}?)</title\s*>", re.I | re.S)


_TAG = re.compile(r"<[^<>]{0,2000}>")


_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)


def page_parts(body: str) -> tuple[str, str, str]:
    """Title, headings and visible text of a page."""
    body = _COMMENT.sub(" ", body[:READ])
    title = _TITLE.search(body)
    visible = _SCRIPT.sub(" ", body)
    heads = " ".join(_plain(head) for head in _HEAD.findall(visible)[:4])
    inner = re.split(r"<body\b[^>]*>", visible, maxsplit=1, flags=re.I)[-1]
    return _plain(title[1]) if title else "", heads, _plain(_TITLE.sub(" ", inner))


def _plain(markup: str) -> str:
    return fold_spaces(html.unescape(_TAG.sub(" ", markup)))


def page_words(title: str, heads: str, text: str) -> str:
    return _joined([title, text or heads])


def fold_spaces(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
