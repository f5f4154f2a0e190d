"""Glewlwyd (Debian) as an authorization server of its own, and the TypeScript SDK's resource server behind it."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.clients.installed import from_debian, versions
from tests.support.servers import HERE, Running, Stack, laid, nginx
from tests.support.servers.keys import rsa_pair
from tests.support.servers.oidc import resource_server
from tests.support.servers.process import Process, serving
from tests.support.tapped import free_port

PACKAGE = "glewlwyd"
PATH = "/api/oidc"
AT_FIRST = {"username": "admin", "password": "password"}
"""The user of a fresh database."""


def plugin(issuer: str, resource: str) -> dict[str, Any]:
    """Its OpenID Connect plugin: registration for everybody, PKCE, tokens for the one resource (RFC 8707), `iss`."""
    private, public = rsa_pair()
    switches = {"code": True, "refresh": True} | dict.fromkeys(
        ("token", "id_token", "none", "password", "client", "device"), False
    )
    return {
        "iss": issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
        "access-token-duration": 3600, "refresh-token-duration": 86400, "code-duration": 600,
        "refresh-token-rolling": True, "allow-non-oidc": True, "jwks-show": True, "scope": [],
        "additional-parameters": [], "subject-type": "public", "request-parameter-allow": False,
        **{f"auth-type-{name.replace('_', '-')}-enabled": on for name, on in switches.items()},
        "pkce-allowed": True, "pkce-method-plain-allowed": False, "pkce-required": True,
        "register-client-allowed": True, "register-client-auth-scope": [], "register-client-credentials-scope": [],
        "resource-allowed": True, "resource-scope": {"mcp": [resource]}, "resource-client-property": "resource",
        "resource-scope-and-client-property": False, "oauth-as-iss-id": True,
    }  # fmt: skip


@contextlib.contextmanager
def authorization_server(resource: str) -> Iterator[tuple[str, Process]]:
    """Its issuer (with a path), and what it heard: nginx, which brings the session of a user who is signed in."""
    packages, port, behind = from_debian(PACKAGE, PACKAGE), free_port(), free_port()
    origin = f"http://localhost:{port}"
    with laid(HERE / PACKAGE) as folder:
        configuration = folder / "glewlwyd.conf"
        text = configuration.read_text().format(port=behind, origin=origin, packages=packages, folder=folder)
        configuration.write_text(text)
        fill(folder / "glewlwyd.db", packages, folder / "person.sql", plugin(origin + PATH, resource))
        libraries = ":".join(map(str, packages.glob("usr/lib/*-linux-gnu")))
        command = [packages / "usr/bin/glewlwyd", f"--config-file={configuration}"]
        with serving(command, folder, behind, LD_LIBRARY_PATH=libraries):
            backend = f"http://127.0.0.1:{behind}"
            signed_in = httpx.post(f"{backend}/api/auth/", json=AT_FIRST, trust_env=False).raise_for_status()
            cookie = signed_in.headers["set-cookie"].partition(";")[0]
            # `g_continue` is what its login page adds once somebody is signed in.
            locations = f"""
            location = {PATH}/auth {{ proxy_set_header Cookie "{cookie}"; proxy_set_header Host $http_host;
              proxy_pass {backend}{PATH}/auth?$args&g_continue; }}
            location / {{ proxy_pass {backend}; }}"""
            with nginx.before(locations, port) as process:
                yield origin + PATH, process


def fill(database: Path, packages: Path, person: Path, parameters: dict[str, Any]) -> None:
    """A fresh database, with what an administrator sets."""
    with contextlib.closing(sqlite3.connect(database)) as made:
        shipped = packages / "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
        made.executescript(gzip.decompress(shipped.read_bytes()).decode())
        made.executescript(person.read_text())
        insert = "INSERT INTO g_plugin_module_instance (gpmi_module, gpmi_name, gpmi_parameters) VALUES (?, ?, ?)"
        made.execute(insert, ("oidc", "oidc", json.dumps(parameters)))
        made.commit()


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The authorization server and the resource server."""
    port = free_port()
    with (
        authorization_server(f"http://localhost:{port}/mcp") as (issuer, trusted),
        resource_server("rs1.mjs", port, issuer, SCOPES="mcp") as (url, process),
    ):
        yield Running(url, (process, trusted), {PACKAGE: versions("debian", PACKAGE)[PACKAGE]})


STACKS = {"glewlwyd": Stack("TypeScript SDK 1 behind Glewlwyd (Debian), which sends `iss` unannounced", start)}
