"""Plays the script of a recorded handshake on loopback, with nothing but Python's standard library.

`oauthtap replay SESSION` runs this; `--as-file` writes it down together with its script. It
answers as the server answered then: in the same order, by path, credentials and method. It knows
no secret: tokens and codes are made up here, and accepted back. PKCE is not verified.
"""

from __future__ import annotations

import argparse
import base64
import json
import queue
import re
import secrets
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SCRIPT: Any = None

PLACEHOLDER = re.compile(r"http(:|%3A)(//|%2F%2F)oauthtap-origin(:|%3A)(\d+)", re.I)
MARK = re.compile(r"‹([a-z]+(?:-[a-z]+)? \d+)›")
ANSWER = re.compile(r'"(?:result|error)"\s*:')
_LONGEST = 1 << 22
"""Bytes of a request that are read. What sends more is no client of a sign-in."""
HOSTS = ("localhost", "127.0.0.1", "[::1]")


class ReplaySession:
    """One recording, being played: which answers were given, and what stands for which secret."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.ports: dict[int, int] = {}
        """Number of an origin to its port."""
        self.streams: list[tuple[dict[str, Any], queue.Queue[str]]] = []
        self._lock = threading.Lock()
        self._given: dict[str, int] = {}
        self._stand_ins: dict[str, str] = {}

    # --- which answer

    def answer_to(self, asked: IncomingRequest) -> dict[str, Any] | None:
        """The recorded answer to such a request; of several the next, and the last one for ever. None without one."""
        rows = [
            row
            for row in self.script["answers"]
            if (row["origin"], row["method"], row["path"]) == (asked.origin, asked.method, asked.path)
        ]
        with self._lock:
            groups: dict[tuple[int, ...], list[dict[str, Any]]] = {}
            for row in rows:
                distance = self._distance(row, asked)
                if distance is not None:
                    groups.setdefault(distance, []).append(row)
            if not groups:
                return None
            best = min(groups)
            group = groups[best]
            key = " ".join([str(asked), self.credentials(asked), str(best)])
            number = self._given.get(key, 0)
            self._given[key] = number + 1
            return group[min(number, len(group) - 1)]

    def _distance(self, row: dict[str, Any], asked: IncomingRequest) -> tuple[int, ...] | None:
        """How far a recorded request is from this one; None when its answer would be a wrong one."""
        told, mine = row["told_by"], self.credentials(asked)
        other_credentials = told["credentials"] not in (mine, None)
        if other_credentials and "rpc" in told and (mine.startswith("token") or not mine):
            return None  # at the MCP endpoint it is the token that decides
        other_rpc = told.get("rpc", asked.rpc) != asked.rpc
        if other_rpc and 200 <= (row["status"] or 0) < 300:
            return None
        other_query = row["query"] != asked.query and "callback" not in row
        other_grant = told.get("grant", asked.grant) != asked.grant
        return int(other_credentials), int(other_rpc), int(other_grant), int(other_query), int(row["first_look"])

    def credentials(self, asked: IncomingRequest) -> str:
        """`token 1` for a stand-in of ours, `other` for any other credentials, empty without."""
        if not asked.authorization:
            return ""
        sent = asked.authorization.partition(" ")[2].strip()
        return next((mark for mark, made in list(self._stand_ins.items()) if made == sent), "other")

    # --- what stands in it

    def text(self, recorded: str, host: str) -> str:
        """Recorded text with our names and our stand-ins."""
        with self._lock:
            text = MARK.sub(lambda match: self._stand_in(match[1]), recorded)
        return PLACEHOLDER.sub(
            lambda match: f"http{match[1]}{match[2]}{host}{match[3]}{self.ports[int(match[4])]}", text
        )

    def _stand_in(self, mark: str) -> str:
        if mark not in self._stand_ins:
            facts = self.script["secrets"].get(mark)
            made = f"replayed-{mark.replace(' ', '-')}-{secrets.token_hex(12)}"
            self._stand_ins[mark] = _jwt(facts) if facts else made
        return self._stand_ins[mark]


def _jwt(facts: dict[str, Any]) -> str:
    """A token with the recorded header and claims, as if it were issued now; its signature is noise."""
    claims, now = dict(facts["claims"]), int(time.time())
    lived = now - claims["iat"] if isinstance(claims.get("iat"), int) else 0
    for name in ("iat", "nbf", "exp", "auth_time"):
        if isinstance(claims.get(name), int):
            claims[name] = claims[name] + lived if lived else now + 3600 * (name == "exp")
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (facts["header"], claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in [*parts, secrets.token_bytes(64)])


class IncomingRequest:
    """One request that came, as far as an answer depends on it."""

    def __init__(self, origin: int, method: str, target: str, headers: Any, body: str) -> None:
        parts = urlsplit(target)
        self.origin, self.method, self.path, self.query = origin, method, parts.path or "/", parts.query
        self.parameters = dict(parse_qsl(parts.query))
        self.authorization = headers.get("Authorization") or ""
        self.json: dict[str, Any] = {}
        try:
            value = json.loads(body) if body.lstrip()[:1] == "{" else None
            self.json = value if isinstance(value, dict) else {}
        except ValueError:
            pass
        self.form = {} if self.json else dict(parse_qsl(body))
        self.rpc = str(self.json.get("method", "")) if "jsonrpc" in self.json else ""
        self.grant = self.form.get("grant_type", "")

    def __str__(self) -> str:
        return f"{self.origin} {self.method} {self.path} {self.rpc} {self.grant}"


class Handler(BaseHTTPRequestHandler):
    """One connection to one origin."""

    protocol_version = "HTTP/1.1"
    play: ReplaySession
    origin: int

    def _any(self) -> None:
        host, _, port = (self.headers.get("Host") or "").rpartition(":")
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 <= size <= _LONGEST:
            self.close_connection = True
            self._say(413, [], "too large")
            return
        body = self.rfile.read(size).decode("utf-8", "replace")
        if host.lower() not in HOSTS or port != str(self.play.ports[self.origin]):
            self._say(421, [], "not a name of ours")  # DNS rebinding
            return
        asked = IncomingRequest(self.origin, self.command, self.path, self.headers, body)
        row = self.play.answer_to(asked)
        said = "not in the recording" if row is None else row["status"] or f"no answer: {row.get('why')}"
        tell(f"{self.command:<6} {self.play.script['origins'][self.origin - 1]}{asked.path}  {said}")
        if row is None:
            self._unknown(asked)
        elif row["status"] is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif "callback" in row:
            self._back_to_the_client(row, asked, host)
        else:
            self._as_recorded(row, asked, host)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = do_PATCH = _any  # noqa: N815

    def _unknown(self, asked: IncomingRequest) -> None:
        if asked.rpc and self.play.credentials(asked).startswith("token"):
            error = {"code": -32601, "message": f"{asked.rpc} is not in the recording"}
            content = {"jsonrpc": "2.0", "id": asked.json.get("id"), "error": error}
            known = "id" in asked.json
            self._say(
                200 if known else 202, [["Content-Type", "application/json"]], json.dumps(content) if known else ""
            )
        else:
            self._say(404, [["Content-Type", "application/json"]], '{"error": "not in the recording"}')

    def _back_to_the_client(self, row: dict[str, Any], asked: IncomingRequest, host: str) -> None:
        state = asked.parameters.get("state", "")
        pairs = [
            (name, state if value == "‹state›" else self.play.text(value, host)) for name, value in row["callback"]
        ]
        target = asked.parameters.get("redirect_uri", "")
        joint = "#" if row["fragment"] else "&" if "?" in target else "?"
        self._say(302, [["Location", target + joint + urlencode(pairs, quote_via=quote)]], "")

    def _as_recorded(self, row: dict[str, Any], asked: IncomingRequest, host: str) -> None:
        headers = [[name, self.play.text(value, host)] for name, value in row["headers"]]
        body = self._fitted(self.play.text(row["body"], host), row, asked)
        streamed = any("text/event-stream" in value for _, value in row["headers"])
        if row.get("unseen") and row["status"] == 200 and asked.rpc and "id" in asked.json and not ANSWER.search(body):
            # Nobody recorded the answer itself, or not to its end.
            body = (
                body.rpartition("\n\n")[0] + "\n\n" + synthesized_event(asked) if streamed else made_up_content(asked)
            )
        if row.get("hold"):
            self._hold(row, headers, body)
            return
        try:
            self._say(row["status"], headers, body)
        finally:
            # A client may hang up once it has read that its message was taken; it listens on the stream all the same.
            self._tell_streams(row, asked, host)

    def _fitted(self, body: str, row: dict[str, Any], asked: IncomingRequest) -> str:
        """The answer to this request and not to the recorded one: ids, callbacks, what a registration repeats."""
        told = row["told_by"]
        for old, new in zip(told.get("redirect_uris", []), asked.json.get("redirect_uris") or [], strict=False):
            body = body.replace(old, str(new))
        if row.get("echo"):
            content = json.loads(body)
            content |= {name: asked.json[name] for name in row["echo"] if name in asked.json}
            return json.dumps(content, ensure_ascii=False)
        return self._with_id(body, told.get("id"), asked) if told.get("id") is not None else body

    @staticmethod
    def _with_id(body: str, recorded: Any, asked: IncomingRequest) -> str:
        pattern = rf'("id"\s*:\s*){re.escape(json.dumps(recorded))}(?=\s*[,}}])'
        return re.sub(pattern, lambda match: match[1] + json.dumps(asked.json.get("id")), body)

    def _say(self, status: int, headers: list[list[str]], body: str) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value.encode("latin-1", "replace").decode("latin-1"))
        if status >= 200 and status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(data)

    # --- streams

    def _hold(self, row: dict[str, Any], headers: list[list[str]], body: str) -> None:
        """An event stream stays open until the client leaves; what it is asked for later comes down it."""
        self.close_connection = True
        waiting: queue.Queue[str] = queue.Queue()
        entry = (row, waiting)
        self.play.streams.append(entry)
        self.send_response(row["status"])
        for name, value in headers:
            self.send_header(name, value.encode("latin-1", "replace").decode("latin-1"))
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(body.encode())
                self.wfile.flush()
                try:
                    body = waiting.get(timeout=15)
                except queue.Empty:
                    body = ": still here\n\n"
        except OSError:
            self.play.streams.remove(entry)

    def _tell_streams(self, row: dict[str, Any], asked: IncomingRequest, host: str) -> None:
        """The legacy transport answers a POST down the stream."""
        recorded = row["told_by"].get("id")
        if row["status"] != 202 or "id" not in asked.json:
            return
        for held, waiting in list(self.play.streams):
            if held["origin"] == row["origin"] and held.get("legacy"):
                event = held["later"].get(json.dumps(recorded))
                told = (
                    self._with_id(self.play.text(event, host), recorded, asked) if event else synthesized_event(asked)
                )
                waiting.put(told)

    def log_message(self, format: str, *words: Any) -> None:
        """What came is told in `_any`, in upstream names."""


def synthesized_event(asked: IncomingRequest) -> str:
    """The same as an event of a stream."""
    return f"event: message\ndata: {made_up_content(asked)}\n\n"


def made_up_content(asked: IncomingRequest) -> str:
    """An answer to a JSON-RPC request whose own was not recorded: enough to go on with, and no tools."""
    wanted = asked.json.get("params") or {}
    known: dict[str, Any] = {
        "initialize": {
            "protocolVersion": wanted.get("protocolVersion", "2025-11-25"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "replay", "version": "0"},
        },
        "tools/list": {"tools": []},
        "ping": {},
    }
    error = {"error": {"code": -32601, "message": f"the answer to {asked.rpc} was not recorded"}}
    said = {"result": known[asked.rpc]} if asked.rpc in known else error
    tell(f"       (made up: the answer to {asked.rpc} was not recorded)")
    return json.dumps({"jsonrpc": "2.0", "id": asked.json.get("id"), **said})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is nothing to tell."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def opened(script: dict[str, Any], port: int) -> tuple[ReplaySession, list[Server]]:
    """One server for each origin, from this port on (0: any free ones). Raises OSError when there are none."""
    play, servers = ReplaySession(script), []
    for number, _ in enumerate(script["origins"], 1):
        handler = type("Handler", (Handler,), {"play": play, "origin": number})
        servers.append(_bound(handler, port))
        play.ports[number] = servers[-1].server_address[1]
        port = port and play.ports[number] + 1
    return play, servers


def _bound(handler: type[Handler], port: int) -> Server:
    for further in range(100):
        try:
            return Server(("127.0.0.1", port and port + further), handler)
        except OSError:
            if further == 99 or not port:
                raise
    raise OSError(f"no free port from {port} on")


def tell(*lines: str) -> None:
    """Print the lines. The recording is a stranger's: what a terminal would obey is written out."""
    for line in lines:
        print("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line), flush=True)


def address(play: ReplaySession) -> str:
    """The MCP URL to give to the client."""
    return play.text(play.script["mcp"], "localhost")


def serve(script: dict[str, Any], port: int, *, as_json: bool = False) -> int:
    """Play until Ctrl-C. `as_json`: say where as one line of JSON."""
    play, servers = opened(script, port)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    places = {f"http://localhost:{play.ports[number]}": origin for number, origin in enumerate(script["origins"], 1)}
    if as_json:
        tell(json.dumps({"event": "ready", "url": address(play), "upstream": script["upstream"], "ports": places}))
    else:
        lines = [f"  {local}  plays  {origin}" for local, origin in places.items()]
        tell(f"Replaying {script['upstream']}", "", *lines)
        tell("", f"Give this to the client: {address(play)}    (Ctrl-C ends it)", "")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        for server in servers:
            server.server_close()
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8460, help="first port; further origins take the next free ones")
    sys.exit(serve(SCRIPT, arguments.parse_args().port))
