"""A judge that nobody here wrote: the official conformance suite, asked without oauthtap and with it in between.

`python -m tests.conformance` runs it. Through the tap the set of checks, each with its status, has to be the
same; docs/conformance has both lists.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from oauthtap.drive.driver import PROGRAMS
from tests.conformance.suite import Checks, Suite
from tests.support.clients import environment
from tests.support.clients.installed import from_npm, from_pypi, node
from tests.support.running import COMMAND, started
from tests.support.servers import NODE, laid
from tests.support.servers.oidc import FOLDER, PACKAGES
from tests.support.servers.process import serving
from tests.support.tapped import free_port

Way = Literal["direct", "tap", "run"]
WAYS: tuple[Way, ...] = ("direct", "tap", "run")
HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CLIENT_NAMES = ("python-sdk-2", "typescript-sdk-2", "python-sdk-1", "typescript-sdk-1")
SERVER = "typescript-sdk-1"
"""What the open server of the server scenarios is built on."""


def command(client: str) -> list[str]:
    """The words that start a reference client; the URL goes behind them."""
    program = HERE / "programs"
    match client:
        case "python-sdk-1":
            return [str(from_pypi("mcp1", "mcp<2")), str(program / "python_client.py"), "1"]
        case "python-sdk-2":
            return [str(from_pypi("mcp2", "mcp>=2,<3")), str(program / "python_client.py"), "2"]
        case "typescript-sdk-1":
            modules = from_npm("typescript-sdk-1", "@modelcontextprotocol/sdk@1")
        case _:
            modules = from_npm("typescript-sdk-2", "@modelcontextprotocol/client@2")
    return ["node", str(program / "typescript_client.mjs"), str(modules), client[-1]]


def of_a_client(client: str, scenario: str, way: Way, suite: Suite) -> Checks:
    """What this release of the suite says of a reference client in one scenario."""
    before: dict[Way, Sequence[str]] = {
        "direct": (),
        "tap": (sys.executable, "-m", "tests.conformance.through"),
        "run": (str(COMMAND), "run", "--"),
    }
    with tempfile.TemporaryDirectory(prefix="oauthtap-suite-", ignore_cleanup_errors=True) as folder:
        env = environment(Path(folder))
        env |= {
            "PATH": f"{node(22)}:{env['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(PROGRAMS)]),
        }
        return suite.client(scenario, [*before[way], *command(client)], env)


@contextlib.contextmanager
def open_server() -> Iterator[str]:
    """The URL of a real server that has what the server scenarios ask for."""
    port = free_port()
    with (
        laid(HERE / "programs", from_npm(FOLDER, *PACKAGES)) as folder,
        serving([node(22) / "node", *NODE, "server.mjs"], folder, port, ready="ready"),
    ):
        yield f"http://localhost:{port}/mcp"


@contextlib.contextmanager
def before(url: str, way: Way) -> Iterator[str]:
    """The URL to give to the suite so that it reaches this one directly, or through a tap."""
    if way == "direct":
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="oauthtap-before-", ignore_cleanup_errors=True) as home,
        started(url, "--no-preflight", home=Path(home), path=urlsplit(url).path) as tap,
    ):
        yield tap.url
        tap.end()
