"""What may come to us from outside, by the name of a tunnel: which names, and which paths.

A public name is found and tried by everybody within minutes. So it leads only to what this
sign-in needs: the MCP endpoint, the well-known documents, what judged answers have named.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence

from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.rewriting.callback_relay import PUBLIC_PATH
from oauthtap.rewriting.origins import local_origin

FIREWALL = (
    "If it works this way, a firewall is not out of the question yet: the server sees this machine's address now, "
    "and not that of the hosted client."
)
_LOCAL = re.compile(r"(?:http://)?(?:(?:localhost|127\.0\.0\.1|\[::1\]):)?(?P<port>\d{1,5})/?", re.I)
_MARKS = re.compile(r"forwarded|x-forwarded-.*|x-real-ip|x-original-host|cf-.*|cdn-loop|true-client-ip|ngrok-.*", re.I)
_UNNAMED = " has no public name,"
_DEFAULTS = ("/authorize", "/token", "/register")
"""The endpoints that clients assume where no document names any (MCP 2025-03-26)."""
_RECENT = 50
CHECK_ANSWER = "tunnel"
"""`X-Oauthtap` of the answer to `CHECK_PATH`."""
CHECK_PATH = f"/oauthtap/tunnel/{secrets.token_urlsafe(9)}"
"""Answered by the taps of this process alone: who gets that answer by way of a tunnel was led to one of them."""


class PublicUrlError(ValueError):
    """A `--public-url` that cannot be. The text ends in what to type."""


def names(given: Sequence[str], port: int, upstream: str) -> Mapping[int, str]:
    """Local port to public origin, of what the person wrote: `URL`, or `LOCAL=PUBLIC`. Raises NoName.

    `port`: the first local port, which a URL alone is for.
    """
    found: dict[int, str] = {}
    for text in given:
        before, equals, after = text.partition("=")
        match = _LOCAL.fullmatch(before) if equals else None
        number, name = (int(match["port"]), after) if match else (port, text)
        if number in found:
            raise PublicUrlError(
                f"two public names for local port {number}. Try: --public-url http://localhost:{number + 1}={name}"
            )
        found[number] = _origin(name, upstream)
    if len(set(found.values())) < len(found):
        raise PublicUrlError("each local port needs a public name of its own. Try: a second tunnel")
    if found and port not in found:
        raise PublicUrlError(
            f"the MCP server itself (local port {port}) has no public name. Try: --public-url https://NAME"
        )
    return found


def _origin(name: str, upstream: str) -> str:
    parts = urls.split(name)
    if parts is None or parts.scheme not in ("http", "https"):
        raise PublicUrlError(f"{name} is no public URL. Try: --public-url https://NAME-OF-YOUR-TUNNEL")
    if urls.path_of(name) not in ("/", urls.path_of(upstream)) or parts.query:
        raise PublicUrlError(f"{name}: a tunnel stands for a whole origin. Try: --public-url {urls.origin(name)}")
    if urls.is_loopback(name):
        raise PublicUrlError(
            f"{name} is this machine; nobody else finds it. Try: --public-url https://NAME-OF-YOUR-TUNNEL"
        )
    if urls.origin(name) == urls.origin(upstream):
        raise PublicUrlError(f"{name} is the server itself. Try: --public-url https://NAME-OF-YOUR-TUNNEL")
    return urls.origin(name)


def is_tunnel_header(header: str) -> bool:
    """A header of that name is the tunnel's, and not the client's.

    Servers that build their own URLs from such headers would name the tunnel, and not themselves.
    """
    return _MARKS.fullmatch(header) is not None


def is_path_allowed(url: str, known: Iterable[Handshake]) -> bool:
    """An upstream URL that this sign-in, or one of these, has a use for."""
    path, place = urls.path_of(url), urls.endpoint(url).rstrip("/")
    if any(document in path for document in (urls.PRM, urls.OAUTH, urls.OIDC)) or path in (*_DEFAULTS, PUBLIC_PATH):
        return True
    return any(place in _named(handshake) for handshake in known)


def _named(so_far: Handshake) -> set[str]:
    """What the answers so far have sent the client to, in comparable form."""
    found = {*so_far.mcp_urls, *so_far.message_urls, *(place for _, place in so_far.endpoints)}
    found |= {urls.endpoint(url) for url in so_far.metadata_urls}
    for stage in so_far.stages[-_RECENT:]:
        response = stage.exchange.response
        if response is not None and 300 <= response.status < 400 and (there := response.header("location")):
            found.add(urls.endpoint(absolute(there, stage.url)))
    return {place.rstrip("/") for place in found}


def missing(origin: str, port: int) -> str:
    """What to say of an origin that has a local port and no public name."""
    return (
        f"{origin}{_UNNAMED} so the client is sent to it directly: its part of the sign-in is out of sight, "
        f"and the client names the tunnel as `resource` there. Lead a second tunnel to {local_origin(port)} and add "
        f"--public-url {local_origin(port)}=https://NAME-OF-THE-SECOND-TUNNEL"
    )


def unnamed(notes: Iterable[str]) -> list[str]:
    """The origins that these notes say `missing` of."""
    return [origin for origin, found, _ in (note.partition(_UNNAMED) for note in notes) if found]
