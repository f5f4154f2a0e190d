"""What a refusal is about and whose it is, as the reader of a message knows it."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from oauthtap.clients.messages import Meaning, PartyOrPerson, Topic
from oauthtap.vendors import Phrase, Subject

Pair = tuple[Topic, PartyOrPerson]

TOPICS: dict[Subject, Topic] = {
    "redirect_uri": "redirect_uri",
    "client": "client",
    "client-auth": "client",
    "client-not-allowed": "client",
    "registration": "registration",
    "discovery": "discovery",
    "scope": "scope",
    "resource": "resource/audience",
    "pkce": "pkce",
    "grant": "grant",
    "code": "code",
    "token": "token",
    "token-expired": "token",
    "token-key": "token",
    "token-issuer": "token",
    "token-audience": "resource/audience",
    "token-revoked": "token",
    "session": "session",
    "origin": "origin/csrf",
    "method": "configuration",
    "media-type": "media type",
    "policy": "policy/consent",
    "consent": "policy/consent",
    "user-denied": "policy/consent",
    "edge": "edge",
    "server-fault": "server fault",
    "request": "configuration",
    "unreachable": "network",
    "not-mcp": "configuration",
}
"""The subject of a refusal, as a message's reader knows it."""

_WHO: dict[Subject, PartyOrPerson] = {
    "client": "authorization-server",
    "client-auth": "config",
    "scope": "client",
    "resource": "authorization-server",
    "pkce": "client",
    "grant": "authorization-server",
    "code": "authorization-server",
    "token": "resource-server",
    "token-expired": "client",
    "token-revoked": "person",
    "session": "resource-server",
    "origin": "authorization-server",
    "method": "config",
    "request": "client",
    "consent": "person",
    "user-denied": "person",
    "server-fault": "resource-server",
}
"""Whose it mostly is, where a phrase cannot say."""


def meanings_of_phrase(phrase: Phrase) -> tuple[Meaning, ...]:
    """What a vendor's phrase says, one meaning a party."""
    topic = TOPICS[phrase.subject]
    if topic == "server fault" and phrase.party == "network":
        topic = "network"  # a proxy or tunnel that does not reach the server
    parties: list[PartyOrPerson] = [phrase.party] if phrase.party else []
    if phrase.person:
        parties.append("person")
    elif not parties:
        parties.append(_WHO.get(phrase.subject, "authorization-server"))
    return tuple(
        Meaning(subject=topic, who=who, why=phrase.means, look=phrase.change, rule=phrase.rule) for who in parties
    )


@cache
def likely_meanings() -> dict[Pair, Meaning]:
    """What each subject and party likely mean where the wording is not known (`meanings.toml`)."""
    read = tomllib.loads(files(__package__).joinpath("meanings.toml").read_text(encoding="utf-8"))
    said = [
        Meaning.model_validate({"subject": s, "who": who, **told})
        for s, parties in read.items()
        for who, told in parties.items()
    ]
    return {(one.subject, one.who): one for one in said}
