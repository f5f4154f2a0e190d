"""What cannot work under local names, row by row: said once, with the command that works."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.report.build import build
from tests.support.running import call, started
from tests.support.tapped import document, said, tapped, upstream

PRM = "/.well-known/oauth-protected-resource/mcp"
ASM = "/.well-known/oauth-authorization-server"
METADATA = {
    "issuer": "http://mcp.test",
    "authorization_endpoint": "http://mcp.test/authorize",
    "token_endpoint": "http://mcp.test/token",
    "registration_endpoint": "http://mcp.test/register",
    "response_types_supported": ["code"],
}
RUN = "oauthtap run -- COMMAND"


def jwt(**claims: Any) -> str:
    parts = ({"alg": "ES256", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "c2ln"])


@dataclass(frozen=True)
class Row:
    """Documents that differ from those of a plain server, what the client asks beyond them, and what is said."""

    words: str
    command: str = RUN
    prm: dict[str, Any] = field(default_factory=dict)
    asm: dict[str, Any] = field(default_factory=dict)
    register: tuple[int, dict[str, Any]] | None = None
    granted: dict[str, Any] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    authorize: str = ""


TLS = ["tls_client_auth", "self_signed_tls_client_auth"]
ROWS = {
    "dpop-proof": Row("DPoP signs the URL", headers={"DPoP": jwt(htu="http://localhost/token", htm="POST")}),
    "dpop-required": Row("DPoP signs the URL", prm={"dpop_bound_access_tokens_required": True}),
    "dpop-token": Row("DPoP signs the URL", granted={"token_type": "DPoP"}),
    "private-key-jwt-used": Row("`private_key_jwt`", form={"client_assertion": jwt(aud="http://localhost/token")}),
    "private-key-jwt-only": Row(
        "`private_key_jwt`", asm={"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    ),
    "request-object": Row("`request` object", authorize=f"&request={jwt(aud='http://localhost')}"),
    "mutual-tls-only": Row("mutual TLS", "oauthtap probe URL", asm={"token_endpoint_auth_methods_supported": TLS}),
    "mutual-tls-token": Row(
        "mutual TLS",
        "oauthtap probe URL",
        granted={"access_token": jwt(sub="x", cnf={"x5t#S256": "bwcK0esc3ACC3DB2"})},
    ),
    "signed-prm": Row("`signed_metadata`", prm={"signed_metadata": jwt(resource="http://mcp.test/mcp")}),
    "signed-asm": Row("`signed_metadata`", asm={"signed_metadata": jwt(issuer="http://mcp.test")}),
    "pinned-callback": Row(
        "refuses a redirect URI",
        register=(400, {"error": "invalid_redirect_uri", "error_description": "this redirect_uri is not allowed"}),
    ),
}


def paths(row: Row) -> dict[str, Any]:
    prm = {"resource": "http://mcp.test/mcp", "authorization_servers": ["http://mcp.test"], **row.prm}
    status, answer = row.register or (201, {"client_id": "client-1", "redirect_uris": ["http://127.0.0.1:33111/cb"]})
    granted = {"access_token": "at_0123456789abcdef", "token_type": "Bearer", "expires_in": 60, **row.granted}
    return {
        "/mcp": said(401, www_authenticate=f'Bearer resource_metadata="http://mcp.test{PRM}"'),
        PRM: document(prm),
        ASM: document(METADATA | row.asm),
        "/register": document(answer, status),
        "/token": document(granted),
    }


def walk(url: str, row: Row) -> None:
    """A client that goes on whatever it is told, twice over."""
    origin = url.removesuffix("/mcp")
    with httpx.Client(trust_env=False, timeout=10) as client:
        for _ in range(2):
            client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
            client.get(origin + PRM)
            client.get(origin + ASM)
            client.post(f"{origin}/register", json={"redirect_uris": ["http://127.0.0.1:33111/cb"]})
            callback = quote("http://127.0.0.1:33111/cb", safe="")
            asked = f"response_type=code&client_id=client-1&redirect_uri={callback}&state=s{row.authorize}"
            client.get(f"{origin}/authorize?{asked}", headers={"Accept": "text/html"})
            form = {"grant_type": "authorization_code", "code": "code_0123456789", **row.form}
            client.post(f"{origin}/token", data=form, headers=row.headers)


@pytest.mark.parametrize("name", ROWS)
async def test_it_is_said_once_with_the_command_that_works(name: str) -> None:
    row = ROWS[name]
    async with upstream(paths(row)) as server, tapped(server) as tap:
        await asyncio.to_thread(walk, tap.url, row)
        report = build(tap.tap)
    said_of_it = [note for note in report.notes if row.words in note]
    assert len(said_of_it) == 1, report.notes
    assert row.command in said_of_it[0]
    assert ". " not in said_of_it[0], "one sentence"
    assert tap.notes.count(said_of_it[0]) == 1
    assert [note for note in report.notes if RUN in note or "probe URL" in note] == said_of_it


async def test_console_report_and_every_file_of_the_session_say_it(tmp_path: Path) -> None:
    row = ROWS["dpop-proof"]

    def sit(port: int) -> None:
        with started("http://mcp.test/mcp", "--connect-to", f"::127.0.0.1:{port}", home=tmp_path) as tap:
            walk(tap.url, row)
            assert tap.end() == 1  # The token request was refused.
        (told,) = (note for note in tap.report["notes"] if row.words in note)
        assert tap.said.count(told) == 1
        assert (tap.session / "report.html").read_text().count(RUN) == 1
        for file in ("flows.mitm", "session.har", "session.jsonl"):
            again = call("check", tap.session / file, "--format", "json", home=tmp_path)
            assert json.loads(again.stdout) == tap.report, file

    async with upstream(paths(row)) as server:
        await asyncio.to_thread(sit, server.port)


async def test_nothing_is_said_of_a_server_that_only_offers_it_beside_something_else() -> None:
    offers = {
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt", *TLS, "none"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "tls_client_certificate_bound_access_tokens": True,
        "mtls_endpoint_aliases": {"token_endpoint": "http://mtls.mcp.test/token"},
    }
    row = Row("", asm=offers)
    async with upstream(paths(row)) as server, tapped(server) as tap:
        told = (await tap.client.get(tap.origin + ASM)).json()
        judged = tap.exchanges[-1].response
        report = build(tap.tap)
    assert tap.notes == []
    assert not [note for note in report.notes if "oauthtap" in note]
    # The client is offered what can work, and nothing else; what is judged is what the server said.
    assert told["token_endpoint_auth_methods_supported"] == ["client_secret_basic", *TLS, "none"]
    assert not {"dpop_signing_alg_values_supported", "mtls_endpoint_aliases"} & told.keys()
    assert judged is not None
    assert judged.json_object == METADATA | offers


async def test_a_client_that_came_with_an_id_of_its_own_is_told_of_run_too() -> None:
    async with upstream(paths(Row(""))) as server, tapped(server) as tap:
        await tap.client.get(tap.origin + ASM)
        asked = f"response_type=code&client_id=x&redirect_uri={quote('http://127.0.0.1:1/cb', safe='')}"
        await tap.client.get(f"{tap.origin}/authorize?{asked}")
    assert RUN in " ".join(tap.notes)


def test_a_client_whose_url_is_fixed_is_spoken_of_when_nothing_comes() -> None:
    out = io.StringIO()
    ConsoleReporter(out).no_traffic_hint("http://localhost:8080/mcp", "https://mcp.example.com/mcp")
    assert RUN in out.getvalue()
