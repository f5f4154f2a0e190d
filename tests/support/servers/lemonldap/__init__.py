"""LemonLDAP::NG (Debian) as an authorization server of its own, and the TypeScript SDK's resource server behind it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.clients.installed import from_debian, versions
from tests.support.servers import HERE, Running, Stack, laid, nginx
from tests.support.servers.keys import rsa_pair
from tests.support.servers.oidc import resource_server
from tests.support.servers.process import Process, serving
from tests.support.tapped import free_port

FOLDER = "lemonldap"
PACKAGES = ("liblemonldap-ng-portal-perl", "libstring-random-perl", "libio-string-perl")
"""The portal, and what its OpenID Connect needs but Debian does not depend on."""
AUTHORIZE = "/oauth2/authorize"


def settings(shipped: dict[str, Any], issuer: str, folder: Path) -> dict[str, Any]:
    """The configuration that ships, with OpenID Connect and registration on, and everybody signed in without a page."""
    private, public = rsa_pair()
    places = {name: {"Directory": str(folder / name), "LockDirectory": str(folder / name / "lock")} for name in STORED}
    modules = ("authentication", "userDB", "passwordDB", "registerDB")
    return shipped | dict.fromkeys(modules, "Null") | {
        "portal": f"{issuer}/", "domain": "localhost", "locationRules": {"localhost": {"default": "accept"}},
        "notification": 0, "captcha": "::Main::Plugin", "captcha_mail_enabled": 0, "captcha_register_enabled": 0,
        # A client that has registered is known from the next request on.
        "checkTime": -1,
        "globalStorageOptions": shipped["globalStorageOptions"] | places["sessions"],
        "persistentStorageOptions": places["psessions"],
        "localSessionStorageOptions": shipped["localSessionStorageOptions"] | {"cache_root": str(folder / "cache")},
        "issuerDBOpenIDConnectActivation": 1, "oidcServiceMetaDataIssuer": issuer,
        "oidcServiceAllowDynamicRegistration": 1, "oidcServiceAllowAuthorizationCodeFlow": 1,
        "oidcServicePrivateKeySig": private, "oidcServicePublicKeySig": public, "oidcServiceKeyIdSig": "k1",
    }  # fmt: skip


STORED = ("sessions", "psessions")


@contextlib.contextmanager
def authorization_server() -> Iterator[tuple[str, Process]]:
    """Its issuer, and what it heard: nginx, behind which a person says yes at each consent page."""
    packages, port, behind = from_debian(FOLDER, *PACKAGES), free_port(), free_port()
    issuer = f"http://localhost:{port}"
    with laid(HERE / FOLDER) as folder:
        for place in ("conf", "cache", *(f"{name}/lock" for name in STORED)):
            (folder / place).mkdir(parents=True)
        shipped = json.loads((packages / "var/lib/lemonldap-ng/conf/lmConf-1.json").read_text())
        (folder / "conf" / "lmConf-1.json").write_text(json.dumps(settings(shipped, issuer, folder)))
        local = folder / "lemonldap-ng.ini"
        local.write_text(local.read_text().format(packages=packages, folder=folder))
        found = [packages / "usr/share/perl5", *packages.glob("usr/lib/*-linux-gnu/perl5/5.*")]
        libraries = [*packages.glob("usr/lib/*-linux-gnu")]
        named = {"LLNG_DEFAULTCONFFILE": str(local), "PERL5LIB": joined(found), "LD_LIBRARY_PATH": joined(libraries)}
        plackup = packages / "usr/bin/plackup"
        command = ["perl", plackup, "-E", "deployment", "-o", "127.0.0.1", "-p", str(behind), "portal.psgi"]
        backend = f"http://127.0.0.1:{behind}"
        locations = f"""
        location = {AUTHORIZE} {{ proxy_pass {backend}{AUTHORIZE}?$args&confirm=1; }}
        location / {{ proxy_pass {backend}; }}"""
        with serving(command, folder, behind, **named), nginx.before(locations, port) as process:
            yield issuer, process


def joined(folders: list[Path]) -> str:
    return ":".join(map(str, folders))


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The authorization server and the resource server, which asks its userinfo endpoint whether a token is good."""
    with (
        authorization_server() as (issuer, trusted),
        resource_server("rs1.mjs", free_port(), issuer, SCOPES="openid profile", USERINFO="1") as (url, process),
    ):
        yield Running(url, (process, trusted), {"lemonldap-ng": versions("debian", FOLDER)[PACKAGES[0]]})


STACKS = {"lemonldap": Stack("TypeScript SDK 1 behind LemonLDAP::NG (Debian), mended for MCP: `portal.psgi`", start)}
