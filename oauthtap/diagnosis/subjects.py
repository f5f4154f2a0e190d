"""What the defect of a rule is about, in the subjects of refusals: by its module, or by its id where that says more.

A refusal that gives its subject is explained by rules with that subject; `discovery` marks defects of documents, which
explain a refusal only at a request that the document made the client guess.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from oauthtap import rules
from oauthtap.vendors import Subject

_MODULES: dict[str, tuple[Subject, ...]] = {
    "any.network": ("unreachable",),
    "any.addresses": ("discovery",),
    "as_discovery": ("discovery",),
    "as_discovery.pkce": ("discovery", "pkce"),
    "authorization_interaction": ("session", "consent"),
    "authorization_request.client_id": ("client",),
    "authorization_request.parameters": ("request",),
    "authorization_request.proofs": ("pkce",),
    "authorization_request.redirect_uri": ("redirect_uri",),
    "authorization_request.resource": ("resource", "token-audience"),
    "authorization_request.scope": ("scope",),
    "authorization_response.callback": ("redirect_uri",),
    "authorization_response.issuer": ("discovery", "token-issuer"),
    "client_metadata_fetch": ("client", "registration"),
    "client_registration": ("registration",),
    "client_registration.credentials": ("client", "registration"),
    "client_registration.redirect_uris": ("redirect_uri", "registration"),
    "client_registration.substitutions": ("registration", "client"),
    "cors_preflight": ("origin",),
    "jwks_fetch": ("token-key",),
    "legacy_sse": ("not-mcp", "method", "session"),
    "mcp_challenge": ("discovery",),
    "mcp_challenge.scope": ("scope",),
    "mcp_challenge.scripts": ("origin",),
    "mcp_initialize": ("session", "request"),
    "mcp_request.acceptance": ("token",),
    "mcp_request.bearer": ("token",),
    "mcp_request.dpop": ("token",),
    "mcp_request.endpoint": ("not-mcp", "method"),
    "mcp_request.format": ("media-type",),
    "mcp_request.guards": ("origin", "edge"),
    "mcp_request.header": ("token",),
    "mcp_request.modern": ("request",),
    "mcp_request.modern_answers": ("request",),
    "mcp_request.modern_servers": ("request", "method"),
    "mcp_request.session": ("session",),
    "mcp_request.versions": ("request",),
    "mcp_step_up": ("scope",),
    "mcp_token_rejected": ("token",),
    "prm_discovery": ("discovery",),
    "prm_discovery.resource": ("discovery", "resource", "token-audience"),
    "prm_discovery.resource_form": ("discovery", "resource", "token-audience"),
    "prm_discovery.scopes": ("scope",),
    "pushed_authorization": ("request",),
    "token_other_grant": ("grant",),
    "token_refresh": ("grant", "token-expired", "token-revoked"),
    "token_request.client": ("client-auth", "client"),
    "token_request.code": ("code", "grant"),
    "token_request.form": ("request", "media-type", "method"),
    "token_request.jwt": ("token",),
    "token_request.pkce": ("pkce", "grant"),
    "token_request.resource": ("resource", "token-audience"),
}

_RULES: dict[str, tuple[Subject, ...]] = {
    "as-token-auth-methods-omitted": ("client-auth",),
    "as-token-auth-methods-no-none": ("client-auth",),
    "as-private-key-jwt-no-algs": ("client-auth",),
    "cc-metadata-auth-methods": ("client-auth",),
    "as-no-registration-path": ("registration", "client"),
    "as-cimd-not-advertised": ("client",),
    "as-grant-types-no-code": ("grant",),
    "as-grant-types-no-refresh": ("grant",),
    "as-response-types-no-code": ("grant",),
    "as-par-required": ("request",),
    "as-signed-request-required": ("request",),
    "authz-state-missing": ("request", "origin"),
    "authz-state-reused": ("request", "origin"),
    "authz-state-refused": ("request", "origin"),
    "authz-wrong-endpoint": ("discovery", "method"),
    "authz-get-not-supported": ("method", "not-mcp"),
    "cimd-redirect-not-listed": ("redirect_uri",),
    "authz-resource-rejected": ("resource",),
    "authz-resource-duplicated": ("resource", "request"),
    "authz-offline-access-not-requested": ("scope", "token-expired"),
    "token-resp-no-refresh-token": ("token-expired",),
    "refresh-not-attempted": ("token-expired", "token"),
    "refresh-token-dropped": ("token-expired", "token"),
    "dcr-requires-initial-token": ("registration", "token", "policy", "client-auth"),
    "dcr-refused-by-policy": ("registration", "policy", "client-not-allowed"),
    "dcr-rejects-loopback-redirect": ("redirect_uri", "registration", "policy"),
    "dcr-rejects-metadata-value": ("registration", "scope", "grant", "client-auth", "redirect_uri", "request"),
    "dcr-rejects-unknown-metadata": ("registration", "request"),
    "dcr-endpoint-not-found": ("registration", "method", "discovery"),
    "dcr-server-error": ("server-fault", "registration"),
    "dcr-wrong-endpoint": ("discovery", "registration", "method"),
    "dcr-request-content-type": ("media-type", "registration"),
    "dcr-request-redirect-uris-missing": ("redirect_uri", "registration"),
    "dcr-request-auth-method-unsupported": ("client-auth", "registration"),
    "dcr-request-grant-response-inconsistent": ("grant", "registration"),
    "dcr-request-no-refresh-grant": ("grant", "registration"),
    "dcr-response-scope-reduced": ("scope",),
    "dcr-response-redirect-uris-missing": ("redirect_uri",),
    "dcr-response-redirect-uris-changed": ("redirect_uri",),
    "dcr-response-secret-method-without-secret": ("client-auth",),
    "dcr-response-auth-method-changed": ("client-auth",),
    "dcr-response-public-client-with-secret": ("client-auth",),
    "dcr-response-grants-dropped": ("grant", "client-not-allowed"),
    "challenge-200-with-error-body": ("token", "session"),
    "mcp-denied-without-challenge": ("token", "policy"),
    "challenge-html-login-page": ("discovery", "session"),
    "challenge-404-masks-auth": ("not-mcp", "method"),
    "challenge-5xx-when-unauthenticated": ("server-fault",),
    "challenge-400-missing-session": ("session",),
    "client-ignored-challenge": ("token", "token-expired", "scope"),
    "prm-dpop-required": ("token", "request"),
    "refresh-invalid-grant-loop": ("grant", "token-expired", "token-revoked"),
    "authz-resp-form-post": ("method", "redirect_uri"),
    "authz-callback-refused": ("redirect_uri", "origin"),
    "bearer-too-large": ("token", "edge", "request"),
    "mcp-cdn-block": ("edge",),
    "mcp-csrf-rejected": ("origin",),
    "mcp-host-rejected": ("origin",),
    "mcp-origin-rejected": ("origin",),
    "mcp-gateway-upstream-error": ("server-fault", "edge"),
    "prm-requires-auth": ("token", "discovery"),
    "as-metadata-requires-auth": ("token", "discovery"),
    "as-metadata-5xx": ("server-fault", "discovery"),
    "handshake-rate-limited": ("server-fault", "edge"),
    "refresh-client-auth-missing": ("client-auth",),
    "refresh-scope-widened": ("scope",),
    "refresh-resource-missing": ("resource",),
    "refresh-sent-to-other-as": ("grant", "client"),
    "rs-accepts-foreign-audience": ("token-audience",),
    "token-code-altered": ("code", "grant"),
    "token-redirect-uri-mismatch": ("redirect_uri", "grant", "code"),
    "token-redirect-uri-missing": ("redirect_uri", "grant", "request"),
    "token-wrong-endpoint": ("method", "discovery"),
    "token-jwt-audience": ("token-audience",),
    "token-jwt-issuer": ("token-issuer",),
    "token-jwt-time": ("token-expired",),
    "token-opaque-then-401": ("token-key",),
    "token-id-token-as-access-token": ("token", "token-audience"),
    "token-rejected-as-missing": ("token", "session"),
    "tls-certificate-not-trusted": ("unreachable",),
}

_FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"token", "token-expired"}),
    frozenset({"token", "token-key"}),
    frozenset({"token", "token-issuer"}),
    frozenset({"token", "token-audience"}),
    frozenset({"token", "token-revoked"}),
    frozenset({"token-expired", "token-revoked", "grant"}),
    frozenset({"resource", "token-audience"}),
    frozenset({"client", "client-auth"}),
    frozenset({"client", "client-not-allowed"}),
    frozenset({"client", "registration"}),
    frozenset({"client-not-allowed", "policy"}),
    frozenset({"grant", "code"}),
    frozenset({"grant", "client-not-allowed"}),
    frozenset({"origin", "edge"}),
    frozenset({"policy", "consent"}),
    frozenset({"session", "origin"}),
    frozenset({"not-mcp", "method"}),
    frozenset({"policy", "registration"}),
)
"""Subjects that are told apart by some servers and not by others."""

FORM: frozenset[str] = frozenset(
    {
        "dcr-error-body",
        "dcr-error-status",
        "token-error-body",
        "token-error-status",
        "token-error-code-unknown",
        "token-invalid-client-no-challenge",
        "authz-error-not-redirected",
        "authz-resp-error-code-unknown",
        "challenge-error-code-unknown",
        "challenge-error-status-mismatch",
        "token-rejected-no-error-code",
    }
)
"""Rules about the form of a refusal, which is never why a handshake stops."""


def subjects_of(rule_id: str) -> frozenset[Subject]:
    """What a rule is about; empty for one that may be about anything."""
    if rule_id in _RULES:
        return frozenset(_RULES[rule_id])
    rule = rules.RULES.get(rule_id)
    if rule is None:
        return frozenset()
    module = rule.check.__module__.removeprefix("oauthtap.rules.")
    return frozenset(_MODULES.get(module) or _MODULES.get(module.partition(".")[0]) or ())


def agreement(rule_id: str, subject: Subject | None) -> int:
    """How well a rule and a refusal agree: 2 the same subject, 1 one near it, 0 one is not known, -1 they differ."""
    own = subjects_of(rule_id)
    if not own or subject is None:
        return 0
    if subject in own:
        return 2
    return 1 if any(subject in family and own & family for family in _FAMILIES) else -1


def meaning(subject: Subject | None) -> tuple[str, str]:
    """What a subject means, and what to change: a sentence each; empty for None."""
    told = _meanings().get(subject or "", {})
    return told.get("means", ""), told.get("change", "")


@cache
def _meanings() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("oauthtap.diagnosis").joinpath("subjects.toml").read_text(encoding="utf-8"))
