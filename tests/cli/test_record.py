"""`oauthtap record`: exchanges of a server of one's own, and the recorder for Express and Node that hands them over."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from oauthtap.session import read_session
from tests.support.running import COMMAND, environment
from tests.support.tapped import free_port

URL = "https://mcp.example.com/mcp"
RECORDER = Path(__file__).parents[2] / "addons" / "express_recorder.mjs"


def record(lines: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "record", URL, "--session", str(home / "s")]
    return subprocess.run(
        command, input=lines, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )


def test_lines_become_a_session_without_secrets(tmp_path: Path) -> None:
    request = {
        "method": "POST",
        "url": URL,
        "headers": [["Authorization", "Bearer s3cret-0123456789abc"]],
        "body": "{}",
    }
    lines = json.dumps({"request": request, "response": {"status": 401, "headers": [], "body": ""}}) + "\nnot JSON\n"
    ran = record(lines, tmp_path)
    assert ran.returncode == 0
    assert "exchange 2 is left out" in ran.stderr
    assert f"oauthtap check {tmp_path / 's'}" in ran.stderr
    assert "s3cret" not in (tmp_path / "s" / "session.jsonl").read_text()
    (exchange,) = read_session(tmp_path / "s").exchanges
    assert (exchange.status, exchange.excerpt) == (401, True)


def test_nothing_leaves_nothing(tmp_path: Path) -> None:
    assert record("", tmp_path).returncode == 3
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node on this machine")
def test_a_node_server_hands_over_what_it_was_asked_and_answered(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "server.mjs").write_text(f"""
        import http from "node:http";
        import {{ recorder }} from "{RECORDER}";
        const record = recorder("{URL}", "{COMMAND}", ["--session", "{tmp_path / "s"}"]);
        http.createServer((req, res) => record(req, res, async () => {{
            let body = "";
            for await (const part of req) body += part;
            res.writeHead(401, {{ "WWW-Authenticate": "Bearer", "Content-Type": "application/json" }});
            res.end(JSON.stringify({{ got: JSON.parse(body).method }}));
        }})).listen({port}, "127.0.0.1", () => console.log("ready"));
        process.stdin.on("end", () => process.exit(0)).resume();
    """)
    server = subprocess.Popen(
        ["node", "server.mjs"], cwd=tmp_path, env=environment(tmp_path), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as odd:  # no URL: the server survives it
        odd.sendall(
            b"POST //[ HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nConnection: close\r\n\r\n" + b'{"method": 1}'
        )
        assert odd.recv(100).startswith(b"HTTP/1.1 401")
        while odd.recv(1000):
            pass
    answer = httpx.post(f"http://127.0.0.1:{port}/mcp?x=1", json={"method": "initialize"}, trust_env=False)
    assert answer.json() == {"got": "initialize"}
    _, said = server.communicate("", timeout=30)  # the recorder ends after the server
    assert "oauthtap check" in said
    *_, exchange = read_session(tmp_path / "s").exchanges
    assert exchange.request.url == f"{URL}?x=1"
    assert json.loads(exchange.request.body or "") == {"method": "initialize"}
    assert exchange.response is not None
    assert exchange.response.header("www-authenticate") == "Bearer"
    assert json.loads(exchange.response.body or "") == {"got": "initialize"}
