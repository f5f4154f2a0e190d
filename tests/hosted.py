"""Hosted clients at servers as public threads tell of them: `python -m tests.hosted` walks as each, and counts.

A case (`tests/data/hosted/*.toml`) says what differs from a healthy server; the walk runs against that table, without a
network. Labels were written before the first run, whose figures stand in benchmarks/README.md.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict

from oauthtap.clients import emulations
from oauthtap.clients.traits import WalkEnd
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, Response, first_value
from oauthtap.probe.requests import ProbeRequest
from oauthtap.probe.walk import Plan, run_plan

LOTS = Path(__file__).parent / "data" / "hosted"
TOKEN = "opaque-token"


class Case(BaseModel):
    """One server and client, with where the client stopped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    client: str
    source: str
    story: str
    stage: tuple[str, ...] = ()
    """None: it connects."""
    url: str = "https://mcp.example.com/mcp"
    issuer: str = ""
    """Empty: the MCP server's origin."""
    typed: str | None = None
    """A client id that the user typed."""
    challenge: str | None = None
    """Of the 401; None: with a pointer, empty: no such header."""
    tokenless_status: int = 401
    without_prm: bool = False
    prm: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    metadata_without: tuple[str, ...] = ()
    metadata_at: tuple[str, ...] | None = None
    """Where the server's metadata is; None: at the place that RFC 8414 names."""
    registered: str = ""
    """A pattern that each redirect URI has to match to be registered."""
    registration_needs: tuple[str, ...] = ()
    registration_method: str = ""
    registration_refuses_scope: str = ""
    registration_refuses_grant: str = ""
    registered_as: dict[str, Any] = {}
    """What registration answers in place of what was asked."""
    authorization_refuses_scope: str = ""
    scopes_as_registered: bool = False
    """The authorization endpoint refuses a scope that was not registered."""
    authorized: str = ""
    iss: bool = False
    signed_in: dict[str, Any] = {}
    """What MCP requests with the token are answered."""
    blocked: str = ""
    """Beginning of a User-Agent that the edge answers 403."""
    also_http: bool = False
    """Port 80 answers as 443 does."""
    answers: dict[str, dict[str, Any]] = {}
    """`METHOD path` → what is answered there in place of it all."""


class Server:
    """Answers as the case has it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.origin = urls.origin(case.url)
        self.issuer = case.issuer or self.origin
        base, path = urls.origin(self.issuer), urls.path_of(self.issuer).rstrip("/")
        endpoints = {"authorization": "authorize", "token": "token", "registration": "register"}
        made: dict[str, Any] = {
            "issuer": self.issuer,
            **{f"{name}_endpoint": f"{base}/{word}" for name, word in endpoints.items()},
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        }
        if case.iss:
            made["authorization_response_iss_parameter_supported"] = True
        self.metadata = {k: v for k, v in (made | case.metadata).items() if k not in case.metadata_without}
        self.metadata_at = (base + urls.OAUTH + path,) if case.metadata_at is None else case.metadata_at
        self.prm_at = [] if case.without_prm else [place.url for place in urls.prm_locations(case.url)]
        self.registered_scopes: tuple[str, ...] = ()
        self.prm = {"resource": case.url, "authorization_servers": [self.issuer]} | case.prm

    def answer(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        if own := self.case.answers.get(f"{request.method} {parts.path}"):
            return _response(own["status"], own.get("json"), own.get("headers"), own.get("html", ""))
        if self.case.blocked and (request.header("user-agent") or "").startswith(self.case.blocked):
            return _response(403)
        url = request.bare_url
        if self.case.also_http:
            url = url.replace("http://", "https://")
        if url == self.case.url and request.method == "POST":
            return self._mcp(request)
        if request.method == "GET" and url in self.prm_at:
            return _response(200, self.prm)
        if request.method == "GET" and url in self.metadata_at:
            return _response(200, self.metadata)
        for name, handler in (("registration", self._register), ("authorization", self._authorize),
                              ("token", self._token)):  # fmt: skip
            named = self.metadata.get(f"{name}_endpoint", "")
            if url == (named.replace("http://", "https://") if self.case.also_http else named):
                return handler(request)
        return _response(404)

    def _mcp(self, request: Request) -> Response:
        signed_in = request.header("authorization") == f"Bearer {TOKEN}"
        if signed_in and self.case.signed_in:
            return _response(self.case.signed_in["status"], self.case.signed_in.get("json"))
        if signed_in or self.case.tokenless_status == 200:
            message = request.json_object
            if "id" not in message:
                return _response(202)
            result: dict[str, Any] = {"tools": []}
            if message.get("method") == "initialize":
                result = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "serverInfo": {"name": "s", "version": "1"},
                }
            return _response(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})
        challenge = self.case.challenge
        if challenge is None:
            challenge = f'Bearer resource_metadata="{urls.prm_locations(self.case.url)[0].url}"'
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        return _response(self.case.tokenless_status, {"error": "unauthorized"}, headers)

    def _register(self, request: Request) -> Response:
        wanted = request.json_object
        if any(not re.search(self.case.registered, uri) for uri in wanted.get("redirect_uris", ())):
            return _response(400, {"error": "invalid_redirect_uri"})
        method = self.case.registration_method
        if any(name not in wanted for name in self.case.registration_needs) or (
            method and wanted.get("token_endpoint_auth_method") != method
        ):
            return _response(400, {"error": "invalid_client_metadata"})
        self.registered_scopes = tuple(str(wanted.get("scope", "")).split())
        if self.case.registration_refuses_scope in self.registered_scopes:
            return _response(400, {"error": "invalid_client_metadata"})
        if self.case.registration_refuses_grant in wanted.get("grant_types", ()):
            return _response(400, {"error": "invalid_client_metadata"})
        secret = {} if wanted.get("token_endpoint_auth_method") == "none" else {"client_secret": "made-up"}
        return _response(201, wanted | {"client_id": "registered"} | secret | self.case.registered_as)

    def _authorize(self, request: Request) -> Response:
        redirect_uri = first_value(request.query, "redirect_uri") or ""
        if not re.search(self.case.authorized, redirect_uri):
            return _response(400, {"error": "invalid_request"})
        answer = {"code": "made-up", "state": first_value(request.query, "state") or ""}
        asked = (first_value(request.query, "scope") or "").split()
        if self.case.authorization_refuses_scope in asked or (
            self.case.scopes_as_registered and not set(asked) <= set(self.registered_scopes)
        ):
            answer = {"error": "invalid_scope", "state": answer["state"]}
        if self.case.iss:
            answer["iss"] = self.issuer
        return _response(302, headers={"Location": f"{redirect_uri}?{urlencode(answer)}"})

    def _token(self, request: Request) -> Response:
        return _response(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})


def _response(status: int, body: Any = None, headers: Mapping[str, str] | None = None, page: str = "") -> Response:
    kind = "text/html" if page else "application/json" if body is not None else ""
    lines = (("Content-Type", kind),) if kind else ()
    text = page or ("" if body is None else json.dumps(body))
    return Response(status=status, headers=(*lines, *(headers or {}).items()), body=text)


def cases(lot: Path) -> Iterator[Case]:
    """Raises pydantic's ValidationError for a key that means nothing."""
    yield from (Case.model_validate(one) for one in tomllib.loads(lot.read_text(encoding="utf-8"))["case"])


def fare(case: Case) -> WalkEnd:
    """How the walk as the client ends at that server."""
    plan = Plan(case.url, "0", sign_in="headless", client=emulations()[case.client], client_id=case.typed)
    server, ends = Server(case), list[WalkEnd]()
    way = run_plan(plan, ends.append)
    step = next(way, None)
    while isinstance(step, ProbeRequest) and not ends:
        own = step.request
        plain = own.url.startswith("http://") and not case.also_http and not urls.is_loopback(own.url)
        response, error = (None, "connection refused") if plain else (server.answer(own), None)
        try:
            step = way.send(Exchange(request=own, response=response, error=error, actor=step.actor))
        except StopIteration:
            break
    return ends[0]


def right(case: Case, end: WalkEnd) -> bool:
    if not case.stage:
        return end.outcome in ("connected", "open")
    return end.outcome in ("stopped", "unreachable", "waiting") and end.stage in case.stage


def table(lot: Path) -> Iterator[str]:
    found = [(case, fare(case)) for case in cases(lot)]
    for case, end in found:
        mark, label = " " if right(case, end) else "x", "/".join(case.stage) or "connects"
        yield f"{mark} {case.id:5} {case.client:10} {label:42} {end.outcome} {end.stage}: {end.why[:110]}"
    failures = [right(case, end) for case, end in found if case.stage]
    healthy = [right(case, end) for case, end in found if not case.stage]
    yield f"{sum(failures)} of {len(failures)} failures at the labelled stage"
    yield f"{healthy.count(False)} of {len(healthy)} healthy ones stopped"


if __name__ == "__main__":
    for path in sorted(LOTS.glob(f"*{sys.argv[1] if len(sys.argv) > 1 else ''}.toml")):
        print(f"{path.stem}:", *table(path), sep="\n")
