"""A message as terms: its words, which of them stand together, and what they stand for (`terms.toml`).

What a message is about shows in few places: the thing (`redirect_uri`, an issuer, a certificate) and what is said of
it (missing, refused, does not match). Two messages that share both mostly mean the same, whatever else they say.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

LONGEST = 120
"""Words that are looked at."""

NEAR = 7
"""Words between a thing and what is said of it."""

_WORD, _PAIR, _SKIP, _THING, _PREDICATE, _TOGETHER = 1.0, 1.0, 0.5, 2.0, 1.0, 2.0
"""What each kind of term weighs, before how rare it is."""

_URL = re.compile(r"https?://([^\s/'<>),\]]*)([^\s'<>),\]]*)", re.IGNORECASE)
_TELLING = ("token", "authorize", "register", "mcp", "sse", "oauth", "callback", "login", "jwks", "metadata", "known")
_PLACEHOLDER = re.compile(
    r"[$#]\{[^{}]{0,60}\}|\{[\w.]{0,40}\}|<[a-z][a-z0-9 _.-]{0,30}>|%[sdqvw]|%\+?v", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKEN = re.compile(r"[a-z0-9]+")
_KEPT = re.compile(r"[a-z]{2,}|s256|x509|[1-5]\d\d|32[0-9]{3}")
_DESCRIBED = re.compile(
    r"'(?:error_?description|description|message|reason|details?|error_?summary)'\s*:\s*'([^']{6,})", re.I
)
_CLAUSE = re.compile(r"(?<=[a-z0-9)'\]]): (?=\S)|\b[Cc]aused by:?|\b[Rr]eason:?|=>|\berror=|\. (?=[A-Z])")
_NOT = (("can't", "can not"), ("cannot", "can not"), ("n't", " not"))
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))


def words(text: str) -> list[str]:
    """The words of a folded text: stems in lower case; ids left out, a URL reduced to what its path tells."""
    text = _CAMEL.sub(" ", _PLACEHOLDER.sub(" ", _URL.sub(_of_url, text))).lower()
    for short, whole in _NOT:
        text = text.replace(short, whole)
    found = []
    for word in _TOKEN.findall(text):
        if word.isalpha():
            found.append(_stem(word))
        else:
            kept = _KEPT.match(word)
            if kept and (kept[0] == word or (len(kept[0]) > 2 and word[len(kept[0]) :].isdigit())):
                found.append(kept[0])
    return found[:LONGEST]


def _of_url(hit: re.Match[str]) -> str:
    loopback = " loopback" if hit[1].startswith(("localhost", "127.", "[::1]")) else ""
    path = hit[2] if "?" in hit[2] or "well-known" in hit[2] else _told(hit[2])
    return f" url{loopback} {path} "


def _told(path: str) -> str:
    return " ".join(word for word in _TOKEN.findall(path.lower()) if word in _TELLING)


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
            return word[: -len(ending)] + instead
    return word


def reason(text: str) -> str | None:
    """What a folded text says last: the longest description in it, else its last clause. None where it is all one."""
    described = max(_DESCRIBED.findall(text), key=len, default="")
    if described:
        return described
    clauses = [clause for clause in _CLAUSE.split(text) if len(clause) > 5 and set(words(clause)) - {"url", "loopback"}]
    return clauses[-1] if len(clauses) > 1 else None


def terms(text: str) -> dict[str, float]:
    """Every term of a folded text, and what it weighs."""
    told = words(text)
    found: dict[str, float] = dict.fromkeys(told, _WORD)
    for one, other in pairwise(told):
        found[f"{one} {other}"] = _PAIR
    for one, other in zip(told, told[2:], strict=False):
        found[f"{one} … {other}"] = _SKIP
    things, predicates = _meant(told)
    found.update(dict.fromkeys((f"@{name}" for name, _ in things), _THING))
    found.update(dict.fromkeys((f"={name}" for name, _ in predicates), _PREDICATE))
    for at, (thing, place) in enumerate(things):
        for predicate, there in predicates:
            if abs(place - there) <= NEAR:
                found[f"@{thing} ={predicate}"] = _TOGETHER
        for other, there in things[at + 1 :]:
            if other != thing and abs(place - there) <= NEAR:
                found[" ".join(sorted((f"@{thing}", f"@{other}")))] = _TOGETHER
    return found


def _meant(told: list[str]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """What the words stand for, each with its place."""
    things: list[tuple[str, int]] = []
    predicates: list[tuple[str, int]] = []
    vocabulary, longest = _vocabulary()
    for place in range(len(told)):
        for length in range(1, longest + 1):
            for is_thing, name in vocabulary.get(tuple(told[place : place + length]), ()):
                (things if is_thing else predicates).append((name, place))
            if place + length >= len(told):
                break
    return things, predicates


@cache
def _vocabulary() -> tuple[dict[tuple[str, ...], list[tuple[bool, str]]], int]:
    """Each sequence of words that stands for something, and how many words the longest has."""
    read = tomllib.loads(files(__package__).joinpath("terms.toml").read_text(encoding="utf-8"))
    known: dict[tuple[str, ...], list[tuple[bool, str]]] = {}
    for kind, names in read.items():
        for name, wordings in names.items():
            for wording in wordings:
                known.setdefault(tuple(words(wording)), []).append((kind == "thing", name))
    return known, max(map(len, known))
