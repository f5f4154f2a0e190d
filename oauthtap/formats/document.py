"""One thing by itself: a metadata document, a registration, a token answer, a JWT, a challenge, an entry of a HAR.

What it was an answer to follows from its members, where it says so (`resource`, `issuer`); the URL is where the RFC
puts such a document, and the status is the one such an answer has. Both are told to be presumed.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import takewhile
from typing import Any

from oauthtap.formats import har
from oauthtap.formats.builder import STAND_IN, Draft, recording, shown_body
from oauthtap.formats.conversation import answered
from oauthtap.formats.logs.outcome import CODES
from oauthtap.formats.refused_step import NOWHERE, refused, step_of, untold
from oauthtap.model import urls
from oauthtap.model.recording import Recording, SourceError

WHAT = "a single document"
FORM = "one document by itself: protected resource or authorization server metadata, a registration, a token answer, a JWT, a `WWW-Authenticate` line, a HAR or a part of one"

_DECODER = json.JSONDecoder()
_MOST = 50
_NEAR = 300
"""Documents in one text, and brackets in it that begin none; further ones are passed over."""
_CHALLENGE = re.compile(r"^[^\S\n]*(?:[<>]\s*)?[\"'`]?www-authenticate[\"'`]?\s*:\s*(.+?)\s*$", re.I | re.M)
_BARE_CHALLENGE = re.compile(
    r"^[^\S\n]*[\"'`]?((?:Bearer|DPoP|Basic)(?:\s+[\w-]+=(?:\"[^\"]*\"|[^\s,]+)\s*,?)+)[\"'`]?\s*$", re.I | re.M
)
_JWT = re.compile(r"(?:^|[\s\"'`])(eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)(?=$|[\s\"'`])")
_TOKEN_FORM = re.compile(r"^[ \t>\"'`]*((?=[^\s]*\btoken_type=)access_token=[^\s&\"'`]+(?:&\w+=[^\s&\"'`]*)+)", re.M)
_MEMBER = re.compile(r'^\s*"\w+"\s*:')
_FENCED = re.compile(r"^\s*(?:```|~~~)")
_REQUEST_URL = re.compile(
    r"request URL\W{0,6}\s*(https?://[^\s\"'`<>]+)|\b(https?://[^\s\"'`<>]+/(?:access_)?token)\b", re.I
)
_ABOVE = re.compile(r"(?:GET|POST)?\s*[`(<]?(https?://[^\s`)>\"]+?)[`)>]?:?\s*$")


def read(text: str, above: str = "", below: str = "") -> Recording | None:
    """The exchange that a text is the answer of; None when it is none we know. `above`, `below`: the words around a fence."""
    value, before, after = _value(text)
    bare = value is None and (value := _members(text)) is not None
    before = f"{above}\n{before}"
    if isinstance(value, dict | list) and (whole := _har(value)):
        return whole
    lone = (
        (_of(value, before, f"{after}\n{below}") if isinstance(value, dict) else None)
        or _challenge(text)
        or _token(text)
        or _token_form(text)
    )
    drafts = [lone] if lone else _every(text)
    if not drafts:
        return None
    notes: list[str] = []
    for draft in drafts:
        if (draft.answer_body or "{}").startswith("{"):
            draft.cut = draft.cut or bare or len(json.loads(draft.answer_body or "{}")) == 1  # nobody serves one member
        if draft.target == NOWHERE:
            said = json.loads(draft.answer_body or "{}")
            notes.append(untold(said.get("error"), str(said.get("error_description") or "")))
        elif draft.role is None or ((draft.status or 0) < 400 and draft.role != "token-refresh"):
            draft.actor = "reporter"  # nobody knows who asked for it; a step that was refused is what a client met
    upstream = next(filter(None, map(_upstream, drafts)), None)
    return recording(drafts, text, what=WHAT, upstream=upstream, notes=notes)


def _every(text: str) -> list[Draft]:
    """Several documents one below the other, with words between them."""
    found: list[Draft] = []
    place, end, failed = text.find("{"), 0, 0
    while place >= 0 and len(found) < _MOST and failed < _MOST:
        try:
            value, after = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            place = text.find("{", place + 1)
            failed += 1
            continue
        if isinstance(value, dict) and (draft := _of(value, text[end:place], text[after:])):
            found.append(draft)
        place, end = text.find("{", after), after
    return found


def _value(text: str) -> tuple[Any, str, str]:
    """The JSON in a text, and the text before and behind it."""
    start = text.find("{")
    listed = text.lstrip()[:1] == "["
    start = text.find("[") if listed else start
    if start < 0:
        return None, "", ""
    body, end = text[start:], text.rfind("]" if listed else "}")
    mended, _ = shown_body(text[start : end + 1] if end > start else body)
    try:
        return json.loads(mended or ""), text[:start], text[end + 1 :] if end > start else ""
    except (ValueError, RecursionError):
        return None, "", ""


def _members(text: str) -> dict[str, Any] | None:
    """The members of a document that stand there without the braces around them."""
    lines = text.splitlines()
    first = next((at for at, line in enumerate(lines) if _MEMBER.match(line)), None)
    if first is None or "{" in text[:_NEAR] or len(text) > 20_000:
        return None
    shown = list(takewhile(lambda line: not _FENCED.match(line) and line.strip(), lines[first:]))
    while shown:
        try:
            value = json.loads("{" + "\n".join(shown).rstrip().rstrip(",") + "}")
        except (ValueError, RecursionError):
            shown.pop()  # it was cut off in the middle of a member, or words stand below it
        else:
            return value if len(value) > 1 else None
    return None


def har_part(text: str) -> Recording | None:
    """The `entries` of a HAR, cut out without the braces around them."""
    found = re.search(r'^[ \t]*"entries"\s*:\s*(?=\[)', text, re.M)
    if found is None:
        return None
    try:
        return _har(_DECODER.raw_decode(text, found.end())[0])
    except (ValueError, RecursionError):
        return None


def _har(value: Any) -> Recording | None:
    """Entries of a HAR without what stands around them."""
    entries = value.get("entries") if isinstance(value, dict) else value
    entries = [value] if isinstance(value, dict) and {"request", "response"} <= set(value) else entries
    if (
        not isinstance(entries, list)
        or not entries
        or not all(
            isinstance(e, dict) and isinstance(e.get("request"), dict) and "url" in e["request"] for e in entries
        )
    ):
        return None
    try:
        whole = har.read({"log": {"entries": entries}})
    except SourceError:
        return None
    return replace(whole, exchanges=tuple(one.replace(excerpt=True) for one in whole.exchanges))


def _of(value: dict[str, Any], before: str, after: str = "") -> Draft | None:
    names = set(value)
    lines = before.strip().splitlines()
    above = _ABOVE.search(lines[-1].strip()) if lines else None
    body = json.dumps(value, ensure_ascii=False)

    def draft(method: str, url: str, status: int, role: str | None = None) -> Draft:
        return Draft(method, above[1] if above else url, status=status, answer_body=body, presumed=True, role=role,
                     body=None if method == "POST" else "")  # fmt: skip

    issuer, resource = value.get("issuer"), value.get("resource")
    if "authorization_servers" in names or (
        isinstance(resource, str) and names & {"bearer_methods_supported", "scopes_supported"}
    ):
        places = urls.prm_locations(resource if isinstance(resource, str) else STAND_IN)
        return draft("GET", places[0].url if places else f"{STAND_IN}{urls.PRM}", 200)
    if isinstance(issuer, str) and names & {"authorization_endpoint", "token_endpoint", "jwks_uri"}:
        places = urls.as_metadata_locations(issuer)
        oidc = "userinfo_endpoint" in names or "id_token_signing_alg_values_supported" in names
        fitting = [p.url for p in places if (urls.OIDC in p.url) is oidc] or [p.url for p in places]
        return draft("GET", fitting[0] if fitting else f"{STAND_IN}{urls.OAUTH}", 200)
    if isinstance(issuer, str) and names == {"issuer"} and re.search(r"\bmetadata\b", before[-300:], re.I):
        return draft(
            "GET", next((place.url for place in urls.as_metadata_locations(issuer)), f"{STAND_IN}{urls.OAUTH}"), 200
        )
    if names & {"authorization_endpoint", "token_endpoint"}:
        return draft("GET", f"{STAND_IN}{urls.OAUTH}", 200)
    if "client_id" in names and names & {"redirect_uris", "client_id_issued_at", "token_endpoint_auth_method"}:
        if isinstance(value["client_id"], str) and value["client_id"].startswith("https://"):
            return draft("GET", value["client_id"], 200)
        return draft("POST", f"{STAND_IN}/registration-endpoint-not-shown", 201, "client-registration")
    if "access_token" in names:
        return draft("POST", f"{STAND_IN}/token-endpoint-not-shown", 200, "token-request")
    code, words = value.get("error"), str(value.get("error_description") or "")
    if isinstance(code, str) and ("error_description" in names or code in CODES):
        status = answered(lines[-1]) if lines else None
        shown = status[0] if status and status[0] >= 400 else None
        return refused(step_of(code, words, f"{before[-_NEAR:]}\n{after[:_NEAR]}"), code, body, shown)
    return None


def _challenge(text: str) -> Draft | None:
    found = _CHALLENGE.search(text) or _BARE_CHALLENGE.search(text)
    if found is None or len(text) > 5000:
        return None
    named = re.search(r'resource_metadata="?(https?://[^"\s,]+)', found[1])
    place = named[1].replace(urls.PRM, "", 1) if named and urls.PRM in named[1] else f"{STAND_IN}/mcp"
    status = re.search(r"\b(40[13])\b", text)
    return Draft(
        "POST", place, status=int(status[1]) if status else 401, presumed=status is None,
        answer_headers=[("WWW-Authenticate", found[1])],
    )  # fmt: skip


def _token_form(text: str) -> Draft | None:
    """A token answer in the form encoding, where JSON belongs: at the URL that the text calls that of the request."""
    found = _TOKEN_FORM.search(text)
    if found is None or len(text) > 20_000:
        return None
    named = _REQUEST_URL.search(text)
    role = (
        "token-refresh" if re.search(r"\brefresh(?:ing|Authorization)?\b(?!_token=)", text, re.I) else "token-request"
    )
    target = (named[1] or named[2]) if named else f"{STAND_IN}/token-endpoint-not-shown"
    draft = Draft("POST", target, status=200, answer_body=found[1], presumed=True, role=role)
    draft.answer_headers = [("Content-Type", "application/x-www-form-urlencoded")]
    return draft


def _token(text: str) -> Draft | None:
    """A JWT by itself is shown as the token of an answer: its claims are looked at like any other's."""
    found = _JWT.search(text)
    if found is None or len(text) > 20_000:
        return None
    body = json.dumps({"access_token": found[1]})
    return Draft(
        "POST",
        f"{STAND_IN}/token-endpoint-not-shown",
        status=200,
        answer_body=body,
        presumed=True,
        cut=True,
        role="token-request",
    )


def _upstream(draft: Draft) -> str | None:
    """The MCP URL that a document is about, where it says so."""
    if not draft.answer_body:
        return draft.target if draft.answer_headers and not draft.target.startswith(STAND_IN) else None
    try:
        resource = json.loads(draft.answer_body).get("resource")
    except ValueError:
        return None
    return resource if isinstance(resource, str) and resource.startswith(("http://", "https://")) else None
