"""The stages at the MCP server: requests of its protocol, and its challenges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from oauthtap.handshake.stages.base import Stage, text
from oauthtap.model.exchange import (
    Message,
)
from oauthtap.model.sse import sse_events


@dataclass(frozen=True)
class Preflight(Stage):
    """A browser asks whether it may send a request (Fetch, CORS-preflight)."""

    slug: ClassVar[str] = "cors-preflight"

    @property
    def wanted_method(self) -> str:
        return self.request.header("access-control-request-method") or ""

    @property
    def wanted_headers(self) -> tuple[str, ...]:
        """In lower case."""
        value = self.request.header("access-control-request-headers") or ""
        return tuple(name.strip().lower() for name in value.split(",") if name.strip())


@dataclass(frozen=True)
class Mcp(Stage):
    """Any exchange with the MCP endpoint. Its subclasses say which."""

    slug: ClassVar[str] = "mcp-request"

    @cached_property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message of the request; empty for a batch, a GET, or anything else."""
        return self.request.json_object

    @property
    def method(self) -> str | None:
        """The JSON-RPC method."""
        return text(self.message.get("method"))

    @cached_property
    def params(self) -> dict[str, Any]:
        value = self.message.get("params")
        return value if isinstance(value, dict) else {}

    @cached_property
    def meta(self) -> dict[str, Any]:
        """`params._meta`, where modern requests (2026-07-28) carry version and client."""
        value = self.params.get("_meta")
        return value if isinstance(value, dict) else {}

    @cached_property
    def is_stateless_revision(self) -> bool:
        """The request speaks 2026-07-28 or later: it carries its version with it."""
        return "io.modelcontextprotocol/protocolVersion" in self.meta or bool(self.request.header("mcp-method"))

    @property
    def version(self) -> str | None:
        """The protocol revision this request names."""
        announced = text(self.meta.get("io.modelcontextprotocol/protocolVersion"))
        wished = text(self.params.get("protocolVersion")) if self.method == "initialize" else None
        return announced or wished or self.request.header("mcp-protocol-version")

    @property
    def metadata_url(self) -> str | None:
        """`resource_metadata` of the answer's Bearer challenge, or of any challenge that has it."""
        bearer = self.challenged.bearer
        if bearer and bearer.get("resource_metadata") is not None:
            return bearer.get("resource_metadata")
        return next((v for c in self.challenged.challenges if (v := c.get("resource_metadata")) is not None), None)

    @property
    def scope(self) -> str | None:
        """`scope` of the answer's Bearer challenge."""
        bearer = self.challenged.bearer
        return bearer.get("scope") if bearer else None

    @property
    def error(self) -> str | None:
        """`error` of the answer's Bearer challenge."""
        bearer = self.challenged.bearer
        return bearer.get("error") if bearer else None

    @cached_property
    def reply(self) -> dict[str, Any]:
        """The JSON-RPC answer: the JSON body, or the first result or error on an SSE stream.

        Empty when there is none. Raises Unseen.
        """
        if self.response.media_type != "text/event-stream":
            return self.answer_object
        for event, data in sse_events(self.answer_text):
            if event in ("message", ""):
                message = Message(body=data).json_object
                if "result" in message or "error" in message:
                    return message
        return {}

    @property
    def rpc_error(self) -> dict[str, Any]:
        """The `error` member of the JSON-RPC answer; empty without one. Raises Unseen."""
        value = self.reply.get("error")
        return value if isinstance(value, dict) else {}

    @property
    def result(self) -> dict[str, Any]:
        value = self.reply.get("result")
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Challenge(Mcp):
    """An MCP request without credentials, and the refusal (RFC 9110, 11.6.1; RFC 6750, 3).

    Also the refusals that do not look like one: a login page, a redirect, a 403.
    """

    slug: ClassVar[str] = "mcp-challenge"


@dataclass(frozen=True)
class Initialize(Mcp):
    slug: ClassVar[str] = "mcp-initialize"


@dataclass(frozen=True)
class Discover(Mcp):
    slug: ClassVar[str] = "mcp-discover"


@dataclass(frozen=True)
class McpRequest(Mcp):
    """Any other JSON-RPC message to the MCP endpoint."""

    slug: ClassVar[str] = "mcp-request"


@dataclass(frozen=True)
class McpStream(Mcp):
    """GET on the MCP endpoint: the stream from server to client (until 2025-11-25)."""

    slug: ClassVar[str] = "mcp-stream"


@dataclass(frozen=True)
class SessionEnd(Mcp):
    slug: ClassVar[str] = "mcp-session-end"


@dataclass(frozen=True)
class LegacySse(Mcp):
    """The transport of 2024-11-05: a GET stream that names where to POST, and those POSTs."""

    slug: ClassVar[str] = "legacy-sse"

    @property
    def endpoint(self) -> str | None:
        """Data of the first event when it is `endpoint`, as sent (often relative). Raises Unseen."""
        events = sse_events(self.answer_text) if self.request.method == "GET" and self.ok else []
        return events[0][1].strip() if events and events[0][0] == "endpoint" else None


@dataclass(frozen=True)
class TokenRejected(Mcp):
    """An MCP request with a token, refused for the token's sake."""

    slug: ClassVar[str] = "mcp-token-rejected"


@dataclass(frozen=True)
class StepUp(Mcp):
    """An MCP request with a token that lacks a permission (403 insufficient_scope)."""

    slug: ClassVar[str] = "mcp-step-up"
