"""A metadata document that a client could not load, or did not take, in the words of the TypeScript SDK.

Read from: TypeScript SDK 1.9 to 2.4 (`auth.ts`), and what is built on it (Claude Code, mcp-remote, MCP Inspector).
"""

from __future__ import annotations

import json
import re

from oauthtap.formats.builder import STAND_IN, Draft
from oauthtap.model import urls

_LOADING = re.compile(
    r"HTTP (?P<status>\d{3}) trying to load (?P<what>(?:well-known )?OAuth (?:protected resource )?metadata"
    r"|OpenID provider metadata)(?: from (?P<url>https?://[^\s\"'`<>)]+))?"
)

_ANOTHER_ISSUER = re.compile(
    r"Issuer mismatch in authorization\s+server metadata[^\n:]*: expected\s+[\"'](?P<expected>https?://[^\"'\s]+)[\"'],\s+"
    r"received\s+[\"'](?P<issuer>https?://[^\"'\s]+)[\"']"
)


def unloaded_document(text: str, mcp_url: str | None) -> Draft | None:
    """The request for it; where no URL is told, at the first place where a client looks for such a document."""
    found = _LOADING.search(text)
    if found is None:
        return None
    if "protected resource" in found["what"]:
        path, places = urls.PRM, urls.prm_locations(mcp_url or "")
    else:
        path, places = urls.OIDC if "OpenID" in found["what"] else urls.OAUTH, urls.as_metadata_locations(mcp_url or "")
    first = next((place.url for place in places if path in place.url), f"{STAND_IN}{path}")
    target = found["url"] or first
    return Draft("GET", target.rstrip(".,:"), status=int(found["status"]))


def said_again(document: Draft, text: str, told: list[Draft]) -> bool:
    """The error names no URL, and the request for a metadata document was told before, with its status."""
    found = _LOADING.search(text)
    if found is None or found["url"]:
        return False
    return any("/.well-known/" in one.target and one.status == document.status for one in told)


def rejected_metadata(text: str) -> Draft | None:
    """The authorization server metadata whose `issuer` was not the URL they were asked for with (RFC 8414, 3.3)."""
    found = _ANOTHER_ISSUER.search(text)
    if found is None:
        return None
    places = urls.as_metadata_locations(found["expected"])
    target = places[0].url if places else f"{STAND_IN}{urls.OAUTH}"
    body = json.dumps({"issuer": found["issuer"]})
    return Draft("GET", target, status=200, answer_body=body, cut=True, presumed=True)
