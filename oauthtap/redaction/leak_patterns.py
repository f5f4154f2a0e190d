"""The forms in which a name and a secret stand together in a text, for the scanner: none is the redactor's."""

from __future__ import annotations

import re

ASSIGNED = re.compile(
    r"(?<![\w%])(?P<name>[A-Za-z_][\w.-]{0,60}+(?:\[\w*\])?)"
    r"(?P<sep>\\*[\"']?[ \t]{0,3}(?:=>|:=|[:=]|,(?=[ \t]?\\*[\"']))[ \t]{0,3})"
    r"(?=(?:\\*[\"'`])?(?P<value>(?:[^\s\"'`\\,;&<>(){}\[\]|]|\\/|\\u00..){1,300}+))"
)
SCHEME = re.compile(
    r"\b(?:Bearer|Basic|DPoP|Token|Hawk|SSWS)(?:\s|%20|\+){1,3}(?P<value>[A-Za-z0-9._~+/-]{8,}+=*)", re.I
)
HEADER = re.compile(
    r"\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie)\\*[\"']?\s{0,3}[:=,]\s{0,3}\\*[\"']?(?P<value>[^\"'\\\r\n<>]{4,})",
    re.I,
)
TAG = re.compile(
    r"<[^<>]{0,600}\b(?:name|key|id|property)\s*=\s*[\"']?(?P<name>[\w.:\[\]-]++)[^<>]{0,600}"
    r"\b(?:value|content)\s*=\s*[\"']?(?P<value>[^\"'<>\s]+)"
    r"|<[^<>]{0,600}\b(?:value|content)\s*=\s*[\"']?(?P<value2>[^\"'<>\s]++)[\"']?[^<>]{0,600}"
    r"\b(?:name|key|id|property)\s*=\s*[\"']?(?P<name2>[\w.:\[\]-]+)"
    r"|<(?P<element>[A-Za-z_][\w:.-]*)(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?(?P<text>[^<>\[\]]{4,500})(?=\]\]>|</)"
)
PART = re.compile(
    r'name="?(?P<name>[^"\r\n;]{1,200}+)"?[^\r\n]{0,500}+\r?\n(?:[^\r\n]{1,2000}+\r?\n){0,20}\r?\n(?P<value>.+?)(?=\r?\n--|\Z)',
    re.DOTALL,
)
RUN = re.compile(r"(?<![A-Za-z0-9+/_~=-])[A-Za-z0-9+/_~-]{16,200}+={0,2}")
NAME_BEFORE = re.compile(r"([\w./-]{1,60})\\*[\"']?\s{0,3}[:=]\s{0,3}\\*[\"']?\Z")
NAMES_ONE = {
    *("name", "key", "label", "field", "header", "path", "id", "variable", "parameter", "property", "param"),
    *("attribute", "setting", "type", "kind", "loc", "instancepath", "propertypath", "k", "title"),
}
"""Members that hold the name of what another one holds."""
HOLD_IT = {
    *("value", "values", "text", "data", "content", "default", "current", "example", "new", "old", "raw", "val", "v"),
}
FOREIGN = re.compile(
    r"(?i:passwort|kennwort|mot de passe|contraseña|clave|senha|hasło|wachtwoord|lösenord|heslo|şifre|пароль|密码|口令|"
    r"パスワード|비밀번호)\\*[\"'`]?\s?[:=：]\s?\\*[\"'`]?([^\s\"'`<>,;\\]{8,200})"
)
LEADS_ON = re.compile(
    r"[\s\"'`*,.\\]{0,6}(?:[(=:|—–-]|!==?|\b(?:is|as|for|in|was|not)\b)"
    r"(?:[\s\"'`*=:()|—–\\-]|\b(?:is|was|my|your|our|the|this|that|a|an|as|for|in|not|valid|invalid|unknown|bad|wrong|"
    r"given|used|passed|sent|set|to|be|expired|new|old|right|correct|docker|gh|wrangler|login|put|auth)\b|\s-\w{1,12}){0,16}",
    re.IGNORECASE,
)
ABOUT = re.compile(r"[ _-]+(?:ids?|endpoints?|ur[il]s?|types?|requests?|refresh)\b")
LED_BY = re.compile(r"\b(?:from|for|of|in)\s\.?\Z")
HAS_A_NAME = re.compile(r"[\w-]{2,}\\*[\"']?\s?[:=]\s?\\*[\"']?\Z")
OF_TRANSPORT = re.compile(r"session_?id", re.IGNORECASE)
"""The session of the HTTP+SSE transport, in its URLs: it opens nothing."""
TOKEN = re.compile(r"‹›|[\w.+/~@$!%^#-]+(?:={0,2}(?![\w%=]))?(?P<colon>\\*[\"']?\s?:(?!//))?")
VALUE_FIRST = re.compile(r"\bvalue:\s*[\"']?([\w+/=!.-]{10,300}+)[\"']?(?:\s|\\n)+(?:name|key):\s*[\"']?([\w.-]+)")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
READABLE = re.compile(
    r"(?:signed_metadata|client_id|state|nonce|software_statement|request)\\{0,8}[\"']\s*:\s*\\{0,8}[\"']\Z|"
    r"[?&;](?:client_id|state|nonce|request)=\Z"
)
OF_A_COOKIE = ("expires", "path", "domain", "max-age", "samesite")
"""Attributes of a cookie (RFC 6265 §4.1.2)."""


def is_near(characters: int, words: int) -> bool:
    """No more stands between a name and its value than in a sentence."""
    return characters <= 120 and words <= 7
