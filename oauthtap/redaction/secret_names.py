"""Names of headers, parameters and members that hold a secret, and the kind of the alias for each."""

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
PUBLIC = {"state", "nonce", "client_id", "redirect_uri", "code_challenge", "resource", "scope", "iss", "login_hint"}
"""Parameters that rules compare as they are. A cookie that repeats one is struck in its place only."""
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FOLDED = {0x131: "i", 0x17F: "s", 0x212A: "k"}


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


def is_strong(name: str) -> bool:
    """A name that the protocols give to secrets alone."""
    return name.replace("_", "").replace("-", "").lower() in KINDS and name.lower() not in WEAK


def is_about(name: str) -> bool:
    """A name that ends in a word which tells something about a thing: `token_type`, `expires_at`."""
    pieces = _PIECES.findall(name)
    return bool(pieces) and pieces[-1].lower() in _ABOUT


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
