"""One request of our own through a person's tunnel: does its public name lead to this tap?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx

from oauthtap.model.sanitize import escape_controls
from oauthtap.rewriting.public_url import CHECK_ANSWER
from oauthtap.upstream.options import UpstreamOptions
from oauthtap.upstream.preflight import failed


@dataclass(frozen=True)
class TunnelCheck:
    """What became of it."""

    kind: Literal["arrived", "another-tap", "host-renamed", "answered-elsewhere", "no-answer"]
    words: str
    """A sentence for the person."""


async def check_tunnel(url: str, reach: UpstreamOptions) -> TunnelCheck:
    """Ask for a URL below the public name that nobody but this tap answers. Never raises for what the network does."""
    name = urlsplit(url).hostname or url
    async with reach.client() as client:
        try:
            answer = await client.get(url, headers={"Accept": "application/json"})
        except httpx.HTTPError as failure:
            kind, words = failed(url, failure, reach)
            if kind == "refused":
                words = f"{name} refuses connections: the tunnel has ended, or the name is another one."
            return TunnelCheck("no-answer", words.replace("--upstream", "--public-url"))
    said = answer.headers.get("x-oauthtap")
    if said == CHECK_ANSWER:
        return TunnelCheck("arrived", f"{name} leads to this tap: a request of oauthtap's own arrived here.")
    if said == "misdirected":
        return TunnelCheck("host-renamed", f"The tunnel sends another name than {name} in Host. Have it keep the name.")
    if said is not None:
        return TunnelCheck("another-tap", f"{name} leads to another oauthtap than this one: to another local port.")
    server = escape_controls(answer.headers.get("server", ""), limit=60)
    by = f" ({server})" if server else ""
    words = (
        f"{name} answers {answer.status_code}{by}, and not by way of this tap: the tunnel itself, or another server."
    )
    return TunnelCheck("answered-elsewhere", words)
