"""Requests on lines of their own, each with the answer on a line below it; in several threads one within the other."""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.formats.facts import METHOD, STATUS, Fact, on_line, with_reason

_ANSWER = re.compile(
    rf"(?:^|[\s\]:>])(?:<<+|<-+|←|→|-+>|=+>|↳|└─*|Completed|Sent|Responded|Response|Received|Status|status|statusCode|StatusCode|\[?HTTP/?[\d.]*)[^\n{{}}]{{0,60}}?(?:^|[\s:=(-]){STATUS}(?P<rest>[^\n]*)$"
)
"""An answer on a line of its own, whose request stands above it."""
_FIELD = re.compile(
    r"^[\s•*-]*(?P<name>Request URL|Request Method|Status Code|URL|Path|Endpoint|Method|Status|Response)[\s*]*:[\s*`]*(?P<value>\S.*?)[\s*`]*$",
    re.I,
)
_MEMBER = re.compile(
    r"^\W*(?:→|-+>|=+>|⇒|↳)\s*[\"`{]{0,3}(?:authorization_servers|resource|issuer|authorization_endpoint|token_endpoint|registration_endpoint|scopes_supported|jwks_uri|code_challenge_methods_supported)\b(?![\w.])(?!\s*(?:is |was )?(?:missing|absent|empty|not\b))"
)
"""An answer told by a member of its document."""
_MOST_THREADS = 10_000
_WITHIN = 8
"""Lines that an answer may stand below its request."""
_REFUSED = re.compile(
    r"^(?:[\dT:.,Z+-]{6,40}\s)?\W{0,4}(?:(?:DBG|INF|WRN|ERR|DEBUG|INFO|WARN|WARNING|ERROR)\b\W{0,6})?(Unauthorized|Forbidden)\b",
    re.I,
)


_BY_WORD = {"unauthorized": 401, "forbidden": 403}
_TROUBLE = re.compile(r"\berrors?\b|\bfail(?:s|ed|ure)\b|\bException\b", re.I)
"""What is said of a request for which nothing came: no answer stands below it."""


_THREAD = re.compile(
    r"\[\s*([\w.@-]*(?:exec|thread|worker|nio)[\w.@-]*-\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\]"
)
"""The thread (Spring) or the request (Rails) that a line is about: those of several stand between each other."""


class Threads:
    """A conversation for each thread that the lines name, and one for those that name none."""

    def __init__(self) -> None:
        self.every: dict[str, Conversation] = {}
        self.last = self._of("")

    def _of(self, name: str) -> Conversation:
        return self.every.setdefault(name, Conversation())

    @property
    def repeats(self) -> bool:
        """The last line told an answer that was told before."""
        return self.last.repeats

    def take(self, line: str) -> Iterator[Fact]:
        """As `Conversation.take`, in the conversation that the line belongs to."""
        found = _THREAD.search(line[:300])
        self.last = self._of(found[1] if found and len(self.every) < _MOST_THREADS else "")
        return self.last.take(line)


class Conversation:
    """Requests on lines of their own, each with the answer below it."""

    def __init__(self) -> None:
        self.open: Fact | None = None
        self.age = 0
        self.closed: Fact | None = None
        """The one that a line began and another answered: a server may say that it was answered once more."""
        self.repeats = False
        """The last line told an answer that was told before."""
        self.fields: dict[str, str] = {}

    def take(self, line: str) -> Iterator[Fact]:
        """What is known for certain once this line is read: an exchange with its answer, or with its error."""
        if field := _FIELD.match(line):
            yield from self._field(field["name"].lower().removeprefix("request "), field["value"])
            return
        facts = on_line(line)
        self.age += 1
        self.repeats = False
        if facts:
            for fact in facts:
                yield from self._fact(fact)
            return
        if self.open is None:
            return
        if self.age > _WITHIN:
            self.open = None
        elif (answer := answered(line)) is not None:
            yield self._close(self.open, *answer)
        elif "/.well-known/" in self.open.target and _MEMBER.match(line):
            yield self._close(self.open, 200)

    def _close(self, fact: Fact, status: int, rest: str = "") -> Fact:
        """The request that a line began, with its answer."""
        fact.status, fact.rest = status, rest
        self.open, self.closed, self.age = None, fact, 0
        return fact

    def _fact(self, fact: Fact) -> Iterator[Fact]:
        was, closed = self.open, self.closed
        if fact.status is None and fact.error is None and (refused := _REFUSED.match(fact.line)):
            fact.status = _BY_WORD[refused[1].lower()]
            yield self._close(fact, fact.status)
            return
        if fact.status is None and fact.error is None:
            if was is None or not _same(was, fact):
                self.open = None if _TROUBLE.search(fact.line) else fact
            self.age = 0
            return
        if was is not None and _same(was, fact):
            fact.target = was.target if "://" in was.target else fact.target
            yield self._close(fact, fact.status, fact.rest) if fact.status else fact
            return
        again = was is None and closed is not None and self.age <= _WITHIN and closed.status == fact.status
        self.open = self.closed = None
        self.repeats = again and closed is not None and _same(closed, fact)
        if not self.repeats:
            yield fact

    def _field(self, name: str, value: str) -> Iterator[Fact]:
        name = {"path": "url", "endpoint": "url", "response": "status"}.get(name, name)
        if name == "url" and not re.match(r"https?://|/", value):
            return
        if name == "url" and "url" in self.fields:
            self.fields = {}
        self.fields[name.removesuffix(" code")] = value
        status = re.match(r"[1-5]\d\d\b", self.fields.get("status", ""))
        if "url" in self.fields and status and ("method" in self.fields or name != "url"):
            asked = re.match(METHOD, self.fields.get("method", ""), re.I)
            if asked or "status" in self.fields:
                yield Fact(asked[0].upper() if asked else None, self.fields["url"], int(status[0]))
                self.fields = {}


def answered(line: str) -> tuple[int, str] | None:
    """The status of an answer that stands on a line of its own, and what follows it."""
    if refused := _REFUSED.match(line):
        return _BY_WORD[refused[1].lower()], ""
    if len(line) > 2000 or not re.search(r"(?<!\d)[1-5]\d\d(?!\d)", line):
        return None
    found = _ANSWER.search(line) or with_reason(line)
    return (int(found["status"]), found.groupdict().get("rest") or "") if found else None


def _same(one: Fact, other: Fact) -> bool:
    """The same request, told twice: when it came and when it was answered."""
    paths = [re.sub(r"^https?://[^/]+", "", fact.target) or "/" for fact in (one, other)]
    return paths[0] == paths[1] and (one.method == other.method or None in (one.method, other.method))
