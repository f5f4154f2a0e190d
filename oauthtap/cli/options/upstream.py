"""The flags about reaching a server, checked."""

from __future__ import annotations

import ssl
from argparse import Namespace
from pathlib import Path

from oauthtap.cli.errors import UsageError
from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.upstream.options import UpstreamOptions, missing_scheme, split_rule


def parse_upstream_options(arguments: Namespace) -> UpstreamOptions:
    """How to get there: `--connect-to`, `--ca`, `--insecure`. Raises Usage."""
    try:
        for rule in arguments.connect_to:
            split_rule(rule)
    except ValueError as problem:
        raise UsageError(
            f"--connect-to {problem}, as in curl. Try: --connect-to example.com:443:127.0.0.1:8443"
        ) from None
    if arguments.ca:
        _check_authority(arguments.ca)
    return UpstreamOptions(tuple(arguments.connect_to), arguments.ca, arguments.insecure)


def _check_authority(file: str) -> None:
    if not Path(file).is_file():
        raise UsageError(f"--ca {file}: there is no such file")
    try:
        ssl.create_default_context(cafile=file)
    except OSError as problem:  # ssl.SSLError is one
        reason = "no permission" if isinstance(problem, PermissionError) else "it holds no certificate in PEM form"
        raise UsageError(f"--ca {file}: {reason}. Try: --ca ca.pem") from None


def parse_mcp_url(url: str, command: str) -> str:
    """The MCP URL as it was typed. Raises Usage when it is none, with the `command` to type instead."""
    refuse_userinfo(url, command)
    if candidate := missing_scheme(url):
        raise UsageError(f"{escape_controls(url)} has no scheme. Try: {command} {escape_controls(candidate)}")
    if not urls.origin(url).startswith(("http://", "https://")):
        raise UsageError(f"{escape_controls(url)} is no http or https URL. Try: {command} https://mcp.example.com/mcp")
    return url


def refuse_userinfo(url: str, command: str) -> None:
    """Raises Usage for a URL with a name and password in it, and does not repeat them."""
    before, slashes, rest = url.partition("://")
    userinfo, at, host = (rest if slashes else before).split("/", 1)[0].split("?", 1)[0].rpartition("@")
    if at and userinfo:
        scheme = escape_controls(before) if slashes else "https"
        raise UsageError(
            "a name and password in the URL would end up in the shell's history and in files; no MCP client sends them."
            f" Try: {command} {scheme}://{escape_controls(host)}/..., and let the client send them"
        )
