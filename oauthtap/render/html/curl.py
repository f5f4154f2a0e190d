"""A request as a curl command line, with its secrets struck out as everywhere."""

from __future__ import annotations

import shlex

from oauthtap.model.exchange import Request
from oauthtap.redaction.alias_format import ALIAS, short

_OWN = frozenset(("accept-encoding", "connection", "content-length", "host", "transfer-encoding"))
"""Headers that curl makes itself, or that would make its output unreadable."""
_LONGEST = 10_000


def curl(request: Request) -> str:
    """The command, an option a line. Who wants to send it puts the secrets in where `‹token 1›` stands."""
    url = request.url.partition("#")[0]
    lines = [f"curl -X {shlex.quote(request.method)} {shlex.quote(url)}"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in request.headers if name.lower() not in _OWN]
    if request.body is None or request.truncated:
        lines.append("--data-raw '‹the body was not recorded›'")
    elif len(request.body) > _LONGEST:
        lines.append(f"--data-raw '‹{len(request.body)} characters: see session.har›'")
    elif request.body:
        lines.append(f"--data-raw {shlex.quote(request.body)}")
    return ALIAS.sub(lambda hit: short(hit["kind"], int(hit["number"])), " \\\n  ".join(lines))
