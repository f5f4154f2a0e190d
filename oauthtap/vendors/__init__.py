"""What is known of vendors' refusals: one TOML file a vendor, data only.

A vendor is an authorization server, an SDK, a framework, or what stands in front of a server. Each `[[phrase]]` is
one wording of one refusal, with what it means and where that is known from. `generic.toml` holds wordings that any
server may use. Code that reads a refusal asks `oauthtap.diagnosis.phrases`, not these files.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oauthtap.diagnosis.findings import Party

Subject = Literal[
    "redirect_uri",
    "client",  # unknown to the server
    "client-auth",  # wrong secret, method or assertion
    "client-not-allowed",  # known, and not permitted to do this
    "registration",
    "discovery",  # metadata documents: missing, unreadable, contradicting
    "scope",
    "resource",  # `resource` or `audience` as asked for
    "pkce",
    "grant",
    "code",
    "token",
    "token-expired",
    "token-key",
    "token-issuer",
    "token-audience",
    "token-revoked",
    "session",
    "origin",  # Origin, Host, CORS, CSRF, `state`
    "method",
    "media-type",
    "policy",
    "consent",
    "user-denied",
    "edge",  # bot protection, WAF, gate
    "server-fault",
    "request",  # a parameter that is malformed or missing
    "unreachable",
    "not-mcp",  # no MCP endpoint at this URL
]
"""What a refusal is about."""

SUBJECTS: tuple[str, ...] = get_args(Subject)

GAP = "…"
"""In `match`: up to 160 characters of one sentence (ids, URLs, names). They do not count as matched."""

SHORT_GAP = "‥"
"""In `match`: up to 60 characters of one clause, so that subject and predicate belong together; they do not count."""

_GAPS = {GAP: r"((?:(?!\. )[^;]){0,160}?)", SHORT_GAP: r"((?:(?![.:] )[^;]){0,60}?)"}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recognize(_Data):
    """How the vendor shows itself. Any one match is enough."""

    hosts: tuple[str, ...] = ()
    """Host names, `*` as in a shell glob, case aside."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Response header name (case aside) to a glob of its value; `*` means: it is there."""


class Phrase(_Data):
    """One wording of one refusal. Exactly the fields a reader of the refusal needs, and its own test."""

    match: str
    """Regular expression over the code and the words as `fold` leaves them: case aside, every quotation mark is `'`,
    blanks folded. `…` and `‥` are gaps. No capturing groups, no repetition without an end."""
    code: str | None = None
    """The OAuth error code that it has to come with."""
    subject: Subject
    party: Party | None = None
    """Whose it is to change; None where the words alone cannot say."""
    person: bool = False
    """The person at the browser ends it: signs in again, agrees, picks another account."""
    means: str
    change: str
    source: str
    """URL, owner/repo#number, owner/repo path, or the title of a document."""
    example: str
    """A real text that it matches."""
    not_example: str | None = None
    """A similar text that it must not match."""
    rule: str | None = None
    """The rule that finds the same defect in the exchanges."""
    weight: int = 0
    """Added to the number of characters that matched, where length alone would choose wrongly."""
    vendor: str = ""
    """Slug of the file; the loader fills it in."""

    @field_validator("match")
    @classmethod
    def _fits(cls, match: str) -> str:
        return fit(match)

    @property
    def regex(self) -> re.Pattern[str]:
        return pattern(self.match)

    @property
    def is_generic(self) -> bool:
        return self.vendor == GENERIC


GENERIC = "generic"


class Vendor(_Data):
    """One vendor, and what its refusals mean."""

    name: str
    slug: str
    recognize: Recognize = Recognize()
    phrase: tuple[Phrase, ...] = ()


@cache
def pattern(match: str) -> re.Pattern[str]:
    """The compiled form of a `match`. Raises re.error."""
    for sign, gap in _GAPS.items():
        match = match.replace(sign, gap)
    return re.compile(match, re.IGNORECASE)


def fit(match: str) -> str:
    """The `match`, where it is one. Raises ValueError when it has a group that is no gap, or matches everything."""
    compiled = pattern(match)
    if compiled.groups != sum(match.count(gap) for gap in _GAPS):
        raise ValueError("capturing groups are kept for gaps: write (?:...)")
    if compiled.search(""):
        raise ValueError("it matches the empty text")
    return match


def matched(compiled: re.Pattern[str], text: str) -> tuple[re.Match[str], int] | None:
    """Where a pattern matches, and how many characters of it are no gap."""
    hit = compiled.search(text)
    return (hit, len(hit[0]) - sum(len(gap or "") for gap in hit.groups())) if hit else None


@cache
def vendors() -> tuple[Vendor, ...]:
    """Every vendor, by slug. Raises pydantic's ValidationError for a file with an unknown key or an unfit pattern."""
    texts = [(f.name, f.read_text(encoding="utf-8")) for f in files(__name__).iterdir() if f.name.endswith(".toml")]
    return tuple(sorted((read(name.removesuffix(".toml"), text) for name, text in texts), key=lambda v: v.slug))


def read(slug: str, text: str) -> Vendor:
    """One vendor's file. Raises ValueError (pydantic's, tomllib's) for what is no such file."""
    data = tomllib.loads(text)
    phrases = tuple(Phrase(**{**phrase, "vendor": slug}) for phrase in data.pop("phrase", []))
    return Vendor(slug=slug, phrase=phrases, **data)
