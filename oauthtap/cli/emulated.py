"""`oauthtap drive CLIENT@emulated --upstream URL`: a client that cannot be run here, walked as it would walk."""

from __future__ import annotations

from argparse import Namespace

from oauthtap import __version__
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.fixes import FixOptions
from oauthtap.cli.options.grant import stored_grant
from oauthtap.cli.options.upstream import parse_mcp_url
from oauthtap.cli.probe import emulation, walk
from oauthtap.clients import EMULATED_SUFFIX, emulations
from oauthtap.probe.walk import Plan


def names() -> tuple[str, ...]:
    """What `drive` takes for a client to emulate."""
    return tuple(f"{slug}{EMULATED_SUFFIX}" for slug in emulations())


def drive(arguments: Namespace) -> int:
    """The whole walk, fixes and all, without a tap. Gives 0 when that client would connect, else 1.

    Raises UsageError.
    """
    if not arguments.upstream:
        raise UsageError(
            f"name the server. Try: oauthtap drive {arguments.driver} --upstream https://mcp.example.com/mcp"
        )
    if arguments.inject.pending:
        raise UsageError("--inject needs a client that runs. Try: oauthtap drive claude-code --inject FAULT")
    url = parse_mcp_url(arguments.upstream, f"oauthtap drive {arguments.driver} --upstream")
    client = emulation(arguments.driver.removesuffix(EMULATED_SUFFIX))
    grant = stored_grant(arguments, url)
    plan = Plan(url=url, version=__version__, sign_in="headless", client=client, grant=grant)
    return walk(arguments, plan, FixOptions(arguments).fixes)
