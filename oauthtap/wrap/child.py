"""The child process of `oauthtap run`: its environment, signals and exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import certifi

PROXY = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
NOT_PROXIED = ("NO_PROXY", "no_proxy")
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that put a bundle in the place of the usual one."""
FURTHER = "NODE_EXTRA_CA_CERTS"
"""The variable that adds to the usual one (Node, Bun)."""

_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where Debian, Fedora and macOS keep what their programs trust; other Pythons than theirs look elsewhere."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
_KEYS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name))
_PASSED_ON = (*_KEYS, *(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)))

Changes = dict[str, str | None]
"""Variables to set; None takes one away."""


def system_ca_bundle(env: Mapping[str, str], further: str | None = None) -> str:
    """The CAs a program with this environment trusts, as PEM: the system's, certifi's, and those it names.

    `further`: one more file.
    """
    files = [further, *(env.get(name) for name in (*TRUST, FURTHER)), ssl.get_default_verify_paths().cafile]
    found: dict[str, None] = {}
    for file in dict.fromkeys(filter(None, [*files, *_SYSTEM, certifi.where()])):
        found |= dict.fromkeys(_certificates(Path(file)))
    return "\n".join(found) + "\n"


def _certificates(file: Path) -> list[str]:
    try:
        return _CERTIFICATE.findall(file.read_text())
    except (OSError, UnicodeDecodeError):
        return []


def environment(proxy: str, authority: Path, folder: Path, env: Mapping[str, str], more: str | None = None) -> Changes:
    """What makes a program use this proxy and trust its CA. The files it names are put into `folder`.

    `more`: a file with a CA that the person trusts for this run (`--ca`): what passes unopened is under it too.
    """
    own = authority.read_text()
    bundle, further = folder / "authorities.pem", folder / "further.pem"
    bundle.write_text(own + system_ca_bundle(env, more))
    added = [found for file in filter(None, (env.get(FURTHER), more)) for found in _certificates(Path(file))]
    further.write_text("\n".join([own.strip(), *added]) + "\n")
    changes: Changes = dict.fromkeys(PROXY, proxy)
    changes |= dict.fromkeys(NOT_PROXIED)
    changes |= dict.fromkeys(TRUST, str(bundle))
    return changes | {FURTHER: str(further), "NODE_USE_ENV_PROXY": "1"}


def apply_env_changes(env: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment with these changes."""
    kept = {name: value for name, value in env.items() if name not in changes}
    return kept | {name: value for name, value in changes.items() if value is not None}


async def run_child(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run it to its end on our own terminal. Gives its exit code, 128 + N when signal N ended it.

    Raises OSError when it cannot be started.
    """
    loop = asyncio.get_running_loop()
    waiting: list[signal.Signals] = []
    # Handlers of ours, and not "ignore": that is what the child would inherit.
    for sign in _PASSED_ON:
        loop.add_signal_handler(sign, waiting.append, sign)
    try:
        process = await asyncio.create_subprocess_exec(*command, env=dict(env))
        for sign in _PASSED_ON:
            loop.add_signal_handler(sign, _pass_on, process, sign)
        for sign in waiting:
            _pass_on(process, sign)
        code = await process.wait()
    finally:
        for sign in _PASSED_ON:
            loop.remove_signal_handler(sign)
    return code if code >= 0 else 128 - code


def _pass_on(process: asyncio.subprocess.Process, sign: signal.Signals) -> None:
    if sign in _KEYS and _at_the_keyboard():
        return  # what is typed reaches everybody in the foreground, so the child has it already
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(sign)


def _at_the_keyboard() -> bool:
    """We, and the child with us, are what the terminal's keys speak to."""
    with contextlib.suppress(OSError), open(os.ctermid()) as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False
