"""The server's answer to a registration, by itself: status, form, and the members it has to hold."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Registration, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule


def _has_secret(stage: Registration) -> bool:
    return bool(text(stage.issued.get("client_secret")))


@rule(
    "dcr-response-status",
    must("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    severity="warning",
    stops_only_at=(),
)
def status(stage: Registration, so_far: Handshake) -> Problems:
    """A successful client registration is not answered with status 201.

    A registration creates something, and the answer for that is `201 Created`. The common SDKs are
    lenient (TypeScript takes any 2xx, Python 200 and 201), but a client that checks for 201 rejects
    the registration.

    Usual causes: the framework's default status was left in place.

    Repair: Answer successful registrations with 201.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        200 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not stage.managing and text(stage.issued.get("client_id")) and stage.status != 201:
        yield Problem(
            message=f"the registration succeeded with status {stage.status}; it has to be 201",
            at="response.status",
            expected="201",
            actual=str(stage.status),
            patch=Patch(status=201),
        )


@rule(
    "dcr-response-not-json",
    must("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    stops_at=("authorization-request",),
)
def not_json(stage: Registration, so_far: Handshake) -> Problems:
    """A successful client registration is not answered with a JSON object (`application/json`).

    The response is where the client learns its `client_id`. If it is a page, a list or empty, the
    client cannot sign in, and its user sees a JSON parser error.

    Usual causes: the path is not routed, and the web application's start page or a login
    page answers it with 200.

    Repair: Answer `POST` on the registration endpoint with the client's data as JSON, and
    with `Content-Type: application/json`.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        200 <!doctype html><title>Welcome</title>

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or not stage.ok or stage.response.truncated:
        return
    kind = stage.response.media_type
    if not isinstance(stage.answer, dict):
        yield Problem(
            message=f"the registration is answered {stage.status} with {kind or 'no content type'} that holds no JSON object",
            at="response.body",
            expected="one JSON object",
            actual=stage.answer_text[:60],
        )
    elif kind != "application/json" and not kind.endswith("+json"):
        yield Problem(
            message=f"the registration is JSON, but labelled {kind or 'with no type'}; it has to be application/json",
            at="response.header.content-type",
            expected="application/json",
            actual=kind,
            patch=Patch(headers={"Content-Type": "application/json"}),
            severity="warning",  # every known client parses it all the same
        )


@rule(
    "dcr-response-client-id-missing",
    must("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    stops_at=("authorization-request",),
)
def client_id_missing(stage: Registration, so_far: Handshake) -> Problems:
    """The client registration response has no `client_id`.

    Every later request carries the `client_id`. Clients refuse a response without one.

    Usual causes: the data is wrapped in an envelope such as `{"data": {…}}`, the member is
    called `clientId`, or it is a number.

    Repair: Return `client_id` as a string at the top level of the answer.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"clientId": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or not stage.ok or not isinstance(stage.answer, dict):
        return
    client_id = stage.issued.get("client_id")
    if not text(client_id):
        there = ", ".join(sorted(stage.issued)[:8])
        is_ = "missing" if client_id is None else f"{str(client_id)[:40]!r}"
        yield Problem(
            message=f"`client_id` is {is_}, where a string is needed; the answer holds {there or 'nothing'}",
            at="response.json.client_id",
            expected="a string",
            actual=None if client_id is None else str(client_id)[:80],
        )


_URIS = frozenset({"client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "registration_client_uri"})


@rule(
    "dcr-response-null-members",
    practice(
        "RFC 7591 §3.2.1 (members are typed; absent means unset)",
        "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1",
    ),
    who="authorization-server",
    severity="error",
)
def null_members(stage: Registration, so_far: Handshake) -> Problems:
    """The client registration response has members that are `null`, or URIs that are empty.

    Unset members have to be left out. `null` is neither a string nor a list nor a number, and an
    empty string is no URI. Clients that check types (the TypeScript SDK among them) refuse the
    registration for it, with a long list of validation errors.

    Usual causes: the server serializes its whole client record, unset fields included.

    Repair: Leave unset members out of the answer.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"], "logo_uri": null}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    empty = sorted(name for name, value in stage.issued.items() if value is None or (value == "" and name in _URIS))
    if empty:
        names = ", ".join(f"`{name}`" for name in empty[:8])
        nothing = "null" if any(stage.issued[name] is None for name in empty) else "an empty string"
        yield Problem(
            message=f"{names} {'is' if len(empty) == 1 else 'are'} {nothing}; what is not set has to be left out",
            at=f"response.json.{empty[0]}",
            expected="no such member",
            actual=nothing,
            patch=Patch(merge=dict.fromkeys(empty)),
        )


@rule(
    "dcr-response-secret-expiry-missing",
    must("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
)
def secret_expiry_missing(stage: Registration, so_far: Handshake) -> Problems:
    """The client registration response has `client_secret` without `client_secret_expires_at`.

    A server that returns `client_secret` has to return `client_secret_expires_at` with it: a time
    in seconds since 1970, or 0 for never. Strict clients refuse the whole registration without it.

    Usual causes: secrets never expire at this server, so the member was forgotten.

    Repair: Return `"client_secret_expires_at": 0`, or the time at which the secret ends.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "client_secret": "made-up", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "client_secret": "made-up", "client_secret_expires_at": 0,
             "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    expires = stage.issued.get("client_secret_expires_at")
    if (
        not stage.managing
        and _has_secret(stage)
        and (not isinstance(expires, int | float) or isinstance(expires, bool))
    ):
        there = "missing" if "client_secret_expires_at" not in stage.issued else f"{str(expires)[:40]!r}"
        yield Problem(
            message=f"`client_secret` is given and `client_secret_expires_at` is {there}; it has to be a number",
            at="response.json.client_secret_expires_at",
            expected="0 (never), or seconds since 1970",
            actual=None if expires is None else str(expires)[:40],
            patch=Patch(merge={"client_secret_expires_at": 0}, assumes="the secret does not expire"),
        )


@rule(
    "dcr-response-cacheable",
    practice(
        "RFC 7591 §3.2.1 (example); OAuth 2.1 draft-13 §3.2.3 (responses with credentials)",
        "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1",
    ),
    who="authorization-server",
)
def cacheable(stage: Registration, so_far: Handshake) -> Problems:
    """A registration response with a client secret has no `Cache-Control: no-store`.

    Without it, proxies and browsers may keep a copy of this response, and it contains a credential.
    No client stops because of it.

    Usual causes: the header is set on the token endpoint and was forgotten here.

    Repair: Send `Cache-Control: no-store` with every answer that holds a secret.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "client_secret": "made-up", "client_secret_expires_at": 0}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201
        Cache-Control: no-store
          {"client_id": "c1", "client_secret": "made-up", "client_secret_expires_at": 0}
    """
    control = stage.response.header("cache-control")
    if _has_secret(stage) and "no-store" not in (control or "").lower():
        yield Problem(
            message=f"the answer holds a secret and its Cache-Control is {control or 'missing'}; it has to be no-store",
            at="response.header.cache-control",
            expected="no-store",
            actual=control,
            patch=Patch(headers={"Cache-Control": "no-store"}),
        )


@rule(
    "dcr-response-management-pair",
    must("RFC 7592 §3", "https://www.rfc-editor.org/rfc/rfc7592.html#section-3"),
    who="authorization-server",
    severity="note",
)
def management_pair(stage: Registration, so_far: Handshake) -> Problems:
    """The response has only one of `registration_client_uri` and `registration_access_token`.

    To read, change or delete its registration later, a client needs the URL
    (`registration_client_uri`) and the token for it (`registration_access_token`). One without the
    other is useless.

    Usual causes: management is only partly implemented, or one member was disabled for safety.

    Repair: Return both members, or neither.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "registration_client_uri": "https://as.example.com/register/c1"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "registration_client_uri": "https://as.example.com/register/c1",
             "registration_access_token": "made-up"}
    """
    pair = ("registration_client_uri", "registration_access_token")
    there = [name for name in pair if stage.issued.get(name) is not None]
    if not stage.managing and len(there) == 1:
        gone = pair[1 - pair.index(there[0])]
        yield Problem(
            message=f"`{there[0]}` is returned without `{gone}`; the two only work together",
            at=f"response.json.{gone}",
            expected="both members, or neither",
        )


@rule(
    "dcr-response-url-like-client-id",
    should(
        "draft-ietf-oauth-client-id-metadata-document-01 §6.9 (coexistence with registered clients)",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document-01#section-6.9",
    ),
    who="authorization-server",
    severity="note",
    since="2025-11-25",
)
def url_like_client_id(stage: Registration, so_far: Handshake) -> Problems:
    """The server issues a `client_id` that is a URL.

    Since 2025-11-25 an https URL as `client_id` means: fetch this document, it describes
    the client. An id of that shape made by the server can be taken for such a document,
    or collide with a real one.

    Usual causes: ids are built from the server's own base URL.

    Repair: Generate ids that are not URLs, for example random ones.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "https://as.example.com/clients/17"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "client-17"}
    """
    client_id = text(stage.issued.get("client_id")) or ""
    if not stage.managing and client_id.lower().startswith("https://"):
        yield Problem(
            message=f"`client_id` is {client_id}; a URL there means a client metadata document",
            at="response.json.client_id",
            expected="an id that is not a URL",
            actual=client_id,
        )
