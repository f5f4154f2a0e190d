"""Logs that say one exchange on one line: of servers, of load balancers, and of HTTP libraries in clients.

Method, path, status, and mostly time and user agent: enough to say who came how far. Header lines and bodies are
unseen. One pattern for each form, the first that fits a line counts; a new form is one more pattern and a sample.

Read from: nginx and Apache (combined, common, with a virtual host in front), ingress-nginx, Traefik (common), AWS
ALB and CloudFront, uvicorn and gunicorn, morgan (combined, common, dev, short, tiny), Django, Rails, Go (chi, gin,
echo), werkzeug, httpx and httpcore, urllib3, and lines such as `POST /mcp → 401` that people write down.
"""

# ruff: noqa: E501  (patterns and names of members are written whole)

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import datetime

from oauthtap.formats import facts
from oauthtap.formats.builder import TOKEN, Draft, recording, seconds
from oauthtap.formats.conversation import Threads
from oauthtap.model.recording import Recording

WHAT = "a log of one line for each request"
FORM = (
    "access logs: nginx, Apache, ingress-nginx, Traefik, AWS ALB, CloudFront, uvicorn, gunicorn, morgan, and lines"
    " such as `POST /mcp → 401`"
)

_METHOD = r"(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)"
_TARGET = r"(?P<target>(?:https?://|/)[^\s\"'`]*)"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STATUS = r"(?P<status>[1-5]\d\d)"

FORMS: dict[str, re.Pattern[str]] = {"ALB": re.compile(
        rf'^(?:https?|h2|wss?|grpcs) (?P<time>\d{{4}}-\S+Z) \S+ [\d.a-f:]+:\d+ (?:\S+:\d+|-) (?P<took>\S+) \S+ \S+ {_STATUS} \S+'
        rf' \d+ \d+ "{_METHOD} {_TARGET} HTTP/[\d.]+" "(?P<agent>[^"]*)"'
    ),
    "combined": re.compile(
        rf'^(?:(?P<host>[\w.-]+\.[a-z]\w+)(?::\d+)? )?(?P<ip>[\da-fA-F.:]+|[\w.-]+),?\s.*?\[(?P<clf>\d\d/\w{{3}}/\d{{4}}:[^\]]+)\] "{_METHOD} {_TARGET}(?: HTTP/[\d.]+)?"'
        rf' {_STATUS} (?:\d+|-)(?: "(?P<referer>[^"]*)" "(?P<agent>[^"]*)")?(?P<rest>.*)$'
    ),
    "django": re.compile(rf'^.*?\[(?P<django>\d\d/\w{{3}}/\d{{4}} [\d:]+)\] "{_METHOD} {_TARGET} HTTP/[\d.]+" {_STATUS}'),
    "cloud run": re.compile(rf"\[httpRequest\.requestMethod: {_METHOD}\] \[httpRequest\.status: {_STATUS}\].*?(?:\[httpRequest\.userAgent: (?P<agent>[^\]]*)\] )?(?P<target>https?://\S+)"),
    "gin": re.compile(rf'\|\s*{_STATUS}\s*\|\s*(?P<spent>[\d.]+\S+)\s*\|\s*\S+\s*\|\s*{_METHOD}\s+"?{_TARGET}"?'),}  # fmt: skip
"""Name and pattern of each form whose columns have to be known, the most particular first."""

_STAMP = re.compile(
    r"(?<![\d.])(\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d\d:\d\d:\d\d(?:[.,]\d+)?(?=\s|\]|$))"
)
_UNROUTED = re.compile(rf'RoutingError \(No route matches \[{_METHOD}\] "(?P<target>/[^"]*)"\)')
"""Rails: what has no route is answered with 404, which the log does not say."""
_SUMMARY = re.compile(r"\b(?:all|every|any) (?:\w+ )?(?:requests?|calls?|messages?|attempts?)\b", re.I)
"""A sentence that sums up what the lines below tell one by one."""
_TOOK = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?(ms|µs|s)\b")
_AGENT = re.compile(r'(?:user[-_ ]?agent|\bua)["\']?[=:]\s*["\']?([^"\'\]]+?)["\']?(?:[,})\]]|$)', re.I)
_KNOWN_AGENTS = re.compile(
    r"[(\[ ]((?:Claude-User|claude-code|openai-mcp|python-httpx|node|undici|Cursor|Go-http-client|codex-mcp-client)(?:/[\w.-]+)?)[)\], ]"
)
_CHALLENGE = re.compile(r"www-authenticate[\"'`]?\s*[:=]\s*[`\"']?((?:Bearer|DPoP|Basic)\b[^`\n]*)", re.I)
_NO_TOKEN = re.compile(
    r"\bno [`\"']?(?:authorization|auth|bearer)[`\"']? (?:header|token)|\bno (?:access )?token\b"
    r"|\bwithout (?:an? |any |the )?[`\"']?(?:(?:authorization|auth|bearer|access)[`\"']? )?(?:header|token|credentials)"
    r"|\bmissing (?:the |an? )?[`\"']?(?:authorization|bearer|auth|access[ _]token)\b|\bauth=\(?none\b|\bunauth(?:enticated)? (?:probe|request)",
    re.I,
)
"""That a request carried no token, in a log or in the words of whoever writes it down."""
_TOKEN_REFUSED = re.compile(
    r"\bfailed to validate the (?:access |bearer )?token\b|\b(?:access |bearer )?token validation failed\b"
    r"|\b(?:sends?|sent|passes|passed|attach\w*|forwards?) (?:the|a|an|its|my|our|this) (?:valid |same |new |fresh |issued )?(?:access |bearer )?token\b"
    r"|\bSecurityToken\w{1,40}Exception\b|\bJWT (?:verification|validation) failed\b",
    re.I,
)
_NEAR = 12
_BODY = re.compile(r"(?:^|[\s:])(\{.*\})[\s.`]*$")
_LONGEST = 20_000
_ERROR_LOG = re.compile(r"\[(?:error|crit|warn|alert)\]|\bERROR\b")
_NEWEST_FIRST = re.compile(
    r"\b(?:newest|latest|most recent)(?: (?:line|entry|request|one)s?)?(?: (?:comes|is|are|on))? (?:first|top|at the top)\b|\breverse (?:chronological )?order\b",
    re.I,
)
_DATE = re.compile(r"^\s*([A-Z][a-z]{2,8} \d{1,2}, \d{4}),? (?:at )?(\d{1,2}:\d\d)(?::\d\d)?\s*$", re.M)
_MONTHS = frozenset(calendar.month_name)
_LOCATION = re.compile(r"(?:location[:=]\s*|→\s*|->\s*)(https?://\S+)", re.I)


def read(text: str) -> Recording | None:
    """The exchanges a log tells of; None when it tells of none."""
    drafts = drafts_in(text)
    return recording(drafts, text, what=WHAT) if drafts else None


def drafts_in(text: str) -> list[Draft]:
    """The exchanges that lines tell of, in the order of the lines, or of their times where all have one."""
    lines = Lines()
    drafts: list[Draft] = []
    for line in facts.joined(text):
        drafts += [draft for draft in lines.take(line) if not told_again(draft, drafts)]
    drafts = in_order(without_reports(drafts), text)
    times = [draft.started_at for draft in drafts if draft.started_at is not None]
    if len(times) == len(drafts) and times != sorted(times):
        drafts.sort(key=lambda draft: draft.started_at or 0.0)
    return drafts


def without_reports(drafts: list[Draft]) -> list[Draft]:
    """The exchanges without what tells one of them again: an error log, a sentence that sums several up, or one that
    names an endpoint by the end of its path."""
    drafts = [
        draft for draft in drafts
        if not (draft.summary and any(one is not draft and one.status == draft.status for one in drafts))
        and not (draft.of_prose and any(_is_short_for(draft, one) for one in drafts if one.method_shown))
    ]  # fmt: skip
    return [
        draft for at, draft in enumerate(drafts)
        if not (draft.reported and any(one.status and _is_same(one, draft) for one in drafts[max(0, at - 3) : at + 4]))
    ]  # fmt: skip


def _is_short_for(draft: Draft, other: Draft) -> bool:
    """A sentence names an endpoint by the end of its path (`/token`), and a line tells the request with the same status."""
    return draft.status == other.status and other.target.partition("?")[0].endswith(draft.target)


def in_order(drafts: list[Draft], text: str) -> list[Draft]:
    """The exchanges as they happened, where the text has or says that it has the newest line first."""
    timed = any(draft.started_at is not None for draft in drafts)
    return drafts[::-1] if not timed and (_NEWEST_FIRST.search(text) or _goes_back(text)) else drafts


def _is_same(one: Draft, other: Draft) -> bool:
    """The same request, in the access log and in the error log."""
    paths = [re.sub(r"^https?://[^/]+", "", draft.target).partition("?")[0] for draft in (one, other)]
    return one.method == other.method and paths[0] == paths[1]


def _goes_back(text: str) -> bool:
    """Its times stand on lines of their own, and the first is the last."""
    found = _DATE.findall(text)
    moments = [
        datetime.strptime(f"{day} {time}", "%B %d, %Y %H:%M") for day, time in found if day.split()[0] in _MONTHS
    ]
    return len(moments) > 1 and moments == sorted(moments, reverse=True) and moments[0] > moments[-1]


def told_again(draft: Draft, drafts: list[Draft]) -> bool:
    """A URL with its status, of an exchange that the lines above tell with its method."""
    known = [(one.target.partition("?")[0], one.status) for one in drafts[-4:]]
    return not draft.method_shown and (draft.target.partition("?")[0], draft.status) in known


class Lines:
    """The lines of a log, one after the other: in a form whose columns are known, or by the facts in them."""

    def __init__(self) -> None:
        self.fields: list[str] = []
        """The columns that a W3C log names in its head."""
        self.conversation = Threads()
        self.refused_token = 0
        """Lines for which it still counts that a server said of a token what is wrong with it."""

    def take(self, raw: str) -> list[Draft]:
        """What is known once this line is read."""
        line = _ANSI.sub("", raw).strip()
        if line.startswith("#Fields:"):
            self.fields = line.removeprefix("#Fields:").split()
        elif self.fields and (draft := _of_w3c(self.fields, line)):
            return [draft]
        elif len(line) <= _LONGEST:
            for pattern in FORMS.values():
                if match := pattern.search(line):
                    return [_draft(match, line)]
            if unrouted := _UNROUTED.search(line):
                self.conversation.take("")
                return [Draft(unrouted["method"], unrouted["target"], status=404, presumed=True)]
            self.refused_token = _NEAR if _TOKEN_REFUSED.search(line) else max(0, self.refused_token - 1)
            return [self._with_token(_of_fact(fact, line)) for fact in self.conversation.take(line)]
        return []

    def _with_token(self, draft: Draft) -> Draft:
        """A refusal below what a server's log says of the token: it was sent."""
        if self.refused_token and draft.status == 401 and not draft.absent:
            draft.headers.append(("Authorization", f"Bearer {TOKEN}"))
            self.refused_token = 0
        return draft


def _of_fact(fact: facts.Fact, line: str) -> Draft:
    """A draft of it, with what else its line says of it."""
    draft = Draft(fact.method or _usual(fact.target), fact.target, status=fact.status, error=fact.error)
    draft.method_shown = fact.method is not None
    draft.of_prose = fact.method is None and fact.target.startswith("/") and fact.target.count("/") == 1
    draft.summary = fact.method is None and _SUMMARY.search(fact.line or line) is not None
    draft.reported = fact.status is None and _ERROR_LOG.search(fact.line or line) is not None
    if draft.method == "POST" and _REGISTRATIONS.search(fact.target):
        draft.role = "client-registration"
    elif draft.method == "GET" and _CALLED_BACK.search(fact.target):
        draft.role, draft.actor = "authorization-response", "browser"
    elif one_endpoint := _ACTION.search(fact.target):
        draft.role = _ROLES[one_endpoint[1].lower()]
    _complete(draft, {"rest": fact.rest}, fact.line or line)
    return draft


def _draft(match: re.Match[str], line: str) -> Draft:
    said = match.groupdict()
    target = said["target"].rstrip("`,;)")
    host = said.get("host")
    if host and not target.startswith("http"):
        target = f"https://{host}{target}"
    draft = Draft(said["method"], target, status=int(said["status"]))
    _complete(draft, said, line)
    return draft


def _complete(draft: Draft, said: dict[str, str | None], line: str) -> None:
    """Time, duration and the header lines that a log line tells."""
    agent = said.get("agent") or next((m[1] for p in (_AGENT, _KNOWN_AGENTS) if (m := p.search(line))), None)
    if agent and agent.strip() not in ("-", ""):
        draft.headers.append(("User-Agent", agent.strip()))
    if draft.status == 401 and _NO_TOKEN.search(line):
        draft.absent = ("authorization",)
    if draft.role is None and draft.method == "POST" and _INITIALIZE.search(line):
        draft.role = "mcp-initialize"
    draft.started_at = _at(said, line)
    draft.duration = _took(said, line)
    rest = said.get("rest") or ""
    if draft.status and 300 <= draft.status < 400 and (there := _LOCATION.search(rest)):
        draft.answer_headers.append(("Location", there[1].rstrip("`),;")))
    if challenge := _CHALLENGE.search(rest):
        draft.answer_headers.append(("WWW-Authenticate", challenge[1].strip()))
    if draft.status and (body := _BODY.search(rest)):
        draft.answer_body = body[1]


_INITIALIZE = re.compile(r'"method"\s*:\s*"initialize"|[(`]initialize\b|\binitialize (?:request|call)\b')
_REGISTRATIONS = re.compile(
    r"/clients-registrations/[\w-]+/?$|/oauth2/v1/clients/?$|/connect/register/?$|/clients:register$"
)
"""Where Keycloak, Okta and others register clients: their last segment alone does not say so."""


_CALLED_BACK = re.compile(r"\?(?=.*\bstate=)(?=.*\b(?:code|error)=)(?!.*\bresponse_type=)")
"""What the browser brings back from an authorization server."""
_ACTION = re.compile(r"[?&](?:action|op|step|do)=(token|authorize|register)\b", re.I)
"""One endpoint for all steps, which the query tells apart."""
_ROLES = {"token": "token-request", "authorize": "authorization-request", "register": "client-registration"}


def _usual(path: str) -> str:
    """The method that a request to such a path has, where a line does not say it."""
    if "/.well-known/" in path:
        return "GET"
    posted = re.search(r"/(?:token|register|revoke|introspect|mcp)/?$", path) or _REGISTRATIONS.search(path)
    return "POST" if posted else "GET"


def _at(said: dict[str, str | None], line: str) -> float | None:
    for name, form in (("clf", "%d/%b/%Y:%H:%M:%S %z"), ("django", "%d/%b/%Y %H:%M:%S")):
        if value := said.get(name):
            try:
                moment = datetime.strptime(value, form)
            except ValueError:
                return None
            return seconds(moment.isoformat())
    if value := said.get("time"):
        return seconds(value)
    stamp = _STAMP.search(line)
    if stamp is None:
        return None
    text = stamp[1].replace("/", "-")
    return seconds(text if "-" in text[:5] else f"1970-01-01 {text}")


def _took(said: dict[str, str | None], line: str) -> float | None:
    if value := said.get("took"):
        return float(value) if re.fullmatch(r"\d+(?:\.\d+)?", value) else None
    found = _TOOK.search(said.get("rest") or said.get("spent") or "")
    return float(found[1]) / {"ms": 1e3, "µs": 1e6, "s": 1.0}[found[2]] if found else None


def _of_w3c(fields: list[str], line: str) -> Draft | None:
    """CloudFront separates its columns by tabs, IIS by blanks."""
    values: Iterator[str] = iter(line.split("\t") if "\t" in line else line.split())
    row = dict(zip(fields, values, strict=False))
    status = row.get("sc-status", "")
    if not status.isdigit() or status == "000" or "cs-method" not in row:
        return None
    host = row.get("x-host-header") or row.get("cs(Host)") or row.get("cs-host") or ""
    query = row.get("cs-uri-query", "-")
    path = row.get("cs-uri-stem", "/") + (f"?{query}" if query not in ("-", "") else "")
    draft = Draft(row["cs-method"], f"https://{host}{path}" if host not in ("", "-") else path, status=int(status))
    agent = row.get("cs(User-Agent)", "-").replace("%20", " ").replace("%2F", "/").replace("+", " ")
    if agent != "-":
        draft.headers.append(("User-Agent", agent))
    draft.started_at = seconds(f"{row.get('date', '')}T{row.get('time', '')}Z")
    taken = row.get("time-taken", "")
    draft.duration = float(taken) if "." in taken and re.fullmatch(r"\d+(?:\.\d+)?", taken) else None
    return draft
