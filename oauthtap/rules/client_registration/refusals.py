"""Why a server refuses a registration: a token, a policy, a member or a redirect URI it does not like."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Registration, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.client_registration.failures import quote, reached, words

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


def _about_redirect(stage: Registration) -> bool:
    return "redirect" in stage.answer_text.lower()


def _unwanted(stage: Registration) -> bool:
    """The refusal is about a member the server does not know."""
    said = words(stage)
    return bool(_EXTRA.search(said) and _MEMBERS.search(said)) and not _about_redirect(stage)


def _of_policy(stage: Registration) -> bool:
    said = f"{stage.oauth_error or ''} {words(stage)}"
    return stage.status in (400, 403, 409, 422) and bool(_POLICY.search(said))


def _blamed(stage: Registration) -> str | None:
    """The member of the client's metadata that the refusal names first; None when it names none."""
    said = words(stage)
    places = {name: match.start() for name, pattern in _VALUES if (match := pattern.search(said))}
    for name in stage.requested:
        if name not in places and "_" in name and name in said:
            places[name] = said.index(name)
    return min(places, key=lambda name: places[name], default=None)


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
    """Client registration requires an initial access token.

    A server may restrict registration to holders of an initial access token. MCP clients have none:
    registering is their first request to an unknown server. So the advertised endpoint does not
    work for any of them.

    Usual causes: anonymous registration is off by default and was not enabled; a middleware
    protects every path.

    Repair: Allow registration without a token for MCP clients; or remove `registration_endpoint`
    from the metadata and support CIMD or pre-registered clients.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        401 {"error": "invalid_token", "error_description": "initial access token required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not reached(stage) or stage.request.header("authorization") is not None:
        return
    wants = stage.status == 401 or (
        stage.status == 403
        and not _of_policy(stage)
        and not _GATEWAY_PAGE.search(stage.answer_text)
        and (bool(stage.challenged.challenges) or bool(_TOKEN.search(words(stage))))
    )
    if wants:
        yield Problem(
            message=f"a registration without a token is refused with {stage.status}; the server says {quote(stage)}",
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
    """The server refuses a client registration because of an unknown metadata member.

    Clients may send more members than a server knows, and the server has to ignore unknown ones. A
    server that refuses them excludes every newer client.

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
    if reached(stage) and stage.status in (400, 403, 422) and _unwanted(stage) and not _of_policy(stage):
        named = next((name for name in stage.requested if re.search(rf"\b{re.escape(name)}\b", words(stage))), None)
        yield Problem(
            message=f"the registration is refused with {quote(stage)}; "
            f"{f'`{named}`' if named else 'an unknown member'} has to be ignored",
            at=f"request.json.{named}" if named else "request.body",
            expected="201, with the member ignored",
            actual=named,
        )


_OF_AN_APP = (
    "At the authorization server, add {uri} to the allow-list of redirect URIs, as a whole: native clients may have "
    "redirect URIs of a scheme of their own (RFC 8252 §7.1)."
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
    """The server refuses to register a loopback redirect URI or that of a well-known client.

    A native client has the redirect URI `http://127.0.0.1:<port>` or `http://localhost:<port>`;
    hosted clients have one https URL each. A server that refuses these refuses the client, and one
    refused URI in the list refuses the whole registration.

    Usual causes: a policy of "https only", or an allow-list of redirect URIs without this client's;
    clients without `application_type` are taken for web applications.

    Repair: Allow loopback redirect URIs with any port for native clients, and add the client's
    redirect URI to the allow-list.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        400 {"error": "invalid_redirect_uri", "error_description": "https is required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/callback"]}
    """
    code = stage.status or 0
    if not reached(stage) or not 400 <= code < 500 or code in (401, 404, 405, 429) or not _about_redirect(stage):
        return
    asked = texts(stage.requested.get("redirect_uris"))
    known = [uri for uri in asked if urls.is_loopback(uri) or _KNOWN_HOSTS.match(uri) or not uri.startswith("http")]
    if known:
        blamed = next((uri for uri in known if uri.rstrip("/") in stage.answer_text), known[0])
        yield Problem(
            message=f"the redirect URI {blamed} is refused; the server says {quote(stage)}",
            at=f"request.json.redirect_uris[{asked.index(blamed)}]",
            expected="a registration with this redirect URI",
            actual=blamed,
            fix="" if blamed.startswith("http") else _OF_AN_APP.format(uri=blamed),
        )


@rule(
    "dcr-rejects-metadata-value",
    practice("RFC 7591 §2 and §3.2.2", "https://datatracker.ietf.org/doc/html/rfc7591#section-2"),
    who="authorization-server",
    severity="error",
)
def rejects_metadata_value(stage: Registration, so_far: Handshake) -> Problems:
    """The server refuses a client registration because of an optional metadata member.

    `scope`, `grant_types`, `response_types` and `token_endpoint_auth_method` are optional in a
    registration: a missing one has a default, and an advertised value has to be accepted. A client
    cannot find out what else this server requires.

    Usual causes: a schema that makes optional members required; metadata that lists more
    than the endpoint accepts; a client that asks for scopes of another server.

    Repair: Apply the defaults, and list in the metadata only accepted values; or let the client
    send the value that the response asks for.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata", "error_description": "scope is required"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not reached(stage) or stage.status not in (400, 422) or _about_redirect(stage):
        return
    member = None if _unwanted(stage) or _of_policy(stage) else _blamed(stage)
    if member is None or (member == "token_endpoint_auth_method" and _unlisted(stage, so_far)):
        return
    sent = stage.requested.get(member)
    yield Problem(
        message=f"`{member}` is {'left out' if sent is None else f'{str(sent)[:80]!r}'}, and the server refuses it with {quote(stage)}",
        at=f"request.json.{member}",
        expected="a default, or a value that is advertised",
        actual=None if sent is None else str(sent)[:80],
    )


def _unlisted(stage: Registration, so_far: Handshake) -> bool:
    """The method was never offered: then the fault is the client's."""
    if so_far.metadata is None:
        return False
    listed = so_far.metadata.list("token_endpoint_auth_methods_supported") or ("client_secret_basic",)
    return stage.requested.get("token_endpoint_auth_method") not in (None, *listed)


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
    """A registration policy of the server refuses this client.

    The request is correct: the server only registers clients from a list, from certain hosts or up
    to a limit, or has disabled registration. Changing the request does not help.

    Usual causes: a registration policy of the realm or tenant (trusted hosts, maximum number of
    clients); an allow-list of client names; a disabled feature.

    Repair: Extend the policy; or remove `registration_endpoint` from the metadata and give users a
    pre-registered client id.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        403 {"error": "invalid_client_metadata", "error_description": "Policy 'Trusted Hosts' rejected request"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not reached(stage) or (_about_redirect(stage) and not _of_policy(stage)):
        return
    silent = (
        stage.status == 403
        and not stage.challenged.challenges
        and not _TOKEN.search(words(stage))
        and not _unwanted(stage)
        and not _GATEWAY_PAGE.search(stage.answer_text)
    )
    if _of_policy(stage) or silent:
        yield Problem(
            message=f"the registration is refused with {stage.status} for this client; the server says {quote(stage)}",
            at="response.body" if stage.answer_text else "response.status",
            expected="201",
            actual=str(stage.status),
        )
