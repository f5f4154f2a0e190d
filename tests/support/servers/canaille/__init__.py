"""Canaille (PyPI) as an authorization server of its own, and the TypeScript SDK's resource server behind it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import httpx

from tests.support.clients.installed import from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid, nginx
from tests.support.servers.oidc import resource_server
from tests.support.servers.process import Process, serving
from tests.support.tapped import free_port

FOLDER = "server-canaille"
PACKAGE = "canaille"
EXTRAS = f"{PACKAGE}[front,oidc,server]>=0.3.6"
AUTHORIZE = "/oauth/authorize"
PERSON = {"USER": "admin", "PASSWORD": "made-up-for-a-test"}
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@contextlib.contextmanager
def authorization_server() -> Iterator[tuple[str, Process]]:
    """Its issuer, and what it heard: nginx, which brings a person's session, and says yes at each consent page."""
    python, port, behind = from_pypi(FOLDER, EXTRAS), free_port(), free_port()
    issuer = f"http://localhost:{port}"
    backend = f"http://127.0.0.1:{behind}"
    with (
        laid(HERE / PACKAGE) as folder,
        serving([python, "server.py"], folder, behind, ORIGIN=issuer, **PERSON) as server,
    ):
        server.wait_for("Running on")
        locations = f"""
        location = {AUTHORIZE} {{
          proxy_set_header Cookie "{session(backend, f"localhost:{port}")}"; proxy_set_header Host $http_host;
          proxy_set_header Content-Type application/x-www-form-urlencoded;
          proxy_method POST; proxy_set_body answer=accept;
          proxy_pass {backend}; }}
        location / {{ proxy_pass {backend}; }}"""
        with nginx.before(locations, port) as process:
            yield issuer, process


def session(backend: str, host: str) -> str:
    """The cookie of the person who has signed in at its own pages: a name, then a password."""
    with httpx.Client(base_url=backend, headers={"Host": host}, trust_env=False) as browser:
        for path, field, word in (("/login", "login", "USER"), ("/auth/password", "password", "PASSWORD")):
            token = _TOKEN.search(browser.get(path).text)
            assert token, f"{path} has no form"
            browser.post(path, data={"csrf_token": token[1], field: PERSON[word]})
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The authorization server and the resource server, which asks its userinfo endpoint whether a token is good."""
    with (
        authorization_server() as (issuer, trusted),
        resource_server("rs1.mjs", free_port(), issuer, SCOPES="openid profile", USERINFO="1") as (url, process),
    ):
        yield Running(url, (process, trusted), {PACKAGE: versions("python", FOLDER)["Canaille"]})


STACKS = {"canaille": Stack("TypeScript SDK 1 behind Canaille (PyPI), opaque tokens and `iss`", start)}
