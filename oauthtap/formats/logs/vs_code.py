"""The MCP output channel of VS Code, at any level.

Read from: VS Code 1.101 to 1.115 (`extHostMcp`); at `trace` it tells every fetch with its headers, at `info` what it
discovered and how a message was refused.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import json
import re
from dataclasses import replace

from oauthtap.formats.builder import TOKEN, Draft, origin_of, recording, seconds
from oauthtap.formats.logs.builder import object_in
from oauthtap.formats.logs.outcome import outcome
from oauthtap.model import urls
from oauthtap.model.recording import Recording

WHAT = "a log of VS Code"
FORM = "VS Code: the MCP output channel (MCP: List Servers, Show Output), best at trace level"
CLIENT = "vs-code"

_LINE = re.compile(
    r"^(?:(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) )?\[(?P<level>info|debug|trace|warning|error)\] (?P<text>.*)$",
    re.MULTILINE,
)
_BARE = re.compile(
    r"^(?=Connection state: |Discovered (?:resource|authorization server) metadata at |Using auth server metadata url: |Error fetching authorization server metadata: |Error getting token from server metadata: )",
    re.MULTILINE,
)
"""Its messages, where whoever pasted them left out time and level."""
_NO_DOCUMENT = re.compile(
    r"Error sending message to (?P<url>https?://\S+?): Error: Failed to fetch resource metadata: (?P<status>[1-5]\d\d)\b"
)
_UNSENT = re.compile(r"Error sending message to (?P<url>https?://\S+?): (?P<error>TypeError: fetch failed[^\n]*)")
_OURS = re.compile(
    r"Connection state: |Starting server |\[editor -> server\]|Discovered (?:resource|authorization server) metadata|Fetch(?:ing|ed) https?://|status (?:sending message|connecting) to|auth server metadata|Could not fetch resource metadata|Waiting for server to respond to `initialize`"
)
_FETCHING = re.compile(r"^Fetching (https?://\S+)(?: with options: (\{.*)|(?P<rest>.*))", re.S)
_FETCHED = re.compile(r"^Fetched(?: (https?://\S+))?: (\{.*)", re.S)
"""Both as they are, and as somebody writes them down: without options, without the URL."""
_CUT = re.compile(r'\{"status":\s*([1-5]\d\d)\b')
"""What is left of an answer that was cut off."""
_WITH_TOKEN = re.compile(r"\bAuthorization\b|\bBearer\b")
_WITHOUT = re.compile(r"\b(?:no|without)\b", re.I)
_STATUS = re.compile(
    r"(\d{3}) status (?:sending message to|connecting to) (https?://[^\s,]+?)(?: as SSE)?(?::|,|$)\s*(.*)", re.S
)
_ENDED = re.compile(r"Error connecting to (?P<url>https?://\S+?): (?P<status>[1-5]\d\d)\b")
_NOT_FOUND = re.compile(
    r"Failed to fetch (?:resource|authorization server|auth server) metadata(?: from)?\s+(https?://\S+?):? (\d{3})\b(.*)",
    re.S,
)
_MISMATCH = re.compile(
    r'Protected Resource Metadata resource "?([^"\s]+)"? does not match MCP server resolved resource "?([^"\s]+?)(?:"|\.?(?:\s|$))'
)
_POPULATING = re.compile(r"Error populating auth server metadata for (https?://\S+?):? ")
_NO_REGISTRATION = re.compile(r"Invalid authorization dynamic client registration response: (\{.*)", re.S)
"""It was answered with success, and VS Code did not take the document for a registration."""
_SENT = re.compile(r"^\[editor -> server\] (\{.*)", re.S)
_SENT_LINE = re.compile(r"\[editor -> server\] \{")
_FIRST = re.compile(r"(?:Waiting for server to respond|Server exited before responding) to `initialize` request")
_CAME = re.compile(r"^\[server -> editor\] (\{.*)", re.S)


def recognizes(text: str) -> bool:
    """The text is what VS Code writes about an MCP server."""
    return any(_OURS.search(match["text"]) for match in _LINE.finditer(_levelled(text[:100_000])))


def _levelled(text: str) -> str:
    return text if _LINE.search(text) else _BARE.sub("[info] ", text)


def read(text: str) -> Recording | None:
    """The exchanges it tells of; None when there are none."""
    story = _Story()
    text = _levelled(text)
    named = _POPULATING.search(text)
    story.home = named[1] if named else None
    story.first = "mcp-initialize" if _FIRST.search(text) and not _SENT_LINE.search(text) else None
    heads = list(_LINE.finditer(text))
    for match, end in zip(heads, [head.start() for head in heads[1:]] + [len(text)], strict=True):
        story.take(seconds(match["at"]), f"{match['text']}{text[match.end() : end]}".strip())
    story.connected()
    if not story.drafts:
        return None
    return recording(story.drafts, text, what=WHAT, client=CLIENT, upstream=story.mcp_url, notes=story.notes)


def _options(url: str, rest: str) -> dict[str, object]:
    """The options of a fetch as far as the words behind its URL tell them."""
    if "/.well-known/" in url:
        return {}
    token = _WITH_TOKEN.search(rest) is not None and not _WITHOUT.search(rest)
    return {"method": "POST", "headers": {"Authorization": f"Bearer {TOKEN}"} if token else {}}


class _Story:
    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.notes: list[str] = []
        self.mcp_url: str | None = None
        self.message: str | None = None
        self.answered = False
        self.issuer_home = ""
        self.first: str | None = None
        """The step of every message, where it waits for the answer to its first one to the end."""
        self.home: str | None = None
        """The origin that it took for the authorization server, where it says so."""

    def take(self, at: float | None, text: str) -> None:
        if match := _FETCHING.match(text):
            self._fetching(at, match[1], object_in(match[2]) if match[2] else _options(match[1], match["rest"]))
        elif (match := _FETCHED.match(text)) and (url := match[1] or self._awaited()):
            self._fetched(at, url, object_in(match[2]) or object_in(match[2].partition("}")[0] + "}"), match[2])
        elif match := _SENT.match(text):
            self.message = match[1].strip()
        elif match := _CAME.match(text):
            self._came(match[1].strip())
        elif match := _MISMATCH.search(text):
            self._mismatch(at, match[1].rstrip('."'), match[2].rstrip('."'))
        elif match := _NOT_FOUND.search(text):
            self._add(
                at, Draft("GET", match[1].rstrip(":"), status=int(match[2]), answer_body=match[3].strip(" :") or None)
            )
        elif (match := _NO_DOCUMENT.search(text)) and (home := self.mcp_url or match["url"]):
            self.mcp_url = home
            for location in urls.prm_locations(home)[:1]:
                self._add(at, Draft("GET", location.url, status=int(match["status"])))
        elif match := _UNSENT.search(text):
            self.mcp_url = self.mcp_url or match["url"]
            self._add(at, Draft("POST", match["url"], body=self.message, error=match["error"].strip()))
        elif match := _ENDED.search(text):
            self._add(at, Draft("GET", match["url"], status=int(match["status"])))
        elif match := _STATUS.search(text):
            self.mcp_url = self.mcp_url or match[2]
            method = "GET" if " connecting to " in text else "POST"
            words = match[3].split("\n")[0].strip(" `")
            body = None if re.match(r"will attempt|; will retry|while attempting", words) else words.strip()
            told = [(draft.method, draft.target, draft.status) for draft in self.drafts]
            if not text.startswith("Connection state: Error") or (method, match[2], int(match[1])) not in told:
                draft = Draft(method, match[2], body=self.message, status=int(match[1]), answer_body=body or None)
                draft.role = self.first if method == "POST" and int(match[1]) not in (401, 403) else None
                self._add(at, draft)
        elif match := re.match(r"Discovered (resource|authorization server) metadata at\s+(\S+)", text):
            self._add(at, Draft("GET", match[2], status=200))
            if match[1] == "authorization server":
                self.issuer_home = origin_of(match[2]) or ""
            if match[1] == "resource" and self.mcp_url is None and urls.PRM in match[2]:
                self.mcp_url = match[2].replace(urls.PRM, "", 1)
        elif match := re.match(r"Using auth server metadata url:\s+(https?://\S+)", text):
            self._of_last("authorization_servers", [match[1]])
        elif re.match(r"Discovered \d+ tools", text):
            self.answered = True
        elif text.startswith("Could not fetch resource metadata: AggregateError") and (
            home := self.mcp_url or self.home
        ):
            self.drafts += [Draft("GET", place.url, started_at=at) for place in urls.prm_locations(home)[:1]]
        elif match := _POPULATING.search(text):
            error = None if "AggregateError" in text else text[match.end() :].splitlines()[0][:200]
            places = urls.as_metadata_locations(match[1])
            asked = {draft.target for draft in self.drafts}
            if not asked & {place.url for place in places}:
                self.drafts += [Draft("GET", place.url, started_at=at, error=error) for place in places[:1]]
        elif match := _NO_REGISTRATION.search(text):
            self._add(at, Draft("POST", "/registration-endpoint-not-shown", status=200, answer_body=match[1].strip(),
                                role="client-registration", presumed=True))  # fmt: skip
        elif found := (outcome(text) if re.search(r"[Rr]egistration|[Tt]oken|[Aa]uth", text) else None):
            if text.startswith("Error getting token"):
                found = replace(found, step=found.step or "token-request")
            if found.step in ("client-registration", "token-request", "token-refresh"):
                place = "registration" if found.step == "client-registration" else "token"
                self._add(at, Draft("POST", f"{self.issuer_home}/{place}-endpoint-not-shown", status=found.status, answer_body=found.body,
                                    role=found.step, presumed=found.presumed))  # fmt: skip
        elif "Error" in text and re.search(r"auth|metadata|resource", text, re.I):
            self.notes.append(f"VS Code says: {text.splitlines()[0][:300]}")

    def _awaited(self) -> str | None:
        """Where the last fetch went whose answer is not told yet."""
        return next((d.target for d in reversed(self.drafts) if d.status is None and not d.error), None)

    def _fetching(self, at: float | None, url: str, options: dict[str, object]) -> None:
        method, headers = str(options.get("method") or "GET"), options.get("headers")
        draft = Draft(method, url, started_at=at)
        draft.headers = [(str(k), str(v)) for k, v in headers.items()] if isinstance(headers, dict) else []
        if method == "POST" and self.message and "application/json" in str(headers):
            draft.body, self.mcp_url = self.message, self.mcp_url or url
        self.drafts.append(draft)

    def _fetched(self, at: float | None, url: str, answer: dict[str, object], shown: str) -> None:
        waiting = next((d for d in reversed(self.drafts) if d.target == url and d.status is None), None)
        draft = waiting or Draft("GET", url, started_at=at)
        if waiting is None:
            self.drafts.append(draft)
        status, headers = answer.get("status"), answer.get("headers")
        if not answer and (cut := _CUT.match(shown)):
            status = int(cut[1])
        draft.status = status if isinstance(status, int) else None
        if isinstance(headers, dict):
            draft.answer_headers = [(str(name), str(value)) for name, value in headers.items()]
            draft.answer_headers_shown = True
        draft.duration = at - draft.started_at if at is not None and draft.started_at is not None else None
        if draft.status == 401 and draft.method == "POST":
            self.mcp_url = self.mcp_url or url

    def _came(self, body: str) -> None:
        waiting = next((d for d in reversed(self.drafts) if d.target == self.mcp_url and d.method == "POST"), None)
        if waiting is not None and waiting.answer_body is None and waiting.status and waiting.status < 300:
            waiting.answer_body = body
        self.answered = self.answered or '"result"' in body

    def _mismatch(self, at: float | None, named: str, used: str) -> None:
        """It quotes the member, so the document that was fetched last holds it."""
        self.mcp_url = self.mcp_url or used
        document = next((d for d in reversed(self.drafts) if d.method == "GET" and d.status in (None, 200)), None)
        if document is None:
            places = urls.prm_locations(used)
            document = Draft("GET", places[0].url if places else used, status=200, started_at=at, presumed=True)
            self.drafts.append(document)
        document.status = document.status or 200
        document.answer_body, document.cut = json.dumps({"resource": named}), True

    def _of_last(self, member: str, value: object) -> None:
        last = next((d for d in reversed(self.drafts) if urls.PRM in d.target and d.status == 200), None)
        if last is not None and last.answer_body is None:
            last.answer_body, last.cut = json.dumps({member: value}), True

    def _add(self, at: float | None, draft: Draft) -> None:
        """A line that says how it ended; where a fetch was told as well, it is that one."""
        draft.started_at = at
        for known in reversed(self.drafts[-3:]):
            if known.target == draft.target and known.method == draft.method and known.status in (None, draft.status):
                known.status, known.answer_body = draft.status, known.answer_body or draft.answer_body
                return
        self.drafts.append(draft)

    def connected(self) -> None:
        """Tools were listed, or a result came: the MCP server answered, whether or not a fetch is told."""
        if (
            self.answered
            and self.mcp_url
            and not any(
                d.target == self.mcp_url and d.method == "POST" and d.status and d.status < 300 for d in self.drafts
            )
        ):
            self.drafts.append(Draft("POST", self.mcp_url, status=200))
