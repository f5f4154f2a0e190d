"""What an error message means, whoever showed it: clients' messages and servers' phrases, ranked together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from oauthtap.clients.messages import ClientMessages, Meaning, Message, Topic, Who, messages
from oauthtap.diagnosis.phrases import OWN_WORDS, PhraseMatch, fold, match_phrases, plain_subjects
from oauthtap.vendors import Subject, matched, pattern

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

_WHO: dict[Subject, Who] = {
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

_KEYWORD_WHO: dict[Subject, Who] = {
    **_WHO,
    "redirect_uri": "authorization-server",
    "client-not-allowed": "authorization-server",
    "registration": "authorization-server",
    "discovery": "authorization-server",
    "token-key": "resource-server",
    "token-issuer": "resource-server",
    "token-audience": "resource-server",
    "media-type": "client",
    "policy": "authorization-server",
    "edge": "network",
    "unreachable": "network",
    "not-mcp": "config",
}

MOST = 3

_JOINED = re.compile(r"(?<=[A-Za-z0-9])[_-]+(?=[A-Za-z0-9])|(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class TextMeaning:
    """One thing that a text can mean, and what to do first."""

    subject: Topic
    who: Who
    why: str
    look: str
    rule: str | None
    command: str
    said_by: str | None = None
    """The client or vendor whose words they are, where that is known."""


def meanings_of(text: str, most: int = MOST) -> list[TextMeaning]:
    """What a message may mean, best first, each subject and party once. Empty when nothing is known of it.

    A client's message that only carries on what a server said counts behind the server's words, where these are known.
    A text of which nothing is known as it is, `signature_invalid`, is read once more in plain words. Where only a code
    or a vague wording is known of it, the nouns count next, and before `invalid_request`, which says nothing.
    """
    return _meanings(fold(text), most) or _meanings(_JOINED.sub(" ", fold(text)), most)


def _meanings(folded: str, most: int) -> list[TextMeaning]:
    spoken, rest = _spoken(folded)
    phrases = match_phrases(rest) if rest else []
    ranked: list[tuple[int, TextMeaning]] = []
    plain_ones = [message for _, message, _ in spoken if not (message.wraps or message.vague)]
    heard = bool(plain_ones) or any(match.score >= OWN_WORDS + 2 for match in phrases)
    record = next((client.record for client, _, _ in spoken if client.record), None)
    for client, message, score in spoken:
        worth = (1 if message.wraps else 0) if heard and (message.wraps or message.vague) else score
        ranked += [(worth - place, _of(meaning, client)) for place, meaning in enumerate(message.meaning)]
    for match in phrases:
        ranked += [(match.score - place, meaning) for place, meaning in enumerate(_of_phrase(match, record))]
    ranked.sort(key=lambda pair: -pair[0])
    found = _each_once(meaning for _, meaning in ranked)
    if not found:
        found = _each_once(_of_nouns(rest or folded, record))
    elif not heard:
        nouns = list(_of_nouns(rest, record))
        about_request = bool(phrases) and phrases[0].phrase.subject == "request"
        found = _each_once([*nouns, *found] if about_request else [*found[:2], *nouns[:1], *found[2:]])
    if found:
        found = _each_once([found[0], *found[1:2], *_otherwise(found[0], record), *found[2:]])
    return found[:most]


def _spoken(text: str) -> tuple[list[tuple[ClientMessages, Message, int]], str]:
    """The clients' messages in a text, and what is left of it without those that wrap."""
    found, rest = [], text
    for client in sorted(messages(), key=lambda client: client.slug == "any"):
        read = rest if client.slug == "any" else text
        for message in client.message:
            hit = matched(pattern(message.match), read)
            if hit:
                own = 0 if client.slug == "any" else OWN_WORDS
                found.append((client, message, hit[1] + message.weight + own))
                if message.wraps:
                    rest = rest.replace(hit[0][0], " ", 1)
    found.sort(key=lambda item: -item[2])
    return found, rest.strip()


def _of(meaning: Meaning, client: ClientMessages | None) -> TextMeaning:
    said_by = client.name if client and client.slug != "any" else None
    return TextMeaning(
        subject=meaning.subject,
        who=meaning.who,
        why=meaning.why,
        look=meaning.look,
        rule=meaning.rule,
        command=_command(meaning.subject, client.record if client else None),
        said_by=said_by,
    )


def _of_phrase(match: PhraseMatch, record: str | None) -> Iterator[TextMeaning]:
    phrase = match.phrase
    topic = TOPICS[phrase.subject]
    if topic == "server fault" and phrase.party == "network":
        topic = "network"  # a proxy or tunnel that does not reach the server
    parties: list[Who] = [phrase.party] if phrase.party else []
    if phrase.person:
        parties.append("person")
    elif not parties:
        parties.append(_WHO.get(phrase.subject, "authorization-server"))
    first = TextMeaning(
        subject=topic,
        who=parties[0],
        why=phrase.means,
        look=phrase.change,
        rule=phrase.rule,
        command=_command(topic, record),
        said_by=None if phrase.is_generic else match.vendor,
    )
    yield first
    for who in parties[1:]:
        yield replace(first, who=who)


def _of_nouns(text: str, record: str | None) -> Iterator[TextMeaning]:
    """What the nouns alone tell."""
    for subject in plain_subjects(text):
        topic = TOPICS[subject]
        yield TextMeaning(
            subject=topic,
            who=_KEYWORD_WHO.get(subject, "authorization-server"),
            why=f"Going by its nouns, the message is about {topic}; its wording is not known.",
            look="the request that it answers, and the whole answer",
            rule=None,
            command=_command(topic, record),
        )


def _otherwise(first: TextMeaning, record: str | None) -> Iterator[TextMeaning]:
    for client in messages():
        for other in client.otherwise:
            if (other.subject, other.who) == (first.subject, first.who):
                for meaning in other.then:
                    yield replace(_of(meaning, None), command=_command(meaning.subject, record))


def _each_once(found: Iterator[TextMeaning] | list[TextMeaning]) -> list[TextMeaning]:
    kept: dict[tuple[Topic, Who], TextMeaning] = {}
    for meaning in found:
        kept.setdefault((meaning.subject, meaning.who), meaning)
    return list(kept.values())


def _command(topic: Topic, record: str | None) -> str:
    """The first command to run."""
    if topic == "network":
        return "curl -v URL"
    if topic in ("discovery", "resource/audience", "configuration", "edge", "media type"):
        return "oauthtap probe URL"
    return record or "oauthtap --upstream URL"
