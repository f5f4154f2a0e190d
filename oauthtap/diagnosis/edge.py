"""Which proxy, firewall or gateway before a server gave an answer in its place."""

from __future__ import annotations

import re

from oauthtap.model import www_authenticate
from oauthtap.model.exchange import Response

_EDGES: tuple[tuple[str, str, str], ...] = (
    ("cf-mitigated", r".", "Cloudflare"),
    ("x-amzn-waf-action", r".", "AWS WAF"),
    ("x-vercel-mitigated", r".", "Vercel"),
    ("x-datadome", r".", "DataDome"),
    ("x-sucuri-block", r".", "Sucuri"),
    ("x-goog-iap-generated-response", r"true", "Google Identity-Aware Proxy"),
)
"""Headers by which an edge says that it answered itself: name, value, product."""


_EDGE_PAGES: tuple[tuple[str, str], ...] = (
    ("Cloudflare Access", r"cloudflareaccess\.com|/cdn-cgi/access/"),
    ("Cloudflare", r"attention required! \| cloudflare|just a moment\.\.\.|cf-browser-verification|/cdn-cgi/challenge"),
    ("AWS WAF", r"<center><h1>403 forbidden</h1></center>\s*</body>"),
    ("Akamai", r"access denied.{0,400}reference\s*(?:&#32;)?#|errors\.edgesuite\.net"),
    ("Google Identity-Aware Proxy", r"invalid iap credentials"),
    ("Imperva", r"incapsula incident id|_incapsula_resource"),
    ("Vercel", r"vercel security checkpoint|vercel authentication"),
)


_GATES = {
    "basic": "HTTP Basic authentication",
    "digest": "HTTP Digest authentication",
    "negotiate": "Kerberos (SPNEGO)",
}


def edge_of(response: Response, *, gates: bool = True) -> str:
    """The product in front of the server that refused in its place; empty where the server itself answered.

    `gates`: a 401 for HTTP Basic is a gate. At the token endpoint it is the answer of RFC 6749 §5.2.
    """
    if gates and response.status == 401:
        schemes = {
            c.scheme.lower() for c in www_authenticate.parse(response.header_lines("www-authenticate")).challenges
        }
        if schemes and schemes <= set(_GATES):
            return _GATES[min(schemes)]
    for name, value, product in _EDGES:
        found = response.header(name)
        if found is not None and re.search(value, found):
            return product
    if response.status in (401, 403, 429, 503) or 300 <= response.status < 400:
        server = (response.header("server") or "").lower()
        page = f"{(response.body or '')[:4000].lower()} {(response.header('location') or '').lower()}"
        for product, pattern in _EDGE_PAGES:
            if re.search(pattern, page, re.S) and (product != "AWS WAF" or "awselb" in server + page):
                return product
    return ""
