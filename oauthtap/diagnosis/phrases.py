"""What the words of a refusal mean: the phrases of `oauthtap.vendors` that match them, best first."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from urllib.parse import unquote

from oauthtap.diagnosis.findings import Party
from oauthtap.vendors import Phrase, Subject, Vendor, matched, vendors

LONGEST = 6_000
"""Characters of a text that are looked at: its first two thirds and its last third."""


OWN_WORDS = 8
"""What a vendor's own wording is worth beside a generic one, in characters."""


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """A phrase, and how well it fits."""

    phrase: Phrase
    vendor: str
    """The vendor's name, as a person writes it."""
    recognized: bool
    """The vendor was recognized by host or header too, not by the words alone."""
    matched: str
    """The part of the folded text that matched."""
    score: int

    @property
    def subject(self) -> Subject:
        return self.phrase.subject

    @property
    def party(self) -> Party | None:
        return self.phrase.party


def match_phrases(
    words: str,
    code: str | None = None,
    hosts: Iterable[str] = (),
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
) -> list[PhraseMatch]:
    """The phrases that match a refusal, best first.

    `words` is whatever was said (an `error_description`, a page's text, a whole body), `code` the OAuth error code
    where there is one, `hosts` and `headers` those of the answer. Order: phrases of a vendor recognized by host or
    header; then the one that matched most characters (gaps aside, plus its `weight`, plus `OWN_WORDS` where it is a
    vendor's and not generic). Overlap is fine: the specific wording is longer than the general one inside it.
    """
    text = without_definitions(fold(f"{code}: {words}" if code else words))
    names = tuple(host.lower().rstrip(".") for host in hosts)
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return list(_ranked(text, code, names, tuple((name.lower(), value.lower()) for name, value in pairs)))


@lru_cache(maxsize=256)  # one answer is read again and again: by the refusal, the cause and the page
def _ranked(
    text: str, code: str | None, names: tuple[str, ...], values: tuple[tuple[str, str], ...]
) -> tuple[PhraseMatch, ...]:
    found = []
    for vendor in vendors():
        recognized = is_vendor(vendor, names, values)
        for phrase in vendor.phrase:
            if phrase.code is not None and not _has_code(phrase.code, code, text):
                continue
            hit = matched(phrase.regex, text)
            if hit:
                score = hit[1] + phrase.weight + (0 if phrase.is_generic else OWN_WORDS)
                found.append(PhraseMatch(phrase, vendor.name, recognized, hit[0][0], score))
    found.sort(key=lambda match: (not match.recognized, -match.score, match.phrase.is_generic))
    return tuple(found)


_DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("invalid_grant", r"the provided authorization grant [a-z.,() ]{0,90}is invalid, expired, revoked, does not match "
                      r"the redirection uri used in the authorization request, or was issued to another client"),
    ("invalid_request", r"the request is missing a required parameter, includes an (?:invalid|unsupported) parameter "
                        r"value[a-z ,()-]{0,160} or is otherwise malformed"),
    ("invalid_scope", r"the requested scope is invalid, unknown,? (?:or )?malformed[a-z ,]{0,80}"),
    ("unauthorized_client", r"the client is not authorized to request (?:an authorization code|a token|an access "
                            r"token) using this method"),
    ("access_denied", r"the resource owner or (?:the )?authorization server denied the request"),
    ("server_error", r"the authorization server encountered an unexpected condition (?:that|which) prevented it "
                     r"from fulfilling the request"),
    ("temporarily_unavailable", r"the authorization server is currently unable to handle the request due to a "
                                r"temporary overloading or maintenance of the server"),
    ("invalid_client", r"client authentication failed,? (?:\(e\.g\.,? |due to )unknown client, no client "
                       r"authentication included, or unsupported authentication method\)?"),
    ("unsupported_response_type", r"the authorization server does not support obtaining (?:an authorization code|"
                                  r"a token|an access token) using this method"),
    ("unsupported_grant_type", r"the authorization grant type is not supported by the authorization server"),
)  # fmt: skip
"""The sentences by which RFC 6749 (4.1.2.1, 5.2) defines its codes. Many servers send them: no more than the code."""


@cache
def _definitions() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((code, re.compile(sentence, re.IGNORECASE)) for code, sentence in _DEFINITIONS)


def without_definitions(text: str) -> str:
    """A folded text in which each such sentence is its code, so that a hint behind it counts."""
    for code, sentence in _definitions():
        text = sentence.sub(code, text)
    return text


def is_vendor(vendor: Vendor, hosts: Iterable[str], headers: Iterable[tuple[str, str]]) -> bool:
    """One of the hosts or headers is the vendor's; both in lower case."""
    known = vendor.recognize
    if any(fnmatchcase(host, glob.lower()) for host in hosts for glob in known.hosts):
        return True
    wanted = {name.lower(): glob.lower() for name, glob in known.headers.items()}
    return any(name in wanted and fnmatchcase(value, wanted[name]) for name, value in headers)


def plain_subject(words: str, code: str | None = None) -> Subject | None:
    """What the words are about, by their nouns alone, where no phrase matches. None when nothing fits, or two do."""
    found = plain_subjects(words)
    if len(found) == 1:
        return found[0]
    return CODES.get(code.lower()) if code and not found else None


def plain_subjects(words: str) -> list[Subject]:
    """Everything that the nouns of the words are about, the more telling first."""
    text = fold(words).lower()
    found = [subject for subject, keywords in _keywords() if keywords.search(text)]
    weaker = {weak for strong, weak in _STRONGER if strong in found}
    return [subject for subject in found if subject not in weaker]


CODES: dict[str, Subject] = {
    "invalid_client": "client",
    "unauthorized_client": "client-not-allowed",
    "invalid_scope": "scope",
    "insufficient_scope": "scope",
    "invalid_target": "resource",
    "invalid_resource": "resource",
    "invalid_redirect_uri": "redirect_uri",
    "redirect_uri_mismatch": "redirect_uri",
    "redirect_mismatch": "redirect_uri",
    "invalid_client_metadata": "registration",
    "invalid_software_statement": "registration",
    "unapproved_software_statement": "registration",
    "unsupported_grant_type": "grant",
    "unsupported_response_type": "grant",
    "invalid_grant": "grant",
    "invalid_token": "token",
    "unsupported_token_type": "token",
    "invalid_dpop_proof": "token",
    "use_dpop_nonce": "token",
    "consent_required": "consent",
    "interaction_required": "consent",
    "account_selection_required": "consent",
    "login_required": "session",
    "server_error": "server-fault",
    "temporarily_unavailable": "server-fault",
    "invalid_request": "request",
    "invalid_request_uri": "request",
    "invalid_request_object": "request",
    "request_not_supported": "request",
    "request_uri_not_supported": "request",
    "registration_not_supported": "registration",
    "access_denied": "user-denied",
}
"""What an OAuth error code says where nothing else does (RFC 6749, 6750, 7591, 8707, 9449; OpenID Connect Core)."""

_KEYWORDS: tuple[tuple[Subject, str], ...] = (
    ("redirect_uri", r"(?:redirect(?:ion)?|callback)[ _-]?ur[il]s?|reply (?:address|url)|redirect[ _]mismatch"),
    ("pkce", r"\bpkce\b|code[ _-]?verifier|code[ _-]?challenge"),
    ("client-auth", r"client[ _-](?:secret|credentials?|assertion|authentication)|token_endpoint_auth_method"),
    ("client", r"\bclient[ _-]?id\b|\bunknown client|\bclient\b.{0,40}\bnot (?:found|registered|known)|no such client"),
    ("registration", r"\bregistration\b|client metadata|software statement"),
    ("scope", r"\bscopes?\b"),
    ("resource", r"\bresource (?:parameter|indicator)|resource server|\binvalid resource\b|protected resource"),
    ("token-audience", r"\baudience\b|\baud\b"),
    ("token-issuer", r"\biss\b|\bissuer\b"),
    ("token-key", r"\bsignature\b|\bjwks\b|\bkid\b|signing key"),
    ("token-expired", r"token.{0,30}\bexpir|expired.{0,20}token|\bjwt expired"),
    ("token-revoked", r"token.{0,30}\brevoked|revoked.{0,20}token"),
    ("code", r"authori[sz]ation[ _]code|\bcode (?:is |has |was )?(?:invalid|expired|already|not found)|invalid code\b"),
    ("grant", r"\bgrant[ _]type|response[ _]type|refresh[ _]token"),
    ("origin", r"\bcsrf\b|\borigin\b|\bcors\b|host header|\bstate\b.{0,20}(?:mismatch|invalid|missing)"),
    ("session", r"\bsession\b|transaction|\b(?:oauth|login|auth(?:orization)?) flow\b|sign-?in attempt"),
    ("media-type", r"content[ _-]type|media type|not acceptable|accept header"),
    ("method", r"method not allowed|cannot (?:get|post) /"),
    ("consent", r"\bconsent\b"),
    ("policy", r"\bpolicy\b|administrator|not permitted by|tenant|organi[sz]ation"),
    ("edge", r"captcha|\bbot\b|firewall|\bwaf\b|attention required|access denied.{0,60}reference|request blocked"),
    ("server-fault", r"internal (?:server )?error|bad gateway|service unavailable|gateway time-?out|maintenance"
                     r"|stack trace|\btraceback\b|rate limit|too many requests"),
    ("discovery", r"\bmetadata\b|well-known|\bdiscovery\b|openid[- ]configuration|\boidc configuration"),
    ("unreachable", r"\bconnect(?:ion|ing)?\b|\btimed? ?out\b|\bunreachable\b|\bdns\b|\btls\b|certificate"),
    ("not-mcp", r"\b404\b|not found|no such (?:page|route|endpoint)"),
    ("token", r"\btokens?\b|\bbearer\b|\bjwt\b|unauthori[sz]ed|not authenticated"),
)  # fmt: skip

_STRONGER: tuple[tuple[Subject, Subject], ...] = (
    *(("redirect_uri", weak) for weak in ("client", "registration", "origin", "policy", "scope")),
    *(("pkce", weak) for weak in ("code", "grant", "client", "request", "token")),
    *(("client-auth", weak) for weak in ("client", "registration", "token", "grant")),
    *(("client", weak) for weak in ("registration", "policy")),
    *(("scope", weak) for weak in ("client", "token", "policy", "resource", "registration", "grant")),
    *(("token-audience", weak) for weak in ("token", "resource", "client")),
    *(("token-issuer", weak) for weak in ("token",)),
    *(("token-key", weak) for weak in ("token",)),
    *(("token-expired", weak) for weak in ("token", "session", "grant")),
    *(("token-revoked", weak) for weak in ("token", "session", "grant")),
    *(("code", weak) for weak in ("token", "grant", "client")),
    *(("grant", weak) for weak in ("token", "client")),
    *(("origin", weak) for weak in ("session", "token", "policy")),
    *(("consent", weak) for weak in ("policy", "client", "scope")),
    *(("registration", weak) for weak in ("policy",)),
    *(("edge", weak) for weak in ("policy", "origin")),
    *(("resource", weak) for weak in ("token", "policy", "client")),
    *(("session", weak) for weak in ("token",)),
    *((strong, weak) for weak in ("unreachable", "not-mcp") for strong in (
        "redirect_uri", "pkce", "client-auth", "client", "registration", "scope", "resource", "token-audience",
        "token-issuer", "token-key", "token-expired", "token-revoked", "code", "grant", "origin", "session",
        "media-type", "method", "consent", "policy", "edge", "discovery", "token")),
    *(("registration", weak) for weak in ("discovery",)),
)  # fmt: skip
"""A noun that is the more telling of two: `redirect_uri` in "redirect_uri is not registered for this client"."""


@cache
def _keywords() -> tuple[tuple[Subject, re.Pattern[str]], ...]:
    return tuple((subject, re.compile(pattern)) for subject, pattern in _KEYWORDS)


_QUOTES = dict.fromkeys(map(ord, '"`´‘’‚‛“”„‟«»‹›′″'), "'")
_ESCAPES = {'\\"': '"', "\\'": "'", "\\n": " ", "\\r": " ", "\\t": " ", "\\/": "/"}
_ESCAPE = re.compile(r"\\(?:[\"'nrt/]|u00[0-7][0-9a-fA-F])")
_QUERY = re.compile(r"(?:error|error_description|error_code|state|code)=[^\s&]*[+%&]")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_TAG = re.compile(r"<(?:[/!]|(?=[a-zA-Z]))[^<>]{0,300}>")
_BLANK = re.compile(r"\s+")


def fold(text: str) -> str:
    """A text as phrases are matched against it.

    Bounded to `LONGEST` characters; JSON escapes, HTML entities, percent and form encoding undone; every quotation
    mark is `'`; runs of white space are one blank. Words in tags are left out. Case stays.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST * 2 // 3]} {text[-LONGEST // 3 :]}"
    if _QUERY.search(text):
        text = text.replace("+", " ")
    if _PERCENT.search(text):
        text = unquote(text, errors="replace")
    text = _ESCAPE.sub(_unescaped, text)
    if "<" in text and re.search(r"<(?:html|body|head|title|h1|p|!doctype|div|center)\b", text, re.IGNORECASE):
        text = _TAG.sub(" ", text)
    return _BLANK.sub(" ", html.unescape(text).translate(_QUOTES)).strip()


def _unescaped(hit: re.Match[str]) -> str:
    escape = hit[0]
    return _ESCAPES.get(escape) or chr(int(escape[2:], 16))


def _has_code(wanted: str, code: str | None, text: str) -> bool:
    if code is not None:
        return wanted.lower() == code.lower()
    return re.search(rf"(?<![\w]){re.escape(wanted)}(?![\w])", text, re.IGNORECASE) is not None
