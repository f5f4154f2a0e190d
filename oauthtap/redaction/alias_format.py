"""Aliases, which stand in for secrets: how they are written and read.

    ‹code 1›
    ‹verifier 1 length=43 s256=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM›
    ‹token 2 {"alg":"RS256","kid":"k1"} {"aud":"https://mcp.example.com/mcp","exp":1767229200}›
    Basic ‹basic 1 client_id=app%2F1 secret=1 encoded=no›

Equal secrets have equal aliases, so whatever compares them still works. An alias says
about its secret what a rule has to know, and no more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

ALIAS = re.compile(
    r"‹(?P<name>(?P<kind>[a-z]+(?:-[a-z]+)?)[ -](?P<number>\d+))"
    r"(?P<facts>(?: [a-z0-9_]+=[^\s‹›]*)*)(?P<jwt> \{[^‹›]*)?›"
)
"""One alias, as it stands in a decoded value."""
_MARK = re.compile(r"(?:‹|\\u2039|%E2%80%B9)([a-z]+(?:-[a-z]+)?)(?: |\+|%20|-)(\d{1,9})(?!\d)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_FORM_SAFE = re.compile(r"(?:[A-Za-z0-9._*~-]|%[0-9A-Fa-f]{2}|\+)*")
_LONG = 4000
"""Tokens longer than this say how long they are: servers have header limits from 4 kB on."""

_IN_URLS = ("path", "userinfo")
"""Kinds that stand inside URLs before the query: no decoding may change them, or equal URLs would be different ones."""

_ROUND = str.maketrans("‹›", "()")
_INNER = re.compile(r"\([a-z]+(?:-[a-z]+)?[ +-]\d+[^()]*\)")

Claims = dict[str, Any]


def short(kind: str, number: int) -> str:
    """The alias without facts, for places where nothing is judged."""
    return f"‹{kind}{'-' if kind in _IN_URLS else ' '}{number}›"


def is_struck(value: str) -> bool:
    """The value is an alias, or holds one, or is one inside the claims of another."""
    return "‹" in value or _INNER.fullmatch(value) is not None


def inner(alias: str) -> str:
    """A short alias as it is written inside another."""
    return alias.translate(_ROUND)


def mentions(text: str) -> list[tuple[str, int]]:
    """Kind and number of every alias in a text, in any of the spellings we write."""
    return [(kind, int(number)) for kind, number in _MARK.findall(text)]


def parse_alias(text: str) -> dict[str, str]:
    """What an alias says of its secret: `kind`, `number`, and where they apply `length`, `charset`
    (`bad`), `s256`, `client_id`, `secret` (a number, or `empty`), `encoded`. Empty for anything else.
    """
    return dict(_facts(text))


@lru_cache(256)
def _facts(text: str) -> dict[str, str]:
    match = ALIAS.fullmatch(text.strip())
    if match is None:
        return {}
    facts = {"kind": match["kind"], "number": match["number"]}
    for fact in match["facts"].split():
        name, _, value = fact.partition("=")
        facts[name] = unquote(value)
    return facts


def jose_header(text: str) -> Claims | None:
    """The JOSE header of a JWT or JWE, or of the alias of one; None for an opaque value."""
    parts = _parts(text)
    return dict(parts[0]) if parts else None


def claims(text: str) -> Claims | None:
    """The claims of a JWT, unverified, or of the alias of one; None for an opaque or encrypted value."""
    parts = _parts(text)
    return dict(parts[1]) if parts and parts[1] is not None else None


@lru_cache(64)
def _parts(text: str) -> tuple[Claims, Claims | None] | None:
    """Header and claims, of an alias or of the token itself; a session sends the same one again and again."""
    parts = _alias_parts(text)
    return _raw_parts(text.strip()) if parts is None else parts


def _alias_parts(text: str) -> tuple[Claims, Claims | None] | None:
    """None when the text is no alias of a JWT."""
    match = ALIAS.fullmatch(text.strip())
    if match is None or not match["jwt"]:
        return None
    try:
        header, end = json.JSONDecoder().raw_decode(match["jwt"], 1)
        rest = match["jwt"][end:].strip()
        payload = json.loads(rest) if rest else None
    except (ValueError, RecursionError):
        return None
    return (header, payload) if isinstance(header, dict) and isinstance(payload, dict | None) else None


def _raw_parts(text: str) -> tuple[Claims, Claims | None] | None:
    """Header and claims of a raw JWT (three parts) or the header of a JWE (five)."""
    parts = text.split(".")
    if len(parts) not in (3, 5) or not text.startswith("ey"):
        return None
    header = _decoded(parts[0])
    if header is None or not {"alg", "typ", "enc", "kid"} & header.keys():
        return None
    if len(parts) == 5:
        return header, None
    payload = _decoded(parts[1])
    return None if payload is None else (header, payload)


def _decoded(part: str) -> Claims | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(part.encode() + b"=" * (-len(part.encode()) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --- what is written about a secret


def token_facts(value: str, strike_claims: Callable[[str], str]) -> str:
    """The facts of a token, each with a blank before it.

    `strike_claims` takes the secrets out of a JSON text: claims may hold some of their own.
    """
    facts = "" if _TOKEN68.fullmatch(value) else " charset=bad"
    if len(value) > _LONG:
        facts += f" length={len(value)}"
    for part in _raw_parts(value) or ():
        if part is not None:
            facts += " " + _compact(part, strike_claims)
    return facts


def _compact(part: Claims, strike_claims: Callable[[str], str]) -> str:
    """JSON without blanks, in ASCII: the brackets of an alias cannot occur in it; one inside is `(code 1)`."""
    try:
        text = strike_claims(json.dumps(part)).translate(_ROUND)
        return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=True)
    except (ValueError, RecursionError):
        return "{}"


def verifier_facts(value: str) -> str:
    """Length and S256 digest of a code verifier (RFC 7636, 4.1 and 4.2)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()).decode().rstrip("=")
    bad = " charset=bad" if not _UNRESERVED.fullmatch(value.ljust(43, "a")[:128]) else ""
    return f" length={len(value)} s256={digest}{bad}"


def basic_parts(credentials: str) -> tuple[str, str] | None:
    """User and password of Basic credentials as they stand in the base64, or None (RFC 7617, 2)."""
    try:
        text = base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def basic_facts(user: str | None, password: str, secret: int | None) -> str:
    """What the rules about Basic at the token endpoint need (RFC 6749, 2.3.1).

    `encoded` is `plain` where form-encoding would change nothing, `yes` where user or password
    are form-encoded, `no` where they hold characters that it would have changed.
    """
    both = (user or "") + password
    encoded = "no" if not _FORM_SAFE.fullmatch(both) else "plain" if unquote_plus(both) == both else "yes"
    name = "" if user is None else f" client_id={quote(user, safe='')}"
    return f"{name} secret={secret or 'empty'} encoded={encoded}"


# --- how an alias is written, by where it stands


def in_url(alias: str) -> str:
    """An alias as a value of a query or form: decoded once, it is itself again."""
    if "‹path-" in alias or "‹userinfo-" in alias:
        return alias
    return quote_plus(alias, safe=":,{}=").replace("%E2%80%B9", "‹").replace("%E2%80%BA", "›")


def in_header_name(alias: str) -> str:
    """An alias in the name of a header, where none of its signs may stand."""
    return alias[1:-1].replace(" ", "-")


def in_json(alias: str) -> str:
    """An alias inside a string of JSON."""
    return json.dumps(alias, ensure_ascii=False)[1:-1]


def short_in_json(alias: str) -> str:
    """The same without the claims of a token."""
    return in_json(alias.partition(" {")[0].removesuffix("›") + "›")
