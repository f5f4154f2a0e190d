"""How a step ended, in the words of clients' error messages: which step, which status, and what the server said.

Read from: TypeScript SDK 1.0 to 2.4 (its error classes stand for OAuth codes), Python SDK 1 and 2, rmcp 0.8 to 1.x,
httpx, reqwest, Claude Code 2.0 to 2.1.332, VS Code 1.115.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from http import HTTPStatus

from oauthtap.formats.refused_step import STATUSES

_CLASSES = {
    "InvalidRequestError": "invalid_request", "InvalidClientError": "invalid_client", "InvalidGrantError": "invalid_grant",
    "UnauthorizedClientError": "unauthorized_client", "UnsupportedGrantTypeError": "unsupported_grant_type",
    "InvalidScopeError": "invalid_scope", "AccessDeniedError": "access_denied", "ServerError": "server_error",
    "TemporarilyUnavailableError": "temporarily_unavailable", "UnsupportedResponseTypeError": "unsupported_response_type",
    "InvalidTokenError": "invalid_token", "InsufficientScopeError": "insufficient_scope", "InvalidTargetError": "invalid_target",
    "InvalidClientMetadataError": "invalid_client_metadata", "TooManyRequestsError": "too_many_requests",
}  # fmt: skip
"""Error classes of the TypeScript SDK, and the OAuth code of the answer they are made from."""

CODES = frozenset(
    (*_CLASSES.values(), "invalid_redirect_uri", "invalid_software_statement", "unapproved_software_statement",
     "login_required", "consent_required", "interaction_required", "invalid_request_uri", "unmet_authentication_requirements")
)  # fmt: skip
_WHOLE = re.compile(r"(?:HTTP (?P<status>\d{3}): )?Invalid OAuth error response:(?:.*?Raw body: (?P<body>.*))?", re.S)
"""TypeScript SDK: the answer was no JSON. Where it was quoted without its body, status and step are told all the same."""
_STATUS_FIRST = re.compile(r"HTTP (?P<status>[1-5]\d\d)\b:?(?P<rest>.*)", re.S)
_QUOTED = {"`": "`", "“": "”", "‘": "’", "«": "»"}
"""What a message that is quoted in a sentence stands between."""
_FAILED = re.compile(
    r"(?P<what>(?:Dynamic )?[Cc]lient [Rr]egistration|[Rr]egistration|DCR|[Tt]oken exchange|[Tt]oken refresh|[Tt]oken request|[Rr]efresh(?:ing)?(?: token)?|(?:[Tt]oken|[Rr]egistration|[Rr]efresh|[Rr]evocation) endpoint)"
    r"(?: request)? (?:failed|fails|rejected|was rejected|returned|returns|responded|answered|replied|error)[^\d\n{\"]{0,40}?\(?(?:HTTP |status(?: code)?:? ?)?(?P<status>[1-5]\d\d)\)?(?P<rest>.*)",
    re.S,
)
_REASONS = {status.phrase.lower(): status.value for status in HTTPStatus if status.value >= 400}
_BY_REASON = re.compile(
    r"(?P<what>[Rr]egistration|[Tt]oken exchange|[Tt]oken refresh|[Tt]oken request) failed: (?P<reason>"
    + "|".join(map(re.escape, sorted(_REASONS, key=len, reverse=True)))
    + r")\b(?P<rest>.*)",
    re.I | re.S,
)
"""A client that prints the reason phrase of a status and not its number."""
_CHALLENGED = re.compile(r'AuthRequired(?:Error)?\s*\{\s*www_authenticate_header:\s*"(?P<value>(?:[^"\\]|\\.)*)"')
"""rmcp: the answer of an MCP server that asks to sign in, with its challenge."""
_AT_URL = re.compile(
    r"(?:Client error|Server error|HTTP status (?:client|server) error)[ ('\"]+(?P<status>[45]\d\d)[^'\"\n)]*['\")]+ for url [('\"]*(?P<url>https?://[^\s'\")]+)"
)
_POSTING = re.compile(
    r"(?:Error POSTing to endpoint|[Uu]nexpected server response|Failed to open SSE stream|SSE error: Non-200 status code|Non-200 status code|Server returned|status code|Received error status|Unexpected status code|HTTP error)"
    r":?\s*\(?(?:HTTP |code: )?(?P<status>[1-5]\d\d)\)?(?P<rest>.*)", re.S
)  # fmt: skip
_EXPECTED = re.compile(
    r"[Ee]xpected (?:HTTP )?status(?: code)?:? [1-5]\d\d\b,? but (?:it )?(?:was|got|received):? (?P<status>[1-5]\d\d)\b"
)
_RECEIVED = re.compile(
    r"(?:[Rr]eceived )?\b(?P<status>[45]\d\d)(?: [A-Z]\w+)? (?:error )?(?:received for|from MCP server)"
)
_POSTING_BY_REASON = re.compile(
    r"(?:Error POSTing to endpoint|Failed to (?:open|reconnect) SSE stream|SSE error|[Uu]nexpected server response):\s*(?P<reason>"
    + "|".join(map(re.escape, sorted(_REASONS, key=len, reverse=True)))
    + r")(?P<rest>\s*$|[:,)].*)",
    re.I | re.S,
)
_TRANSPORT_ERROR = re.compile(r"\bError POSTing to endpoint\b|\b(?:Streamable HTTP|SSE) error\b")
_STATUS_MEMBER = re.compile(r"^\s+(?:code|status): (?P<status>[45]\d\d),?$", re.M)
"""TypeScript SDK: the error's member that has the status, as Node prints it below the stack."""
_STREAM = re.compile(r"Failed to (?:open|reconnect) SSE stream")
_REFUSAL = re.compile(r'\{\s*"(?:error|error_description)"\s*:')
_ENTRA = re.compile(r"\bAADSTS\d{5,7}\b[^\n]*")
_LOCATION = re.compile(r"https?://[^\s\"'<>`]+[?&](?:oauth_)?error=(?P<code>[a-z_]+)[^\s\"'<>`)]*")
"""Where a browser ended, with an OAuth error in it."""
_BODY = re.compile(r"Error POSTing to endpoint: (\{.*)", re.S)
_NAMED = re.compile(r"\b(?P<kind>[A-Z]\w*Error)\d?: (?P<words>[^\n]*)")
_CODE_MEMBER = re.compile(r"\bcode: '(?P<code>[a-z_]+)'")
_OAUTH = re.compile(
    r"\b(?P<code>"
    + "|".join(sorted(CODES, key=len, reverse=True))
    + r")\b(?:\s*[-:–(,]+\s*(?:error_description[=:]\s*)?(?P<words>[^\n]*))?"
)
_STEPS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("client-registration", re.compile(r"registerClient|[Cc]lient [Rr]egistration|dynamic.registration|/register\b|register_client")),
    ("token-refresh", re.compile(r"refreshAuthorization|[Tt]oken refresh|refresh_token|refresh token", re.I)),
    ("token-request", re.compile(r"executeTokenRequest|exchangeAuthorization|fetchToken|[Tt]oken exchange|exchange_code|finishAuth|code exchange|auth completion|OAuth callback|callback failed", re.I)),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A step that a server refused. `step`: a stage's slug, or None where the message does not say which it was."""

    step: str | None
    status: int
    body: str | None
    url: str | None = None
    challenge: str | None = None
    """The value of `WWW-Authenticate`, where the message quotes it."""
    sse: bool = False
    """The stream of the older SSE transport."""
    presumed: bool = False
    """The status is not in the message: it is the one that RFC 6749 (5.2) or RFC 7591 (3.2.2) gives such an error."""
    oauth: bool = False
    """It was an endpoint of OAuth that answered, whichever: an OAuth error was looked for in what it said."""


def outcome(text: str) -> Outcome | None:
    """What a message (its stack below it, if any) says that a server refused; None when it says no such thing."""
    step = next((slug for slug, pattern in _STEPS if pattern.search(text)), None)
    message = re.split(r"\n\s+at ", text, maxsplit=1)[0].strip()
    if (match := _WHOLE.search(text)) and (match["status"] or match["body"]):
        body = _within_quote(text, match.start(), match["body"]) if match["body"] else None
        return Outcome(step, int(match["status"] or 400), body, presumed=match["status"] is None, oauth=True)
    if match := _FAILED.search(message):
        told = {"r": "client-registration", "c": "client-registration", "d": "client-registration"}
        slug = step or told.get(match["what"][0].lower()) or "token-request"
        return Outcome(slug, int(match["status"]), _body(match["rest"]))
    if match := _BY_REASON.search(message):
        slug = step or ("client-registration" if match["what"][0].lower() == "r" else "token-request")
        return Outcome(slug, _REASONS[match["reason"].lower()], _body(match["rest"]))
    if match := _CHALLENGED.search(message):
        return Outcome("mcp", 401, None, challenge=re.sub(r"\\(.)", r"\1", match["value"]))
    if match := _EXPECTED.search(message):
        return Outcome(step or "mcp", int(match["status"]), None, sse=step is None and "SSE" in message)
    if match := _AT_URL.search(message):
        return Outcome(step, int(match["status"]), None, match["url"])
    code = _CODE_MEMBER.search(text)
    if (match := _NAMED.search(message)) and (kind := _CLASSES.get(match["kind"])):
        if shown := _STATUS_FIRST.match(match["words"]):  # what it stands for is told by its words better
            return Outcome(step, int(shown["status"]), _body(shown["rest"]))
        return _oauth(step, code["code"] if code and code["code"] in CODES else kind, match["words"])
    if (match := re.search(r"(?:^|: )([A-Z]\w*Error)$", message)) and step and match[1] in _CLASSES:
        return _oauth(step, _CLASSES[match[1]], "")
    if code and code["code"] in CODES and (match := _NAMED.search(message)):
        return _oauth(step, code["code"], match["words"])
    if match := _POSTING.search(message):
        sse = step is None and re.search(r"(?:SseError:|command) SSE error: Non-200", message) is not None
        return Outcome(step or "mcp", int(match["status"]), _body(match["rest"]), sse=sse)
    if match := _POSTING_BY_REASON.search(message):
        stream = step is None and _STREAM.search(message) is not None
        return Outcome(step or "mcp", _REASONS[match["reason"].lower()], _body(match["rest"]), sse=stream)
    if _TRANSPORT_ERROR.search(message) and (match := _STATUS_MEMBER.search(text)):
        posted = _BODY.search(message)
        return Outcome(step or "mcp", int(match["status"]), _cut(posted[1]) if posted else None)
    if match := _RECEIVED.search(message):
        return Outcome(step or "mcp", int(match["status"]), None)
    if (match := _BODY.search(message)) and (match2 := _OAUTH.search(match[1])):
        found = _oauth("mcp", match2["code"], "")
        return Outcome("mcp", found.status, _cut(match[1]), presumed=True)
    if (match := _LOCATION.search(message)) and match["code"] in CODES:
        said = json.dumps({"error": match["code"]})
        back = "authorization-response" if re.search(r"callback|redirect", match[0].partition("?")[0]) else None
        return Outcome(back or "authorization-request", 400, said, match[0], presumed=True)
    if said_so := _refusal_in(text):
        return said_so if step is None else replace(said_so, step=step)
    if match := _ENTRA.search(message):
        said = json.dumps({"error_description": match[0].strip()}, ensure_ascii=False)
        return Outcome(step, 400, said, presumed=True)
    if match := _OAUTH.search(message):
        return _oauth(step, match["code"], match["words"] or "")
    return None


def _refusal_in(text: str) -> Outcome | None:
    """The error answer of an endpoint of OAuth, quoted in whatever stands around it."""
    found = _REFUSAL.search(text)
    if found is None:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(text, found.start())
    except (ValueError, RecursionError):
        return None
    code = value.get("error")
    if not isinstance(code, str) or code not in CODES:
        return None
    return Outcome(None, STATUSES.get(code, 400), text[found.start() : end][:4000], presumed=True)


def names_step(text: str) -> bool:
    """It says which step was refused, and with which status."""
    whole = _WHOLE.search(text)
    named = whole is not None and whole["status"] is not None and any(step.search(text) for _, step in _STEPS)
    return named or _FAILED.search(text) is not None


def refused(step: str, words: str) -> Outcome:
    """A step that failed with these words of the server, where nothing tells the code."""
    body = json.dumps({"error_description": words}) if not words.startswith("{") else words
    return Outcome(step, 400, body, presumed=True)


def _oauth(step: str | None, code: str, words: str) -> Outcome:
    words = words.strip().rstrip(")")
    if (inner := re.match(r"([a-z_]+): (.*)", words)) and inner[1] in CODES:
        code, words = inner[1], inner[2]  # a class for every code that it has none for
    said = {"error": code, **({"error_description": words} if words and words != code else {})}
    return Outcome(step, STATUSES.get(code, 400), json.dumps(said, ensure_ascii=False), presumed=True)


_CLOSED = re.compile(r"[)\s]*[\"'`”’]\s*(?:[.,;:!?)]|$|\s\w)")
"""A quoted message ends there: what follows are the words of whoever quotes it."""


def _within_quote(text: str, start: int, body: str) -> str:
    """What a server said, as far as the quotation goes that its message stands in."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    for begins, ends in _QUOTED.items():
        opened = line.count("`") % 2 if begins == ends else line.count(begins) > line.count(ends)
        if opened and ends in body:
            body = body.partition(ends)[0]
    return _cut(body)


def _body(rest: str) -> str | None:
    if _CLOSED.match(rest) or re.match(r"[)`*]*\s+[a-z]{2,}\s", rest):  # a sentence goes on there
        return None
    rest = rest.strip().lstrip(":–-,. ").removeprefix("Body: ").strip()
    phrase = rest.partition(":")[0].strip().lower()
    rest = rest.partition(":")[2].strip() if phrase in _REASONS else rest
    return (_cut(rest) or None) if rest else None


def _cut(body: str) -> str:
    """The words of the server, without what the log or the sentence has behind them."""
    body = re.split(r"\n\s+at |\n\d{4}-\d\d-\d\d|\n\[", body, maxsplit=1)[0].strip()
    if body.startswith('{\\"'):  # in a string of JSON
        body = re.sub(r"\\(.)", r"\1", body)
    if body[:1] == "{":
        try:
            return body[: json.JSONDecoder().raw_decode(body)[1]][:4000]
        except (ValueError, RecursionError):
            pass  # broken off, or in another notation
    return body.strip("'\"")[:4000]
