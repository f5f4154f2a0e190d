"""Personal data, redacted on request: claims, members, parameters, e-mail addresses.

Unlike a secret, a person stands in recordings that were struck long ago: in the claims inside
an alias. So aliases are read here too, in every spelling in which we or others write them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_plus

from oauthtap.model.json_edit import unescape_json
from oauthtap.redaction.alias_format import inner, is_struck

NAMES = {
    *("email", "sub", "name", "given_name", "family_name", "middle_name", "preferred_username", "upn", "unique_name"),
    *("nickname", "username", "user_name", "user_id", "oid", "login", "picture", "profile", "website", "birthdate"),
    *("phone_number", "street_address", "postal_code"),
}
"""Claims about a person (OpenID Connect Core 1.0, 5.1), and what servers call the same."""

_EVERYWHERE = "|".join(sorted(NAMES - {"name"}))
"""`name` is also that of a tool or of a client: it counts in claims alone."""
_CLOSES = re.compile(r"›|\\u203a|%E2%80%BA", re.IGNORECASE)
_ALIAS = re.compile(rf"(?:‹|\\u2039|%E2%80%B9).*?(?:{_CLOSES.pattern})", re.DOTALL | re.IGNORECASE)
_MEMBER = rf'(?P<open>"(?:{_EVERYWHERE})"\s*:\s*")(?P<value>(?:[^"\\]|\\.)*)(?P<close>")'
_WRAPPED = (
    rf'(?P<open>(?P<q>\\{{1,8}}"|%(?:25)?22)(?:{_EVERYWHERE})(?P=q)\s*(?::|%(?:25)?3A)\s*(?P=q))'
    r"(?P<value>(?:(?!(?P=q)).)*)(?P<close>(?P=q))"
)
_PATTERNS = [re.compile(pattern, re.DOTALL) for pattern in (_MEMBER, _WRAPPED)]
_IN_CLAIMS = [
    re.compile(pattern.replace(_EVERYWHERE, f"{_EVERYWHERE}|name"), re.DOTALL) for pattern in (_MEMBER, _WRAPPED)
]
_PARAMETER = re.compile(
    r"(?P<open>(?:^|[?&])(?:login_hint|email|username|user_name|user_id|preferred_username)=)(?P<value>[^&#\s\"'<>]+)"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}(?:@|%40|%2540)(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_USERINFO = re.compile(r'\\{0,8}"sub\\{0,8}"\s*:')

Name = Callable[[str], str]
"""Gives the alias of what somebody is called."""


def strike(text: str, name: Name) -> str:
    """The text without persons. `name` is asked once for each value, and gives what to write in its place."""
    pieces, end = [], 0
    claims = bool(_USERINFO.search(text)) and '"jsonrpc"' not in text
    last = max((match.end() for match in _CLOSES.finditer(text)), default=0)  # what opens behind it takes no time
    for match in _ALIAS.finditer(text, 0, last):
        pieces.append(_struck(text[end : match.start()], name, claims=claims))
        pieces.append(_struck(match[0], lambda value: inner(name(value)), claims=True))
        end = match.end()
    return "".join([*pieces, _struck(text[end:], name, claims=claims)])


def in_claims(text: str, name: Name) -> str:
    """The same for the JSON text of a token's claims."""
    return _struck(text, name, claims=True)


def _struck(text: str, name: Name, *, claims: bool) -> str:
    if '"' in text or "%22" in text or "%2522" in text:
        for pattern in _IN_CLAIMS if claims else _PATTERNS:
            text = pattern.sub(lambda match: _replaced(match, name), text)
    if "=" in text:
        text = _PARAMETER.sub(lambda m: m["open"] + _encoded(_named(unquote_plus(m["value"]), m["value"], name)), text)
    if "@" in text or "%40" in text or "%2540" in text:
        text = _EMAIL.sub(lambda match: _fitting(match[0], name(unquote(unquote(match[0])))), text)
    return text


def _replaced(match: re.Match[str], name: Name) -> str:
    value, quote = match["value"], match.groupdict().get("q") or '"'
    if not value:
        return match[0]
    plain = unquote_plus(unquote_plus(value)) if quote.startswith("%") else unescape_json(value)
    alias = _named(plain, value, name)
    return match["open"] + (_encoded(alias) if quote.startswith("%") else alias) + match["close"]


def _named(value: str, raw: str, name: Name) -> str:
    return raw if is_struck(value) else name(value)


def _fitting(found: str, alias: str) -> str:
    return _encoded(alias) if "%" in found else alias


def _encoded(alias: str) -> str:
    return alias.replace(" ", "+")
