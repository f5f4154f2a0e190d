"""A browser without hands: follows an authorize URL to its end and writes down where it went.

Started by the clients as `BROWSER` or `xdg-open`, so it knows only its environment:
`BED_PROXY` and `BED_CA` (how to reach and trust real host names), `BROWSER_LOG`.
"""

from __future__ import annotations

import os
import ssl
import sys
from urllib.parse import urljoin, urlsplit

import httpx

HOPS = 20


def main(url: str) -> None:
    """Follow every redirect with a GET, keeping cookies as a browser does."""
    authority = os.environ.get("BED_CA")
    trust = ssl.create_default_context(cafile=authority) if authority else True
    mounts = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
    with httpx.Client(
        verify=trust, proxy=os.environ.get("BED_PROXY"), mounts=mounts, trust_env=False, timeout=20
    ) as client:
        for _ in range(HOPS):
            note(url)
            answer = client.get(url, headers={"User-Agent": "Mozilla/5.0 (oauthtap tests)", "Accept": "text/html"})
            note(f"  {answer.status_code}")
            if not answer.has_redirect_location:
                return
            url = urljoin(url, answer.headers["location"])
            if urlsplit(url).scheme not in ("http", "https"):
                return


def note(line: str) -> None:
    """One more line in the log, at once."""
    if log := os.environ.get("BROWSER_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except httpx.HTTPError as error:
        note(f"  {type(error).__name__}: {error}")
        sys.exit(1)
