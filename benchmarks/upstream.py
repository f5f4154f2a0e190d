"""A small MCP server with its own authorization server, fast enough not to be what is measured.

Run as a process: `python -m benchmarks.upstream`. Prints its port. Every POST to /mcp with
a token is answered at once; GET /mcp is a stream of events, each with the moment it was sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

TOKEN = "bench-access-token-5f1c2ab94d7e43a08f6b"
_LONGER = "They say that it goes on until the evening, and that the wind turns to the north later on. " * 8
EVENTS, PAUSE = 21, 0.005
"""Events of a stream, and the seconds between two."""


class Server(asyncio.Protocol):
    """One connection of HTTP/1.1 with keep-alive."""

    origin = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._came = transport, b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        while b"\r\n\r\n" in self._came:
            head, _, rest = self._came.partition(b"\r\n\r\n")
            lower = head.lower()
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in lower else 0
            if len(rest) < length:
                return
            self._came = rest[length:]
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self._answer(method, target, lower, rest[:length])

    def _answer(self, method: str, target: str, head: bytes, body: bytes) -> None:
        if urlsplit(target).path != "/mcp":
            self._transport.write(self._oauth(target))
        elif TOKEN.encode() not in head:
            where = f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource/mcp"'
            self._transport.write(answer(401, b"", ("WWW-Authenticate", where)))
        elif method == "GET":
            self._stream = asyncio.ensure_future(self._events())
        else:
            asked = json.loads(body)
            told = f"It is twelve degrees and raining, {time.monotonic_ns()} times over. {_LONGER}"
            result: dict[str, object] = {"content": [{"type": "text", "text": told}]}
            if asked["method"] == "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "bench"}}
            self._transport.write(answer(200, {"jsonrpc": "2.0", "id": asked["id"], "result": result}))

    def _oauth(self, target: str) -> bytes:
        parts, origin = urlsplit(target), self.origin
        match parts.path:
            case "/.well-known/oauth-protected-resource/mcp":
                return answer(200, {"resource": f"{origin}/mcp", "authorization_servers": [origin]})
            case "/.well-known/oauth-authorization-server":
                ends = {name: f"{origin}/{name.split('_')[0]}" for name in ("authorization_endpoint", "token_endpoint")}
                challenge = {"code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"]}
                more = {"registration_endpoint": f"{origin}/register", "issuer": origin}
                return answer(200, {**more, **ends, **challenge})
            case "/register":
                uris = {"redirect_uris": ["http://127.0.0.1:9/callback"], "token_endpoint_auth_method": "none"}
                return answer(201, {"client_id": "bench", **uris})
            case "/authorization":
                asked = parse_qs(parts.query)
                back = f"{asked['redirect_uri'][0]}?code=bench-code-7d1e90c3a2&state={asked['state'][0]}"
                return answer(302, b"", ("Location", back))
            case "/token":
                return answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 86400})
        return answer(404, {"error": "not_found"})

    async def _events(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        for number in range(EVENTS):
            said = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"sent": time.monotonic_ns()}}
            event = f"id: {number}\ndata: {json.dumps(said)}\n\n".encode()
            self._transport.write(head + b"%x\r\n%b\r\n" % (len(event), event))
            head = b""
            await asyncio.sleep(PAUSE)
        self._transport.write(b"0\r\n\r\n")


def answer(status: int, body: object, *headers: tuple[str, str]) -> bytes:
    """An answer as bytes; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(data))), *headers]
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    return head.encode() + b"\r\n" + data


async def main() -> None:
    """Serve on a free port of loopback until killed."""
    listening = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    Server.origin = f"http://127.0.0.1:{port}"
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
