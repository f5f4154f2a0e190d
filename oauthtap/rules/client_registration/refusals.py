"""Registrations that fail: where the request went astray, or what the server holds against it."""

from __future__ import annotations

import re

from oauthtap import urls
from oauthtap.findings import Patch, Problem, Problems
from oauthtap.handshake import Handshake
from oauthtap.rules import rule
from oauthtap.specs import must, practice
from oauthtap.stages import Registration, text, texts

_CODES = {
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
    "invalid_token",
    "invalid_request",
    "insufficient_scope",
}
_NOT_HERE = (404, 405, 501)
_OTHER_MATTERS = (401, 403, 404, 405, 408, 413, 415, 429)
"""Failures that have a status of their own, so that 400 would be the wrong one for them."""
_KNOWN_HOSTS = re.compile(
    r"https://(?:claude\.(?:ai|com)|chatgpt\.com|(?:insiders\.)?vscode\.dev|(?:www\.)?cursor\.com|oauth\.n8n\.cloud)/"
)
_TOKEN = re.compile(r"token|authenticat|authori[sz]|bearer|log ?in|credential", re.I)
_EXTRA = re.compile(
    r"unknown|unexpected|unrecogni[sz]ed|additional|extra|not (?:allowed|permitted)|should not exist", re.I
)
_MEMBERS = re.compile(
    r"propert(?:y|ies)|field|\bkeys?\b|\bkey\(s\)|member|parameter|attribute|\binputs?\b|metadata", re.I
)
_POLICY = re.compile(
    r"polic(?:y|ies)|trusted.?host|allow.?list|white.?list|not (?:on|in) the list|\bapproved\b|"
    r"max(?:imum)?\b.{0,30}\bclients|client limit|too many clients|"
    r"registration[ _-]*(?:is |has been )?[ _-]*(?:not|disabled|closed|unsupported|forbidden|denied)|"
    r"(?:disabled|closed|not (?:supported|enabled|available|allowed|permitted)).{0,40}registration",
    re.I,
)
_GATEWAY_PAGE = re.compile(r"attention required|just a moment|cf-error|akamai|incapsula|request blocked|captcha", re.I)
_VALUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "token_endpoint_auth_method",
        re.compile(r"auth(?:entication)?[_ ]?methods?|client_secret_(?:basic|post|jwt)|private_key_jwt", re.I),
    ),
    ("grant_types", re.compile(r"grant[ _]?types?|\bgrants?\b|refresh_token", re.I)),
    ("response_types", re.compile(r"response[ _]?types?", re.I)),
    ("scope", re.compile(r"\bscopes?\b", re.I)),
)


def _reached(stage: Registration) -> bool:
    """A new registration at an address that somebody named, not at one the client made up."""
    guess = stage.because is not None and stage.because.guess and stage.because.exchange is not None
    return not stage.managing and not guess and stage.status is not None


def _words(stage: Registration) -> str:
    """What the server says about its refusal, without the code and without markup; at most 2000 characters."""
    said = re.sub(r"<[^>]*>", " ", stage.answer_text[:4000])
    return re.sub(r"invalid_client_metadata|invalid_redirect_uri|invalid_request", " ", said)[:2000].strip()


def _quote(stage: Registration) -> str:
    described = text(stage.answer_object.get("error_description")) or text(stage.answer_object.get("message"))
    said = described or stage.oauth_error or " ".join(_words(stage).split())
    return f"{said[:160]!r}" if said else "nothing"


def _about_redirect(stage: Registration) -> bool:
    return "redirect" in stage.answer_text.lower()


def _unwanted(stage: Registration) -> bool:
    """The refusal is about a member the server does not know."""
    said = _words(stage)
    return bool(_EXTRA.search(said) and _MEMBERS.search(said)) and not _about_redirect(stage)


def _of_policy(stage: Registration) -> bool:
    said = f"{stage.oauth_error or ''} {_words(stage)}"
    return stage.status in (400, 403, 409, 422) and bool(_POLICY.search(said))


def _blamed(stage: Registration) -> str | None:
    """The member of the client's metadata that the refusal names first; None when it names none."""
    said = _words(stage)
    places = {name: match.start() for name, pattern in _VALUES if (match := pattern.search(said))}
    for name in stage.asked:
        if name not in places and "_" in name and name in said:
            places[name] = said.index(name)
    return min(places, key=lambda name: places[name], default=None)


@rule(
    "dcr-error-status",
    must("RFC 7591 §3.2.2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2"),
    who="authorization-server",
    severity="note",
)
def error_status(stage: Registration, so_far: Handshake) -> Problems:
    """A refused registration is answered with another status than 400.

    Clients look for status 400 with a JSON error that says why. Another status makes some
    of them report a fault of the network or of the server instead of the reason.

    Usual causes: the framework's own validation answers (422, 409) before the endpoint
    does.

    Repair: Answer refused registrations with 400.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        422 {"error": "invalid_client_metadata"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata"}
    """
    code = stage.status or 0
    if _reached(stage) and 400 < code < 500 and code not in _OTHER_MATTERS:
        yield Problem(
            message=f"the registration is refused with status {code}; it has to be 400",
            at="response.status",
            expected="400",
            actual=str(code),
            patch=Patch(status=400),
        )


@rule(
    "dcr-error-body",
    must("RFC 7591 §3.2.2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2"),
    who="authorization-server",
    severity="warning",
    symptom=True,
)
def error_body(stage: Registration, so_far: Handshake) -> Problems:
    """A refused registration does not say why in the agreed form.

    The reason belongs into a JSON object: `error` with one of the registered codes, and
    `error_description` for people. A client that finds something else can only show
    "HTTP 400".

    Usual causes: the framework's own error format; a gateway that answers before the
    authorization server.

    Repair: Answer `{"error": "invalid_redirect_uri", "error_description": "…"}`, or with
    `invalid_client_metadata` where another member is at fault.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"code": 17, "message": "no"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata", "error_description": "no"}
    """
    code = stage.status or 0
    if not _reached(stage) or not 400 <= code < 500 or code in (404, 405, 429):
        return
    if stage.oauth_error not in _CODES:
        there = (
            f"`error` is {stage.oauth_error[:60]!r}" if stage.oauth_error else "there is no string `error` in the body"
        )
        yield Problem(
            message=f"the registration is refused with {code}, and {there}; it has to be a registered code",
            at="response.json.error",
            expected="invalid_redirect_uri or invalid_client_metadata",
            actual=stage.oauth_error,
        )


@rule(
    "dcr-endpoint-not-found",
    practice(
        "RFC 8414 §2 (registration_endpoint); RFC 7591 §3", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
    ),
    who="authorization-server",
    severity="error",
)
def endpoint_not_found(stage: Registration, so_far: Handshake) -> Problems:
    """The advertised registration endpoint does not answer there.

    The metadata sends the client to this URL. A 404 or 405 there ends the sign-in, and a
    redirect does too: on 301 and 302 clients repeat the request as GET, and what they
    wanted to register is lost.

    Usual causes: a path prefix is missing in the metadata; the server answers only at
    `www.` or with a trailing slash; registration was switched off and stayed in the
    metadata.

    Repair: Put the URL that really answers into `registration_endpoint`, or take the member
    out of the metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        404 <h1>Not Found</h1>

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or so_far.learned("registration_endpoint", stage.url) is None:
        return
    code = stage.status or 0
    if code in _NOT_HERE or 300 <= code < 400:
        location = stage.response.header("location")
        yield Problem(
            message=f"the metadata names {stage.url} for registration, and it answers {code}"
            + (f" and points to {location}" if location else ""),
            at="response.header.location" if location else "response.status",
            expected="201",
            actual=str(code),
        )


@rule(
    "dcr-requires-initial-token",
    practice(
        "RFC 7591 §3 (initial access token is optional); MCP 2026-07-28 Client Registration",
        "https://www.rfc-editor.org/rfc/rfc7591.html#section-3",
    ),
    who="authorization-server",
    severity="error",
)
def requires_initial_token(stage: Registration, so_far: Handshake) -> Problems:
    """Registration asks for a token that no MCP client has.

    A server may keep registration for those it gave an initial access token. MCP clients
    come without one: registering is the first thing they do at a server they have never
    seen. So the advertised endpoint is closed for all of them.

    Usual causes: anonymous registration is off by default and was never switched on; a
    middleware protects every path.

    Repair: Allow registration without a token for MCP clients; or take
    `registration_endpoint` out of the metadata and support client metadata documents
    or clients registered by hand.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        401 {"error": "invalid_token", "error_description": "initial access token required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not _reached(stage) or stage.request.header("authorization") is not None:
        return
    wants = stage.status == 401 or (
        stage.status == 403
        and not _of_policy(stage)
        and not _GATEWAY_PAGE.search(stage.answer_text)
        and (bool(stage.challenged.challenges) or bool(_TOKEN.search(_words(stage))))
    )
    if wants:
        yield Problem(
            message=f"a registration without a token is refused with {stage.status}; the server says {_quote(stage)}",
            at="response.status",
            expected="201 without an initial access token",
            actual=str(stage.status),
        )


@rule(
    "dcr-rejects-unknown-metadata",
    must("RFC 7591 §2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2"),
    who="authorization-server",
)
def rejects_unknown_metadata(stage: Registration, so_far: Handshake) -> Problems:
    """The server refuses a registration because it does not know one of its members.

    Clients may write more into their registration than a server understands, and the
    server has to pass over what it does not know. One that refuses instead locks out every
    client newer than itself.

    Usual causes: the body is checked against a closed schema (`additionalProperties:
    false`, a strict model).

    Repair: Ignore unknown members of a registration.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "application_type": "native"}
        400 {"error": "invalid_client_metadata", "error_description": "Unrecognized key: 'application_type'"}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "application_type": "native"}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if _reached(stage) and stage.status in (400, 422) and _unwanted(stage) and not _of_policy(stage):
        named = next((name for name in stage.asked if re.search(rf"\b{re.escape(name)}\b", _words(stage))), None)
        yield Problem(
            message=f"the registration is refused with {_quote(stage)}; "
            f"{f'`{named}`' if named else 'an unknown member'} has to be ignored",
            at=f"request.json.{named}" if named else "request.body",
            expected="201, with the member ignored",
            actual=named,
        )


@rule(
    "dcr-rejects-loopback-redirect",
    practice(
        "RFC 8252 §7.3 and §8.4; OIDC Dynamic Client Registration 1.0 §2",
        "https://www.rfc-editor.org/rfc/rfc8252.html#section-7.3",
    ),
    who="authorization-server",
    severity="error",
)
def rejects_loopback_redirect(stage: Registration, so_far: Handshake) -> Problems:
    """The server refuses the callback address of a well-known kind of client.

    A program on the user's machine is called back at `http://127.0.0.1:<port>` or
    `http://localhost:<port>`; hosted clients have one https address each. A server that
    refuses these refuses the client, and one refused address in a list refuses them all.

    Usual causes: a policy of "https only", or a list of allowed callbacks that lacks this
    client's; clients without `application_type` are taken for web applications.

    Repair: Allow loopback addresses with any port for native clients, and add the callback
    of the client to the list of allowed ones.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        400 {"error": "invalid_redirect_uri", "error_description": "https is required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/callback"]}
    """
    code = stage.status or 0
    if not _reached(stage) or not 400 <= code < 500 or code in (401, 404, 405, 429) or not _about_redirect(stage):
        return
    asked = texts(stage.asked.get("redirect_uris"))
    known = [uri for uri in asked if urls.is_loopback(uri) or _KNOWN_HOSTS.match(uri) or not uri.startswith("http")]
    if known:
        blamed = next((uri for uri in known if uri.rstrip("/") in stage.answer_text), known[0])
        yield Problem(
            message=f"the redirect URI {blamed} is refused; the server says {_quote(stage)}",
            at=f"request.json.redirect_uris[{asked.index(blamed)}]",
            expected="a registration with this redirect URI",
            actual=blamed,
        )


@rule(
    "dcr-rejects-metadata-value",
    practice("RFC 7591 §2 and §3.2.2", "https://datatracker.ietf.org/doc/html/rfc7591#section-2"),
    who="authorization-server",
    severity="error",
)
def rejects_metadata_value(stage: Registration, so_far: Handshake) -> Problems:
    """The server refuses a registration for a member that is the client's to choose or to leave out.

    Scope, grants, response types and the way to authenticate are optional in a
    registration: what is missing has a default, and what is advertised has to be accepted.
    A client has no way to find out what this server would have liked to see.

    Usual causes: a schema that makes optional members required; metadata that lists more
    than the endpoint accepts; a client that asks for scopes of another server.

    Repair: Fill in defaults for what is missing and list in the metadata only what is
    accepted; or let the client send the value that the answer asks for.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata", "error_description": "scope is required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not _reached(stage) or stage.status not in (400, 422) or _about_redirect(stage):
        return
    member = None if _unwanted(stage) or _of_policy(stage) else _blamed(stage)
    if member is None or (member == "token_endpoint_auth_method" and _unlisted(stage, so_far)):
        return
    sent = stage.asked.get(member)
    yield Problem(
        message=f"`{member}` is {'left out' if sent is None else f'{str(sent)[:80]!r}'}, and the server refuses it with {_quote(stage)}",
        at=f"request.json.{member}",
        expected="a default, or a value that is advertised",
        actual=None if sent is None else str(sent)[:80],
    )


def _unlisted(stage: Registration, so_far: Handshake) -> bool:
    """The method was never offered: then the fault is the client's."""
    if so_far.metadata is None:
        return False
    listed = so_far.metadata.list("token_endpoint_auth_methods_supported") or ("client_secret_basic",)
    return stage.asked.get("token_endpoint_auth_method") not in (None, *listed)


@rule(
    "dcr-refused-by-policy",
    practice(
        "RFC 7591 §3.2.2; Keycloak client registration policies",
        "https://datatracker.ietf.org/doc/html/rfc7591#section-3.2.2",
    ),
    who="authorization-server",
    severity="error",
)
def refused_by_policy(stage: Registration, so_far: Handshake) -> Problems:
    """Registration is advertised, and a policy of the server keeps this client out.

    Nothing is wrong with the request: the server only registers clients from a list, from
    certain hosts or up to a number, or has switched registration off. Trying again, or
    writing the request differently, does not help.

    Usual causes: a registration policy of the realm or tenant (trusted hosts, most clients
    allowed); an allow-list of client names; a feature that is off.

    Repair: Extend the policy; or take `registration_endpoint` out of the metadata and give
    users a client id that was registered by hand.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        403 {"error": "invalid_client_metadata", "error_description": "Policy 'Trusted Hosts' rejected request"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not _reached(stage) or (_about_redirect(stage) and not _of_policy(stage)):
        return
    silent = (
        stage.status == 403
        and not stage.challenged.challenges
        and not _TOKEN.search(_words(stage))
        and not _GATEWAY_PAGE.search(stage.answer_text)
    )
    if _of_policy(stage) or silent:
        yield Problem(
            message=f"the registration is refused with {stage.status} for this client; the server says {_quote(stage)}",
            at="response.body" if stage.answer_text else "response.status",
            expected="201",
            actual=str(stage.status),
        )


@rule(
    "dcr-server-error",
    practice("RFC 7591 §3.2.2", "https://datatracker.ietf.org/doc/html/rfc7591#section-3.2.2"),
    who="authorization-server",
    severity="error",
)
def server_error(stage: Registration, so_far: Handshake) -> Problems:
    """The registration endpoint breaks down.

    A status of 500 or more says that the server failed at this request, not why. The
    client cannot know whether another request would pass, and gives up.

    Usual causes: a member the server did not expect, a database or a service behind it
    that is not there. Its log knows.

    Repair: Look into the log of the authorization server at the time of this exchange.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        500

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    code = stage.status or 0
    if _reached(stage) and code >= 500 and code not in _NOT_HERE:
        yield Problem(
            message=f"the registration is answered {code} with {_quote(stage)}; it should be 201, or 400 with a reason",
            at="response.status",
            expected="201",
            actual=str(code),
        )
