"""A healthy MCP server with one tool, `add`. Knows MCP and bearer tokens; not how tokens are made."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.support.bed.origin import Origin, Routes, document

REVISIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
NUMBER = {"type": "number"}
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]},
}
PRM = "/.well-known/oauth-protected-resource"


class McpServer(Origin):
    """Streamable HTTP with sessions, answered as an event stream or as JSON, behind a bearer token."""

    path: ClassVar[str] = "/mcp"
    answers_with: ClassVar[str] = "text/event-stream"

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.sessions: set[str] = set()

    @property
    def resource(self) -> str:
        """The MCP URL as a user types it."""
        return f"{self.origin}{self.path}"

    def routes(self) -> Routes:
        return super().routes() | self.resource_metadata_routes() | self.endpoint_routes()

    def resource_metadata_routes(self) -> Routes:
        """Where the protected resource metadata lies: at the path-inserted and the root place (RFC 9728, 3.1)."""
        handler = document(self.resource_metadata())
        return {("GET", f"{PRM}{self.path}"): handler, ("GET", PRM): handler}

    def endpoint_routes(self) -> Routes:
        """Where MCP is spoken."""
        return {("POST", self.path): self.post, ("DELETE", self.path): self.delete}

    def resource_metadata(self) -> dict[str, Any]:
        """The RFC 9728 document."""
        return {
            "resource": self.resource,
            "authorization_servers": [self.origin],
            "scopes_supported": ["mcp:tools"],
            "bearer_methods_supported": ["header"],
            "resource_name": f"The {self.host} adder",
        }

    # The gate

    def accepts(self, token: str) -> bool:
        """Whether this bearer token opens the server."""
        raise NotImplementedError

    def challenge(self, token: str) -> str | None:
        """The WWW-Authenticate of the 401 (RFC 6750, 3; RFC 9728, 5.1); None for no such header."""
        error = 'error="invalid_token", ' if token else ""
        return f'Bearer {error}resource_metadata="{self.origin}{PRM}{self.path}", scope="mcp:tools"'

    def turned_away(self, request: Request) -> Response | None:
        """The 401 for a request without a token that opens the server; None when it may pass."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if token and self.accepts(token):
            return None
        challenge = self.challenge(token)
        return JSONResponse(self.refusal_body(), 401, {"WWW-Authenticate": challenge} if challenge else {})

    def refusal_body(self) -> dict[str, str]:
        """The JSON body of the 401."""
        return {"error": "unauthorized", "error_description": "a bearer token is needed"}

    async def answer(self, request: Request) -> Response:
        if self.guards(request.url.path) and (response := self.turned_away(request)):
            return response
        return await super().answer(request)

    def guards(self, path: str) -> bool:
        """Whether this path is behind the gate, whatever the method."""
        return path == self.path or path.startswith(f"{self.path}/")

    # Streamable HTTP

    async def post(self, request: Request) -> Response:
        """One JSON-RPC message in, its answer out (MCP 2025-11-25, Streamable HTTP)."""
        revision = request.headers.get("mcp-protocol-version", REVISIONS[0])
        message = json.loads(await request.body())
        if revision not in REVISIONS:
            text = f"Bad Request: Unsupported protocol version (supported versions: {', '.join(REVISIONS)})"
            return JSONResponse(failure(message, -32000, text), 400)
        if message.get("method") == "initialize":
            session = secrets.token_hex(16)
            self.sessions.add(session)
        elif (session := request.headers.get("mcp-session-id", "")) not in self.sessions:
            return JSONResponse(failure(message, -32001, "Session not found"), 404 if session else 400)
        reply = rpc(message)
        if reply is None:
            return Response(status_code=202)
        headers = {"Mcp-Session-Id": session}
        if self.answers_with == "text/event-stream" and "text/event-stream" in request.headers.get("accept", ""):
            return Response(event("message", json.dumps(reply)), 200, headers, "text/event-stream")
        return JSONResponse(reply, 200, headers)

    async def delete(self, request: Request) -> Response:
        """The client ends its session."""
        self.sessions.discard(request.headers.get("mcp-session-id", ""))
        return Response(status_code=204)


class LegacyMcpServer(McpServer):
    """The HTTP+SSE transport of MCP 2024-11-05 and nothing else."""

    path = "/sse"

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.streams: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    def endpoint_routes(self) -> Routes:
        return {("GET", self.path): self.open_stream, ("POST", f"{self.path}/message"): self.message}

    async def open_stream(self, request: Request) -> Response:
        """The event stream: first where to post, then every answer."""
        return StreamingResponse(self.events(secrets.token_hex(16)), media_type="text/event-stream")

    async def events(self, session: str) -> AsyncIterator[str]:
        """The text of the stream, event by event, until the client hangs up."""
        queue = self.streams[session] = asyncio.Queue()
        try:
            yield event("endpoint", f"{self.path}/message?sessionId={session}")
            while True:
                yield event("message", json.dumps(await queue.get()))
        finally:
            del self.streams[session]

    async def message(self, request: Request) -> Response:
        """One JSON-RPC message in; its answer goes out on the stream."""
        queue = self.streams.get(request.query_params.get("sessionId", ""))
        if queue is None:
            return JSONResponse({"error": "no such session"}, 404)
        if reply := rpc(json.loads(await request.body())):
            queue.put_nowait(reply)
        return Response("Accepted", 202)


def event(name: str, data: str) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {data}\n\n"


def failure(message: dict[str, Any], code: int, text: str) -> dict[str, Any]:
    """A JSON-RPC error answer."""
    return {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": code, "message": text}}


def rpc(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to one JSON-RPC message; None to a notification."""
    if "id" not in message:
        return None
    method, parameters = message.get("method"), message.get("params") or {}
    result: dict[str, Any]
    if method == "initialize":
        asked = parameters.get("protocolVersion")
        result = {"protocolVersion": asked if asked in REVISIONS else REVISIONS[0], "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "bed", "version": "1.0.0"}
    elif method == "tools/list":
        result = {"tools": [ADD]}
    elif method == "tools/call" and parameters.get("name") == "add":
        terms = parameters.get("arguments") or {}
        result = {"content": [{"type": "text", "text": f"{terms.get('a', 0) + terms.get('b', 0):g}"}]}
    elif method == "ping":
        result = {}
    else:
        return failure(message, -32601, f"Method not found: {method}")
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}
