"""A metadata document that a client could not load, in the words of the TypeScript SDK: status, document, URL.

Read from: TypeScript SDK 1.9 to 2.4 (`auth.ts`), and what is built on it (Claude Code, mcp-remote, MCP Inspector).
"""

from __future__ import annotations

import re

from oauthtap.formats.builder import STAND_IN, Draft
from oauthtap.model import urls

_LOADING = re.compile(
    r"HTTP (?P<status>\d{3}) trying to load (?P<what>(?:well-known )?OAuth (?:protected resource )?metadata"
    r"|OpenID provider metadata)(?: from (?P<url>https?://[^\s\"'`<>)]+))?"
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
