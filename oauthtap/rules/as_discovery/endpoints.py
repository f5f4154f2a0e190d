"""The endpoints in the authorization server metadata."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ServerMetadata, texts
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.as_discovery.client_search import gave_up, went_on

_RFC8414_2 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
_OAUTH21_31 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.1"


def _scheme(url: str) -> str:
    before, colon, _ = url.strip().partition(":")
    return before.lower() if colon and before.isascii() and before.replace("+", "").replace("-", "").isalnum() else ""


@rule(
    "tls-as-endpoint-plain-http",
    must(
        "MCP 2026-07-28 Authorization Security Considerations, 'Communication Security'; OAuth 2.1 draft-13 §1.5",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#communication-security",
    ),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request", "token-request"),
)
def endpoint_plain_http(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An endpoint in the authorization server metadata has the scheme `http`.

    Many clients refuse to send anything there; for others the port is not reachable from outside.

    Usual causes: TLS ends at a proxy or tunnel, and the server behind it builds its URLs from its
    internal scheme and port.

    Repair: Set the public base URL of the authorization server to its https URL, or let it trust
    `X-Forwarded-Proto` and `X-Forwarded-Host` from your proxy.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "http://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if not document.published:
        return
    named = {"issuer": document.issuer or "", **document.endpoints}
    plain = {n: u for n, u in named.items() if u.lower().startswith("http://") and not urls.is_loopback(u)}
    if plain:
        name, url = next(iter(plain.items()))
        more = f" (and {len(plain) - 1} more)" if len(plain) > 1 else ""
        yield Problem(
            message=f"`{name}` is {url}{more}; it has to be https",
            at=f"response.json.{name}",
            expected=f"https{url[4:]}",
            actual=url,
            patch=Patch(
                merge={n: f"https{u[4:]}" for n, u in plain.items()},
                assumes="the same hosts answer on https",
            ),
            severity="warning" if (so_far.resource or "").lower().startswith("http://") else None,
        )


def _missing(document: ServerMetadata, member: str, default: str) -> Problems:
    base = (document.issuer or "").rstrip("/")
    yield Problem(
        message=f"the metadata has no `{member}`",
        at=f"response.json.{member}",
        expected="an https address",
        patch=Patch(merge={member: base + default}, assumes=f"the server has it at {default}") if base else None,
    )


@rule(
    "as-authorization-endpoint-missing",
    must("RFC 8414 §2", _RFC8414_2),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def authorization_endpoint_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server metadata has no `authorization_endpoint`.

    Without it the client has no URL to open in the browser. Most SDKs reject the whole document.

    Usual causes: a document edited by hand; a server that only supports machine clients.

    Repair: Publish the URL of the page where users log in and consent.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
    """
    if not document.published or "authorization_endpoint" in document.document:
        return
    if "grant_types_supported" in document.document and "authorization_code" not in document.list(
        "grant_types_supported"
    ):
        return
    yield from _missing(document, "authorization_endpoint", "/authorize")


@rule(
    "as-token-endpoint-missing",
    must("RFC 8414 §2", _RFC8414_2),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request", "token-request"),
)
def token_endpoint_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server metadata has no `token_endpoint`.

    Even if the user signs in, the code that comes back cannot be redeemed. Most SDKs reject the
    whole document. Usual causes: a document edited by hand, or a misspelled member.

    Repair: Publish the URL of the token endpoint.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if not document.published or "token_endpoint" in document.document:
        return
    if texts(document.document.get("grant_types_supported")) == ("implicit",):
        return
    yield from _missing(document, "token_endpoint", "/token")


@rule(
    "as-endpoint-malformed",
    must("OAuth 2.1 draft-13 §3.1 and §3.2; RFC 8414 §2", _OAUTH21_31),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request", "token-request"),
)
def endpoint_malformed(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An endpoint in the authorization server metadata is not an absolute URL, or has a fragment.

    A client uses these values unchanged. From a relative path, an empty string or a URL without
    host it cannot build a request, and strict clients reject the whole document.

    Usual causes: the base URL of the server is not configured; a gateway fills in values that it
    could not read from the identity provider.

    Repair: Publish absolute https URLs without a fragment (`#…`).

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if not document.published:
        return
    for name in ("authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri"):
        url = document.get(name)
        if url is None or (_scheme(url) not in ("http", "https", "") and urls.split(url) is None):
            continue
        parts = urls.split(url)
        whole = parts is not None and " " not in url.strip()
        if whole and not ("#" in url and name in ("authorization_endpoint", "token_endpoint")):
            continue
        repaired = absolute(url.partition("#")[0], (document.issuer or "").rstrip("/") + "/") if url.strip() else ""
        yield Problem(
            message=f"`{name}` is {url or 'empty'}; it has to be a complete address without fragment",
            at=f"response.json.{name}",
            expected="https://host/path",
            actual=url,
            patch=Patch(merge={name: repaired}, assumes=f"{repaired} is the address that was meant")
            if urls.split(repaired)
            else None,
        )


@rule(
    "as-endpoint-dangerous-scheme",
    must(
        "MCP Security Best Practices 'OAuth Authorization URL Validation'",
        "https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices#oauth-authorization-url-validation",
    ),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def endpoint_dangerous_scheme(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An endpoint in the authorization server metadata has a dangerous scheme such as `javascript:`.

    Clients hand the authorization endpoint to the operating system to open it. With
    `javascript:` or `file:` in it, that is an attack on the user's machine, so a good client
    refuses; you should not trust this server before you know why it says that.

    Usual causes: a hostile server, a security test, or a template gone wrong.

    Repair: Publish https URLs only.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "javascript:alert(1)"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
    """
    if not document.published:
        return
    for name, url in document.endpoints.items():
        scheme = _scheme(url)
        if scheme and scheme not in ("http", "https") and not url.partition(":")[2][:1].isdigit():
            yield Problem(
                message=f"`{name}` begins with `{scheme}:`; it has to be an https address",
                at=f"response.json.{name}",
                expected="https",
                actual=url[:200],
            )


@rule(
    "as-authorization-endpoint-other-origin",
    practice(
        "RFC 9207 §2.4 (mix-up defense); Codex 0.171, codspeed/codspeed#523",
        "https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4",
    ),
    who="authorization-server",
    severity="note",
    stops_at=("as-discovery", "mcp-challenge"),
)
def authorization_elsewhere(handshake: Handshake) -> Problems:
    """`authorization_endpoint` is at another origin than `issuer`, and `iss` is not advertised.

    A client cannot tell then whose authorization response it gets. Codex refuses such a document
    and stops without a request.

    Usual causes: `localhost` in one member and 127.0.0.1 in the other; a login page on a host of its own.

    Repair: Serve the authorization endpoint at the issuer's origin, or send `iss` with every
    authorization response and advertise `authorization_response_iss_parameter_supported`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://login.example.com/authorize"}

        @+20
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

        @+20
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
    """
    document = handshake.last(ServerMetadata)
    if document is None or not document.found or document.exchange.actor != "client" or document.issuer is None:
        return
    endpoint = document.endpoints.get("authorization_endpoint")
    advertised = document.document.get("authorization_response_iss_parameter_supported") is True
    if endpoint is None or advertised or urls.origin(endpoint) == urls.origin(document.issuer):
        return
    later = any(stage.exchange.id > document.exchange.id for stage in handshake.stages)
    if (later or gave_up(document, handshake)) and not went_on(document, handshake):
        yield Problem(
            exchange=document.exchange.id,
            message=f"`authorization_endpoint` is at {urls.origin(endpoint)}, `issuer` at {urls.origin(document.issuer)}, "
            "and `authorization_response_iss_parameter_supported` is not true",
            at="response.json.authorization_endpoint",
            expected=f"{urls.origin(document.issuer)}{urls.path_of(endpoint)}",
            actual=endpoint,
        )
