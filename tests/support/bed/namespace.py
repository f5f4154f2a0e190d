"""A network namespace in which the bed's names resolve, to a public address where its port 443 is.

A client in it goes to the bed as to any server. Elsewhere it goes through the bed's CONNECT proxy, and some fare
otherwise then: Gemini CLI looks up every host itself, and refuses private addresses; Claude Code of February 2026 takes
a connection that fails for "try the next location", and a proxy without a way there for the end.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterable
from typing import NoReturn

ADDRESS = "93.184.216.34"
MARK = "OAUTHTAP_TEST_NAMESPACE"
"""The environment variable that says where we are."""
_ENTER = """
ip link set lo up && ip address add "$1/32" dev lo && mount --bind "$2" /etc/hosts && rm "$2" && shift 2 && exec "$@"
"""


def is_entered() -> bool:
    return MARK in os.environ


def enter(names: Iterable[str], *command: str) -> NoReturn:
    """Become this command, in a new namespace. Of Linux: `unshare` (util-linux), `ip` (iproute2)."""
    lines = ["127.0.0.1 localhost", *(f"{ADDRESS} {name}" for name in names)]
    with tempfile.NamedTemporaryFile("w", delete=False) as hosts:
        hosts.write("\n".join(lines) + "\n")
    os.chmod(hosts.name, 0o644)
    os.environ[MARK] = "1"
    entering = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-c", _ENTER, "sh", ADDRESS, hosts.name]
    os.execvp(entering[0], [*entering, *command])


def listening() -> socket.socket:
    """The port 443 of all names; there is one, so there is one bed at a time."""
    return socket.create_server((ADDRESS, 443))
