"""Where secrets stand in messages: names of headers, parameters and members.

Patterns find places in raw text instead of parsing it, because a broken, cut off or
doubly wrapped document holds the same secrets, and striking one out must not mend it.
They match any name; `kind_of` says which names are those of secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache

from oauthtap.redaction.decoding import words_of

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
"""Names of the protocols, in lower case and without `_` and `-`, to the kind of the alias: what has such a name is a
secret, whatever it looks like."""

_ALSO = {
    **dict.fromkeys(("sid", "jsessionid", "phpsessid", "sessionid", "sessid", "session", "sess"), "session"),
    **dict.fromkeys(("key", "auth", "basic", "creds", "pat", "stringdata", "privatekey", "secretid", "xauth"), "key"),
    **dict.fromkeys(("sig", "signature", "hmac", "xsignature"), "signature"),
    **dict.fromkeys(("pin", "totp", "mfa", "mfacode", "pass", "pwd", "pw", "userpass", "dbpass"), "password"),
    **dict.fromkeys(("jwt", "bearer", "csrf", "xsrf", "ticket", "oauthverifier"), "token"),
    **dict.fromkeys(("authcode", "authorizationcode", "oauthcode", "verificationcode", "recoverycode"), "code"),
    **dict.fromkeys(("backupcode", "onetimecode", "invitecode", "accesscode", "securitycode"), "code"),
    **dict.fromkeys(
        ("mnemonic", "seedphrase", "recoveryphrase", "totpseed", "psk", "otpcode", "storepass", "keypass"), "password"
    ),
}
_NONE = {
    *("tokentype", "tokenuse", "codechallenge", "codechallengemethod", "progresstoken", "pagetoken", "nexttoken"),
    *("nextpagetoken", "prevpagetoken", "previouspagetoken", "continuationtoken", "synctoken", "resumetoken"),
    *("publickey", "primarykey", "foreignkey", "sortkey", "partitionkey", "idempotencykey", "secwebsocketkey"),
    *("cachekey", "mcpsessionid", "sessionstate", "keys", "jwks", "secwebsocketaccept", "clientid", "monkey", "turkey"),
    *("tokenizer", "passkey", "authsession", "secretsmanager", "secretmanager", "secretary"),
}
"""Names that say of a secret what is no secret itself, or have the word by chance."""
_ABOUT = {
    *("type", "types", "endpoint", "endpoints", "uri", "uris", "url", "urls", "supported", "method", "methods"),
    *("alg", "algs", "algorithm", "algorithms", "values", "name", "names", "count", "limit", "expires", "expiry"),
    *(
        "expiration",
        "expire",
        "in",
        "at",
        "ttl",
        "lifetime",
        "length",
        "size",
        "required",
        "enabled",
        "status",
        "format",
    ),
    *("policy", "use", "usage", "usages", "issued", "ops", "description", "error", "errors", "mismatch", "schema"),
    *("challenge", "header", "field", "fields", "param", "placeholder", "label", "title", "used", "budget", "total"),
    *(
        "max",
        "min",
        "version",
        "valid",
        "validity",
        "strength",
        "present",
        "scope",
        "scopes",
        "ref",
        "server",
        "servers",
    ),
    *("details", "parameter", "response", "issuer", "audience", "rotation", "location", "provider", "store", "manager"),
    *(
        "arn",
        "domain",
        "samesite",
        "secure",
        "httponly",
        "age",
        "kind",
        "hint",
        "help",
        "message",
        "reason",
        "requested",
    ),
}
"""Last words of names that tell something about a secret: `token_type`, `password_policy`, `secret_expires_at`."""
_FIRST = {
    *("invalid", "missing", "expired", "unsupported", "insufficient", "no", "has", "is", "max", "min", "num", "total"),
    *("requires", "supports", "public", "use", "uses", "bad", "wrong", "unknown"),
}
"""First words of error codes and of switches: `invalid_token`, `has_password`."""

WEAK = {"token", "code", "secret", "password", "otp", "passcode"}
"""In JSON these are also words of everyday (`"code": "invalid_request"`): only what looks like a secret counts."""
_WEAK_KINDS = {"session", "signature", "cookie"}

PUBLIC = {"state", "nonce", "client_id", "redirect_uri", "code_challenge", "resource", "scope", "iss", "login_hint"}
"""Parameters that rules compare as they are. A cookie that repeats one is struck in its place only."""

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

_URN = "urn:ietf:params:oauth:request_uri:"
_WORDS = re.compile(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*|[A-Z]+(?:_?[A-Z0-9]+)*")
_WORD_OR_CODE = re.compile(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)*|[A-Z]+(?:_[A-Z0-9]+)+|[A-Z]{2,10}[_-]?\d{1,6}")
"""Words, the name of a constant, the code of an error."""
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PLAIN_NUMBERS = re.compile(r"[\d.:,/TZ+-]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


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


_FOLDED = {0x131: "i", 0x17F: "s", 0x212A: "k"}


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


@lru_cache(maxsize=8192)
def kind_of(name: str) -> str | None:
    """The alias kind for a header, parameter or member of that name, None when it holds no secret."""
    pieces = [piece.lower() for piece in _PIECES.findall(name.translate(_FOLDED))]
    whole = "".join(pieces)
    if whole in KINDS:
        return KINDS[whole]
    if not pieces or whole in _NONE or pieces[-1] in _ABOUT or whole.endswith(("pagetoken", "websocketkey")):
        return None
    if pieces[0] in _FIRST and len(pieces) > 1:
        return None
    if whole in _ALSO:
        return _ALSO[whole]
    return _kind_by_part(pieces, whole)


def _kind_by_part(pieces: list[str], whole: str) -> str | None:
    """The kind for a name with a prefix or suffix of its own."""
    last = pieces[-1]
    if whole.endswith("authorization"):
        return "authorization"
    for part, kind in _PARTS:
        if part in whole:
            return kind
    if (len(pieces) > 1 and last in ("key", "keys")) or whole.endswith(("apikey", "apikeys")):
        return "key"
    if last in ("sig", "sigs", "signature", "signatures", "hmac"):
        return "signature"
    if last == "auth" and len(pieces) > 1:
        return "key"
    if last in ("sid", "sess"):
        return "session"
    if last in ("otp", "totp", "pin", "pass", "pw"):
        return "password"
    if last == "code" and len(pieces) > 1 and KINDS.get("".join(pieces[-2:]), _ALSO.get("".join(pieces[-2:]))):
        return "code"
    return "token" if last in ("jwt", "jwts", "bearer") else None


_PARTS = (
    ("refreshtoken", "refresh"), ("codeverifier", "verifier"), ("assertion", "assertion"), ("saml", "assertion"),
    ("oidcdata", "token"), ("token", "token"), ("secret", "secret"), ("password", "password"), ("passwd", "password"),
    ("passphrase", "password"), ("passcode", "password"), ("pwd", "password"), ("apikey", "key"), ("xauth", "key"),
    ("accesskey", "key"), ("privatekey", "key"), ("encryptionkey", "key"), ("signingkey", "key"), ("masterkey", "key"),
    ("authkey", "key"), ("secretkey", "key"), ("deploykey", "key"), ("sessionkey", "key"),
    ("csrf", "token"), ("xsrf", "token"), ("mcpproxyauth", "token"),
    ("credential", "secret"), ("cookie", "cookie"), ("session", "session"),
)  # fmt: skip
"""What a name needs to have in it, the more telling first."""


def is_of_a_protocol(name: str) -> bool:
    """A name that OAuth, OpenID Connect or SAML gives to a secret."""
    return name.replace("_", "").replace("-", "").lower() in KINDS


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


def is_strong(name: str) -> bool:
    """A name that the protocols give to secrets alone."""
    return name.replace("_", "").replace("-", "").lower() in KINDS and name.lower() not in WEAK


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


def is_authorization(header: str) -> bool:
    """Authorization, Proxy-Authorization, and the copies that gateways make of them."""
    return header.endswith("authorization")


_NO_SECRET_HEADERS = ("access-control-", "sec-", "x-csrf-token-", "content-", "accept", "www-authenticate")


@lru_cache(maxsize=1000)
def is_secret_header(header: str) -> bool:
    """A header (in lower case) whose whole value is a secret."""
    if header.startswith(_NO_SECRET_HEADERS):
        return False
    return kind_of(header) is not None or header.endswith(("key-id", "xsrf", "csrf"))


def worth_striking(kind: str, value: str) -> tuple[int, bool]:
    """From which character of the value the secret begins, and whether there is one at all.

    A `request_uri` is a secret only when it was pushed (RFC 9126, 2.2); its prefix stays.
    """
    if not value or PLACEHOLDER.fullmatch(value):
        return 0, False
    if kind != "request":
        return 0, True
    return (len(_URN), len(value) > len(_URN)) if value.startswith(_URN) else (0, "://" not in value)


def is_about(name: str) -> bool:
    """A name that ends in a word which tells something about a thing: `token_type`, `expires_at`."""
    pieces = _PIECES.findall(name)
    return bool(pieces) and pieces[-1].lower() in _ABOUT
