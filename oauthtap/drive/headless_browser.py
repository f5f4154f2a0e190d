"""A browser without hands: follows an authorize URL to its end, and writes down where it came to.

A program of its own, started by the client as its browser:

    python browser.py ORDERS URL

ORDERS is a JSON file of `oauthtap drive`: how servers are reached, whether a person takes over, and
where to write. Each line of that log is a JSON object: `process`, then `visited` for each page, at
the end `ended` (one of `callback`, `page`, `lost`), or `opened` where a person is to go on. Where it ended at a page,
`hops` are the answers on the way there, the page itself the last: url, status, headers, body.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from oauthtap.model.urls import is_loopback
from oauthtap.upstream.options import UpstreamOptions

_HOPS = 20
_PAGE = 100_000
"""Characters of a page that are kept."""
_AS_SENT = ("content-encoding", "content-length", "transfer-encoding")
"""Header lines that say how a body was sent; what is kept is its text."""
HEADERS = {"User-Agent": "Mozilla/5.0 (oauthtap drive)", "Accept": "text/html,application/xhtml+xml"}


async def follow(orders: dict[str, Any], url: str) -> None:
    """Go where the redirects lead, keeping cookies as a browser does. Never raises for what the network does."""
    callback = _place(dict(parse_qsl(urlsplit(url).query)).get("redirect_uri", ""))
    hops: list[dict[str, Any]] = []
    async with UpstreamOptions(orders["connect_to"], orders["ca"], orders["insecure"]).client() as client:
        for _ in range(_HOPS):
            try:
                answer = await client.get(url, headers=HEADERS)
            except Exception as problem:  # whatever it is, nobody waits for us: it is written down
                note(orders, ended="lost", url=url, why=str(problem) or type(problem).__name__)
                return
            note(orders, visited=url, status=answer.status_code)
            headers = [pair for pair in answer.headers.multi_items() if pair[0] not in _AS_SENT]
            hops.append({"url": url, "status": answer.status_code, "headers": headers, "body": answer.text[:_PAGE]})
            if _place(url) == callback or (_brings_back(url) and not answer.has_redirect_location):
                note(orders, ended="callback", url=url, status=answer.status_code)
                return
            if not answer.has_redirect_location:
                note(orders, ended="page", url=url, status=answer.status_code, hops=hops)
                return
            url = urljoin(url, answer.headers["location"])
            if urlsplit(url).scheme not in ("http", "https"):
                note(orders, ended="callback", url=url)
                return
    note(orders, ended="lost", url=url, why=f"more than {_HOPS} redirects")


def _brings_back(url: str) -> bool:
    """An authorization response on this machine; an authorize URL with a `request_uri` does not say where."""
    parts = urlsplit(url)
    given = {name for name, _ in parse_qsl(parts.query)}
    return is_loopback(url) and bool(given & {"code", "error"}) and "client_id" not in given


def _place(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


def note(orders: dict[str, Any], **what: Any) -> None:
    """One more line of the log, at once."""
    with open(orders["log"], "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def main(file: str, *words: str) -> int:
    orders = json.loads(Path(file).read_text())
    url = next((word for word in words if word.startswith(("http://", "https://"))), None)
    if url is None:
        return 2
    if orders["person"]:
        note(orders, opened=url)
        return 0
    note(orders, process=os.getpid())
    asyncio.run(follow(orders, url))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
