"""The revocation of a refresh token (RFC 7009)."""

from __future__ import annotations

import re

import httpx

from oauthtap.grants.grant_file import Grant
from oauthtap.probe.requests import with_credentials
from oauthtap.upstream.options import UpstreamOptions

_ERROR = re.compile(r'"error"\s*:\s*"([a-z_]{1,40})"')


async def revoke(grant: Grant, endpoint: str, reach: UpstreamOptions) -> str | None:
    """Revoke the refresh token of a grant. Gives None, or why the server did not do it, without anything secret."""
    form, headers = with_credentials(grant.client, {"token": grant.refresh_token, "token_type_hint": "refresh_token"})
    try:
        async with reach.client() as client:
            answer = await client.post(endpoint, data=form, headers=dict(headers))
    except httpx.HTTPError as problem:
        return f"no answer ({problem or type(problem).__name__})"
    if answer.status_code == 200:  # also for a token that is not valid any more (RFC 7009, 2.2)
        return None
    code = _ERROR.search(answer.text)  # no more of it: it may repeat the token
    return f"HTTP {answer.status_code}{f' {code[1]}' if code else ''}"
