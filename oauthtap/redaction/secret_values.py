"""Whether a value is a secret, or a word about one: by its length, its characters, and what it stands behind."""

from __future__ import annotations

import re
from functools import lru_cache

from oauthtap.redaction.secret_names import is_strong, kind_of

ORDINARY = {
    *("access_token", "refresh_token", "authorization_code", "client_credentials", "client_secret", "code_verifier"),
    *("invalid_token", "invalid_grant", "invalid_client", "invalid_request", "insufficient_scope", "unauthorized"),
    *("undefined", "required", "optional", "password", "redacted", "xxxxxxxx", "********", "anonymous", "localhost"),
    *("application/json", "initialize", "protocolversion", "text/event-stream", "deleteme"),
}
"""Values that are struck in their place and never looked for elsewhere."""
_EVERYDAY = {
    *("required", "optional", "invalid", "missing", "expired", "revoked", "incorrect", "wrong", "unknown", "string"),
    *("text", "hidden", "none", "null", "true", "false", "password", "secret", "token", "bearer", "basic", "default"),
    *(
        "enabled",
        "disabled",
        "generic",
        "username",
        "number",
        "object",
        "array",
        "boolean",
        "yes",
        "no",
        "empty",
        "set",
    ),
    *("unset", "undefined", "redacted", "masked", "removed", "plain", "post", "get", "mandatory", "changed", "reset"),
}
"""What stands behind `"password":` in a message about one."""
PLACEHOLDER = re.compile(
    r"undefined|null|none|nil|true|false|\$\{?\w+\}?|\$\{[\w:.-]+\}|\{\{[^{}]*\}\}|<[^<>]*>|%\w+%|\[object \w+\]|"
    r"\*{3,}|x{6,}|\.{3,}|\[?redacted\]?|\(?(?:hidden|removed|masked)\)?",
    re.IGNORECASE,
)
"""What a forgotten substitution leaves behind, or somebody else's redaction: no secret, and the cause of a defect."""
_WEAK_KINDS = {"session", "signature", "cookie"}
_URN = "urn:ietf:params:oauth:request_uri:"
_WORDS = re.compile(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*|[A-Z]+(?:_?[A-Z0-9]+)*")
_WORD_OR_CODE = re.compile(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*|[A-Z]+(?:_[A-Z0-9]+)+|[A-Z]{2,10}[_-]?\d{1,6}")
"""Words, the name of a constant, the code of an error."""
_SCOPES = re.compile(r"[A-Z]?[a-z]{2,}(?:[_.:/+-][A-Z]?[a-z]{2,})*")
"""Scopes, as a form joins them: `secrets:read+projects:write`."""
_PLAIN_NUMBERS = re.compile(r"[\d.:,/TZ+-]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def means_a_secret(name: str, value: str, *, asked: bool) -> bool:
    """What stands behind this name in a text or document is a secret, and no word about one.

    `asked`: in a request, where what has such a name is meant.
    """
    if is_strong(name):
        return True
    kind = kind_of(name)
    if kind == "code":
        return looks_random(value) or (name.lower() != "code" and is_telling(value))
    if is_telling(value):
        return True
    lower = value.lower()
    if lower in _EVERYDAY or kind in _WEAK_KINDS or kind in ("key", "authorization"):
        return False
    if " " in value:
        return (asked or "phrase" in name.lower() or "mnemonic" in name.lower()) and len(value) >= 12
    if kind == "password":
        return asked or (len(value) >= 4 and not re.search(r"[_.:/-]", value))
    return asked


@lru_cache(maxsize=4096)
def is_telling(value: str) -> bool:
    """At least 8 characters without a blank, that are no words joined together, no number, no date and no URL."""
    if len(value) < 8 or " " in value or _WORD_OR_CODE.fullmatch(value) or _PLAIN_NUMBERS.fullmatch(value):
        return False
    if _SCOPES.fullmatch(value):
        return False
    return "://" not in value and not _EMAIL.fullmatch(value)


def looks_random(value: str) -> bool:
    """At least 16 characters without a blank, that are no words joined together and no number."""
    return len(value) >= 16 and " " not in value and not value.isdigit() and not _WORDS.fullmatch(value)


@lru_cache(maxsize=4096)
def is_random_segment(segment: str) -> bool:
    """A part of a path that nobody would choose: long, of letters and digits in no order. A UUID names a tenant."""
    if len(segment) < 20 or len(segment) > 2000 or _UUID.fullmatch(segment) or _WORDS.fullmatch(segment):
        return False
    if re.fullmatch(r"aus[A-Za-z0-9]{17}", segment):  # an authorization server of Okta, which its issuer says in public
        return False
    pieces = re.split(r"[^A-Za-z0-9]+", segment)
    longest = max(pieces, key=len)
    if len(longest) < 16 or not _changes(longest):
        return False
    return len(set(longest)) >= 8


@lru_cache(maxsize=4096)
def is_random_name(name: str) -> bool:
    """The name of a member that nobody would choose: the secret itself, by which something is looked up."""
    return (
        len(name) >= 12
        and is_telling(name)
        and not _UUID.fullmatch(name)
        and kind_of(name) is None
        and (len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", name)) >= 2 and len(re.findall(r"\d", name)) >= 3)
    )


def _changes(piece: str) -> bool:
    """Letters and digits take turns, three times or more; or capitals do, eight times in a long one."""
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", piece))
    capitals = len(re.findall(r"[a-z](?=[A-Z])|[A-Z](?=[a-z])", piece))
    return turns >= 3 or (capitals >= 8 and len(piece) >= 20)


def worth_striking(kind: str, value: str) -> tuple[int, bool]:
    """From which character of the value the secret begins, and whether there is one at all.

    A `request_uri` is a secret only when it was pushed (RFC 9126, 2.2); its prefix stays.
    """
    if not value or PLACEHOLDER.fullmatch(value):
        return 0, False
    if kind != "request":
        return 0, True
    return (len(_URN), len(value) > len(_URN)) if value.startswith(_URN) else (0, "://" not in value)
