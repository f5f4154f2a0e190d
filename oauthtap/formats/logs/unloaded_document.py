"""A metadata document that a client could not load, in the words of the TypeScript SDK: status, document, often its URL.

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
        places, path = urls.prm_locations(mcp_url or ""), urls.PRM
    else:
        places, path = urls.as_metadata_locations(mcp_url or ""), urls.OAUTH
        path = urls.OIDC if "OpenID" in found["what"] else path
        places = [place for place in places if path in place.url]
    target = found["url"] or (places[0].url if places else f"{STAND_IN}{path}")
    return Draft("GET", target.rstrip(".,:"), status=int(found["status"]))
