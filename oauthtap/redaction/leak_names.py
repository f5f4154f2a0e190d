"""What `oauthtap verify` takes for the name of a secret, and for a value that may be one.

Nothing of it is shared with what strikes secrets out (`secret_names.py`, `secret_values.py`, `prose.py`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

_CLOSES = re.compile(r"›|\\u203a|%E2%80%BA|&rsaquo;", re.I)
_ALIAS = re.compile(rf"(?:‹|\\u2039|%E2%80%B9|&lsaquo;)(?P<inside>.*?)(?:{_CLOSES.pattern})", re.DOTALL | re.I)
STRUCK = re.compile(
    r"‹|\\u2039|%E2%80%B9|\A\(?(?:[a-z]+(?:-[a-z]+)?[ +]\d{1,6}(?:[ +{][^()]*)?|path-\d{1,6})\)?\Z", re.IGNORECASE
)
SECRET = re.compile(
    r"token|secret|passw|passphrase|passcode|passwd|pwd|apikey|accesskey|privatekey|secretkey|credential|cookie|jwt|bearer"
    r"|authorization\Z|assertion|saml|csrf|xsrf|xauth|session|mnemonic|devicecode|usercode|authcode|authreqid"
    r"|seedphrase|totpseed|storepass|keypass|(?:mfa|otp|recovery|backup|verification|onetime)codes?\Z"
    r"|(?:verifier|signature|hmac|otp|dpop)\Z|\A(?:code|sig|sid|pin|key|pass|auth|ticket|requesturi|pw|psk|pat|basic|creds)\Z|.(?:keys?|sigs?|sid|pin)\Z"
)
PASSWORD = re.compile(r"passw|passphrase|passcode|pwd|\A(?:pin|pass|pw|otp)\Z")
WORDLESS = {"signature", "hmac", "key", "sig", "auth", "code", "session", "sid", "cookie", "ticket", "verifier"}
NO_SECRET = re.compile(
    r"(?:type|types|endpoint|(?<!request)uris?|urls?|supported|methods?|alg|algs|algorithms?|values|names?|count|limit|expires|expiry"
    r"|expiresin|expiresat|at|ttl|lifetime|length|required|enabled|status|format|policy|use|used|usage|description|errors?"
    r"|challenge|challengemethod|field|label|title|version|scopes?|servers?|details|issuer|state|domain|kind|help|issued"
    r"|parameter|progresstoken|pagetoken|nexttoken|publickey|websocketkey|arn|secretary|tokenizer|idempotencykey|mcpsessionid|challengemethods"
    r"|hash|responsecode|statuscode|errorcode)\Z"
    r"|\A(?:invalid|missing|expired|unsupported|insufficient|has|is|max|min|num|total|requires?|supports?|public|wrong|bad)"
    r"(?=.*(?:token|secret|pass|key|session|cookie|code))|\A(?:keys|jwks|maxtokens|tokens?used)\Z"
)
PUBLIC = re.compile(
    r"(?:state|nonce|clientid|jti|kid|hash|codechallenge|etag|x5t|x5ts256|x5c|sessionid|cursor|requestid|traceid|ray|digest|"
    r"integrity|checksum|sha256|s256|uuid|guid|traceparent|tracestate|cfid|uid|sub|sid|softwarestatement|signedmetadata|jkt|"
    r"revision|version|commit|boundary|userid|tenant|tid|oid|softwareid|publickey|ephemeralid|jwk|thumbprint|rid|dmz|aio|uti)\Z"
    r"|\A(?:n|e|x|y|id|rh|connection|cfray|hosthdr|report|reportto|nel|via|location|userinfoid|oauthtapv1)\Z"
)
"""Names of values that open nothing: what stands there is no secret for being in disorder."""
WORDS = re.compile(
    r"[A-Za-z]+(?:[ _.:/+-][A-Za-z]+)*[.!?]?|[A-Z]+(?:_[A-Z0-9]+)+|[A-Z]{2,10}[_-]?\d{1,6}|[\d.:,/TZ+-]+"
)
USER_CODE = re.compile(r"[A-Z0-9]{3,}(?:-[A-Z0-9]{3,})*")
"""As RFC 8628 §6.1 has them, for people to type: letters alone, or digits alone."""
PLACEHOLDER = re.compile(
    r"undefined|none|nil|\$\{?\w+\}?|\$\{[\w:.-]+\}|\{+[^{}]*\}+|<[^<>]*>|%\w+%|\[object \w+\]|\*{3,}|x{3,}|\.{3,}|…"
    r"|made[-+ ]up.*|your[-_ ].*",
    re.IGNORECASE,
)
EVERYDAY = {
    *("required", "optional", "invalid", "missing", "expired", "revoked", "incorrect", "wrong", "unknown", "string"),
    *("text", "hidden", "password", "secret", "token", "bearer", "basic", "default", "enabled", "disabled", "generic"),
    *("number", "object", "array", "boolean", "empty", "unset", "redacted", "masked", "plain", "post", "changed"),
}
SAYS_NOTHING = {
    "value",
    "values",
    "val",
    "v",
    "text",
    "string",
    "data",
    "content",
    "uri",
    "type",
    "current",
    "default",
    *("mismatch", "expected", "got", "was", "input", "received", "plain", "initial", "contents", "new", "old"),
}
"""Members between the name of a secret and its value."""
ORDINARY = re.compile(
    r"[A-Za-z][A-Za-z_.-]*/v?\d+(?:[.\d]+\w*)?|\d{4}-\d\d-\d\d.*|[A-Za-z]+[-_ ]?\d{1,3}(?:[-_.][A-Za-z]+)*"
    r"|(?:[\w-]+\.)+[a-z]{2,8}(?:[/:].*)?"
    r"|(?:RS|ES|PS|HS|SHA)-?\d{3}.*|\w+@[\w.-]+|/.*|.*://.*|[\d.:,/TZ+%-]+|(?:[A-Za-z]+[/_.-])*[A-Za-z]+\d?|.*%‹›.*"
)
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
PERSON = {
    *("email", "sub", "name", "given_name", "family_name", "preferred_username", "upn", "unique_name", "nickname"),
    *("username", "user_name", "oid", "login_hint", "phone_number", "birthdate"),
}


def split_aliases(text: str) -> tuple[str, list[str]]:
    """The text with `‹›` for every alias, and what stands in these. What opens behind the last end is none."""
    last = max((match.end() for match in _CLOSES.finditer(text)), default=0)
    inside = [match["inside"] for match in _ALIAS.finditer(text, 0, last)]
    return (_ALIAS.sub("‹›", text[:last]) + text[last:] if inside else text), inside


def names_one(plain: str) -> bool:
    """A name, folded, that is one of a secret."""
    return SECRET.search(plain) is not None and NO_SECRET.search(plain) is None


def closer_name(outer: str, name: str) -> str:
    """The name to judge a member by: its own, or that of what it stands in where its own says nothing."""
    plain = folded(name)
    says = SECRET.search(plain) or NO_SECRET.search(plain) or PUBLIC.search(plain)
    return name if says or not SECRET.search(folded(outer)) or plain in ("name", "username", "email") else outer


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def speaks(value: str) -> bool:
    """It is no word, no number and no sentence."""
    return not WORDS.fullmatch(value)


def is_another(plain: str) -> bool:
    """The name of something that is no secret: what comes next is its value."""
    return bool(plain and (PUBLIC.search(plain) or NO_SECRET.search(plain)))


@lru_cache(maxsize=8192)
def is_a_code(value: str) -> bool:
    """Letters and digits in no order, ten or more: no word with a number, no version, date, host or address."""
    if len(value) < 10 or len(value) > 4000 or ORDINARY.fullmatch(value) or UUID.fullmatch(value):
        return False
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", value))
    return turns >= 2 and len(re.findall(r"\d", value)) >= 2 and entropy(value) > 2.5


def entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    if not text:
        return 0.0
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def says_nothing(plain: str) -> bool:
    """A name, folded, that a value may have and belong to another name before it."""
    return len(plain) < 3 or plain in SAYS_NOTHING or plain.endswith(("value", "example", "literal"))
