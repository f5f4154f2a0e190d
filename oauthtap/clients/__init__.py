"""The client profiles that come with oauthtap, of the files of the clients (`files.py`).

A file says flatly what is known of a client, or, below `[trait]`, one member at a time with source and date. Of a
client that every leg of a sign-in is told of that way, there is an emulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from oauthtap.clients import files
from oauthtap.clients.profile import Profile
from oauthtap.clients.traits import Behaviour, Emulation, Trait

EMULATED_SUFFIX = "@emulated"
"""Behind the name of a client: a walk as that client, and not the client."""


@cache
def profiles() -> tuple[Profile, ...]:
    """Every profile, by name. Raises pydantic's ValidationError for a file with an unknown key."""
    return tuple(sorted((one.profile for one in known()), key=lambda profile: profile.name.lower()))


@cache
def emulations() -> Mapping[str, Emulation]:
    """The clients that a walk can behave as, by the name of their file. Raises as `profiles` does."""
    return {one.profile.slug: one for one in known() if "redirect_uri" in one.traits}


@cache
def known() -> tuple[Emulation, ...]:
    """Everything that is known of each client, with where from. Raises as `profiles` does."""
    return tuple(
        _emulation(
            slug, {key: value for key, value in said.items() if key == "name" or key not in files.NOT_OF_PROFILE}
        )
        for slug, said in files.without_messages().items()
        if said.keys() - files.NOT_OF_PROFILE
    )


def _emulation(slug: str, said: dict[str, Any]) -> Emulation:
    traits = {name: Trait(**told) for name, told in said.pop("trait", {}).items()}
    values = {name: trait.value for name, trait in traits.items()}
    own = {name: value for name, value in values.items() if name in Behaviour.model_fields}
    rest = {name: value for name, value in values.items() if name not in own}
    doubtful = (name for name in rest if traits[name].is_doubtful)
    untold = (name for name in Profile.behaviour() if name not in rest)
    unknown = tuple(dict.fromkeys((*said.pop("unknown", ()), *doubtful, *untold)))
    return Emulation(Profile(slug=slug, unknown=unknown, **said, **rest), Behaviour(**own), traits)
