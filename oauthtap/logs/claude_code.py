"""The log of Claude Code. Knows its wording; judges nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from oauthtap.logs.story import JSON, NOT_RECORDED, TOKEN, Event, Story, object_in
from oauthtap.recording import Recording
from oauthtap.wire import Pairs, Response


class ClaudeCode:
    """Claude Code tells of connections and their outcome, and of the authorization URL."""

    def __init__(self) -> None:
        self.story = Story("claude-code")
        self.headers: Pairs = ()
        self.began: float | None = None
        self.authorize: str | None = None
        """Logged whether or not anybody is sent there: what counts is the redirect that follows."""

    def read(self, events: Iterable[Event]) -> Recording:
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
        if match := re.match(r"(?:HTTP|SSE) transport options: (.*)", event.text):
            self._begin(event, object_in(match[1]))
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
            self._end(event, None, _failure(str(object_in(match[1]).get("error", match[1])), "none"))
        elif url := event.after("Authorization URL: "):
            self.authorize = url.strip()
        elif event.text.startswith("Redirecting to authorization URL") and self.authorize:
            story.opened(event, self.authorize)
        elif match := re.match(r"(?:SDK auth error|Error during auth completion): (.+)", event.text):
            story.notes.append(f"Claude Code says: {match[1][:200]}")

    def _begin(self, event: Event, options: dict[str, Any]) -> None:
        url, headers = options.get("url"), options.get("headers")
        self.story.mcp_url = url if isinstance(url, str) else self.story.mcp_url
        lines = headers.items() if isinstance(headers, dict) else ()
        self.headers = tuple((str(name), str(value)) for name, value in lines)
        self.began = event.at

    def _end(self, event: Event, response: Response | None, error: str | None = None) -> None:
        if self.story.mcp_url is None:
            return
        token = (TOKEN,) if self.story.has_token else ()
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


def _failure(message: str, code: str) -> str:
    if code != "none":
        return f"{code}: {message}"
    if "unauthorized" in message.lower():
        return f"answered 401; the answer itself was {NOT_RECORDED}"
    return f"{message or 'failed'}; the answer itself was {NOT_RECORDED}"
