"""The log of Claude Code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from oauthtap.formats.logs.builder import JSON, NOT_RECORDED, Event, RecordingBuilder, object_in
from oauthtap.formats.logs.outcome import outcome, refused
from oauthtap.formats.logs.unloaded_document import unloaded_document
from oauthtap.model.exchange import Pairs, Response
from oauthtap.model.recording import Recording

_FAILED = re.compile(r"(?:HTTP|SSE) Connection failed after \d+ms: (.*?)(?: \(code: (\S+), errno: \S+\))?$", re.DOTALL)
_ANSWERED = {
    "CLIENT_HTTP_AUTHENTICATION": 401,
    "CLIENT_HTTP_FORBIDDEN": 403,
    "CLIENT_HTTP_NOT_FOUND": 404,
    "401": 401,
    "403": 403,
    "404": 404,
}
"""Codes of the SDK's transport that stand for an answer of the server, and the status of that answer."""
_STATUS = re.compile(r"\b(?:HTTP |status(?: code)? |returned |answered )\(?([1-5]\d\d)\b")


class ClaudeCode:
    """Claude Code tells of connections and their outcome, of the authorization URL, and of how the sign-in ended."""

    def __init__(self) -> None:
        self.story = RecordingBuilder("claude-code")
        self.headers: Pairs = ()
        self.began: float | None = None
        self.authorize: str | None = None
        """Logged whether or not anybody is sent there: what counts is the redirect that follows."""
        self.redeems = False
        """A code is being redeemed: tokens that are saved, or an error, are its outcome."""
        self.registers = False
        """It has no client id, and asks for one."""
        self.last_error: str | None = None

    def read(self, events: Iterable[Event]) -> Recording:
        """The exchanges that the events tell of."""
        events = list(events)
        servers = list(dict.fromkeys(event.server for event in events))
        if len(servers) > 1:
            # The last one to be told about is the one somebody was looking at.
            self.story.notes.append(f"of {len(servers)} servers in this log, {events[-1].server!r} was read")
            events = [event for event in events if event.server == events[-1].server]
        for event in events:
            self._take(event)
        return self.story.recording(events[-1] if events else None)

    def _take(self, event: Event) -> None:
        story = self.story
        if match := re.match(r"(?:HTTP|SSE) transport options: (.*)", event.text, re.DOTALL):
            self._begin(event, object_in(match[1]))
        elif match := re.match(r"(?:Server URL: |Initializing (?:HTTP|SSE) transport to )(\S+)", event.text):
            story.mcp_url = story.mcp_url or match[1]
        elif match := re.match(r"(?:Saving|Returning cached) discovery state \(authServer: (\S+?)\)", event.text):
            story.issuer = match[1]
        elif event.text == "Saving tokens":
            self._saved(event)
        elif event.text.startswith(("No token data found", "Cleared stored tokens", "No access token in storage")):
            story.has_token = False
        elif event.text == "No client info found":
            self.registers = True
        elif event.text.startswith(("Found client info", "Using pre-configured client", "Saving client info")):
            self.registers = False
        elif event.text == "Returning tokens":
            story.has_token = True
        elif event.text.startswith("Successfully connected"):
            self._end(event, Response(status=200, body=None))
        elif match := _FAILED.match(event.text):
            said = str(object_in(match[1]).get("error", match[1])) if match[1].startswith("{") else match[1]
            self._failed(event, said, match[2] or "none")
        elif url := event.after("Authorization URL: "):
            self.authorize = url.strip()
        elif (
            event.text.startswith(("Redirecting to authorization URL", "Opening authorization URL")) and self.authorize
        ):
            if story.authorize is None or event.text.startswith("Redirecting"):
                story.opened(event, self.authorize)
        elif event.text.startswith("Completing auth flow with authorization code"):
            self.redeems = True
            story.called_back(event, code="‹code 1›")
        elif match := re.match(
            r"(?:SDK auth (?:error|failed)|Error during auth completion|OAuth (?:flow|callback) error): (.+)",
            event.text, re.DOTALL,
        ):  # fmt: skip
            self._error(event, match[1])

    def _begin(self, event: Event, options: dict[str, Any]) -> None:
        url, headers = options.get("url"), options.get("headers")
        self.story.mcp_url = url if isinstance(url, str) else self.story.mcp_url
        lines = headers.items() if isinstance(headers, dict) else ()
        self.headers = tuple((str(name), str(value)) for name, value in lines)
        self.began = event.at

    def _saved(self, event: Event) -> None:
        """Tokens came: for the code that is being redeemed, or else for a refresh token."""
        self.story.saved_tokens(event, "token-request" if self.redeems else "token-refresh")
        self.redeems = False
        self.began = event.at  # what fails after this was sent with the new token

    def _error(self, event: Event, words: str) -> None:
        words = words.removeprefix("SDK auth failed: ")  # said once more by whoever passes it on
        if words == self.last_error:
            return
        self.last_error = words
        self.story.notes.append(f"Claude Code says: {words[:200]}")
        if re.search(r"access_denied|OAuth error:", words) and not self.redeems:
            code = re.search(r"\b(access_denied|invalid_scope|server_error|invalid_request|login_required)\b", words)
            self.story.called_back(event, error=code[1] if code else words[:60], error_description=words[:200])
        elif found := outcome(words):
            redeems = self.redeems or "InvalidGrantError" in words  # nothing but a grant is invalid so
            step = "token-request" if redeems else "client-registration" if self.registers else None
            self.story.refused(event, found, step)
        elif self.redeems and not re.search(r"state mismatch|timeout|timed out|cancel", words, re.I):
            self.story.refused(event, refused("token-request", words))
        self.redeems = False

    def _failed(self, event: Event, words: str, code: str) -> None:
        if unloaded := unloaded_document(words, self.story.mcp_url):
            self.story.notes.append(f"Claude Code says: {words[:200]}")
            answer = Response(status=unloaded.status or 0, body=None)
            self.story.add(event, "GET", unloaded.target, response=answer, began=self.began)
            return
        shown = _STATUS.search(words)
        status = _ANSWERED.get(code) or (int(shown[1]) if shown else None)
        if status is None and code == "none" and "unauthorized" in words.lower():
            status = 401
        if status is not None:
            if words.lower() != "unauthorized":
                self.story.notes.append(f"Claude Code says: {words[:200]}")
            self._end(event, Response(status=status, body=None))
        elif code.startswith("CLIENT_HTTP_"):
            self._end(event, None, f"{words}; the answer itself was {NOT_RECORDED}")
        elif code != "none":
            self._end(event, None, f"{code}: {words}")
        else:
            self._end(event, None, f"{words or 'failed'}; the answer itself was {NOT_RECORDED}")

    def _end(self, event: Event, response: Response | None, error: str | None = None) -> None:
        if self.story.mcp_url is None:
            return
        token = (self.story.bearer,) if self.story.has_token else ()
        self.story.add(
            event,
            "POST",
            self.story.mcp_url,
            headers=(*JSON, *self.headers, *token),
            sent=None,
            response=response,
            error=error,
            began=self.began,
        )
