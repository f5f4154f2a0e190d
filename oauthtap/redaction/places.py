"""Where secrets stand in messages: names of headers, parameters and members. Keeps no secret.

Patterns find places in raw text instead of parsing it, because a broken, cut off or
doubly wrapped document holds the same secrets, and striking one out must not mend it.
"""

from __future__ import annotations

import re
from functools import lru_cache

KINDS = {
    "accesstoken": "token",
    "idtoken": "token",
    "idtokenhint": "token",
    "logouttoken": "token",
    "registrationaccesstoken": "token",
    "initialaccesstoken": "token",
    "subjecttoken": "token",
    "actortoken": "token",
    "sessiontoken": "token",
    "authtoken": "token",
    "csrftoken": "token",
    "xsrftoken": "token",
    "authenticitytoken": "token",
    "token": "token",
    "refreshtoken": "refresh",
    "code": "code",
    "codeverifier": "verifier",
    "clientsecret": "secret",
    "secret": "secret",
    "assertion": "assertion",
    "clientassertion": "assertion",
    "samlresponse": "assertion",
    "devicecode": "device",
    "usercode": "user-code",
    "password": "password",
    "passwd": "password",
    "passcode": "password",
    "otp": "password",
    "requesturi": "request",
    "authreqid": "request",
    "apikey": "key",
    "xapikey": "key",
}
"""Name of a parameter or member, in lower case and without `_` and `-`, to the kind of its alias."""

WEAK = {"token", "code", "secret", "password", "otp", "passcode"}
"""In JSON these are also words of everyday (`"code": "invalid_request"`): only what looks random counts."""

PUBLIC = {"state", "nonce", "client_id", "redirect_uri", "code_challenge", "resource", "scope", "iss", "login_hint"}
"""Parameters that rules compare as they are. A cookie that repeats one is struck in its place only."""

ORDINARY = {
    *("access_token", "refresh_token", "authorization_code", "client_credentials", "client_secret", "code_verifier"),
    *("invalid_token", "invalid_grant", "invalid_client", "invalid_request", "insufficient_scope", "unauthorized"),
    *("undefined", "required", "optional", "password", "redacted", "xxxxxxxx", "********", "anonymous", "localhost"),
    *("application/json", "initialize", "protocolversion", "text/event-stream", "deleteme"),
}
"""Values that are struck in their place and never looked for elsewhere."""

PLACEHOLDER = re.compile(
    r"undefined|null|none|nil|true|false|\$\{?\w+\}?|\{\{[^{}]*\}\}|<[^<>]*>|%\w+%|\[object \w+\]", re.IGNORECASE
)
"""What a forgotten substitution leaves behind: no secret, and the cause of a defect."""

_NAMES = (
    r"access[_-]?token|refresh[_-]?token|id[_-]?token(?:[_-]hint)?|logout[_-]?token|registration[_-]access[_-]token"
    r"|initial[_-]access[_-]token|subject[_-]token|actor[_-]token|session[_-]?token|auth[_-]?token|[cx]srf[_-]?token"
    r"|authenticity_token|token|code|code[_-]?verifier|client[_-]?secret|secret|assertion|client[_-]assertion"
    r"|samlresponse|device[_-]?code|user[_-]?code|password|passwd|passcode|otp|request_uri|auth_req_id"
    r"|(?:x[_-])?api[_-]?key"
)

MEMBER = re.compile(rf'(?P<open>"(?P<name>{_NAMES})"\s*:\s*")(?P<value>(?:[^"\\]|\\.)*)(?P<close>"|\\?$)', re.I | re.S)
"""A JSON member with a string value; the end of the text closes it too."""
WRAPPED = re.compile(
    rf'(?P<open>(?P<bar>\\{{1,8}})"(?P<name>{_NAMES})(?P=bar)"\s*:\s*(?P=bar)")(?P<value>[^"\\]+)', re.I
)
"""The same, in a JSON text that is itself a string of a JSON text."""
PARAMETER = re.compile(rf"(?P<open>(?:[?&#;]|\\u0026)(?P<name>{_NAMES})=)(?P<value>[^&#\s\"'<>\\]+)", re.I)
"""A parameter of a URL that stands in other text."""
NESTED = re.compile(
    rf"(?P<open>%(?:25)?(?:3F|26|23)(?P<name>{_NAMES})%(?:25)?3D)"
    r"(?P<value>(?:(?!%(?:25)?(?:26|23))[^&#\s\"'<>\\])+)",
    re.IGNORECASE,
)
"""A parameter of a URL that is itself a parameter, encoded once or twice."""
INPUT = re.compile(r"<input\b[^<>]{1,8000}>?", re.IGNORECASE)
INPUT_NAME = re.compile(rf"\bname\s*=\s*[\"']?(?P<name>{_NAMES})(?![\w-])", re.IGNORECASE)
INPUT_VALUE = re.compile(r"(?P<open>\bvalue\s*=\s*(?P<q>[\"']?))(?P<value>[^\"'<>]+)", re.IGNORECASE)
"""A field of an HTML form (response_mode=form_post), and its two attributes, in either order."""
PART = re.compile(rf"(?P<open>\bname=\"?(?P<name>{_NAMES})\"?\r?\n(?:[^\r\n]+\r?\n)*\r?\n)(?P<value>[^\r\n]+)", re.I)
"""A part of multipart/form-data."""
JWT = re.compile(
    r'(?P<keep>"(?:signed_metadata|client_id|state|nonce|software_statement|request)"\s*:\s*"[^"]*")'
    r"|(?<![\w.-])(?P<value>ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)?)"
)
"""Anything shaped like a JWT, wherever it stands, but for the members that are meant to be read."""
_JWT_HINT = re.compile(r"ey[A-Za-z0-9_-]{8}")
_JWT_BEGINS = re.compile(r"(?<![\w.-])ey[A-Za-z0-9_-]{8,}\.")

_SECRET_HEADER = re.compile(
    r"(?:^|[-_])(?:api-?key|key-id|access-?token|auth-?token|token|secret|password|jwt-assertion|subscription-key"
    r"|oidc-data|oidc-accesstoken|mcp-proxy-auth|csrf|xsrf)$",
    re.IGNORECASE,
)
_URN = "urn:ietf:params:oauth:request_uri:"
_WORDS = re.compile(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*|[A-Z]+(?:_?[A-Z0-9]+)*")


_HINTS = ("token", "code", "secret", "assertion", "samlresponse", "passw", "otp", "request_uri", "auth_req_id", "key")
_ODD = re.compile("[\u0131\u017f\u212a]")
"""Letters that a pattern takes for `i`, `s` and `k`, and that have another lower case."""


def may_hold_a_name(text: str) -> bool:
    """False only where no pattern here that looks for the name of a secret can match: each has a hint in it."""
    lower = text.lower()
    for hint in _HINTS:  # in half the time that `any` takes
        if hint in lower:
            return True
    return not text.isascii() and _ODD.search(text) is not None


def may_hold_a_jwt(text: str) -> bool:
    """False only where nothing is shaped like a JWT. In two steps, because the first is found by its two letters."""
    return _JWT_HINT.search(text) is not None and _JWT_BEGINS.search(text) is not None


def kind_of(name: str) -> str | None:
    """The alias kind for a parameter or member of that name, None when it holds no secret."""
    return KINDS.get(name.replace("_", "").replace("-", "").lower())


def looks_random(value: str) -> bool:
    """At least 16 characters without a blank, that are no words joined together and no number."""
    return len(value) >= 16 and " " not in value and not value.isdigit() and not _WORDS.fullmatch(value)


def is_authorization(header: str) -> bool:
    """Authorization, Proxy-Authorization, and the copies that gateways make of them."""
    return header.endswith("authorization")


@lru_cache(maxsize=1000)
def is_secret_header(header: str) -> bool:
    """A header (in lower case) whose whole value is a secret."""
    return _SECRET_HEADER.search(header) is not None


def worth_striking(kind: str, value: str) -> tuple[int, bool]:
    """From which character of the value the secret begins, and whether there is one at all.

    A `request_uri` is a secret only when it was pushed (RFC 9126, 2.2); its prefix stays.
    """
    if not value or PLACEHOLDER.fullmatch(value):
        return 0, False
    if kind != "request":
        return 0, True
    return (len(_URN), len(value) > len(_URN)) if value.startswith(_URN) else (0, "://" not in value)
