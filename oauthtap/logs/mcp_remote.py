"""The debug log of mcp-remote. Knows its wording; judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from oauthtap.logs.story import JSON, NOT_RECORDED, TOKEN, Event, Story, changed, object_in
from oauthtap.recording import Recording
from oauthtap.wire import Response

_PRM_MEMBERS = {
    "resource": "resource",
    "authorizationServers": "authorization_servers",
    "scopesSupported": "scopes_supported",
}


class McpRemote:
    """mcp-remote tells of its own discovery in detail, and of messages in both directions."""

    def __init__(self) -> None:
        self.story = Story("mcp-remote")
        self.open: tuple[str, str, Event] | None = None
        """Kind, URL and beginning of the fetch that is under way."""
        self.candidates: list[str] = []
        self.sent: dict[Any, tuple[Event, str]] = {}
        self.metadata: dict[str, Any] = {}

    def read(self, events: Iterable[Event]) -> Recording:
        last = None
        for last in events:
            name, _, rest = last.text.partition(" {")
            self._take(last, name, object_in("{" + rest) if rest else {})
        self._give_up()
        for event, body in self.sent.values():
            self._message(event, body, None)
        return self.story.recording(last)

    def _take(self, event: Event, name: str, said: dict[str, Any]) -> None:
        story = self.story
        if name == "Starting OAuth server discovery":
            story.mcp_url = str(said.get("serverUrl", story.mcp_url))
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
            self._learn(object_in(text))
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

    def _begin(self, kind: str, url: str, event: Event) -> None:
        self._give_up()
        self.open = (kind, url, event)

    def _next_candidate(self, event: Event) -> None:
        if self.candidates:
            self._begin("asm", self.candidates.pop(0), event)

    def _ended(self, event: Event, name: str, said: dict[str, Any]) -> bool:
        """Answer the fetch that is under way, if this event tells how it ended."""
        if name == "Received 401 with WWW-Authenticate header":
            header = str(said.get("header") or "")
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
            self._answer(event, Response(status=200, headers=JSON, body=body, truncated=True))
            self.story.notes.append("of the protected resource metadata the log holds three members only")
        elif name == "Successfully fetched authorization server metadata":
            self.candidates = []
            self._answer(event, Response(status=200, headers=JSON, body=None))
        elif name.startswith("Error ") and "error" in said:
            self._answer(event, None, str(said["error"]))
            self._next_candidate(event)
        else:
            return False
        return True

    def _answer(self, event: Event, response: Response | None, error: str = NOT_RECORDED) -> None:
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
                answer = Response(status=200, headers=JSON, body=json.dumps(document))
                self.story.exchanges[place] = changed(exchange, response=answer)
                self.metadata = document

    # --- after discovery

    def _saved_tokens(self, event: Event) -> None:
        self.story.has_token = True
        endpoint = self.metadata.get("token_endpoint")
        if isinstance(endpoint, str):
            form = (("Content-Type", "application/x-www-form-urlencoded"),)
            answer = Response(status=200, headers=JSON, body=None)
            self.story.add(event, "POST", endpoint, headers=form, sent=None, response=answer)

    def _sent(self, event: Event, said: dict[str, Any]) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": said.get("id"), "method": said.get("method")}
        if isinstance(said.get("params"), str):
            # Cut after 500 characters by mcp-remote: then it is no JSON any more.
            message["params"] = object_in(said["params"])
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
        self._message(event, body, Response(status=200, headers=JSON, body=answer))

    def _message(self, event: Event, body: str, response: Response | None) -> None:
        if self.story.mcp_url:
            headers = (*JSON, TOKEN) if self.story.has_token else JSON
            self.story.add(event, "POST", self.story.mcp_url, headers=headers, sent=body, response=response)
