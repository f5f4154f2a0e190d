"""Builds the challenge that a server should have sent."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch
from oauthtap.handshake.stages import Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.www_authenticate import Challenge, Param, format_challenges


def metadata_place(stage: Mcp, so_far: Handshake) -> tuple[str, str | None]:
    """Where the protected resource metadata is (or should be), and what has to be true for that.

    The document that was really found comes first; without one it is the path-inserted
    place (RFC 9728, 3.1), and the second value says that nobody has seen it there.
    """
    if so_far.prm is not None:
        return so_far.prm.url, None
    places = urls.prm_locations(so_far.resource or stage.url)
    place = places[0].url if places else urls.without_query(stage.url)
    return place, f"protected resource metadata is served at {place}"


def as_challenge(stage: Mcp, so_far: Handshake, status: int = 401, **params: str) -> Patch:
    """The answer turned into a refusal with a Bearer challenge that names the metadata."""
    place, assumes = metadata_place(stage, so_far)
    pairs = {"resource_metadata": place, **params}
    challenge = Challenge("Bearer", tuple(Param(name, value, True, False) for name, value in pairs.items()))
    headers = {"WWW-Authenticate": format_challenges([challenge]), "Location": None, "Content-Type": None}
    return Patch(status=status, headers=headers, body="", assumes=assumes)
