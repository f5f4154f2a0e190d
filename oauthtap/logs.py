"""Clients' own log files, as exchanges. Knows the wording of Claude Code and mcp-remote; judges nothing.

A log tells what its client thought worth saying: most bodies and nearly all headers are
missing. What it does not hold stays unseen; an answer of which only the outcome is
known is given as an error that says so, so that nothing is judged by its absence.

Read from: Claude Code 2.1.197 (`mcp-logs-*/*.jsonl` below its cache folder, and what
`--debug-file` writes), mcp-remote 0.1.37 and 0.15.1 (`*_debug.log`, with `--debug`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from oauthtap.recording import Recording
from oauthtap.wire import Exchange, Pairs, Request, Response

_CLAUDE_TEXT = re.compile(r'^(?P<at>\d{4}-\S+Z) \[\w+\] MCP server "(?P<server>[^"]*)":? (?P<text>.*)$', re.MULTILINE)
_MCP_REMOTE = re.compile(r"^\[(?P<at>\d{4}-\S+Z)\]\[\d+\] (?P<text>.*)$", re.MULTILINE)
_JSON = (("Content-Type", "application/json"),)
_TOKEN = ("Authorization", "Bearer ‹token 1›")
_PRM_MEMBERS = {
    "resource": "resource",
    "authorizationServers": "authorization_servers",
    "scopesSupported": "scopes_supported",
}
_NOT_RECORDED = "not recorded in the client's log"
_BLANKED = {"code_challenge": "unseen-unseen-unseen-unseen-unseen-unseen-u", "state": "unseen-unseen-unseen-unseen"}
"""Claude Code blanks these two in the URLs it logs: in their place stands a value of the right shape."""


@dataclass(frozen=True)
class _Event:
    at: float | None
    text: str
    server: str = ""

    def after(self, start: str) -> str | None:
        return self.text.removeprefix(start) if self.text.startswith(start) else None


def recognizes(text: str) -> bool:
    """The text is a log of a client we can read: its first lines are."""
    return bool(_CLAUDE_TEXT.search(text, 0, 20_000) or _MCP_REMOTE.search(text, 0, 20_000))


def recognizes_line(line: dict[str, Any]) -> bool:
    """The JSON object is a line of Claude Code's MCP log."""
    return "timestamp" in line and ("debug" in line or "error" in line)


def read(text: str) -> Recording:
    """The exchanges a log speaks of; none when it speaks of none. Never raises."""
    if _MCP_REMOTE.search(text):
        events = (_Event(_seconds(match["at"]), match["text"]) for match in _MCP_REMOTE.finditer(text))
        return _McpRemote().read(events)
    if _CLAUDE_TEXT.search(text):
        return _ClaudeCode().read(
            _Event(_seconds(match["at"]), match["text"], match["server"]) for match in _CLAUDE_TEXT.finditer(text)
        )
    return _ClaudeCode().read(_claude_lines(text))


def _claude_lines(text: str) -> Iterator[_Event]:
    for line in text.splitlines():
        value = _object(line)
        said = value.get("debug") or value.get("error")
        if isinstance(said, str):
            yield _Event(_seconds(value.get("timestamp")), said)


def _seconds(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _with(exchange: Exchange, **changes: Any) -> Exchange:
    return Exchange(**{**{name: getattr(exchange, name) for name in Exchange.model_fields}, **changes})


@dataclass
class _Story:
    """What both readers do: begin a request, and answer it when the log says how it ended."""

    client: str
    mcp_url: str | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_token: bool = False

    def add(
        self,
        event: _Event,
        method: str,
        url: str,
        *,
        headers: Pairs = (),
        sent: str | None = "",
        response: Response | None = None,
        error: str | None = _NOT_RECORDED,
        actor: str = "client",
        began: float | None = None,
    ) -> None:
        self.exchanges.append(
            Exchange(
                request=Request(method=method, url=url, headers=headers, body=sent),
                response=response,
                error=None if response else error,
                at=event.at if began is None else began,
                took=event.at - began if began is not None and event.at is not None else None,
                actor=actor,  # type: ignore[arg-type]  # written out at every call
            )
        )

    def recording(self, last: _Event | None) -> Recording:
        # A request is written down when its end is known; what counts is when it began.
        self.exchanges.sort(key=lambda exchange: exchange.at or 0.0)
        exchanges = tuple(_with(exchange, id=number) for number, exchange in enumerate(self.exchanges, 1))
        notes = (
            f"read from a log of {self.client}: headers and bodies that it leaves out are not judged",
            *dict.fromkeys(self.notes),
        )
        header = {"upstream": self.mcp_url, "client": self.client}
        return Recording(exchanges, header, last.at if last else None, notes)

    def opened(self, event: _Event, url: str) -> None:
        """The browser was sent to the authorization endpoint."""
        shown = url
        for name, stand_in in _BLANKED.items():
            shown = re.sub(rf"\b{name}=(?:%5BREDACTED%5D|\[REDACTED\])", f"{name}={stand_in}", shown)
        if shown != url:
            self.notes.append("the log blanks code_challenge and state; stand-ins of the right shape are put there")
        if not (self.exchanges and self.exchanges[-1].request.url == shown):
            self.add(event, "GET", shown, actor="browser", error=f"the browser's side is {_NOT_RECORDED}")


class _ClaudeCode:
    """Claude Code tells of connections and their outcome, and of the authorization URL."""

    def __init__(self) -> None:
        self.story = _Story("claude-code")
        self.headers: Pairs = ()
        self.began: float | None = None
        self.authorize: str | None = None
        """Logged whether or not anybody is sent there: what counts is the redirect that follows."""

    def read(self, events: Iterable[_Event]) -> Recording:
        events = list(events)
        servers = list(dict.fromkeys(event.server for event in events))
        if len(servers) > 1:
            # The last one to be told about is the one somebody was looking at.
            self.story.notes.append(f"of {len(servers)} servers in this log, {events[-1].server!r} was read")
            events = [event for event in events if event.server == events[-1].server]
        for event in events:
            self._take(event)
        return self.story.recording(events[-1] if events else None)

    def _take(self, event: _Event) -> None:
        story = self.story
        if match := re.match(r"(?:HTTP|SSE) transport options: (.*)", event.text):
            self._begin(event, _object(match[1]))
        elif url := event.after("Server URL: "):
            story.mcp_url = story.mcp_url or url
        elif event.text in ("Returning tokens", "Saving tokens"):
            story.has_token = True
        elif event.text in ("No token data found", "Cleared stored tokens"):
            story.has_token = False
        elif match := re.match(r"Successfully connected \(transport: (?:http|sse)\) in (\d+)ms", event.text):
            self._end(event, Response(status=200, body=None))
        elif match := re.match(r"HTTP Connection failed after \d+ms: (.*) \(code: (\S+), errno: \S+\)", event.text):
            self._end(event, None, _failure(match[1], match[2]))
        elif match := re.match(r"SSE Connection failed after \d+ms: (.*)", event.text):
            self._end(event, None, _failure(str(_object(match[1]).get("error", match[1])), "none"))
        elif url := event.after("Authorization URL: "):
            self.authorize = url.strip()
        elif event.text.startswith("Redirecting to authorization URL") and self.authorize:
            story.opened(event, self.authorize)
        elif match := re.match(r"(?:SDK auth error|Error during auth completion): (.+)", event.text):
            story.notes.append(f"Claude Code says: {match[1][:200]}")

    def _begin(self, event: _Event, options: dict[str, Any]) -> None:
        url, headers = options.get("url"), options.get("headers")
        self.story.mcp_url = url if isinstance(url, str) else self.story.mcp_url
        lines = headers.items() if isinstance(headers, dict) else ()
        self.headers = tuple((str(name), str(value)) for name, value in lines)
        self.began = event.at

    def _end(self, event: _Event, response: Response | None, error: str | None = None) -> None:
        if self.story.mcp_url is None:
            return
        token = (_TOKEN,) if self.story.has_token else ()
        self.story.add(
            event,
            "POST",
            self.story.mcp_url,
            headers=(*_JSON, *self.headers, *token),
            sent=None,
            response=response,
            error=error,
            began=self.began,
        )


def _failure(message: str, code: str) -> str:
    if code != "none":
        return f"{code}: {message}"
    if "unauthorized" in message.lower():
        return f"answered 401; the answer itself was {_NOT_RECORDED}"
    return f"{message or 'failed'}; the answer itself was {_NOT_RECORDED}"


class _McpRemote:
    """mcp-remote tells of its own discovery in detail, and of messages in both directions."""

    def __init__(self) -> None:
        self.story = _Story("mcp-remote")
        self.open: tuple[str, str, _Event] | None = None
        """Kind, URL and beginning of the fetch that is under way."""
        self.candidates: list[str] = []
        self.sent: dict[Any, tuple[_Event, str]] = {}
        self.metadata: dict[str, Any] = {}

    def read(self, events: Iterable[_Event]) -> Recording:
        last = None
        for last in events:
            name, _, rest = last.text.partition(" {")
            self._take(last, name, _object("{" + rest) if rest else {})
        self._give_up()
        for event, body in self.sent.values():
            self._message(event, body, None)
        return self.story.recording(last)

    def _take(self, event: _Event, name: str, said: dict[str, Any]) -> None:
        story = self.story
        if name == "Starting OAuth server discovery":
            story.mcp_url = said.get("serverUrl", story.mcp_url)
        elif url := event.after("Starting mcp-remote with server URL: "):
            story.mcp_url = url.strip()
        elif name.startswith("Probing MCP server") and story.mcp_url:
            self._begin("probe", story.mcp_url, event)
        elif name == "Fetching Protected Resource Metadata":
            self._begin("prm", str(said.get("metadataUrl")), event)
        elif name == "Fetching authorization server metadata":
            self.candidates = [str(url) for url in said.get("candidates") or [said.get("metadataUrl")]]
            self._next_candidate(event)
        elif self.open and self._ended(event, name, said):
            pass
        elif text := event.after("authorizationServerMetadata: "):
            self._learn(_object(text))
        elif url := event.after("Redirecting to authorization URL "):
            self._give_up()
            story.opened(event, url.strip())
        elif name == "Saving tokens":
            self._saved_tokens(event)
        elif name == "Token result:" and said:
            story.has_token = True
        elif name == "Local → Remote message":
            self._sent(event, said)
        elif name == "Remote → Local message":
            self._received(said)

    # --- discovery

    def _begin(self, kind: str, url: str, event: _Event) -> None:
        self._give_up()
        self.open = (kind, url, event)

    def _next_candidate(self, event: _Event) -> None:
        if self.candidates:
            self._begin("asm", self.candidates.pop(0), event)

    def _ended(self, event: _Event, name: str, said: dict[str, Any]) -> bool:
        """Answer the fetch that is under way, if this event tells how it ended."""
        if name == "Received 401 with WWW-Authenticate header":
            header = said.get("header")
            self._answer(
                event, Response(status=401, headers=(("WWW-Authenticate", header),) if header else (), body=None)
            )
        elif name == "Server responded OK without auth, using server URL as authorization server":
            self._answer(event, Response(status=200, body=None))
        elif name.endswith("not found (404)"):
            self._answer(event, Response(status=404, body=None))
            self._next_candidate(event)
        elif name.startswith("Failed to fetch ") and isinstance(said.get("status"), int):
            self._answer(event, Response(status=said["status"], body=None))
            self._next_candidate(event)
        elif name == "Successfully fetched Protected Resource Metadata":
            document = {member: said[word] for word, member in _PRM_MEMBERS.items() if said.get(word) is not None}
            body = json.dumps(document)
            self._answer(event, Response(status=200, headers=_JSON, body=body, truncated=True))
            self.story.notes.append("of the protected resource metadata the log holds three members only")
        elif name == "Successfully fetched authorization server metadata":
            self.candidates = []
            self._answer(event, Response(status=200, headers=_JSON, body=None))
        elif name.startswith("Error ") and "error" in said:
            self._answer(event, None, str(said["error"]))
            self._next_candidate(event)
        else:
            return False
        return True

    def _answer(self, event: _Event, response: Response | None, error: str = _NOT_RECORDED) -> None:
        assert self.open is not None
        _, url, begun = self.open
        self.open = None
        accept = (("Accept", "application/json"),)
        self.story.add(event, "GET", url, headers=accept, response=response, error=error, began=begun.at)

    def _give_up(self) -> None:
        """The log does not say how a fetch ended."""
        if self.open:
            self._answer(self.open[2], None)

    def _learn(self, document: dict[str, Any]) -> None:
        """The whole metadata, logged later than its fetch."""
        for place, exchange in enumerate(self.story.exchanges):
            unseen = exchange.response is not None and exchange.ok and exchange.response.body is None
            if document and unseen and "/.well-known/o" in exchange.request.url:
                answer = Response(status=200, headers=_JSON, body=json.dumps(document))
                self.story.exchanges[place] = _with(exchange, response=answer)
                self.metadata = document

    # --- after discovery

    def _saved_tokens(self, event: _Event) -> None:
        self.story.has_token = True
        endpoint = self.metadata.get("token_endpoint")
        if isinstance(endpoint, str):
            form = (("Content-Type", "application/x-www-form-urlencoded"),)
            answer = Response(status=200, headers=_JSON, body=None)
            self.story.add(event, "POST", endpoint, headers=form, sent=None, response=answer)

    def _sent(self, event: _Event, said: dict[str, Any]) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": said.get("id"), "method": said.get("method")}
        if isinstance(said.get("params"), str):
            # Cut after 500 characters by mcp-remote: then it is no JSON any more.
            message["params"] = _object(said["params"])
        body = json.dumps({name: value for name, value in message.items() if value is not None})
        if said.get("id") is None:
            self._message(event, body, Response(status=202, body=None))
        else:
            self.sent[str(said["id"])] = (event, body)

    def _received(self, said: dict[str, Any]) -> None:
        event, body = self.sent.pop(str(said.get("id")), (None, ""))
        if event is None:
            return
        error = said.get("error")
        answer = json.dumps({"jsonrpc": "2.0", "id": said.get("id"), "error": error}) if error else None
        self._message(event, body, Response(status=200, headers=_JSON, body=answer))

    def _message(self, event: _Event, body: str, response: Response | None) -> None:
        if self.story.mcp_url:
            headers = (*_JSON, _TOKEN) if self.story.has_token else _JSON
            self.story.add(event, "POST", self.story.mcp_url, headers=headers, sent=body, response=response)
