"""What a client of which we have a profile would do at this server: how far it gets, and why it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.clients.profile import STALE, Evidence, Profile
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Mcp,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    TokenEndpoint,
    Unseen,
    text,
    texts,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls, www_authenticate


class ClientForecast(BaseModel):
    """What one client would do with the recorded server."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    client: str
    slug: str
    outcome: Literal["goes-through", "stops", "unknown"]
    stage: str | None = None
    why: str = ""
    evidence: Evidence
    seen: date
    stale: bool = False
    recorded: bool = False
    """This is the client of the recording: what it really did counts, not this forecast."""


class _Stops(Exception):
    def __init__(self, stage: str, why: str) -> None:
        self.stage, self.why = stage, why


class _Unknown(_Stops):
    pass


def forecasts(
    profiles: Sequence[Profile], handshake: Handshake, today: date | None = None
) -> tuple[ClientForecast, ...]:
    """What every known client would do with this server. `today` decides which profiles are stale."""
    return tuple(forecast(profile, handshake, today) for profile in profiles)


def forecast(profile: Profile, handshake: Handshake, today: date | None = None) -> ClientForecast:
    """Walk the recorded server as this client would. Never raises."""
    known: dict[str, Any] = {"outcome": "goes-through"}
    try:
        _walk(profile, RecordedServer(handshake))
    except _Unknown as unknown:
        known = {"outcome": "unknown", "stage": unknown.stage, "why": unknown.why}
    except _Stops as stop:
        known = {"outcome": "stops", "stage": stop.stage, "why": stop.why}
    except Unseen as unseen:
        known = {"outcome": "unknown", "why": str(unseen)}
    return ClientForecast(
        client=profile.name,
        slug=profile.slug,
        evidence=profile.evidence,
        seen=profile.seen,
        stale=today is not None and profile.age(today) > STALE,
        recorded=profile.is_client(handshake),
        **known,
    )


class RecordedServer:
    """The recorded server, asked by URL. What was not asked for is unknown."""

    def __init__(self, handshake: Handshake) -> None:
        self.handshake = handshake
        self.resource = handshake.resource or ""
        self.prm = {d.url: d for d in handshake.all(ResourceMetadata)}
        self.metadata = {urls.without_query(d.url): d for d in handshake.all(ServerMetadata)}

    def prm_at(self, url: str) -> ResourceMetadata | None:
        """The answer at that place: a document, None when there is none. Raises _Unknown when it was not requested."""
        if url not in self.prm:
            raise _Unknown("prm-discovery", f"{url} was not requested")
        return self.prm[url] if self.prm[url].found else None

    def metadata_at(self, url: str) -> ServerMetadata:
        """The answer at that place. Raises _Unknown when it was not requested."""
        if url not in self.metadata:
            raise _Unknown("as-discovery", f"{url} was not requested")
        return self.metadata[url]


def _walk(profile: Profile, server: RecordedServer) -> None:
    document = _find_prm(profile, server)
    if document is not None:
        document = _judge_resource(profile, document, server)
    issuer = (
        document.authorization_servers[0]
        if document and document.authorization_servers
        else urls.origin(server.resource)
    )
    if document is None:
        _needs(profile, "without_prm", "prm-discovery")
    if document is None and profile.without_prm == "stops":
        raise _Stops("prm-discovery", "finds no protected resource metadata")
    metadata = _find_metadata(profile, issuer, server)
    if metadata is None and document is None:
        _needs(profile, "without_metadata", "as-discovery")
    if metadata is None:
        raise (
            _Stops("as-discovery", f"finds no metadata for {issuer} and falls back to default endpoints")
            if (document is not None or profile.without_metadata == "stops")
            else _Unknown("as-discovery", "would use default endpoints, which nobody tried")
        )
    for judge in (_judge_issuer, _judge_pkce, _judge_registration, _judge_callback, _judge_token):
        judge(profile, metadata, server)
    _judge_token_use(profile, document, server)


def _needs(profile: Profile, member: str, stage: str) -> None:
    if member in profile.unknown:
        raise _Unknown(stage, f"what {profile.name} does about this is not known")


def _find_prm(profile: Profile, server: RecordedServer) -> ResourceMetadata | None:
    lines = next(
        (s.exchange.response.header_lines("www-authenticate") for s in server.handshake.all(Mcp)
         if s.exchange.response and s.exchange.response.header("www-authenticate")), (),
    )  # fmt: skip
    named = www_authenticate.parse_like_sdks(lines, "resource_metadata") if lines else None
    places = urls.prm_locations(server.resource)
    if named and named not in [place.url for place in places[:1]]:
        _needs(profile, "reads_header", "prm-discovery")
    named = named if profile.reads_header else None
    if named is not None and not urls.split(named):
        _needs(profile, "relative_header", "mcp-challenge")
        if profile.relative_header == "stops":
            raise _Stops("mcp-challenge", f"cannot use the relative `resource_metadata` {named}")
        named = absolute(named, server.resource) if profile.relative_header == "resolved" else None
    if named and urls.origin(named) != urls.origin(server.resource):
        _needs(profile, "header_same_origin", "prm-discovery")
        named = None if profile.header_same_origin else named
    if named:
        document = server.prm_at(named)
        if document is None:
            _needs(profile, "header_fallback", "prm-discovery")
        if document is not None or not profile.header_fallback:
            return document
    for place in places:
        if place.how in profile.prm_places and (document := server.prm_at(place.url)) is not None:
            return document
    return None


def _judge_resource(profile: Profile, document: ResourceMetadata, server: RecordedServer) -> ResourceMetadata | None:
    stated = document.resource
    if stated == server.resource:
        return document
    if stated is None and document.response.truncated:
        raise _Unknown("prm-discovery", "the `resource` of the document is not shown")
    _needs(profile, "resource_rule", "prm-discovery")
    if stated is not None and RESOURCE_RULES[profile.resource_rule](stated, server.resource):
        return document
    _needs(profile, "resource_mismatch", "prm-discovery")
    if profile.resource_mismatch == "ignored":
        return document
    if profile.resource_mismatch == "drops":
        return None
    found = f"it is {stated}" if stated is not None else "the document has none"
    raise _Stops("prm-discovery", f"wants `resource` to fit {server.resource}, and {found}")


def _slashed(path: str) -> str:
    return path if path.endswith("/") else path + "/"


def _prefix(stated: str, url: str) -> bool:
    if urls.origin(stated) != urls.origin(url) or len(urls.path_of(url)) < len(urls.path_of(stated)):
        return False
    return _slashed(urls.path_of(url)).startswith(_slashed(urls.path_of(stated)))


def _prefix_slash(stated: str, url: str) -> bool:
    same = urls.origin(stated) == urls.origin(url)
    return same and _slashed(urls.path_of(url)).startswith(_slashed(urls.path_of(stated)))


def _segment(stated: str, url: str) -> bool:
    """The same path, or a parent of it on a segment boundary."""
    path, asked = urls.path_of(stated), urls.path_of(url)
    parent = path == "/" or (not path.endswith("/") and asked.startswith(path + "/"))
    return urls.origin(stated) == urls.origin(url) and (path == asked or parent)


RESOURCE_RULES: dict[str, Callable[[str, str], bool]] = {
    "prefix": _prefix,
    "prefix-slash": _prefix_slash,
    "segment": _segment,
    "exact": urls.same,
    "origin": lambda stated, url: urls.origin(stated) == urls.origin(url),
}
"""How clients compare PRM `resource` (first) with the URL they connect to (second)."""


def metadata_places(profile: Profile, issuer: str) -> Iterator[str]:
    """Where a client looks for an authorization server's metadata, in its order."""
    base, path = urls.origin(issuer), urls.path_of(issuer).rstrip("/")
    forms = {
        "oauth-inserted": base + urls.OAUTH + path,
        "oidc-inserted": base + urls.OIDC + path,
        "oidc-appended": base + path + urls.OIDC,
        "oauth-root": base + urls.OAUTH,
    }
    yield from dict.fromkeys(forms[place] for place in profile.as_places)


def _find_metadata(profile: Profile, issuer: str, server: RecordedServer) -> ServerMetadata | None:
    for place in metadata_places(profile, issuer):
        answer = server.metadata_at(place)
        if answer.found:
            return answer
        if answer.ok:
            _needs(profile, "html_metadata", "as-discovery")
        if answer.ok and profile.html_metadata == "stops":
            raise _Stops("as-discovery", f"takes the answer of {place} for metadata, and it is no JSON")
        if (answer.status or 0) >= 500 and answer.status != 502:
            raise _Stops("as-discovery", f"gives up when {place} answers {answer.status}")
    return None


def _judge_issuer(profile: Profile, metadata: ServerMetadata, _: RecordedServer) -> None:
    expected, stated = metadata.expected_issuer, metadata.issuer
    if expected is None or expected == stated:
        return
    _needs(profile, "issuer_rule", "as-discovery")
    if not issuer_fits(profile.issuer_rule, expected, stated):
        raise _Stops("as-discovery", f"wants `issuer` {expected}, and it is {stated}")


def issuer_fits(rule: str, expected: str, stated: str | None) -> bool:
    """Whether a client that compares by this rule takes `issuer` of the metadata for the one it expected."""
    if rule == "none" or expected == stated:
        return True
    if rule == "slash-dropped":
        return expected.endswith("/") and expected[:-1] == stated
    root = urls.path_of(expected) == "/" and urls.path_of(stated or "") == "/"
    return rule == "root-slash" and root and expected.rstrip("/") == (stated or "").rstrip("/")


def iss_fits(rule: str, iss: str | None, issuer: str | None, *, promised: bool) -> bool:
    """Whether a client that compares by this rule takes the authorization response (RFC 9207, 2.4)."""
    if rule == "none":
        return True
    if iss is None:
        return not (rule == "always" or (rule == "exact" and promised))
    return iss == issuer


def _judge_pkce(profile: Profile, metadata: ServerMetadata, _: RecordedServer) -> None:
    listed = metadata.document.get("code_challenge_methods_supported")
    if profile.pkce == "none" or "S256" in texts(listed) or (listed is None and profile.pkce == "s256-if-listed"):
        pass
    else:
        _needs(profile, "pkce", "as-discovery")
        raise _Stops("as-discovery", "wants S256 among `code_challenge_methods_supported`")
    if "code" not in metadata.list("response_types_supported"):
        _needs(profile, "response_types", "as-discovery")
        if not profile.response_types:
            return
        raise _Stops("as-discovery", "wants `response_types_supported` with `code`")


def _judge_registration(profile: Profile, metadata: ServerMetadata, server: RecordedServer) -> None:
    if profile.cimd and metadata.document.get("client_id_metadata_document_supported") is True:
        return
    if not metadata.get("registration_endpoint"):
        word = "posts to a guessed `/register`" if profile.without_registration == "guesses" else "cannot register"
        raise _Stops("client-registration", f"{word}: the metadata names no `registration_endpoint`")
    done = next((r for r in reversed(server.handshake.all(Registration)) if not r.managing), None)
    if done is None:
        return
    if not done.ok:
        raise _Unknown(
            "client-registration", f"registration was refused to this client ({done.status}); to others perhaps not"
        )
    if not texts(done.issued.get("redirect_uris")):
        _needs(profile, "registration_redirect_uris", "client-registration")
    if profile.registration_redirect_uris and not texts(done.issued.get("redirect_uris")):
        raise _Stops("client-registration", "wants `redirect_uris` in the registration answer")
    if "application_type" in done.requested and not profile.application_type:
        raise _Unknown("client-registration", "registers without `application_type`, which nobody tried here")
    nulls = [name for name, value in done.issued.items() if value is None]
    if nulls:
        _needs(profile, "registration_nulls", "client-registration")
    if nulls and profile.registration_nulls == "stops":
        raise _Stops("client-registration", f"refuses null in the registration answer (`{nulls[0]}`)")


def _judge_callback(profile: Profile, metadata: ServerMetadata, server: RecordedServer) -> None:
    answer = server.handshake.last(AuthorizationResponse)
    if answer is None:
        return
    iss, issuer = answer.get("iss"), metadata.issuer
    promised = metadata.document.get("authorization_response_iss_parameter_supported") is True
    if not iss_fits("exact", iss, issuer, promised=promised):
        _needs(profile, "iss_rule", "authorization-response")
    if not iss_fits(profile.iss_rule, iss, issuer, promised=promised):
        raise _Stops("authorization-response", f"wants `iss` {issuer} in the redirect, and it is {iss or 'missing'}")


def _judge_token(profile: Profile, _: ServerMetadata, server: RecordedServer) -> None:
    answer = server.handshake.last(TokenEndpoint, ok=True)
    if answer is None:
        return
    if answer.access_token is None:
        raise _Stops("token-request", "finds no `access_token` in the token answer")
    if text(answer.issued.get("token_type")) is None:
        _needs(profile, "token_type", "token-request")
    if profile.token_type and text(answer.issued.get("token_type")) is None:
        raise _Stops("token-request", "wants `token_type` in the token answer")


def _judge_token_use(profile: Profile, document: ResourceMetadata | None, server: RecordedServer) -> None:
    asked = server.handshake.last(AuthorizationRequest)
    sent = asked.get("resource") if asked else None
    stated = document.resource if document else None
    if sent and stated and urls.same(sent, stated):
        own = urls.whatwg_form(stated) if profile.resource_sent == "href" else stated
        if own != sent:
            raise _Unknown("mcp-token-rejected", f"asks for a token for {own}, and here only {sent} was tried")
    if server.handshake.over and server.handshake.authorization is None:
        raise _Unknown("client-registration", "nothing stops it as far as the probe went")
    if server.handshake.authorized is None:
        how = "goes on by the fallback, the MCP server as authorization server" if document is None else "goes on"
        raise _Unknown("mcp-request", f"{how}; no request with a token was answered in this recording")
