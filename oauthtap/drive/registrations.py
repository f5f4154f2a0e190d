"""Takes back what a driven client registered, where the server allows it (RFC 7592)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from oauthtap.model import urls
from oauthtap.upstream.options import UpstreamOptions


class Registrations:
    """Hears of every flow and remembers registrations that can be deleted; what it hears goes on to `below`.

    Their tokens stay in memory, and are gone with this object.
    """

    def __init__(self, below: Callable[[Any, Any], None]) -> None:
        self._below = below
        self._found: dict[str, str] = {}

    def hear(self, flow: Any, step: Any) -> None:
        """A flow is complete, in the names that the client saw."""
        if step.stage == "client-registration" and flow.response is not None and flow.response.content:
            with contextlib.suppress(ValueError, TypeError):
                self._remember(json.loads(flow.response.content))
        self._below(flow, step)

    def _remember(self, answer: Any) -> None:
        url, token = answer.get("registration_client_uri"), answer.get("registration_access_token")
        if isinstance(url, str) and isinstance(token, str):
            self._found[url] = token

    async def delete(self, reach: UpstreamOptions, ports: Mapping[str, str]) -> int:
        """Delete each at its server; gives how many the server took. `ports`: local origin to upstream origin.

        One that lies at an origin the client did not talk to is left alone: its token is for nobody else.
        """
        import httpx

        deleted = 0
        if not self._found:
            return 0
        async with reach.client() as client:
            for url, token in self._found.items():
                origin = ports.get(urls.origin(url))
                if origin is None:
                    continue
                with contextlib.suppress(httpx.HTTPError):
                    there = origin + url.removeprefix(urls.origin(url))
                    answer = await client.delete(there, headers={"Authorization": f"Bearer {token}"})
                    deleted += answer.status_code in (200, 204)
        self._found.clear()
        return deleted
