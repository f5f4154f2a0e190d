"""The WWW-Authenticate header: as RFC 9110 reads it, and as the SDKs really read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"({_TOKEN})(?:([ \t]+)|(?=,)|$)")
_PARAM = re.compile(rf'({_TOKEN})([ \t]*)=([ \t]*)(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")


@dataclass(frozen=True)
class Param:
    name: str
    """As written; compare in lower case."""
    value: str
    """Unquoted, backslashes resolved."""
    quoted: bool
    spaced: bool
    """There were blanks around the equals sign."""


@dataclass(frozen=True)
class Challenge:
    """One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1)."""

    scheme: str
    """As written, empty when the header begins with a parameter."""
    params: tuple[Param, ...] = ()
    token68: str | None = None

    def get(self, name: str) -> str | None:
        """The first value of that name, any case."""
        return next((p.value for p in self.params if p.name.lower() == name), None)

    def is_bearer(self) -> bool:
        return self.scheme.lower() == "bearer"


@dataclass(frozen=True)
class ParsedChallenges:
    """All challenges of an answer, with everything the tolerant reader had to forgive."""

    challenges: tuple[Challenge, ...] = ()
    deviations: tuple[str, ...] = ()
    """`missing-comma`, `comma-after-scheme`, `bad-quotes`, `unquoted-url`, `no-scheme`, `rest:…`."""
    raw: str = ""

    @cached_property
    def bearer(self) -> Challenge | None:
        """The first Bearer challenge."""
        return next((challenge for challenge in self.challenges if challenge.is_bearer()), None)


@dataclass
class _Draft:
    scheme: str
    params: list[Param] = field(default_factory=list)
    token68: str | None = None


def parse(lines: Sequence[str]) -> ParsedChallenges:
    """Read all header lines together, as if they were joined with commas.

    Never raises: what cannot be read is passed over and named in `deviations`.
    """
    text = ", ".join(lines)
    drafts: list[_Draft] = []
    deviations: list[str] = []
    place, after_comma = 0, True
    while place < len(text):
        if text[place] in " \t":
            place += 1
        elif text[place] == ",":
            last = drafts[-1] if drafts else None
            if last and not last.params and last.token68 is None and text[:place].rstrip().endswith(last.scheme):
                following = text[place + 1 :].lstrip()
                if _PARAM.match(following):
                    deviations.append("comma-after-scheme")
            after_comma = True
            place += 1
        elif (match := _PARAM.match(text, place)) and (match[3] or match[4] is not None or match[5]):
            if not drafts:
                deviations.append("no-scheme")
                drafts.append(_Draft(""))
            if not after_comma and drafts[-1].params:
                deviations.append("missing-comma")
            quoted = match[4] is not None
            value = re.sub(r"\\(.)", r"\1", match[4]) if quoted else match[5]
            if not quoted and value[:1] in ("'", "“", "”", "‘"):
                deviations.append("bad-quotes")
            elif not quoted and re.search(r"[/:?@\[\]{}()<>]", value):
                deviations.append("unquoted-url")
            drafts[-1].params.append(Param(match[1], value, quoted, bool(match[2] or match[3])))
            place, after_comma = match.end(), False
        elif match := _SCHEME.match(text, place):
            if not after_comma and drafts:
                deviations.append("missing-comma")
            drafts.append(_Draft(match[1]))
            place, after_comma = match.end(), True
            if (token := _TOKEN68.match(text, place)) and "=" not in token[0].rstrip("=") and token[0].rstrip("="):
                rest = text[token.end() :].lstrip()
                if (rest == "" or rest.startswith(",")) and not _PARAM.match(text, place):
                    drafts[-1].token68 = token[0]
                    place, after_comma = token.end(), False
        else:
            end = re.search(r"[,\s]", text[place:])
            stop = place + (end.start() if end else len(text) - place)
            stop = max(stop, place + 1)
            piece = text[place:stop]
            deviations.append("bad-quotes" if '"' in piece or "'" in piece else f"rest:{piece}")
            place = stop
    challenges = tuple(Challenge(d.scheme, tuple(d.params), d.token68) for d in drafts)
    return ParsedChallenges(challenges, tuple(dict.fromkeys(deviations)), text)


def parse_like_sdks(lines: Sequence[str], name: str) -> str | None:
    """What the common SDKs get for a parameter, by one pattern over the whole text.

    Both reference SDKs look for the name in lower case, an equals sign without
    blanks, then a quoted text that is not empty or a run without blanks and commas.
    So a capital letter, a blank around `=` or an earlier text that happens to hold
    `scope=` decides what they see. Returns None when they see nothing.
    """
    match = re.search(rf'{re.escape(name)}=(?:"([^"]+)"|([^\s,]+))', ", ".join(lines))
    return None if match is None else (match[1] if match[1] is not None else match[2])


def format_challenges(challenges: Sequence[Challenge]) -> str:
    """The challenges as one header value that every reader understands: one blank, quotes, commas."""
    return ", ".join(_written(challenge) for challenge in challenges)


def _written(challenge: Challenge) -> str:
    if challenge.token68 is not None:
        return f"{challenge.scheme} {challenge.token68}"
    quoted = (param.value.replace("\\", "\\\\").replace('"', '\\"') for param in challenge.params)
    pairs = (f'{param.name}="{value}"' for param, value in zip(challenge.params, quoted, strict=True))
    return f"{challenge.scheme} {', '.join(pairs)}".strip()


def with_params(challenge: Challenge, **changes: str | None) -> Challenge:
    """The challenge with parameters set (at the end where they are new), or taken away with None."""
    kept = [param for param in challenge.params if param.name.lower() not in changes]
    new = [Param(name, value, True, False) for name, value in changes.items() if value is not None]
    return Challenge(challenge.scheme, (*kept, *new), challenge.token68)


def without_quoted(text: str) -> str:
    """The text with everything inside double quotes blanked out; every other character keeps its place."""
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda match: f'"{" " * len(match[1])}"', text)
