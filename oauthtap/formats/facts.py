"""HTTP facts in any text: what was asked and what was answered, on one line or on lines that follow each other.

Below the readers of particular forms, which know what their columns mean. A fact is a method with its URL or path, a
status (by its place, by what stands before it, or by its own reason phrase), an error in place of an answer. A status
whose request the text does not show is no exchange, and a number with a unit is no status.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

METHOD = r"(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)"
_TARGET = (
    r"(?P<target>(?:https?://|/(?!/))[^\s\"'`<>|\\)\]]*|(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?/[^\s\"'`<>|\\)\]]*)"
)
_URL = r"(?P<target>https?://[^\s\"'`<>|*\\)\]]+)"
_WELL_KNOWN = r"(?P<target>(?:https?://[^\s\"'`<>|*\\)\]]+|/(?:\.well-known/[\w/.-]+|(?:oauth2?/|auth/)?(?:token|register|authorize|callback)\b|mcp\b|sse\b)[^\s\"'`<>|*\\)\]]*))"
_UNIT = r"(?!\d|\.\d|,\d|:\d|[-/]\w|\w|\s?(?:ms|µs|us|ns|s|sec|seconds|minutes|[kKMG]?i?B\b(?!=)|bytes|chars|tools?|documents?|items?|times)\b(?!=))"
STATUS = rf"(?<![\w.:/$#,-])(?P<status>[1-5]\d\d){_UNIT}"
"""A number that may be a status: no part of another word, and without a unit."""
_REASONS = {status.value: re.sub(r"\W", "", status.phrase).lower() for status in HTTPStatus}
_REASONS |= {413: "contenttoolarge", 422: "unprocessableentity"}

_ASKED = re.compile(
    rf"(?:(?<![\w./-])|(?<=\bXHR)){METHOD}(?:\s+(?:request|call|preflight))?(?:\s+(?:to|for|from|on|at))?(?P<between>(?:[\s\"'`:|*\]\[=]|HTTP/[\d.]+\s)*){_TARGET}"
)
_COLUMNS = re.compile(
    rf"(?<![\w./-]){METHOD}[\s|]{{1,12}}{STATUS}(?P<between>[\s|][^\n]{{0,200}}?)(?P<target>https?://[^\s|\"']+|[\w-]+(?:\.[\w-]+)+\s+/[^\s|]*)"
)
"""The status right behind the method, and the URL in a later column."""
_NAMED_METHOD = re.compile(rf"\b(?:method|verb)[\"']?\s?[=:]\s?[\"']?{METHOD}\b", re.I)
_NAMED_TARGET = re.compile(
    r"(?<![\w-])(?:path|url|uri|fwd_path|request_uri|request_path|target)[\"']?\s?[=:]\s?[\"']?(?P<target>(?:https?://|/)[^\s\"'`,\]}]*)",
    re.I,
)
_NAMED_HOST = re.compile(
    r"(?<![\w-])(?:host|authority|vhost|server_name)[\"']?\s?[=:]\s?[\"']?(?P<host>[a-z\d][\w.-]*\.[a-z]{2,}(?::\d+)?|localhost(?::\d+)?)",
    re.I,
)
_BEFORE_QUOTED = re.compile(r"(https?://[\w.:-]+) \"$")
"""urllib3: the origin in front of the quoted request line."""
_GO = re.compile(r"\b(?P<method>Get|Post|Put|Delete|Head|Options) \"(?P<target>https?://[^\"\s]+)\": (?P<error>[^\n]+)")
_CORS = re.compile(
    r"Access to (?:fetch|XMLHttpRequest) at '(?P<target>https?://[^']+)' from origin '[^']*' has been (?P<error>blocked by CORS policy[^\n]*)"
)
_BROWSER = re.compile(rf"(?<![\w./-]){METHOD}\s+{_URL}\s+(?P<error>net::ERR_\w+\b)(?!\s+\d{{3}}\b)")
_TAIL = re.compile(
    rf"^\W*{METHOD} {_TARGET} - (?P<error>(?:Ok|Canceled|Exception Thrown|Exceeded \w+|Unknown|Client Disconnected)\b[^\n@]*)"
)
"""`wrangler tail`: what became of the Worker, and not what it answered."""
_FOR_URL = re.compile(
    rf"{STATUS}(?:[,:]?\s+[^\n]{{0,60}}?)?\b(?:for url|url=|from|for|on|at|trying to load [\w .]{{0,60}} from)[:=\s]*(?:URL\()?[\s'\"`(]*{_WELL_KNOWN}",
    re.I,
)
_URL_GAVE = re.compile(
    rf"{_WELL_KNOWN}[\"'`)\]]*[\s:,]*(?:(?:endpoint|also|now|still|just|always|request|correctly|properly|successfully|only|itself|which|it|URL|page) ){{0,3}}(?:-+>|- |—>|=+>|→|⇒|➜|returns?(?:ed)?|responds?(?:ed)?(?: with)?|responded(?: with)?|answers?(?:ed)?(?: with)?|gives|gave|fail(?:s|ed|ing)?(?: with)?|is|was|status:?|got|:|=|\||(?=\([1-5]\d\d\b))\s*(?:an?\s+|with\s+|the\s+)?(?:[❌✅✓✔✗✘⚠🔴🟢\uFE0F]+\s*)?(?:\(|\*+|`|\")*(?:HTTP(?:/[\d.]+)?[ :]*)?(?:error )?(?:status(?: code)?[:= ]*)?{STATUS}",
    re.I,
)
_ADJACENT = re.compile(
    rf"^[\"'`)\]*]*(?:\s\((?![1-5]\d\d\b)[^()\n]{{1,60}}\)(?=[\s\"'`]*[:=→-]))?(?:\s+HTTP/[\d.]+)?[\s\"'`:=,;|*)\]([–—-]*(?:\bHTTP(?:/[\d.]+)?[ :]+)?{STATUS}"
)
_SAID = re.compile(
    rf"(?:→|-+>|—>|=+>|⇒|➜|↳|<-+|←|\.{{2,}}|\b(?:returns?(?:ed)?|returning|respon(?:ds?|ded|se|ding)(?: with| code)?|answer(?:s|ed)?(?: with)?|gives|gave|gets?(?: back)?|got(?: back)?|receiv(?:es?|ed)|fail(?:s|ed)(?: with)?|finished(?: with)?|completed(?: with)?|result|rejected(?: with)?|status(?:[ _-]?code)?|statusCode|resultCode|code|error|HTTP(?:/[\d.]+)?))[\"'`]*\s*(?:[:=(-]|is|of|was|with|an?|the|our|my)?\s*(?:an?\s+|\(|\"|'|`|\*+|HTTP(?:/[\d.]+)?[ :]*|status(?:[ _]code)?[:= ]*)*{STATUS}",
    re.I,
)
_SERVES = re.compile(
    r"^[\"'`)\s]*(?:→|-+>|=+>|⇒|➜|:|returns?|returned|serves?|gives|answers(?: with)?|responds with)[\s`]*(?P<body>\{(?!\s*\"(?:error|detail|jsonrpc))[^\n]*\})"
)
"""A document right behind its URL: it was served."""
_HAS = re.compile(
    r"(?P<target>(?:https?://[^\s\"'`<>|*\\)\]]+)?/?\.well-known/(?:oauth|openid)[\w/.-]+)(?P<between>[^\n]{0,80}?)\b(?:returns?|returned|serves?|served|gives|gave|has|says|said|contains|shows)[\s`]*(?P<member>\"\w+\"\s*:\s*(?:\"[^\"\n]*\"|\[[^\]\n]*\]|true|false))"
)
"""A member of the document that a sentence quotes: it was served."""
_SUPPOSED = re.compile(r"\b(?:should|must|would|could|expect\w*|supposed|need\w*|if|when|not|never)\b|n[’']t\b", re.I)
_LEADING = re.compile(rf"^\W{{0,4}}{STATUS}\s+(?:GET\s+)?{_URL}\W{{0,2}}$")
"""`curl -w`, and lists: the status, then the URL, and nothing else."""
_SERVED = re.compile(r"(?P<target>(?:https?://[^\s\"'`<>|*\\)\]]+)?/\.well-known/[\w/.-]+)(?P<rest>[^\n]*)")
_CLOSING = re.compile(
    rf"^[\"'`)\s]*(?:\([^()\n]{{0,80}}\)\s*)?(?:→|-+>|=+>|⇒|➜)\s[A-Za-z][\w '-]{{0,60}}[,:]\s?{STATUS}\W*$"
)
"""`-> preflight blocked, 404`: what became of it, and then its status."""
_CELL = re.compile(rf"^[^|\n]{{0,120}}\|[\s*`]*(?:HTTP[ :]*)?{STATUS}[\s*`]*(?:[|(;,:—-]|$|[A-Z])")
"""The next cell of a row in a table."""
_WITH_REASON = re.compile(rf"{STATUS}\s*[-(:]?\s*(?P<reason>[A-Z][A-Za-z' _-]{{1,40}})")
_IN_FRONT = re.compile(
    rf"{STATUS}[\s\]|\"'`:,-]*(?:\([^)\n]{{1,40}}\)\s*|[A-Z][\w' ]{{1,40}}?\s+)?(?:\b(?:from|for|on|at|to|of|in response to)\s+(?:the\s+|a\s+|our\s+)?)?[\[\"'`]*$"
)
_FROM = re.compile(rf'^\s*(?:HTTP/[\d.]+)?"?\s+from \S+ - {STATUS}')
"""chi: the request line, whose it is, the status."""
_HAPROXY = re.compile(rf" -?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+ {STATUS} \+?\d+ ")
"""Timers, the status, the size; the request is last."""
_FIELD_ALONE = re.compile(
    r"^\s*(?:(?:Request URL|Request Method|Status Code)\s*:?|(?:URL|Method|Status|Endpoint)\s*:)\s*$", re.I
)
_LOADED = re.compile(r"Failed to load resource: the server responded with a status of (?P<status>[45]\d\d)\b")
_WRAPPED = re.compile(r"(Failed to load resource: the server responded with a status)[ \t]*\n[ \t]*(of [45]\d\d)")
_NO_JSON = re.compile(r"(HTTP \d{3}:(?=\s*Invalid OAuth)|Invalid OAuth error response:)[ \t]*\n[ \t]*(?=\S)")
_RAW_BODY = re.compile(r"(Invalid OAuth error response:[^\n]*)\n[ \t]*(?=Raw body:)")
"""One message of the TypeScript SDK that was broken over up to three lines."""
_RETURNED = re.compile(rf"^(?P<target>(?:https?://|/)\S+) returned {STATUS}$")
_HANGS = re.compile(r"\b[45]\d\d (?:on|for|from)$")
_ARROW_HANGS = re.compile(r"\S\s+(?:→|-+>|=+>|⇒)\s*$")
_STATUS_ALONE = re.compile(r"^\s+[1-5]\d\d\b")
"""A sentence that was broken between a status and its request."""
_THROWN = re.compile(r"^\s*[\w.$]{1,200}(?:Exception|Error):\s*$")
_METHOD_ALONE = re.compile(r"^\s*(?:XHR)?(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\s*$")
_TARGET_ALONE = re.compile(r"^\s*(?:https?://|/)\S+\s*$")
_STATUS_BELOW = re.compile(r"^\s*(?:→|-+>|=+>)\s*[1-5]\d\d\b")
_LONGEST = 20_000


@dataclass
class Fact:
    """One exchange, as far as lines tell it. `method` is None where the text says the URL alone."""

    method: str | None
    target: str
    status: int | None = None
    error: str | None = None
    rest: str = ""
    """What follows on the line."""
    line: str = ""


def joined(text: str) -> list[str]:
    """The lines, with a name or a method that stands alone joined to the value below it."""
    text = _RAW_BODY.sub(r"\1 ", _NO_JSON.sub(r"\1 ", text))
    lines = _WRAPPED.sub(r"\1 \2", text).splitlines()
    found: list[str] = []
    place = 0
    while place < len(lines):
        line, place = lines[place], place + 1
        if place < len(lines) and (loaded := _LOADED.search(line)) and _TARGET_ALONE.match(lines[place]):
            line, place = f"{re.sub(r':[0-9]+$', '', lines[place].strip())} returned {loaded['status']}", place + 1
        elif found and (loaded := _LOADED.search(line)) and _TARGET_ALONE.match(found[-1]):
            line = f"{re.sub(r':[0-9]+$', '', found.pop().strip())} returned {loaded['status']}"
        elif place < len(lines) and _is_cut(line, lines[place]):
            line, place = f"{line.rstrip()} {lines[place].strip()}", place + 1
        elif place < len(lines) and len(line) < 40 and lines[place].strip():
            if _FIELD_ALONE.match(line):
                line, place = f"{line.strip().rstrip(':')}: {lines[place].strip()}", place + 1
            elif _METHOD_ALONE.match(line) and _TARGET_ALONE.match(lines[place]):
                line, place = f"{line.strip()} {lines[place].strip()}", place + 1
        found.append(line)
    return found


def _is_cut(line: str, below: str) -> bool:
    """What was broken goes on below: a URL and its status, a sentence, an exception and its message."""
    if below.startswith("error: ") and line.endswith("]"):
        return True
    if _STATUS_BELOW.match(below) and _TARGET_ALONE.match(line):
        return True
    if _ARROW_HANGS.search(line) and _STATUS_ALONE.match(below):
        return True
    return len(line) < 500 and bool(_HANGS.search(line) or _THROWN.match(line))


def on_line(line: str) -> list[Fact]:
    """What one line tells; a fact without status and error is a request whose answer may stand below."""
    if len(line) > _LONGEST or "/" not in line:
        return []
    if failed := next((m for p in (_GO, _CORS, _BROWSER, _TAIL) if (m := p.search(line))), None):
        return [_failed(failed)]
    if (named := _NAMED_METHOD.search(line)) and (place := _NAMED_TARGET.search(line)):
        return [_named(named, place, line)]
    asked = list(_ASKED.finditer(line))
    if len(asked) == 1 and (columns := _COLUMNS.search(line)):
        target = re.sub(r"\s+", "", columns["target"])
        target = target if "://" in target else f"https://{target}"
        return [Fact(columns["method"], target, int(columns["status"]), line=line)]
    if asked:
        ends = [match.start() for match in asked[1:]] + [len(line)]
        return [_of_request(line, match, end, first=match is asked[0]) for match, end in zip(asked, ends, strict=True)]
    if columns := _COLUMNS.search(line):
        target = re.sub(r"\s+", "", columns["target"])
        return [
            Fact(
                columns["method"], target if "://" in target else f"https://{target}", int(columns["status"]), line=line
            )
        ]
    if (served := _SERVED.search(line)) and (match := _SERVES.match(served["rest"])):
        return [Fact(None, served["target"], 200, rest=match["body"], line=line)]
    if (has := _HAS.search(line)) and not _SUPPOSED.search(line[: has.end("between")]):
        target = has["target"] if has["target"].startswith(("http", "/")) else f"/{has['target']}"
        return [Fact(None, target, 200, rest=f"{{{has['member']}}}", line=line)]
    if match := _RETURNED.match(line) or _LEADING.match(line):
        return [Fact(None, match["target"], int(match["status"]), line=line)]
    return list(_in_sentence(line))


def _in_sentence(line: str) -> Iterator[Fact]:
    """Every URL that a sentence tells with its status, in either order."""
    found = sorted([*_URL_GAVE.finditer(line), *_FOR_URL.finditer(line)], key=lambda match: match.start())
    end = 0
    for match in found:
        if match.start() >= end:
            end = match.end()
            yield Fact(None, match["target"].rstrip(".,;:"), int(match["status"]), rest=line[end:], line=line)


def _failed(match: re.Match[str]) -> Fact:
    said = match.groupdict()
    error = said["error"].strip()[:300]
    return Fact((said.get("method") or "GET").upper(), said["target"], error=error, line=match.string)


def _named(named: re.Match[str], place: re.Match[str], line: str) -> Fact:
    """`method=POST path=/mcp status=401`, in any notation and order."""
    target = place["target"]
    if target.startswith("/") and (host := _NAMED_HOST.search(line)):
        local = host["host"].startswith("localhost")
        target = f"http{'' if local else 's'}://{host['host']}{target}"
    said = re.search(r"\b(?:status(?:[ _-]?code)?|code)[\"']?\s?[=:]\s?[\"']?(?P<status>[1-5]\d\d)\b", line, re.I)
    return Fact(named["method"].upper(), target, int(said["status"]) if said else None, line=line)


def _of_request(line: str, match: re.Match[str], end: int, *, first: bool) -> Fact:
    target = match["target"].rstrip(".,;:")
    if target.endswith("**") and "=**" not in target:
        target = target.rstrip("*")
    if target.startswith("/") and (origin := _BEFORE_QUOTED.search(line[: match.start()])):
        target = f"{origin[1]}{target}"
    elif target[0] != "/" and "://" not in target:
        target = f"{'http' if target.startswith('localhost') else 'https'}://{target}"
    after = line[match.end() : end]
    fact = Fact(match["method"], target, line=line)
    if served := _SERVES.match(after):
        fact.status, fact.rest = 200, served["body"]
        return fact
    if (
        (found := _ADJACENT.search(after))
        or (found := _FROM.search(after))
        or (found := with_reason(after))
        or (found := _SAID.search(after))
        or (found := _CLOSING.search(after))
        or (line.lstrip()[:1] == "|" and (found := _CELL.search(after)))
    ):
        fact.status, fact.rest = int(found["status"]), after[found.end() :]
    elif first and (
        found := _IN_FRONT.search(line[max(0, match.start() - 120) : match.start()]) or _HAPROXY.search(line)
    ):
        fact.status, fact.rest = int(found["status"]), after
    return fact


def with_reason(text: str) -> re.Match[str] | None:
    """A number in front of its own reason phrase, wherever it stands."""
    for match in _WITH_REASON.finditer(text):
        phrase = _REASONS.get(int(match["status"]))
        if phrase and re.sub(r"[\W_]", "", match["reason"]).lower().startswith(phrase):
            return match
    return None
