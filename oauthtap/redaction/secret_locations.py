"""Where secrets stand in messages: the forms in which a name and its value stand in a text.

Patterns find places in raw text instead of parsing it, because a broken, cut off or
doubly wrapped document holds the same secrets, and striking one out must not mend it.
They match any name; `secret_names.kind_of` says which names are those of secrets.
"""

from __future__ import annotations

import re

from oauthtap.redaction.decoding import words_of
from oauthtap.redaction.secret_names import kind_of

_NAME = r"[A-Za-z_$@][\w.$@:-]{0,79}+(?:\[[\w-]{0,40}+\]){0,3}"
PARAMETER = re.compile(
    rf"(?P<open>(?:[?&#;]|\\u0026|&amp;)(?P<name>{_NAME})=)(?P<value>(?:(?!;[\w.-]+=)[^&#\s\"'<>\\])+)"
)
"""A parameter of a URL that stands in other text."""
NESTED = re.compile(
    r"(?P<open>%(?:25)?(?:3[Ff]|26|23)(?P<name>[A-Za-z_][\w.-]{0,79}+)%(?:25)?3[Dd])"
    r"(?P<value>(?:(?!%(?:25)?(?:26|23))[^&#\s\"'<>\\])+)"
)
"""A parameter of a URL that is itself a parameter, encoded once or twice."""
TAG = re.compile(r"<[A-Za-z][^<>]{1,8000}>?")
TAG_NAME = re.compile(r"\b(?:name|key|id|property|itemprop)\s*=\s*[\"']?(?P<name>[\w.:\[\]-]{1,80})", re.IGNORECASE)
TAG_VALUE = re.compile(r"(?P<open>\b(?:value|content)\s*=\s*(?P<q>[\"']?))(?P<value>[^\"'<>]+)", re.IGNORECASE)
TAG_PASSWORD = re.compile(r"\btype\s*=\s*[\"']?password", re.IGNORECASE)
"""A field of an HTML form (response_mode=form_post), a `meta` of a page, an entry of XML: attributes in any order."""
ELEMENT = re.compile(
    r"<(?P<name>[A-Za-z_][\w:.-]{0,79}+)(?P<open>(?:\s[^<>]{0,500})?>\s*(?:<!\[CDATA\[)?)"
    r"(?P<value>[^<>\]]{1,4000}+)(?=\]\]>|</)"
)
"""An element of XML with nothing but text in it."""
NAMED_ELEMENT = re.compile(
    r"<\w[^<>]{0,200}?\s(?:name|key|id)\s*=\s*[\"'](?P<name>[\w.-]{1,80})[\"'][^<>]{0,200}>(?P<value>[^<>]{1,4000}+)(?=</)"
)
"""An element of XML with its name in an attribute."""
KEY_ELEMENT = re.compile(
    r"(?P<open><(?:key|name)>\s*(?P<name>[\w.-]{1,80})\s*</(?:key|name)>\s*<\w+>\s*(?:<\w+>\s*)?)(?P<value>[^<>]{1,4000}+)"
)
"""The same as pairs of elements (property lists, XML-RPC)."""
PART = re.compile(
    r"(?P<open>\bname=\"?(?P<name>[^\"\r\n;]{1,80}+)\"?[^\r\n]{0,500}+\r?\n(?:[^\r\n]{1,2000}\r?\n){0,20}\r?\n)(?P<value>.+?)(?=\r?\n--|\Z)",
    re.IGNORECASE | re.DOTALL,
)
"""A part of multipart/form-data."""
ASSIGNMENT = re.compile(
    r"(?:(?<![\w%&-])|(?<=[\s\"'`]--)|(?<=[\s\"'`]-))(?P<name>[A-Za-z_][\w.-]{0,79}+(?:\[[\w-]{0,40}+\])?)\\{0,15}+[\"'`]?"
    r"[ \t]{0,4}+(?:=>|:=|[=:,])[ \t]{0,4}+(?P<q>\\{0,15}+[\"'`])?"
)
"""A name and what stands between it and its value, in any text: a log, YAML, a list of environment variables,
parameters of a header, or a list of a name and a value."""
_VALUE = re.compile(r"(?:[^\s\"'`,;&<>(){}\[\]\\|]|\\+/|\\+u00[0-9a-fA-F]{2})+")
_LINE = re.compile(r"[^\r\n\"'`\\<>]+")
_LINE_BEGINS = re.compile(r"(?:^|\n|\\n)[ \t]{0,40}(?:-[ \t]+|export[ \t]+|set[ \t]+)?[\"']?\Z")
JWT = re.compile(
    r'(?P<keep>"(?:signed_metadata|client_id|state|nonce|software_statement|request)"\s*:\s*"[^"]*")'
    r"|(?<![\w.-])(?P<value>ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)?)"
)
"""Anything shaped like a JWT, wherever it stands, but for the members that are meant to be read."""
_JWT_HINT = re.compile(r"ey[A-Za-z0-9_-]{8}")
_JWT_BEGINS = re.compile(r"(?<![\w.-])ey[A-Za-z0-9_-]{8,}\.")
_HINTS = ("token", "code", "secret", "assertion", "saml", "pass", "otp", "request", "auth", "key", "sess", "sid", "sig",
          "hmac", "jwt", "bearer", "cookie", "srf", "pin", "mfa", "ticket", "verifier", "mnemonic", "phrase", "pw",
          "identified", "psk", "cred", "pat\"", "basic", "seed", "stringdata",
          "kennwort", "senha", "wachtwoord", "adgangskode", "salasana", "heslo")  # fmt: skip
"""Without blanks, so that each is looked for in words. The last line is of `prose.foreign`."""
_WITHOUT: set[str] = set()
"""Words that came before and have no hint: most words of a session come again."""
_MOST_WORDS, _LONGEST_WORD = 5000, 40
"""How many of them are kept, and how long one of them is at most."""
_ODD = re.compile("[\u0131\u017f\u212a]")
"""Letters that a pattern takes for `i`, `s` and `k`, and that have another lower case."""


def may_hold_a_name(text: str) -> bool:
    """False only where no pattern here that looks for the name of a secret can match: each has a hint in it."""
    new = set(words_of(text)) - _WITHOUT
    lower = " ".join(new)
    for hint in _HINTS:  # in half the time that `any` takes
        if hint in lower:
            return True
    if len(_WITHOUT) > _MOST_WORDS:
        _WITHOUT.clear()
    _WITHOUT.update([word for word in new if len(word) <= _LONGEST_WORD])
    return not text.isascii() and _ODD.search(text) is not None


def may_hold_a_jwt(text: str) -> bool:
    """False only where nothing is shaped like a JWT. In two steps, because the first is found by its two letters."""
    return _JWT_HINT.search(text) is not None and _JWT_BEGINS.search(text) is not None


def assigned(text: str, match: re.Match[str]) -> tuple[int, str, bool] | None:
    """Where the value of an assignment begins, the value as it is written, and whether it surely is one: quoted, or
    alone on its line."""
    start, quote = match.end(), match["q"]
    separator = match[0][len(match["name"]) :]
    if quote:
        stop = text.find(quote, start)
        raw = text[start : stop if stop >= 0 else len(text)]
        if "\n" in raw:
            raw = raw.partition("\n")[0]
        return (start, raw, "," not in separator) if raw.strip() else None
    if "," in separator:  # a list of words
        return None
    lined = _LINE_BEGINS.search(text, max(0, match.start() - 60), match.start()) is not None
    if kind_of(match["name"]) in ("authorization", "cookie"):
        found = _LINE.match(text, start)
        return (start, found[0].rstrip(), lined) if found else None
    found = _VALUE.match(text, start)
    if found is None:
        return None
    raw = found[0].rstrip(".,;:!?") or found[0]
    ends = text[found.end() : found.end() + 2]
    return start, raw, lined and (not ends or ends[0] in "\r\n" or ends == "\\n")
