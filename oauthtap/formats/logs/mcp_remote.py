"""The debug log of mcp-remote, and what it prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from oauthtap.formats.logs.builder import JSON, Event, RecordingBuilder, changed, object_in
from oauthtap.formats.logs.outcome import outcome
from oauthtap.model import urls
from oauthtap.model.exchange import Response
from oauthtap.model.recording import Recording

_PRM_MEMBERS = {
    "resource": "resource",
    "authorizationServers": "authorization_servers",
    "scopesSupported": "scopes_supported",
}


_REJECTED = (
    "The server rejected a token it had just issued",
    "Already attempted reconnection for reason: authentication-needed",
)
"""What it says of a 401 to a request with a token."""


class McpRemote:
    """mcp-remote tells of its own discovery in detail, and of messages in both directions."""

    def __init__(self) -> None:
        self.story = RecordingBuilder("mcp-remote")
        self.open: tuple[str, str, Event] | None = None
        """Kind, URL and beginning of the fetch that is under way."""
        self.candidates: list[str] = []
        self.sent: dict[Any, tuple[Event, str]] = {}
        self.redeems = False
        self.last_error: str | None = None

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
        elif match := re.match(
            r"(?:\[\d+\] )?(?:Starting mcp-remote with server URL|Connecting to remote server|Using server URL): (\S+)",
            event.text,
        ):
            story.mcp_url = match[1]
            self._discovered(event)
        elif match := re.match(r"Discovered authorization server: (\S+)", event.text):
            story.issuer = match[1]
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
        elif match := re.search(
            r"(?:^|\n)(?:\[\d+\])?\s*Please authorize this client by visiting:\s*(\S+)", event.text
        ):
            self._give_up()
            story.opened(event, match[1])
        elif name == "Saving client info":
            self._give_up()
            client_id = said.get("client_id")
            if isinstance(client_id, str):
                story.step(event, "client-registration", json.dumps({"client_id": client_id}))
        elif place := event.after("OAuth callback server running at "):
            story.callback = f"{place.strip().rstrip('/')}/oauth/callback"
        elif event.text.startswith("Auth code received"):
            if not self.redeems:
                story.called_back(event, code="‹code 1›")
            self.redeems = True
        elif match := re.match(r"Authorization failed: (\w+)(?: - (.*))?$", event.text, re.DOTALL):
            words = {"error_description": match[2].strip()} if match[2] else {}
            story.called_back(event, error=match[1], **words)
            self.last_error = event.text.strip()
        elif event.text.startswith(_REJECTED):
            self._message(event, "", Response(status=401, body=None))
        elif event.text.startswith(("Authorization error", "Fatal error:", "Connection error:", "Error from remote")):
            self._failed(event, said)
        elif (
            event.text.startswith("Received error: Error POSTing to endpoint (HTTP 40") and "HTTP 401" not in event.text
        ):
            self._failed(event, said)  # the transport is what it changes then
        elif event.text.startswith(("Connected to remote server", "Proxy established successfully")):
            self._connected(event)
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
                event,
                Response(status=401, headers=(("WWW-Authenticate", header),) if header else (), body=None),
                all_headers="header" in said or said.get("hasHeader") is False,
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

    def _answer(
        self, event: Event, response: Response | None, error: str | None = None, *, all_headers: bool = False
    ) -> None:
        assert self.open is not None
        _, url, begun = self.open
        self.open = None
        accept = (("Accept", "application/json"),)
        self.story.add(
            event, "GET", url, headers=accept, response=response, error=error, began=begun.at, all_headers=all_headers
        )

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
                self.story.metadata = document

    # --- after discovery

    def _discovered(self, event: Event) -> None:
        """Only the resource metadata name a server of another origin: without them it takes the MCP server's own."""
        story = self.story
        if story.issuer is None or story.mcp_url is None or urls.origin(story.issuer) == urls.origin(story.mcp_url):
            return
        if self.open is not None or any(urls.PRM in exchange.request.url for exchange in story.exchanges):
            return
        body = json.dumps({"authorization_servers": [story.issuer]})
        for place in urls.prm_locations(story.mcp_url)[:1]:
            answer = Response(status=200, headers=JSON, body=body, truncated=True)
            story.add(event, "GET", place.url, response=answer)

    def _saved_tokens(self, event: Event) -> None:
        again = self.story.has_token and not self.redeems
        self.story.saved_tokens(event, "token-refresh" if again else "token-request")
        self.redeems = False

    def _failed(self, event: Event, said: dict[str, Any]) -> None:
        """How a step ended that was refused: said up to three times, once with its stack."""
        words = str(said.get("errorMessage") or event.text.partition(": ")[2])
        message = re.split(r"\n\s+at ", words, maxsplit=1)[0].partition("Error: ")[2] or words
        if self.last_error and (message.startswith(self.last_error) or self.last_error in event.text):
            return
        found = outcome(event.text if not said.get("errorMessage") else f"Error: {words}\n{said.get('stack', '')}")
        if found is not None:
            self._give_up()
            self.story.refused(event, found, "token-request" if self.redeems else None)
            self.last_error, self.redeems = message.strip(), False
        elif words and not words.startswith("{"):
            self.story.notes.append(f"mcp-remote says: {message.strip()[:200]}")

    def _connected(self, event: Event) -> None:
        """It says so, whatever messages are logged after it."""
        if self.story.mcp_url and not any(e.ok and e.request.url == self.story.mcp_url for e in self.story.exchanges):
            self._message(event, "", Response(status=200, body=None))

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
            headers = (*JSON, self.story.bearer) if self.story.has_token else JSON
            self.story.add(event, "POST", self.story.mcp_url, headers=headers, sent=body or None, response=response)
