"""What rmcp, the Rust SDK, logs of a sign-in at debug level: each metadata place, the challenge, the session.

Read from: rmcp 0.8 to 1.x as Codex 0.130 to 0.171 prints it (`RUST_LOG=rmcp=debug`).
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from oauthtap.formats.builder import Draft
from oauthtap.model import urls

_PLACE = re.compile(
    r'\bdiscovery url: Url \{ scheme: "(?P<scheme>\w+)".*?host: Some\(\w+\("?(?P<host>[^")]+)"?\)\), port: (?:Some\((?P<port>\d+)\)|None), path: "(?P<path>[^"]*)"'
)
_NOT_THERE = re.compile(r"discovery returned non-200: (\d{3})")
_UNUSABLE = re.compile(
    r"protected resource metadata at (?P<prm>\S+) names authorization servers (?P<named>.+?), but none published usable metadata"
)
_SCOPE = re.compile(r"WWW-Authenticate challenge contains scope: (?P<scope>[^\n]+)")
_INITIALIZED = re.compile(r"Service initialized as client peer_info")


@dataclass
class Discovery:
    """The metadata places that were asked so far, and what of them was answered."""

    drafts: list[Draft]
    """Those of the whole log: a line completes one of them, or adds one."""
    endpoint: str | None
    """Where an MCP message goes."""

    def take(self, at: float | None, text: str) -> bool:
        """Whether the line is one of rmcp's, and was noted down."""
        if match := _PLACE.search(text):
            self.drafts.append(Draft("GET", _url(match), started_at=at))
        elif match := _NOT_THERE.search(text):
            self._answer(int(match[1]))
        elif match := _UNUSABLE.search(text):
            self._unusable(at, match["prm"], match["named"])
        elif (match := _SCOPE.search(text)) and self.endpoint:
            challenge = f'Bearer scope="{match["scope"].strip()}"'
            self.drafts.append(
                Draft(
                    "POST", self.endpoint, status=401, started_at=at, answer_headers=[("WWW-Authenticate", challenge)]
                )
            )
        elif _INITIALIZED.search(text) and self.endpoint:
            self.drafts.append(Draft("POST", self.endpoint, status=200, started_at=at))
        else:
            return False
        return True

    def _answer(self, status: int) -> None:
        asked = next((draft for draft in reversed(self.drafts) if draft.method == "GET"), None)
        if asked is not None and asked.status is None:
            asked.status = status

    def _unusable(self, at: float | None, prm: str, named: str) -> None:
        """It was answered with these authorization servers, and nothing was found at any of them."""
        document = next((draft for draft in self.drafts if draft.target == prm), None)
        if document is None:
            document = Draft("GET", prm, started_at=at, presumed=True)
            self.drafts.append(document)
        servers = named.split(", ")
        document.status = document.status or 200
        document.answer_body, document.cut = json.dumps({"authorization_servers": servers}), True
        if not any(urls.OAUTH in draft.target or urls.OIDC in draft.target for draft in self.drafts):
            places = [place.url for server in servers for place in urls.as_metadata_locations(server)[:1]]
            self.drafts += [Draft("GET", place, started_at=at) for place in places]


def _url(match: re.Match[str]) -> str:
    """A URL as Rust's `Debug` prints it."""
    port = f":{match['port']}" if match["port"] else ""
    return f"{match['scheme']}://{match['host']}{port}{match['path']}"
