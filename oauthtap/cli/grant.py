"""`oauthtap grant URL -o FILE`: sign in once, and keep what later runs need, encrypted."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from oauthtap import __version__
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import invocation
from oauthtap.cli.options.fixes import SECRET
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.cli.probe import walk
from oauthtap.grants.grant_file import KEY, Grant, GrantError, GrantFile, new_key
from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.probe.walk import CALLBACK_PORT, Plan


def grant(arguments: Namespace) -> int:
    """Sign in, and write the grant. Gives 0 when it is kept, else as `probe`. Raises UsageError."""
    if arguments.new_key:
        print(new_key())
        return 0
    if arguments.revoke:
        return _revoke(arguments)
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


def _revoke(arguments: Namespace) -> int:
    """Revoke the refresh token, and delete the file. Gives 1 where the server did not do it. Raises UsageError."""
    from oauthtap.probe.revocation import revoke  # the HTTP client takes long to import: only when needed

    path = escape_controls(arguments.revoke)
    reach = parse_upstream_options(arguments)
    try:
        file = GrantFile(Path(arguments.revoke), os.environ.get(KEY))
        endpoint = _revocation_endpoint(file.read(), path)
        known = file.begin()
        refusal = asyncio.run(revoke(known, endpoint, reach))
        if refusal is None:
            file.delete()
        else:
            file.end(known)
    except GrantError as problem:
        raise UsageError(escape_controls(str(problem), limit=600)) from None
    where = escape_controls(endpoint)
    if refusal is None:
        print(f"Revoked at {where}, and {path} is deleted.", file=sys.stderr)
        return 0
    print(f"oauthtap: not revoked, {path} is kept. {where}: {escape_controls(refusal, limit=300)}", file=sys.stderr)
    return 1


def _revocation_endpoint(known: Grant, path: str) -> str:
    if known.kind == "client_credentials":
        raise GrantError(
            f"{path}: client credentials cannot be revoked by a request. Try: delete the client "
            f"{known.client['client_id']} at {known.issuer or known.token_endpoint}, then rm {path}"
        )
    endpoint = known.revocation_endpoint
    if not endpoint or urls.origin(endpoint) != urls.origin(known.token_endpoint):
        raise GrantError(
            f"{path}: when the grant was made, the metadata had no `revocation_endpoint` (RFC 7009) at "
            f"{urls.origin(known.token_endpoint)}. Try: revoke the access in your account there, then rm {path}"
        )
    return endpoint
