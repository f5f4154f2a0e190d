"""The exchanges that the messages of a client tell, one after the other."""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from oauthtap.formats import access_log
from oauthtap.formats.builder import STAND_IN, TOKEN, Draft, origin_of
from oauthtap.formats.logs.client_messages import KnownMessages
from oauthtap.formats.logs.httpcore import answer_head
from oauthtap.formats.logs.log_lines import LISTED
from oauthtap.formats.logs.outcome import Outcome, outcome, refused
from oauthtap.formats.logs.rmcp import Discovery
from oauthtap.formats.logs.statements import Told, mark_in, told_in
from oauthtap.formats.logs.unloaded_document import rejected_metadata, said_again, unloaded_document
from oauthtap.formats.refused_step import refused as refused_draft
from oauthtap.formats.refused_step import step_of
from oauthtap.model import urls

_NOWHERE = f"{STAND_IN}/mcp"
"""The MCP endpoint, where the text does not name it."""
_AUTHORIZE = re.compile(r"https?://[^\s\"'<>`]+[?&](?:response_type=code|client_id=)[^\s\"'<>`]*")
URL = re.compile(r"https?://[^\s\"'`<>,)\]}\\]+")
_NO_PRM = re.compile(r"does not implement OAuth 2\.0 Protected Resource Metadata")
_MISMATCH = re.compile(
    r"(?i:protected resource (?:metadata )?(?:resource )?)[\"'`]?(https?://[^\s\"'`]+?)[\"'`]? (?:does not|doesn't) match (?:[\w-]+ ){1,5}?(?:\w+: )?[\"'`]?(https?://[^\s\"'`]+?)[\"'`]?(?=[\s(,]|\.?$|\.\s)"
)
"""Document and MCP URL, in the words of any client."""
_USED_AND_NAMED = re.compile(
    r"(?i:protected resource (?:metadata )?(?:resource )?mismatch): [\w ]{1,30}[\"'`](https?://[^\s\"'`]+)[\"'`], [\w ]{1,30}[\"'`](https?://[^\s\"'`]+)[\"'`]"
)
"""The MCP URL first, then what the document has."""
_NETWORK = re.compile(
    r"ECONNREFUSED|ENOTFOUND|ETIMEDOUT|ECONNRESET|CERT_|(?:error|fail\w*|code|:)\s[^\n]{0,80}self.signed certificate|certificate has expired|getaddrinfo|All connection attempts failed|error sending request for url|fetch failed|Connection refused|Name or service not known|Request timed out",
    re.I,
)
_OF_MCP = re.compile(r"\bmcp\b|server|connect|auth|transport|https?://", re.I)
PROBE = re.compile(r"resource metadata probe returned unexpected status: (\d{3})")
_OPENED = re.compile(
    r"redirect(?:ing|ed)? to authorization|Saving PKCE|authorization code|Opening (?:your )?browser|code verifier", re.I
)
_ON_SCREEN = re.compile(r"^■\s+(?!Authentication failed|Unexpected status|.*timed out)(?P<words>\S.*)")
"""opencode, and so do we where MCP Inspector prints JSON: the server's `error_description`."""
_OF_TOKEN = re.compile(
    r"(?:provided|presented|supplied) (?:\w+ )?token|\btoken (?:is |has |was )?(?:not active|no longer|expired|revoked)"
    r"|\btoken is (?:invalid|malformed)\b|\bInvalid(?:Issuer|Audience|Signature)\b|\bExpiredSignature\b|\b(?:JWS|JWT|JWKS)\b|\bnot enough segments\b|\b(?:wrong|invalid|malformed) (?:compact|number of segments|signature)\b|\bsignature verification\b",
    re.I,
)
_CLIENT_ERROR = re.compile(r"\[error\] .*?Client error for command (?P<words>.+)")
"""Cursor: what its SDK's transport threw, in whatever words the server used."""
_ABOUT_TOKEN = re.compile(
    r"\btoken\b.*\b(?:not active|inactive|expired|invalid|revoked|malformed)\b|\b(?:expired|invalid) (?:access )?token\b",
    re.I,
)
CHALLENGE = re.compile(r"^\W{0,6}www-authenticate[`\"']?\s*:\s*[`\"']?((?:Bearer|DPoP|Basic)\b.*)", re.I)
_RECONNECTED = re.compile(r"Got new credentials, but reconnecting to .{1,80}? failed: (?P<error>[^\n]+)")
_SUCCESS = re.compile(
    r"^(?:.*\s)?(?:Successfully (?:logged in|authenticated|connected)|Authentication successful|Connected to (?:MCP )?server|Connection successful|OAuth (?:flow )?(?:completed|successful)|Authorization (?:successful|complete)\b(?!d)|✓ (?:\S+\s+)?Connected)\b",
    re.I,
)
_BY_NAME = re.compile(r"\[info\] Connected to MCP server [\w.-]+!")
"""Claude Desktop says so of every server, and most are started by it: only a URL makes one an HTTP server."""
_SHOWN_BY = re.compile(r"\b(?:displays?|shows?|says|reports?|marks?)\b\W{1,3}needs[_ ]auth", re.I)
"""What a client makes of an answer, in the words of whoever reports it."""
_WELL_KNOWN = re.compile(r"(?:https?://[^\s\"'`/]+)?/\.well-known/[\w/.-]+")
_ASKED = ("client-registration", "token-request", "token-refresh")
"""Steps of which an error is one request's."""
_FEW = 8
"""Lines of a message of which one may be known of a client."""
_NEAR = 12
"""Messages between what a log says it is about to do, and the error of it."""
_ERROR = re.compile(r"\[error\]|\bERROR\b|(?:^|\s)[Ee]rror:|\b[A-Z]\w*Error: ")


def _goes_on(known: Draft, draft: Draft) -> bool:
    """One failure told twice, of which one sentence has the status: the step is the same, and so is the place."""
    statuses = [known.status, draft.status]
    place = "-endpoint-not-shown" in draft.target or known.target == draft.target
    failed = [status for status in statuses if status]
    return known.role == draft.role and place and None in statuses and all(status >= 400 for status in failed)


def _unquoted(value: str) -> str:
    """A value without the marks that a sentence or a log puts behind it: quotes of its own are in pairs."""
    value = value.rstrip("`' ,")
    while value.endswith('"') and value.count('"') % 2:
        value = value[:-1].rstrip("`' ,")
    return value


class Story:
    """What is told so far, and what of it is not told whole yet."""

    def __init__(self, mcp_url: str | None, *, known: bool) -> None:
        self.drafts: list[Draft] = []
        self.around = ""
        """A short text as a whole: what is said beside an error that does not name its step."""
        self.notes: list[str] = []
        self.lines = access_log.Lines()
        self.known = KnownMessages()
        self.mcp_url = mcp_url
        self.endpoint = mcp_url or (_NOWHERE if known else None)
        self.discovery = Discovery(self.drafts, self.endpoint)
        """Where a message of a client goes that names no URL."""
        self.head: tuple[int, list[tuple[str, str]]] | None = None
        """Status and header lines of the answer that the next line is about (httpcore)."""
        self.signed_in = False
        """It has a token: what it sends to the MCP server afterwards carries it."""
        self.step = ""
        """The step that it is at, as it says itself."""
        self.age = 0
        """Messages since it said so."""
        self.in_words: Draft | None = None
        """The exchange that the last sentence told."""
        self.opened = False
        """The browser was sent to sign in: what is refused afterwards is the token request."""

    def take(self, at: float | None, text: str) -> None:
        """Note down what one message tells."""
        line = text.split("\n", 1)[0]
        self.opened = self.opened or bool(_OPENED.search(line))
        self.age += 1
        if (mark := mark_in(line, sent=True)) is not None:
            self.step, self.age = mark, 0
        elif self.age > _NEAR:
            self.step = ""
        if self._quoted_challenge(at, line):
            pass
        elif head := answer_head(text):
            self.head = head
        elif told_so := told_in(text):
            if told_so.step.startswith("mcp-"):
                self.endpoint = self.endpoint or _NOWHERE  # these are words of a client of an MCP server
            self._told(at, told_so, line)
            if (again := _RECONNECTED.search(text)) and self.endpoint:
                self._add(replace(self._message(0, at), status=None, error=again["error"][:300]))
        elif found := [draft for every in text.split("\n") for draft in self.lines.take(every)]:
            for draft in found:
                draft.started_at = draft.started_at or at
                if self.head and self.head[0] == draft.status:
                    draft.answer_headers, draft.answer_headers_shown = self.head[1], True
                self.head = None
                if not access_log.told_again(draft, self.drafts):
                    self._complete(draft)
        elif self.lines.conversation.repeats or self.discovery.take(at, text):
            pass
        elif document := unloaded_document(text, self.mcp_url) or rejected_metadata(text):
            if not said_again(document, text, self.drafts):
                self._add(replace(document, started_at=at))
        elif PROBE.search(text):
            pass  # told with the URL that another line names
        elif _NO_PRM.search(text) and self.mcp_url:
            for location in urls.prm_locations(self.mcp_url)[:1]:
                self._add(Draft("GET", location.url, status=404, started_at=at, presumed=True))
        elif match := _MISMATCH.search(text):
            self._mismatch(at, match[1], match[2])
        elif match := _USED_AND_NAMED.search(text):
            self._mismatch(at, match[2], match[1])
        elif (match := _AUTHORIZE.search(text)) and re.search(
            r"[?&](?:redirect_uri|response_type|request_uri)=", match[0]
        ):
            self._add(Draft("GET", match[0].rstrip(".,)"), started_at=at, actor="browser"))
        elif told := outcome(text):
            self._refused(at, told, line)
        elif framed := told_in(text, "frame"):
            self._told(at, framed, line)
        elif known := next(filter(None, map(self.known.take, text.split("\n")[:_FEW])), None):
            self._told(at, known, line)
        elif (match := _CLIENT_ERROR.search(line)) and _ABOUT_TOKEN.search(match["words"]):
            self._refused(at, Outcome("mcp", 401, match["words"].strip(), presumed=True))
        elif self.step in _ASKED and _ERROR.search(line):
            method, target, role = Told(self.step, None, False, None, None, None, None).place or ("POST", "", None)
            self.drafts.append(Draft(method, target, error=line.strip()[:300], started_at=at, role=role))
            self.step = ""  # what follows says it again
        elif self.endpoint and LISTED.match(line):
            self._add(self._message(200, at))
        elif match := _ON_SCREEN.match(line):
            self._on_screen(at, match["words"])
        elif _NETWORK.search(text) and (self.mcp_url or _OF_MCP.search(text)) and (place := self._place(text)):
            reported = "upstream" in line
            self._add(Draft("POST", place, started_at=at, error=line.strip()[:300], reported=reported))
        elif _SUCCESS.search(line) and self.endpoint and not (_BY_NAME.search(line) and self.mcp_url is None):
            if re.search(r"connect(?:ed|ion)", line, re.I):
                if "streamableHttp server" not in line or not (self.drafts and self.drafts[-1].status == 401):
                    self._add(self._message(200, at))
            else:
                self.signed_in = True
                self._add(Draft("POST", "/token-endpoint-not-shown", status=200, started_at=at, role="token-request"))
        elif (
            re.search(r"(?<![\w.:,])401\b|\bUnauthorized\b|\bneeds[_ ]auth", line)
            and self.endpoint
            and re.search(r"\bmcp\b|server|connect|auth", line, re.I)
            and not _SHOWN_BY.search(line)
        ):
            draft = self._message(401, at)
            if "401" in line and (guarded := _WELL_KNOWN.findall(line.partition("401")[0])):
                draft = Draft("GET", guarded[-1], status=401, started_at=at)
            draft.presumed = not re.search(r"(?<![\w.:,])401\b|\bUnauthorized\b", line)
            if re.search(r"\bcurl\b", line):
                draft.headers, draft.actor = [], "reporter"
            self._add(draft)
        elif re.search(r"\b[A-Z]\w*Error\b.*(?:auth|OAuth|regist|token|metadata)|Incompatible auth server", line):
            self.notes.append(f"the log says: {line.strip()[:300]}")

    def _quoted_challenge(self, at: float | None, line: str) -> bool:
        """A `WWW-Authenticate` line by itself belongs to the refusal above it; where there is none, it tells one."""
        found = CHALLENGE.match(line)
        if found is None or found[1].lower().startswith("basic"):
            return False
        value = _unquoted(found[1].replace('\\"', '"'))
        last = self.drafts[-1] if self.drafts else None
        if last is not None and last.status in (400, 401, 403):
            if not any(name.lower() == "www-authenticate" for name, _ in last.answer_headers):
                last.answer_headers.append(("WWW-Authenticate", value))
            return True
        if not last:
            self._refused_request(at, Outcome("mcp", 401, None, challenge=value, presumed=True))
        return bool(self.drafts)

    def _told(self, at: float | None, told: Told, line: str) -> None:
        """A step that a sentence tells by its name."""
        if told.place is None and told.status is not None and told.step == "mcp-request":
            self._refused_request(
                at, Outcome("mcp", told.status, told.words, told.url, challenge=told.challenge, presumed=told.presumed)
            )
            return
        if told.step == "mcp-stream" and told.status:
            if self.endpoint:
                self._add(Draft("GET", self.endpoint, status=told.status, started_at=at))
            return
        if told.step == "mcp-request":
            if self.endpoint:
                self._add(replace(self._message(0, at), status=None, error=told.error or line.strip()[:300]))
            return
        if told.place is None:
            home = told.url or self.mcp_url
            places = (
                urls.prm_locations(home or "")
                if told.step == "prm-discovery"
                else urls.as_metadata_locations(home or "")
            )
            path = urls.PRM if told.step == "prm-discovery" else urls.OAUTH
            target = home if home and "/.well-known/" in home else places[0].url if places else f"{STAND_IN}{path}"
            if told.step in ("prm-discovery", "as-discovery"):
                if told.status is None and any(one.target == target and one.status for one in self.drafts[-3:]):
                    return  # said again, after the HTTP library told what was answered
                error = None if told.status else told.error or line.strip()[:300]
                self._add(
                    Draft(
                        "GET", target, status=told.status, answer_body=told.words, started_at=at, error=error,
                        presumed=told.presumed,
                    )
                )  # fmt: skip
            return
        if told.words and told.status:
            code, _, words = told.words.partition(": ")
            said = (
                {"error": code, "error_description": words}
                if re.fullmatch("[a-z_]+", code)
                else {"error_description": told.words}
            )
            body = (
                told.words
                if told.words.startswith("{")
                else json.dumps({name: value for name, value in said.items() if value})
            )
            self._refused(at, Outcome(told.step, told.status, body, presumed=told.presumed))
            return
        method, target, role = told.place
        error = None if told.status else told.error or line.strip()[:300]
        self.signed_in = self.signed_in or (told.step == "token-request" and told.status == 200)
        if told.step == "authorization-response" and self.drafts and self.drafts[-1].actor == "browser":
            self._called_back(at, Outcome(None, 200, json.dumps({"code": "unseen"})))
            return
        self._add(Draft(method, target, status=told.status, error=error, started_at=at, role=role, presumed=told.presumed,
                        actor="browser" if method == "GET" else "client"))  # fmt: skip

    def _on_screen(self, at: float | None, words: str) -> None:
        """What a server said: back through the browser where it was opened, else to the registration."""
        if self.drafts and self.drafts[-1].actor == "browser":
            said = json.dumps({"error": "code-not-shown", "error_description": words})
            self._called_back(at, Outcome("authorization-response", 400, said, presumed=True))
        else:
            self._refused(at, refused("client-registration", words))

    def _message(self, status: int, at: float | None) -> Draft:
        """A message to the MCP server, with the token where there is one."""
        assert self.endpoint is not None
        draft = Draft("POST", self.endpoint, status=status, started_at=at)
        draft.headers = [("Authorization", f"Bearer {TOKEN}")] if self.signed_in else []
        return draft

    def _place(self, text: str) -> str | None:
        found = URL.search(text)
        return found[0].rstrip(".:") if found else self.endpoint

    def _mismatch(self, at: float | None, named: str, used: str) -> None:
        self.mcp_url = self.mcp_url or used
        document = next((d for d in reversed(self.drafts) if urls.PRM in d.target and d.status == 200), None)
        if document is None:
            places = urls.prm_locations(used)
            document = Draft("GET", places[0].url if places else used, status=200, started_at=at, presumed=True)
            self.drafts.append(document)
        document.answer_body, document.cut = json.dumps({"resource": named}), True

    def _refused(self, at: float | None, told: Outcome, line: str = "") -> None:
        if told.step in ("authorization-request", "authorization-response") and told.url:
            self._add(
                Draft("GET", told.url, started_at=at, actor="browser", role=told.step, error="no answer is shown")
            )
            return
        away = bool(self.drafts) and self.drafts[-1].actor == "browser"
        if told.step is None and told.presumed and not away and (step := self._step_of(told, line)):
            told = replace(told, step=step, status=400 if step == "client-registration" else told.status)
        if told.step is None and (told.oauth or told.body is not None) and not told.presumed:
            told = replace(told, step="token-request" if self.opened else "client-registration")
        steps = {"client-registration": "registration", "token-request": "token", "token-refresh": "token"}
        if told.step == "authorization-request":
            self._add(replace(refused_draft(told.step, None, told.body), started_at=at, status=told.status))
        elif told.step in steps:
            last = next((d for d in reversed(self.drafts) if d.method == "POST" and d.role in (None, told.step)), None)
            if (
                last
                and last.answer_body in (None, told.body)
                and last.target != self.mcp_url
                and (last.status == told.status or (told.presumed and last.status and last.status >= 400))
            ):
                last.answer_body = told.body
                return
            opened = next((d for d in reversed(self.drafts) if d.actor == "browser"), None)
            home = (origin_of(opened.target) if opened else None) or ""
            self._add(Draft("POST", f"{home}/{steps[told.step]}-endpoint-not-shown", status=told.status, answer_body=told.body, started_at=at,
                            role=told.step, presumed=told.presumed, cut=told.presumed))  # fmt: skip
        elif told.step is None and self.drafts and self.drafts[-1].actor == "browser" and told.presumed:
            self._called_back(at, told)
        else:
            self._refused_request(at, told)

    def _step_of(self, told: Outcome, line: str) -> str | None:
        """The step of an error that says no more than its code and words, where it is none of the MCP server's."""
        said = json.loads(told.body) if told.body and told.body.startswith("{") else {}
        step = step_of(said.get("error"), str(said.get("error_description") or ""), f"{self.around}\n{line}")
        return (
            step if step in ("client-registration", "token-request", "token-refresh", "authorization-request") else None
        )

    def _refused_request(self, at: float | None, told: Outcome) -> None:
        """A request to the MCP server, or to the URL that the message names."""
        named = re.search(r'resource_metadata="?(https?://[^"\s,]+)', told.challenge or "")
        home = named[1].replace(urls.PRM, "", 1) if named and urls.PRM in named[1] else None
        place = told.url or home or self.endpoint
        if place is None:
            return
        last = self.drafts[-1] if self.drafts else None
        if place == _NOWHERE and last and last.target != place and (last.method, last.status) == ("POST", told.status):
            last.answer_body, last.cut = last.answer_body or told.body, True
            return
        draft = Draft("POST", place, status=told.status, answer_body=told.body, started_at=at)
        if told.challenge:
            draft.answer_headers, draft.answer_headers_shown = [("WWW-Authenticate", told.challenge)], False
        draft.presumed = draft.cut = told.presumed
        if told.sse:
            draft.method, draft.sse = "GET", True
        if self.signed_in or _OF_TOKEN.search(told.body or ""):
            draft.headers = [("Authorization", f"Bearer {TOKEN}")]
        if urls.OAUTH in place or urls.PRM in place or urls.OIDC in place:
            draft.method = "GET"
        self._add(draft)

    def _complete(self, draft: Draft) -> None:
        """An exchange told with its URL; where a message just before told its answer without, it is that one."""
        last = self.drafts[-1] if self.drafts else None
        if (
            last
            and last.status is None
            and last.error is None
            and (last.method, last.target) == (draft.method, draft.target)
        ):
            draft.actor = last.actor
            self.drafts.pop()
        elif last and (last.method, last.status) == (draft.method, draft.status) and self._is_told(last, draft):
            draft.answer_body, draft.cut = draft.answer_body or last.answer_body, last.cut
            draft.answer_headers = draft.answer_headers or last.answer_headers
            self.drafts.pop()
        self.drafts.append(draft)

    def _is_told(self, last: Draft, draft: Draft) -> bool:
        """The one before is this exchange, in a sentence that a server wrote while it answered."""
        if last.target == _NOWHERE:
            return True
        paths = [re.sub(r"^https?://[^/]+", "", one.target).partition("?")[0] for one in (last, draft)]
        return last is self.in_words and (paths[0] == paths[1] or draft.target in last.target)

    def _called_back(self, at: float | None, told: Outcome) -> None:
        """An OAuth error after the browser was opened is what it came back with."""
        query = dict(parse_qsl(urlsplit(self.drafts[-1].target).query))
        place = query.get("redirect_uri")
        if not place:
            return
        said = {**json.loads(told.body or "{}"), **({"state": query["state"]} if "state" in query else {})}
        self._add(Draft("GET", f"{place}?{urlencode(said)}", started_at=at, actor="browser", role="authorization-response",
                        status=200,))  # fmt: skip

    def _add(self, draft: Draft) -> None:
        """A sentence about an exchange that is told already, or said twice, is no other one."""
        last = self.drafts[-1] if self.drafts else None
        if last and last.status and draft.error and draft.status is None and draft.role and draft.role == last.role:
            return  # what it says of the answer that the line before tells
        for known in reversed(self.drafts[-3:]):
            near = known.started_at is None or draft.started_at is None or abs(draft.started_at - known.started_at) < 2
            same = (known.target, known.status) == (draft.target, draft.status)
            if near and draft.role and _goes_on(known, draft):
                known.status, known.answer_body = known.status or draft.status, known.answer_body or draft.answer_body
                known.presumed = known.presumed or (draft.presumed and known.error is not None)
                known.error = None if known.status else known.error
                return
            if near and same and known.sse is draft.sse and draft.actor != "browser":
                known.answer_body = known.answer_body or draft.answer_body
                return
        self.in_words = draft
        self.drafts.append(draft)
