"""A client is known by what is its own: not by a callback or library that others use, and a runtime is no version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import oauthtap.clients
from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.report.build import build
from oauthtap.report.model import Client
from oauthtap.rewriting.origins import FIRST_PORT, WEB_PORT

URL = "https://mcp.example.com/mcp"
PRM = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


def get(agent: str) -> Exchange:
    body = json.dumps({"resource": URL, "authorization_servers": ["https://mcp.example.com"]})
    lines = (("User-Agent", agent),)
    return Exchange(request=Request(method="GET", url=PRM, headers=lines), response=Response(status=200, body=body))


def registered(agent: str, **members: Any) -> Exchange:
    body = json.dumps({"redirect_uris": ["http://localhost:7777/oauth/callback"]} | members)
    lines = (("User-Agent", agent), ("Content-Type", "application/json"))
    request = Request(method="POST", url="https://mcp.example.com/register", headers=lines, body=body)
    return Exchange(request=request, response=Response(status=201, body=json.dumps({"client_id": "c1"})))


def initialized(agent: str, name: str, version: str) -> Exchange:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": name, "version": version}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    lines = (("User-Agent", agent), ("Content-Type", "application/json"))
    return Exchange(request=Request(method="POST", url=URL, headers=lines, body=body), response=Response(status=401))


def recognized(*exchanges: Exchange) -> Client | None:
    tap = SessionAnalyzer(resource=URL, profiles=profiles())
    for exchange in exchanges:
        tap.add(exchange)
    return build(tap).client


@pytest.mark.parametrize(
    ("exchanges", "name"),
    [
        ((registered("node", client_name="Qwen Code MCP Client"),), "qwen-code"),
        ((initialized("node", "qwen-cli-mcp-client-tickets", "0.0.1"),), "qwen-code"),
        ((registered("node", client_name="Gemini CLI MCP Client (tickets)"),), "gemini-cli"),
        ((initialized("node", "gemini-cli-mcp-client-tickets", "0.0.1"),), "gemini-cli"),
        ((get("codex-mcp-client/0.171.0"), registered("codex-mcp-client/0.171.0", client_name="Codex")), "codex"),
        ((get("opencode/1.18.33"),), "opencode"),
        ((registered("Bun/1.4.6", client_name="Claude Code (tickets)"),), "claude-code"),
        ((registered("node", client_name="Somebody"),), "node"),
    ],
)
def test_each_is_known_by_what_is_its_own(exchanges: tuple[Exchange, ...], name: str) -> None:
    found = recognized(*exchanges)
    assert found is not None
    assert found.name == name


def test_a_runtime_is_no_version_and_the_client_s_own_agent_is() -> None:
    login = (get("Bun/1.4.6"), registered("Bun/1.4.6", client_name="Claude Code (tickets)"))
    assert recognized(*login) == Client(name="claude-code", version=None)
    assert recognized(*login, get("claude-code/2.1.332 (cli)")) == Client(name="claude-code", version="2.1.332")
    assert recognized(get("codex-mcp-client/0.171.0")) == Client(name="codex", version="0.171.0")


def test_no_client_waits_for_its_callback_at_a_port_where_the_tap_begins() -> None:
    """At 8080, where it began once, one did."""
    folder = Path(oauthtap.clients.__file__).parent
    named = {
        int(port) for path in folder.glob("*.toml") for port in re.findall(r":(\d{4,5})\b", path.read_text("utf-8"))
    }
    assert 33418 in named
    assert not named & {FIRST_PORT, WEB_PORT}
