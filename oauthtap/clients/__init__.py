"""The client profiles that come with oauthtap: one TOML file each, data only."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from oauthtap.clients.profile import Profile


@cache
def profiles() -> tuple[Profile, ...]:
    """Every profile, by name. Raises pydantic's ValidationError for a file with an unknown key."""
    texts = [(f.name, f.read_text(encoding="utf-8")) for f in files(__name__).iterdir() if f.name.endswith(".toml")]
    found = [Profile(slug=name.removesuffix(".toml"), **tomllib.loads(text)) for name, text in texts]
    return tuple(sorted(found, key=lambda profile: profile.name.lower()))
