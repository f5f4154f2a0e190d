"""Headers that carry credentials: which part of them is the secret."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from oauthtap.redaction import secret_names, secret_values
from oauthtap.redaction.alias_format import basic_facts, basic_parts
from oauthtap.redaction.alias_registry import AliasRegistry

_SCHEMES = r"basic|bearer|dpop|digest|token|negotiate|ntlm|oauth|mac|jwt|apikey|api-key|key|hawk|gnap|ssws|mcp"
_CREDENTIALS = re.compile(
    rf"(?P<before>[\s\"']*(?:[A-Z][A-Za-z0-9-]{{1,24}}\s+[\"']*)?(?:(?i:{_SCHEMES})(?:\s*:\s*|\s+)[\"']*)*)"
    r"(?P<core>.*?)(?P<after>[\s\"']*)",
    re.DOTALL,
)
_BARE_SCHEME = re.compile(rf"\s*(?:{_SCHEMES})\s*:?\s*", re.IGNORECASE)
_NEXT = re.compile(r"(,\s*(?=(?:bearer|basic|dpop)\s))", re.IGNORECASE)


_OF_A_TOKEN = re.compile("auth|bearer|token|key|jwt|secret", re.IGNORECASE)
_ATTRIBUTES = {"expires", "max-age", "domain", "path", "samesite", "priority", "version"}


def strike(name: str, value: str, ledger: AliasRegistry, *, client_login: bool) -> str | None:
    """The value of a header (its name in lower case) without its secret; None when it carries none.

    `client_login`: the request is one in which a client identifies itself, so that the
    user of Basic is a client id.
    """
    if secret_names.is_authorization(name):
        pieces = _NEXT.split(value)
        return "".join(
            piece if place % 2 else _credentials(piece, ledger, client_login) for place, piece in enumerate(pieces)
        )
    if name == "cookie":
        return ";".join(_cookie(piece, ledger) for piece in value.split(";"))
    if name == "set-cookie":
        return "\n".join(_set_cookie(line, ledger) for line in value.split("\n"))
    if name == "dpop":
        return _whole("proof", value, ledger)
    if secret_names.is_secret_header(name):
        return _credentials(value, ledger, client_login) if " " in value.strip() else _whole("key", value, ledger)
    return None


def strike_protocols(value: str, ledger: AliasRegistry) -> str:
    """`Sec-WebSocket-Protocol`, in which browsers send a token: `base64url.bearer.authorization.k8s.io.…`."""

    def strike_one(item: str) -> str:
        name, dot, secret = item.rpartition(".")
        named = dot and _OF_A_TOKEN.search(name) and secret_values.is_telling(secret)
        return f"{name}.{ledger.alias('token', secret)}" if named else item

    return ",".join(strike_one(item) for item in value.split(","))


def _credentials(value: str, ledger: AliasRegistry, client_login: bool) -> str:
    """The scheme stays, and whatever is odd about how it is written: rules look at that."""
    match = _CREDENTIALS.fullmatch(value)
    if match is None or not match["core"] or "‹" in value or _BARE_SCHEME.fullmatch(value):
        return value
    before, core = match["before"], match["core"]
    if secret_values.PLACEHOLDER.fullmatch(core):
        return value
    if before.strip().lower() == "basic":
        return before + _basic(core, ledger, client_login) + match["after"]
    return before + ledger.alias("token", core) + match["after"]


def _basic(core: str, ledger: AliasRegistry, client_login: bool) -> str:
    """`‹basic 1 client_id=… secret=N encoded=…›`: N is the number of the secret's own alias."""
    parts = basic_parts(core)
    if parts is None:
        return ledger.alias("basic", core, " charset=bad")
    user, password = parts
    if user and not password and not client_login:
        # A key alone, with an empty password, is how many APIs use Basic: then the user is the secret.
        ledger.learn("key", user)
        return ledger.alias("basic", core, basic_facts(None, password, None))
    number = ledger.number("secret", *dict.fromkeys((password, unquote_plus(password)))) if password else None
    return ledger.alias("basic", core, basic_facts(user, password, number))


def _cookie(piece: str, ledger: AliasRegistry) -> str:
    name, equals, value = piece.partition("=")
    return f"{name}={_whole('cookie', value, ledger)}" if equals else piece


def _set_cookie(line: str, ledger: AliasRegistry) -> str:
    first, semicolon, attributes = line.partition(";")
    return _cookie(first, ledger) + semicolon + ";".join(_attribute(one, ledger) for one in attributes.split(";"))


def _attribute(piece: str, ledger: AliasRegistry) -> str:
    """What has none of the names of RFC 6265, 5.2 and its successors is no attribute: some server's second cookie."""
    name, _, value = piece.partition("=")
    if name.strip().lower() in _ATTRIBUTES or not secret_values.is_telling(value.strip(' "')):
        return piece
    return _cookie(piece, ledger)


def _whole(kind: str, value: str, ledger: AliasRegistry) -> str:
    """A value that is nothing but a secret; quotes and blanks around it stay."""
    core = value.strip(' "')
    if not core or "‹" in core or secret_values.PLACEHOLDER.fullmatch(core):
        return value
    return value.replace(core, ledger.alias(kind, core), 1)
