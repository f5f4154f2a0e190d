"""`oauthtap grant URL -o FILE`: sign in once, and keep what later runs need, encrypted."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from oauthtap import __version__
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import invocation
from oauthtap.cli.options.fixes import SECRET
from oauthtap.cli.options.upstream import parse_mcp_url
from oauthtap.cli.probe import walk
from oauthtap.grants.grant_file import KEY, Grant, GrantError, GrantFile, new_key
from oauthtap.probe.walk import CALLBACK_PORT, Plan


def grant(arguments: Namespace) -> int:
    """Sign in, and write the grant. Gives 0 when it is kept, else as `probe`. Raises UsageError."""
    if arguments.new_key:
        print(new_key())
        return 0
    if not arguments.url or not arguments.output:
        raise UsageError("name the server and a file. Try: oauthtap grant https://mcp.example.com/mcp -o mcp.grant")
    secret = os.environ.get(SECRET, "") if arguments.client_id else ""
    if arguments.client_credentials and not (arguments.client_id and secret):
        raise UsageError(f"--client-credentials needs an id and its secret. Try: {SECRET}=… and --client-id ID")
    kept: list[Grant] = []
    try:
        file = GrantFile(Path(arguments.output), os.environ.get(KEY))
    except GrantError as problem:
        raise UsageError(str(problem)) from None

    def save(made: Grant) -> None:
        file.create(made)
        kept.append(made)

    url = parse_mcp_url(arguments.url, "oauthtap grant")
    plan = Plan(
        url=url,
        version=__version__,
        sign_in="headless" if arguments.headless or arguments.client_credentials else "person",
        callback=f"http://127.0.0.1:{arguments.callback_port or CALLBACK_PORT}/callback",
        client_id=arguments.client_id,
        client_secret=secret,
        client_credentials=arguments.client_credentials,
        save_grant=save,
    )
    code = walk(arguments, plan)
    if kept:
        probe = f"oauthtap probe {shlex.quote(url)} --grant {shlex.quote(arguments.output)}"
        what = "client credentials" if arguments.client_credentials else "a refresh token, written anew at each use"
        print(
            f"Kept in {arguments.output}: {what}, encrypted with {KEY}.",
            f"Try: {invocation(arguments).command(probe)}",
            sep="\n", file=sys.stderr,
        )  # fmt: skip
    return code
