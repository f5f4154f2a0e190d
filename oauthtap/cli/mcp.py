"""`oauthtap mcp`: the tools of `oauthtap.mcp` for coding agents, on standard input and output."""

from __future__ import annotations

import sys
from argparse import Namespace


def mcp(arguments: Namespace) -> int:
    """Serve until the client ends it."""
    if sys.stdin.isatty():
        print(
            "oauthtap: this is an MCP server for a program to talk to. Try: claude mcp add oauthtap -- oauthtap mcp",
            file=sys.stderr,
        )
        return 2
    from oauthtap.mcp.server import main  # the SDK takes half a second to import

    main()
    return 0
