"""A server that gives away every secret it ever saw, everywhere and in every encoding; and a search that misses none.

The search decodes and looks for the secret itself. It shares nothing with oauthtap's own,
which encodes the secret and looks for that.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

KINDS = (
    "access", "refresh", "id", "code", "verifier", "client-secret", "registration", "initial", "assertion",
    "client-assertion", "subject", "cookie", "set-cookie", "api-key", "api-key-in-url", "basic", "dpop", "hawk", "ssws",
    "custom", "device", "user-code", "request-uri", "password", "csrf",
)  # fmt: skip
"""What is secret, one canary each."""


def made(kind: str) -> str:
    """A secret of that kind with characters that encodings differ about, where such a thing may have them."""
    noise = secrets.token_hex(8)
    if kind in ("access", "refresh", "code", "device", "password", "client-secret"):
        return f"cnry/{noise[:8]}+{noise[8:]}=="
    if kind == "verifier":
        return f"cnry~{noise}.{secrets.token_hex(16)}"
    if kind == "user-code":
        return f"CN{noise[:2].upper()}-{noise[2:6].upper()}"
    return f"cnry-{noise}"


def canaries() -> dict[str, str]:
    """Fresh ones. Those that are JWTs have an innocent payload and a telling signature."""
    found = {kind: made(kind) for kind in KINDS}
    for kind in ("id", "client-assertion", "dpop"):
        found[kind] = jwt({"aud": "https://a.example.com", "jti": "an-id", "kind": kind}, found[kind])
    return found


def jwt(payload: dict[str, Any], signature: str) -> str:
    """A token with this payload; nobody checks the signature."""
    parts = (b'{"alg":"RS256","kid":"k1"}', json.dumps(payload).encode(), signature.encode())
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda secret: quote(secret, safe=""),
    "twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "base64": lambda secret: base64.b64encode(f"x{secret}y".encode()).decode(),
    "base64url": lambda secret: base64.urlsafe_b64encode(f"xy{secret}".encode()).decode().rstrip("="),
    "json": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/").replace("+", "\\u002b"),
    "html": lambda secret: html.escape(secret).replace("+", "&#43;").replace("/", "&#x2F;"),
    "in a jwt": lambda secret: jwt({"note": f"the secret is {secret}"}, "signed"),
}


def readings(text: str) -> Iterator[str]:
    """A text as everybody may read it: as it is, and decoded in each way, up to two ways deep."""
    yield text
    for decode in (unquote, html.unescape, _unescaped):
        once = decode(text)
        yield once
        yield from (again(once) for again in (unquote, html.unescape, _unescaped))
    flat = _unescaped(unquote(unquote(text)))
    for inner in _packed(flat):
        yield inner
        yield from _packed(_unescaped(unquote(inner)))
    if re.search(r"[A-Za-z0-9+/]{60,76}\n[A-Za-z0-9+/]{60}", flat.replace("\\n", "\n")):  # in lines, as in a mail
        yield from _packed(re.sub(r"(?<=[A-Za-z0-9+/]{60})(?:\\n|\n)(?=[A-Za-z0-9+/])", "", flat))


def _packed(text: str) -> Iterator[str]:
    """What every run of base64 or base64url stands for, from wherever it begins."""
    for run in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for start in range(4):
            part = run[start:].translate(str.maketrans("-_", "+/"))
            part = part[:-1] if len(part) % 4 == 1 else part
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def _unescaped(text: str) -> str:
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\\+([/\"\\])", r"\1", text)


def left_in(text: str, known: dict[str, str]) -> set[str]:
    """The kinds of which a secret stands in a text, in whatever encoding."""
    found: set[str] = set()
    told = {kind: value.rpartition(".")[2] if value.startswith("ey") else value for kind, value in known.items()}
    for reading in readings(text):
        found |= {kind for kind, value in told.items() if value in reading}
    return found


class Hostile:
    """An MCP server, its authorization server and a login page, all at one origin, all chatty.

    `early`: it speaks of a secret before that secret was ever in its place.
    """

    def __init__(self, known: dict[str, str], *, early: bool = False) -> None:
        self.known, self.early = known, early
        self.seen: set[str] = set(known) if early else set()
        """Kinds that have been in their place, in a request or in an answer."""
        self.sent: list[str] = []
        """Bodies and headers as they were sent."""
        self.asked: list[str] = []
        """`METHOD /path` of each request."""

    def __enter__(self) -> Self:
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                hostile.answer(self, self.rfile.read(length).decode())

            do_POST = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def gossip(self) -> dict[str, str]:
        """Every secret so far, in every encoding."""
        return {
            f"{kind} {name}": encode(self.known[kind])
            for kind in sorted(self.seen)
            for name, encode in ENCODINGS.items()
        }

    def answer(self, handler: BaseHTTPRequestHandler, body: str) -> None:
        parts = urlsplit(handler.path)
        self.asked.append(f"{handler.command} {parts.path}")
        asked = "\n".join([handler.path, body, *map(str, handler.headers.values())])
        self.seen |= left_in(asked, self.known)
        status, own, issued = self._own(parts.path, parts.query, handler.headers.get("authorization", ""), body)
        said = self.gossip()
        headers = own.pop("headers", {})
        if parts.path == "/page":
            text = "<p>" + "</p><p>".join(html.escape(value) for value in said.values()) + "</p>"
            kind = "text/html"
        else:
            text, kind = json.dumps(own | {"gossip": dict.fromkeys(said.values(), 1)}), "application/json"
        self.seen |= issued
        self._send(handler, status, kind, text, headers, list(said.values()))

    def _own(self, path: str, query: str, authorization: str, body: str) -> tuple[int, dict[str, Any], set[str]]:
        """Status, members and headers of an answer; the kinds that are issued by it."""
        known, origin = self.known, self.origin
        challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource"'}
        match path:
            case "/mcp" if authorization != f"Bearer {known['access']}":
                return 401, {"headers": challenge}, set()
            case "/mcp":
                asked = json.loads(body or "{}")
                result = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "serverInfo": {"name": "h", "version": "1"},
                }
                return 200, {"jsonrpc": "2.0", "id": asked.get("id"), "result": result}, set()
            case "/.well-known/oauth-protected-resource":
                return 200, {"resource": f"{origin}/mcp", "authorization_servers": [origin]}, set()
            case "/.well-known/oauth-authorization-server":
                names = (
                    "authorization",
                    "token",
                    "registration",
                    "device_authorization",
                    "introspection",
                    "revocation",
                )
                ends = {f"{name}_endpoint": f"{origin}/{name}" for name in names}
                ends["pushed_authorization_request_endpoint"] = f"{origin}/par"
                return 200, {"issuer": origin, "code_challenge_methods_supported": ["S256"], **ends}, set()
            case "/registration":
                granted = {
                    "client_id": "client-1",
                    "client_secret": known["client-secret"],
                    "redirect_uris": ["http://localhost:1/cb"],
                }
                granted |= {
                    "registration_access_token": known["registration"],
                    "registration_client_uri": f"{origin}/registration/1",
                }
                return 201, granted, {"client-secret", "registration"}
            case "/par":
                pushed = f"urn:ietf:params:oauth:request_uri:{known['request-uri']}"
                return 201, {"request_uri": pushed, "expires_in": 60}, {"request-uri"}
            case "/device_authorization":
                told = {"device_code": known["device"], "user_code": known["user-code"], "expires_in": 60}
                return 200, {**told, "verification_uri": f"{origin}/page"}, {"device", "user-code"}
            case "/authorization":
                asked = {name: values[0] for name, values in parse_qs(query).items()}
                back = f"{asked.get('redirect_uri', 'http://localhost:1/cb')}?state={asked['state']}"
                return 302, {"headers": {"Location": f"{back}&code={quote(known['code'], safe='')}"}}, {"code"}
            case "/token" | "/userinfo":
                tokens = {"access_token": known["access"], "refresh_token": known["refresh"], "id_token": known["id"]}
                return 200, {**tokens, "token_type": "Bearer", "expires_in": 3600}, {"access", "refresh", "id"}
            case "/page":
                return 200, {"headers": {"Set-Cookie": f"session={known['set-cookie']}; HttpOnly"}}, {"set-cookie"}
            case "/revocation" | "/introspection":
                return 200, {"active": True}, set()
        return 500, {"error": "server_error"}, set()

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        kind: str,
        text: str,
        own: dict[str, str],
        said: list[str],
    ) -> None:
        stream = "text/event-stream" in handler.headers.get("accept", "") and status == 200
        if stream:
            text, kind = "".join(f"event: message\ndata: {line}\n\n" for line in [text, *said]), "text/event-stream"
        lines = dict(own)
        for number, piece in enumerate(_folded(said, 3000)[:10]):  # as much as a header line may hold
            lines[f"X-Gossip-{number}"] = piece
        if said:
            lines[f"X-{re.sub('[^A-Za-z0-9]', '-', said[0])}"] = "its name tells it"
        self.sent += [text, *(f"{name}: {value}" for name, value in lines.items())]
        data = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        if not stream:
            handler.send_header("Content-Length", str(len(data)))
        for name, value in lines.items():
            handler.send_header(name, value)
        if stream:
            handler.send_header("Connection", "close")
            handler.close_connection = True
        handler.end_headers()
        for piece in _pieces(data) if stream else [data]:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(0.001 if stream else 0)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Chunks that no secret fits into."""
    size = 7 if len(data) < 4000 else len(data) // 500
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _folded(values: Iterable[str], longest: int) -> list[str]:
    lines = [""]
    for value in values:
        if len(lines[-1]) + len(value) > longest:
            lines.append("")
        lines[-1] += f" {value}"
    return [line.strip() for line in lines]
