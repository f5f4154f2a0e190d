"""A session recorded inside one's own server: what came is in it, and no secret is."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from oauthtap.formats import loader
from oauthtap.session.asgi import Receive, Recorder, Send

TOKEN = "made-up-access-token-0123456789"
URL = "https://mcp.example.com/mcp"


async def server(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    body = b""
    while (event := await receive())["type"] == "http.request":
        body += event["body"]
        if not event.get("more_body"):
            break
    if scope["path"] == "/token":
        status, answer = 200, b'{"access_token": "%s", "token_type": "Bearer"}' % TOKEN.encode()
    elif scope["path"] == "/crash":
        raise RuntimeError("no")
    else:
        status, answer = 401, b'{"error": "unauthorized"}'
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def ask(app: Recorder, method: str, path: str, body: bytes = b"", token: str = "") -> list[MutableMapping[str, Any]]:
    sent: list[MutableMapping[str, Any]] = []
    headers = [(b"host", b"internal:8000"), (b"user-agent", b"Claude-User")]
    headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    asyncio.run(app(scope, receive, send))
    return sent


def test_what_came_is_recorded_below_the_public_name(tmp_path: Path) -> None:
    app = Recorder(server, URL, tmp_path / "s")
    sent = ask(app, "POST", "/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "initialize"}')
    ask(app, "POST", "/token", b"grant_type=authorization_code&code=made-up-code-123456&client_id=c1")
    ask(app, "POST", "/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "initialize"}', TOKEN)
    assert sent[0]["status"] == 401
    app.close()
    read = loader.read(tmp_path / "s")
    assert [(e.request.url, e.status) for e in read.exchanges] == [
        (URL, 401),
        ("https://mcp.example.com/token", 200),
        (URL, 401),
    ]
    assert all(exchange.excerpt for exchange in read.exchanges)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    assert TOKEN.encode() not in everything
    assert b"made-up-code-123456" not in everything


def test_an_application_that_breaks_breaks_as_before(tmp_path: Path) -> None:
    app = Recorder(server, URL, tmp_path / "s")
    with pytest.raises(RuntimeError, match="no"):
        ask(app, "GET", "/crash")
    [exchange] = loader.read(tmp_path / "s").exchanges
    assert exchange.error == "the application gave no answer"


def test_recording_that_fails_leaves_the_server_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Recorder(server, URL, tmp_path / "s")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(app._session, "add", full)
    assert ask(app, "POST", "/mcp")[0]["status"] == 401
    assert ask(app, "POST", "/mcp")[0]["status"] == 401
