"""What tells a credential by its looks alone, wherever it stands: patterns, and where the secret is in each match."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from oauthtap.redaction import secret_values
from oauthtap.redaction.decoding import words_of

Replace = Callable[[str, str], str]
"""Given the kind of an alias and a secret: what to write in its place."""

_PEM = re.compile(
    r"(?P<open>-----BEGIN[ A-Z0-9_-]{0,80}PRIVATE KEY(?: BLOCK)?-----(?:\\{1,8}[nr]|\s)*+)"
    r"(?P<value>(?:(?!-----BEGIN)[A-Za-z0-9+/=:,.\s\\-]){16,20000}?)(?P<close>(?:\\{1,8}[nr]|\s)*(?:-----END|\Z|[\"'<]))"
)
_USERINFO = re.compile(
    r"(?P<open>(?:\b[A-Za-z][A-Za-z0-9+.-]{1,30}:|(?<![\w:/]))(?:\\?/){2})"
    r"(?P<value>[^\s/?#@\"'<>\\‹›:]{0,256}:[^\s/?#\"'<>\\‹›]{1,256}|[^\s/?#@\"'<>\\‹›:]{16,512})(?=@[\w\[.-])"
)
"""`user:password@` of a URL or of a database's connection string; or a token in its place, alone."""
_SCHEME = re.compile(
    r"(?P<open>\b(?P<scheme>Bearer|Basic|DPoP)(?:\s|%20|\+){1,3})(?P<value>[A-Za-z0-9._~+/-]{8,}+=*)", re.IGNORECASE
)
"""Credentials with their scheme, as they stand in a log or in a command (RFC 9110, 11.4)."""
_CURL = re.compile(
    r"(?P<open>(?:\s|^)(?:-[A-Za-z]{0,6}[uU]|--(?:proxy-)?user)[\s=]\s*[\"']?[^\s:\"'‹]{1,100}:)(?P<value>[^\s\"'‹]{4,})"
)
_DRIVER = re.compile(
    r"(?P<open>\b(?:thin|oci):[\w.-]{1,60}/|(?<![\w:/@.-])[\w.-]{1,60}:)(?P<value>[^\s/@\"'<>\\‹›:]{4,128})(?=@(?:tcp|udp|unix)?[\w(/])"
)
"""`user/password@` and `user:password@tcp(` of the drivers of databases."""
_DIGEST = re.compile(r"(?P<open>\bDigest\s[^\r\n]{0,600}?\bresponse=\\*[\"'])(?P<value>[\w+/=-]{8,})", re.IGNORECASE)
_LOGIN = re.compile(
    r"(?P<open>\bauth\s*=\s*[(\[]\s*([\"'])[^\"'\s]{1,80}\2\s*,\s*([\"']))(?P<value>[^\"'\s‹›]{4,})(?=\3)"
)
"""A name and a password as a pair, as the clients of Python take them."""
_FOLDED_JWT = re.compile(
    r"(?<![\w.-])(?P<value>ey[\w.-]{28,}+(?:(?:\r?\n|(?:\\r)?\\n)(?!\w{1,40}:)[\w.-]{16,}+){1,60})"
)
"""A JWT that is broken into lines."""
_LONG_JWT = re.compile(r"ey[\w.-]{28}")
"""How its first line begins: found by its two letters."""
_COMMANDS = tuple(
    (sign, hints, re.compile(pattern))
    for sign, hints, pattern in (
        (  # a password among the options of a program that takes one there
            "-",
            (" -p", " -a ", " -w ", " -storepass", " -keypass"),
            r"(?P<open>\b(?:mysql|mysqldump|mariadb|mongosh?|redis-cli|sshpass|"
            r"https?|xh|(?:docker|podman|az|oc|registry) login|keytool|lftp|smbclient|ldapsearch)\b"
            r"[^\r\n|;&\\]{0,200}?\s-(?:p|a|w|storepass|keypass)[ =]?[\"']?"
            r"(?:[\w.@-]{1,60}:)?)(?P<value>[^\s\"'‹:\\-][^\s\"'‹\\]{7,})",
        ),
        (  # what such a program reads
            "|",
            ("echo ", "printf "),
            r"(?P<open>\b(?:echo|printf)\s+(?:-n\s+)?(?:[\"']%s(?:\\n)?[\"']\s+)?\\*[\"']?)(?P<value>[^\s\"'‹|\\]{8,})"
            r"(?=\\*[\"']?\s*\|[^\r\n]{0,80}(?:stdin|token|secret|login))",
        ),
        (
            "<",
            ("<<<",),
            r"(?P<open>(?:token|secret|login|passw)[^\r\n]{0,60}<<<\s*\\*[\"']?)(?P<value>[^\s\"'‹|\\]{8,})",
        ),
        (  # cookies of curl
            "-",
            (" -b ", "--cookie"),
            r"(?P<open>\s(?:-b|--cookie)[ =]\\*[\"']?)(?P<value>[\w.-]{1,80}=[^\"'\r\n‹\\]{6,})",
        ),
        (  # a login as the arguments of a call
            "(",
            ("basicauth", "basic_auth", "credential", "authenticator", "usernamepassword"),
            r"(?P<open>(?:BasicAuth|basic_auth|Credentials?|PSCredential|Authenticator|UsernamePassword\w{0,30})\s?\(\s?"
            r"\\*[\"'][^\"'\\]{1,80}\\*[\"'],\s?\\*[\"'])(?P<value>[^\"'‹\\]{6,200})(?=\\*[\"'])",
        ),
        (
            "(",
            ("cookie(",),
            r"(?P<open>\bCookie\s?\(\s?\\*[\"'][\w.-]{1,80}\\*[\"'],\s?\\*[\"'])(?P<value>[^\"'‹\\]{6,4000})",
        ),
        (
            "-",
            ("securestring",),
            r"(?P<open>ConvertTo-SecureString\s+(?:-String\s+)?\\*[\"'])(?P<value>[^\"'‹\\]{6,200})",
        ),
        (  # .pgpass
            ":",
            (":5432:", ":*:"),
            r"(?P<open>(?<![\w.*:-])[\w.*-]{1,100}:(?:5432|\*):[\w.*-]{1,60}:[\w.*@-]{1,60}:)(?P<value>[^\s‹:\"'\\]{8,})",
        ),
        (  # the cookies of a browser as curl keeps them; `View` takes an escaped tab for the end of a line
            "/",
            ("true\t", "true\\", "true\n", "false\t", "false\\", "false\n"),
            r"(?P<open>(?:TRUE|FALSE)SEP/[^\s\\]{0,100}SEP(?:TRUE|FALSE)SEP\d{1,12}SEP[^\s\\]{1,80}SEP)"
            r"(?P<value>[^\s‹\\\"]{6,})".replace("SEP", r"(?:[\t\n]|\\+t)"),
        ),
    )
)
"""Where programs, calls and files have a secret without a name; to be tried where the sign, which is found at once, and
one of the hints are in a text."""
_PRIVATE_MEMBER = re.compile(
    r'(?P<open>(?P<bar>\\{0,15}+)"(?:d|p|q|dp|dq|qi|k)(?P=bar)"\s*:\s*(?P=bar)")(?P<value>[\w+/=-]{8,})(?=\\*")'
)
"""The private members of a key as JSON (RFC 7518, 6.2.2, 6.3.2, 6.4.1)."""

SHORTEST = 12
"""Characters without a blank that every pattern of `shapes.toml` needs; its hint is among them, beside them, or in the
word before."""


@cache
def _by_hint() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The patterns to try where a hint is in a text."""
    document = tomllib.loads((files("oauthtap.redaction") / "shapes.toml").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for shape in document["shape"]:
        for hint in shape["hints"]:
            found.setdefault(hint, []).append(shape["pattern"])
    return tuple((hint, tuple(patterns)) for hint, patterns in found.items())


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Whatever follows without a break belongs to it. Compiled when first needed: most are never."""
    return re.compile(f"(?:{pattern})[\\w-]*")


def strike(text: str, replace: Replace) -> str:
    """The text with every value that looks like a credential replaced."""
    lower, words = text.lower(), words_of(text)
    # Before the first word stands the last: a hint more than there is costs time and strikes nothing.
    long = " ".join([f"{words[at - 1]} {word}" for at, word in enumerate(words) if len(word) >= SHORTEST])
    for hint, patterns in _by_hint() if long else ():
        if hint in long:
            for known in patterns:
                text = _compiled(known).sub(
                    lambda match: match[0] if "‹" in match[0] else replace("key", match[0]), text
                )
    if "private key" in lower:
        text = _PEM.sub(lambda m: m["open"] + replace("pem", m["value"]) + m["close"], text)
    if _LONG_JWT.search(text):
        text = _FOLDED_JWT.sub(lambda m: replace("token", m["value"]) if m["value"].count(".") > 1 else m[0], text)
    if "@" in text and "/" in text:
        text = _USERINFO.sub(lambda m: _userinfo(m, replace), text)
    if "bearer" in lower or "basic" in lower or "dpop" in lower:
        text = _SCHEME.sub(lambda m: _credentials(m, replace), text)
    if "-" in text and ("u" in text or "U" in text):
        text = _CURL.sub(lambda m: m["open"] + replace("password", m["value"]), text)
    if "@" in text and ("thin:" in text or "oci:" in text or "@tcp(" in text or "@unix(" in text):
        text = _DRIVER.sub(lambda m: m["open"] + replace("password", m["value"]), text)
    if "=" in text and "digest" in lower:
        text = _DIGEST.sub(lambda m: m["open"] + replace("key", m["value"]), text)
    if "=" in text and "auth" in lower:
        text = _LOGIN.sub(lambda m: m["open"] + replace("password", m["value"]), text)
    for sign, hints, pattern in _COMMANDS:
        if sign in text and any(hint in lower for hint in hints):
            text = pattern.sub(lambda m: _command(m, replace), text)
    if '"kty' in text or "kty\\" in text:
        text = _PRIVATE_MEMBER.sub(lambda m: m["open"] + replace("key", m["value"]), text)
    return text


def _command(match: re.Match[str], replace: Replace) -> str:
    value = match["value"]
    words = re.split(r"[=;\s]+", value) if re.search(r"-b|cookie", match["open"]) else [value]
    if not any(map(secret_values.is_telling, words)) or secret_values.PLACEHOLDER.fullmatch(value):
        return match[0]
    return match["open"] + replace("password", value)


def _userinfo(match: re.Match[str], replace: Replace) -> str:
    value = match["value"]
    if ":" not in value and not secret_values.looks_random(value):
        return match[0]
    if secret_values.PLACEHOLDER.fullmatch(value.rpartition(":")[2]):
        return match[0]
    return match["open"] + replace("userinfo", value)


def _credentials(match: re.Match[str], replace: Replace) -> str:
    value = match["value"]
    if not secret_values.is_telling(value.rstrip(".=")) or secret_values.PLACEHOLDER.fullmatch(value):
        return match[0]
    return match["open"] + replace("basic" if match["scheme"].lower() == "basic" else "token", value)
