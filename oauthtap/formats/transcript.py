"""HTTP as people paste it: curl, HTTPie, wget, raw messages, `fetch(…)`, with whatever stands around them.

Read line by line. A command or a request line begins an exchange, a status line its answer; header lines and a
body follow either. Prompts, time stamps, line numbers, list marks and the `>` and `<` of verbose output are taken
off first; lines that are none of these end a body and are passed over.

Read from: curl 8 (`-i`, `-I`, `-s`, `-v`, `--trace-ascii`), HTTPie 3, xh, wget 1.2 (`-S`), "copy as cURL" and
"copy as fetch" of Chrome and Firefox, raw HTTP/1.1 and HTTP/2.
"""

# ruff: noqa: E501  (patterns and names of members are written whole)

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urljoin

from oauthtap.formats.builder import STAND_IN, Draft, recording, shown_body
from oauthtap.formats.command_line import METHOD, request_of_command, request_of_fetch, write_out
from oauthtap.formats.refused_step import STATUSES
from oauthtap.formats.transcript_lines import COMMAND, FETCH, lines
from oauthtap.model.recording import Recording

WHAT = "pasted HTTP"
FORM = 'pasted HTTP: curl -i/-v/-I/--trace-ascii, HTTPie, wget -S, raw messages, "copy as cURL" or "copy as fetch" with the answer'

_NOT_SHOWN = f"{STAND_IN}/mcp"
"""The URL of an answer whose request is not shown."""
_JQ = re.compile(r"\|\s*jq\s+(?:-[a-zA-Z]+\s+)*['\"]?\.(\w+)['\"]?\s*$")
_REQUEST = re.compile(
    rf"^({METHOD})\s+((?:https?://|/)\S*|\*|[\w-]+(?:\.[\w-]+)+(?::\d+)?/\S*)(?:\s+HTTP/[\d.]+)?\s*(?:\([^)]*\))?:?\s*$"
)
_STATUS = re.compile(
    r"^(?:HTTP/[\d.]+\s+(\d{3})\b.*|(?:→|->|=>|<=|\**(?i:(?:HTTP )?(?:response )?status(?: code)?|response(?: code)?|HTTP code)\**:\**|HTTP)\s*(?:HTTP/[\d.]+\s*)?(\d{3})\b[\w\s'()-]*|(\d{3})(?:\s+[A-Z][A-Za-z' -]{1,40})?)$"
)
_ARROW = re.compile(
    r"^(?:↓|→|->|=>|⇒|↳|└─*|<-|←)\s*(?:HTTP(?:/[\d.]+)?\s+)?(\d{3})\b(?:\s+[A-Z][a-z]+(?: [A-Z]?[a-z]+)?)?(.*)$"
)
_COMMENT = re.compile(
    r"^(?:#|//)\s*(?:(?:Returns?|Response|Result|Output|Answer|Got|Body|Status):?\s*|(?:→|->|=>)\s*)(?=HTTP|[1-5]\d\d\b|[{\[])",
    re.I,
)
"""The answer as a comment below the command."""
_ONE_LINE = re.compile(r"^(\d{3})\s+(\{.*|\[.*)$")
_HEADER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*|:[a-z]+):(?:\s+(.*)|(?=$))$")
_HTTP2_HEADER = re.compile(r"^\[HTTP/2\] \[\d+\] \[([^:\]]+|:\w+): (.*)\]$")
_CONNECTED = re.compile(r"^Connected to (\S+) \(")
_TRACE = re.compile(r"^(=>|<=) (Send|Recv) (header|data)|^== Info: ?(.*)")
_TRACE_LINE = re.compile(r"^[0-9a-f]{4,}: ?(.*)$")
_NOISE = re.compile(
    r"^(?:\* |[{}] \[\d+ bytes data\]|\[\d+ bytes data\]|\[?\d+ bytes (?:data|received)|\s*% Total|\s+Dload|\s*\d+\s+\d+\s+\d+\s+\d+|--:--:--|Note: |curl: \(\d+\)|Resolving |Connecting to |Saving to|Length: |--\d{4}-)"
)
_ERROR_PAGE = re.compile(r"<(?:title|h1|pre)>\s*(?:Error )?(?:([45]\d\d)\b|Cannot (?:GET|POST) /)", re.I)
"""A page of nginx, of a load balancer, of Express, that says its status."""
_OF_TOKEN_ENDPOINT = re.compile(r'"error"\s*:\s*"(?:invalid_client|invalid_grant|unauthorized_client|invalid_request)"')
_FAILED = re.compile(r"^(?:\* )?(curl: \(\d+\) .+)$")
_BODY = re.compile(
    r"^\s*(?:[{\[<]|(?:event|data|id|retry):|\w[\w.]*=[^\s]+$|[}\]]|\"|'|unauthori[sz]ed|forbidden|not found|missing|invalid|bad request|internal)",
    re.I,
)


@dataclass
class _State:
    drafts: list[Draft] = field(default_factory=list)
    current: Draft | None = None
    at: str = "out"
    """Where the next line belongs: `out`, `request` (its headers), `sent` (its body), `answer` (headers), `body`."""
    blank: bool = False
    sent: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    host: str | None = None
    shows_body_only: bool = False
    """The command before prints the body of the answer and nothing else of it."""
    written: re.Pattern[str] | None = None
    """The line that the command prints with the status (`curl -w`)."""
    member: str | None = None
    """The one member of the document that the command prints (`| jq .issuer`)."""
    marked: bool = False
    """Its lines are marked with `>` and `<`."""


def read(text: str) -> Recording | None:
    """The exchanges a text shows; None when it shows none."""
    drafts = drafts_in(text)
    return recording(drafts, text, what=WHAT) if drafts else None


def drafts_in(text: str) -> list[Draft]:
    """The exchanges a text shows, in its order."""
    state = _State()
    for at, line in lines(text):
        _take(state, line, at)
    _end(state)
    drafts = [draft for draft in state.drafts if draft.target != _NOT_SHOWN or _is_of_mcp(draft)]
    return [draft for draft in drafts if draft.status is not None or draft.error or draft.answer_body]


def _is_of_mcp(draft: Draft) -> bool:
    """An answer without its request that is an MCP server's: a challenge, a message of JSON-RPC, or a 401 that is no
    answer of a token endpoint (RFC 6749, 5.2)."""
    challenge = next((value for name, value in draft.answer_headers if name.lower() == "www-authenticate"), "")
    said = draft.answer_body or ""
    if "resource_metadata" in challenge or '"jsonrpc"' in said:
        return True
    return draft.status == 401 and not challenge.lower().startswith("basic") and not _OF_TOKEN_ENDPOINT.search(said)


def _take(state: _State, line: str, at: float | None) -> None:
    bare = line.strip()
    if bare.startswith(("```", "~~~")):
        _end(state)
        state.marked = False
        return
    if state.current is not None and (comment := _COMMENT.match(bare)):
        line = bare = bare[comment.end() :]
    if COMMAND.match(bare) and (asked := request_of_command(bare)):
        _begin(state, asked[0], at)
        state.shows_body_only = asked[1]
        state.member = (found := _JQ.search(bare)) and found[1]
        state.written = write_out(bare)
        return
    if state.written and state.current is not None and (match := state.written.match(bare)):
        state.current.status, state.written = int(match[1]), None
        return
    if fetched := FETCH.match(bare):
        _begin(state, request_of_fetch(fetched, bare), at)
        state.shows_body_only = True
        return
    if match := _TRACE.match(bare):
        _take_trace(state, match)
        return
    if state.marked and (match := _TRACE_LINE.match(bare)):
        line = bare = match[1]
    if failed := _FAILED.match(bare):
        if state.current is not None and state.current.status is None:
            state.current.error = failed[1]
        return
    if (match := _ARROW.match(bare)) and state.current is not None and state.current.status is None:
        _arrow(state, match, at)
        return
    if match := re.match(r"^([<>])(?: |$)(.*)", bare):
        _take_marked(state, match[1], match[2].strip(), at)
        return
    if bare.startswith("* "):
        if match := _HTTP2_HEADER.match(bare[2:]):
            return
        if match := _CONNECTED.match(bare[2:]):
            state.host = match[1]
        return
    if not bare:
        _blank(state)
        return
    if match := _REQUEST.match(bare.strip('`"')):
        target = match[2] if match[2][0] in "/*" or "://" in match[2] else f"https://{match[2]}"
        _begin(state, Draft(match[1], target), at)
        state.at = "request"
        return
    if (match := _STATUS.match(bare)) and _may_answer(state, bare):
        _answer(state, next(int(group) for group in match.groups() if group), at)
        return
    if state.current is not None and state.current.status is None and (match := _ONE_LINE.match(bare)):
        _answer(state, int(match[1]), at)
        state.body.append(match[2])
        state.at = "body"
        return
    _take_rest(state, line, bare)


def _arrow(state: _State, match: re.Match[str], at: float | None) -> None:
    """An answer on one line, below its request or behind it: status, perhaps a header, perhaps a body."""
    _answer(state, int(match[1]), at)
    rest = match[2].strip(" +,:")
    if header := _HEADER.match(rest):
        assert state.current is not None
        state.current.answer_headers.append((header[1], header[2] or ""))
    elif rest[:1] in ("{", "["):
        state.body.append(rest)
        state.at = "body"


def _take_rest(state: _State, line: str, bare: str) -> None:
    current = state.current
    if current is None:
        if (match := _HEADER.match(bare)) and match[1].lower() == "www-authenticate":
            pass  # a lone challenge: read by `documents`
        return
    header = _HEADER.match(bare)
    if state.at == "request" and header and not state.blank:
        current.headers.append((header[1], header[2] or ""))
    elif state.at in ("request", "sent") and current.status is None and not state.shows_body_only:
        state.at = "sent"
        if _BODY.match(line) or state.sent:
            state.sent.append(line)
    elif state.at == "answer" and header and not state.blank:
        current.answer_headers.append((header[1], header[2] or ""))
    elif (
        state.at == "answer"
        and not state.blank
        and line[:1] in (" ", "\t")
        and current.answer_headers
        and not _BODY.match(line)
    ):
        name, value = current.answer_headers[-1]
        current.answer_headers[-1] = (name, f"{value} {bare}")
    elif _NOISE.match(line):
        return
    elif state.at in ("answer", "body"):
        if state.body or _BODY.match(line) or state.at == "answer" or len(bare) < 200:
            state.at = "body"
            state.body.append(line)
    elif state.member and state.at == "asked" and re.match(r"https?://\S+$", bare):
        state.at, state.body = "body", [bare]
    elif (state.shows_body_only or (state.at == "asked" and bare[:1] == "{")) and _BODY.match(line):
        state.at = "body"
        state.body.append(line)


def _blank(state: _State) -> None:
    if state.at == "request":
        state.at = "sent"
        if state.current is not None and state.current.headers:
            state.current.headers_shown = True
    elif state.at == "answer":
        state.at = "body"
        if state.current is not None and state.current.answer_headers:
            state.current.answer_headers_shown = True
    elif state.at == "body" and state.body:
        whole = "\n".join(state.body).strip()
        if whole[:1] not in ("{", "[") or _is_json(whole):
            state.at = "out"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _may_answer(state: _State, bare: str) -> bool:
    """A status line answers what was asked; a bare number does so only where an answer is awaited."""
    return bare.startswith("HTTP/") or (state.current is not None and state.current.status is None)


def _answer(state: _State, status: int, at: float | None) -> None:
    if state.current is not None and state.current.status is not None:
        was = state.current
        if was.status is not None and (was.status < 200 or (300 <= was.status < 400 and _follows(was))):
            _go_on(state, was, at)
        else:
            _begin(state, Draft(was.method, was.target, actor=was.actor), at)
    elif state.current is None:
        _begin(state, Draft("POST", _NOT_SHOWN), at)
    assert state.current is not None
    state.current.status = status
    state.current.duration = (
        at - state.current.started_at if at and state.current.started_at and at >= state.current.started_at else None
    )
    state.at, state.blank, state.body = "answer", False, []


def _follows(draft: Draft) -> bool:
    return any(name.lower() == "location" for name, _ in draft.answer_headers)


def _go_on(state: _State, was: Draft, at: float | None) -> None:
    """A second answer: after `100 Continue` to the same request, after a redirect to the next one (`curl -L`)."""
    if was.status is not None and was.status < 200:
        was.status, was.answer_headers = None, []
        return
    there = next(value for name, value in was.answer_headers if name.lower() == "location")
    method = was.method if was.status in (307, 308) else "GET"
    actor = was.actor
    _begin(state, Draft(method, urljoin(was.target, there), list(was.headers), actor=actor), at)


def _begin(state: _State, draft: Draft, at: float | None) -> None:
    _end(state)
    draft.started_at = at
    state.drafts.append(draft)
    state.current, state.at, state.blank = draft, "asked", False
    state.sent, state.body = [], []


def _end(state: _State) -> None:
    current = state.current
    if current is not None:
        if state.sent and current.body is None:
            current.body = "\n".join(state.sent).strip()
        if state.body:
            current.answer_body = "\n".join(state.body).strip()
        elif current.status is not None and state.at == "body" and current.answer_headers_shown:
            current.answer_body = _empty(current)
        if current.status is None and current.answer_body and not current.error:
            if state.member and (document := _document_with(state.member, current.answer_body)):
                current.answer_body, current.cut = document, True
            _presume(current)
        if current.answer_headers and not current.answer_headers_shown and current.answer_body:
            current.answer_headers_shown = len(current.answer_headers) > 2
    state.current, state.at, state.sent, state.body = None, "out", [], []
    state.shows_body_only, state.member, state.written = False, None, None


def _document_with(member: str, printed: str) -> str | None:
    """The document of which one member was printed, as far as that shows it."""
    try:
        value = json.loads(printed)
    except (ValueError, RecursionError):
        value = printed if re.fullmatch(r"https?://\S+", printed) else None  # `jq -r`
    return None if value is None else json.dumps({member: value})


def _empty(draft: Draft) -> str | None:
    """Where nothing was printed below the header lines: nothing came, when they say so; else it is unseen."""
    length = next((value for name, value in draft.answer_headers if name.lower() == "content-length"), None)
    return "" if draft.method == "HEAD" or (length or "").strip() == "0" else None


def _presume(draft: Draft) -> None:
    """The body of an answer whose status was not printed."""
    body = draft.answer_body or ""
    shown, _ = shown_body(body)
    try:
        value = json.loads(shown or "")
    except (ValueError, RecursionError):
        value = None
    draft.presumed = True
    said = str(value.get("detail") or value.get("message") or "") if isinstance(value, dict) else ""
    if re.search(r"^not found$", said, re.I):
        draft.status = 404
    elif re.search(r"^(?:unauthori[sz]ed|not authenticated)\b", said, re.I):
        draft.status = 401
    elif isinstance(value, dict) and ("error" in value and "result" not in value and "jsonrpc" not in value):
        code = str(value["error"])
        draft.status = (
            401 if "unauthorized" in code.lower() and code != "unauthorized_client" else STATUSES.get(code, 400)
        )
    elif page := _ERROR_PAGE.search(body):
        draft.status = int(page[1] or 404)
    elif isinstance(value, dict | list) or body[:1] == "<" or body.startswith(("event:", "data:")):
        draft.status = 201 if isinstance(value, dict) and draft.method == "POST" and "redirect_uris" in value else 200
    elif re.match(r"(?:404|not found|cannot (?:get|post))", body, re.I):
        draft.status = 404
    elif re.match(r"(?:401|unauthori[sz]ed)", body, re.I):
        draft.status = 401
    else:
        draft.error, draft.presumed, draft.answer_body = f"printed: {body[:200]}", False, None


# --- verbose output


def _take_marked(state: _State, mark: str, rest: str, at: float | None) -> None:
    current = state.current
    if mark == ">":
        if match := re.match(rf"^({METHOD})\s+(\S+)(?:\s+HTTP/[\d.]+)?$", rest):
            if current is None or current.status is not None or current.headers_shown:
                _begin(state, Draft(match[1], match[2], actor="reporter"), at)
                current = state.current
            assert current is not None
            if current.target.startswith("/") or not current.target:
                current.target = match[2]
            current.method, current.headers, current.headers_shown = match[1], [], True
            state.at = "request"
        elif current is not None and (match2 := _HEADER.match(rest)):
            current.headers.append((match2[1], match2[2] or ""))
        elif current is not None and current.status is None and rest[:1] == "{":
            state.sent.append(rest)
        return
    if match := re.match(r"^HTTP/[\d.]+\s+(\d{3})", rest):
        _answer(state, int(match[1]), at)
    elif current is not None and current.status is not None and (match2 := _HEADER.match(rest)):
        current.answer_headers.append((match2[1], match2[2] or ""))
        state.at = "answer"
    elif not rest and current is not None and current.status is not None:
        current.answer_headers_shown = True
        state.at = "body"


def _take_trace(state: _State, match: re.Match[str]) -> None:
    """`--trace-ascii` says in a line of its own what the next ones are."""
    state.marked = True
    if match[4] is not None:
        if connected := _CONNECTED.match(match[4]):
            state.host = connected[1]
    elif match[3] == "data":
        if match[2] == "Send":
            state.at = "sent"
        elif state.current is not None:
            state.current.answer_headers_shown = True
            state.at = "body"
    state.marked = True
