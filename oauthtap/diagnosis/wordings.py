"""The known wordings in a text: clients' messages and servers' phrases, ranked together."""

from __future__ import annotations

from dataclasses import dataclass

from oauthtap.clients.messages import ClientMessages, Meaning, Message, messages
from oauthtap.diagnosis.phrases import OWN_WORDS, match_phrases
from oauthtap.diagnosis.topics import meanings_of_phrase
from oauthtap.vendors import matched, pattern


@dataclass(frozen=True, slots=True)
class Wordings:
    """What is known of a text as it is worded."""

    meanings: tuple[tuple[Meaning, str | None], ...]
    """Best first, each with the client or vendor whose words they are, where that is known."""
    strength: int
    """Characters of the best wording that says more than an error code; 0 for none."""
    record: str | None
    """The command that records what the recognized client does."""


def find_wordings(folded: str) -> Wordings:
    """What is known of a folded text. A message that only carries on what a server said counts behind those words."""
    spoken, rest = _spoken(folded)
    phrases = match_phrases(rest) if rest else []
    ranked: list[tuple[int, Meaning, str | None]] = []
    plain = [score for _, message, score in spoken if not (message.wraps or message.vague)]
    heard = bool(plain) or any(match.score >= OWN_WORDS + 2 for match in phrases)
    for client, message, score in spoken:
        worth = (1 if message.wraps else 0) if heard and (message.wraps or message.vague) else score
        said_by = client.name if client.slug != "any" else None
        ranked += [(worth - place, meaning, said_by) for place, meaning in enumerate(message.meaning)]
    for match in phrases:
        said_by = None if match.phrase.is_generic else match.vendor
        said = meanings_of_phrase(match.phrase)
        ranked += [(match.score - place, meaning, said_by) for place, meaning in enumerate(said)]
    ranked.sort(key=lambda one: -one[0])
    return Wordings(
        meanings=tuple((meaning, said_by) for _, meaning, said_by in ranked),
        strength=max([*plain, *(match.score for match in phrases), 0]),
        record=next((client.record for client, _, _ in spoken if client.record), None),
    )


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
