"""Discovery as a client does it: which document it asks for, in which order, and what it refuses."""

from __future__ import annotations

from typing import Any

from oauthtap.clients.forecast import RESOURCE_RULES, issuer_fits, metadata_places
from oauthtap.handshake.stages import text, texts
from oauthtap.handshake.state import absolute
from oauthtap.model import urls, www_authenticate
from oauthtap.model.exchange import Actor, Exchange
from oauthtap.probe.mcp_connect import followed, may_go
from oauthtap.probe.requests import ProbeRequest
from oauthtap.probe.walk_state import FlowState, Steps, WalkState


def discover(state: WalkState) -> Steps[FlowState]:
    """The documents, in the client's order. Raises Stop where it goes no further."""
    profile, behaviour = state.client.profile, state.client.behaviour
    state.prm = yield from _resource_metadata(state)
    stated = text((state.prm or {}).get("resource"))
    resource: str | None
    if state.prm is not None and stated is not None:
        resource = urls.whatwg_form(stated) if profile.resource_sent == "href" else stated
    else:
        resource = state.url if behaviour.resource_without_prm else None
    if behaviour.resource == "typed" and resource is not None:
        resource = state.url
    issuer = next(iter(texts((state.prm or {}).get("authorization_servers"))), None) or urls.origin(state.url)
    metadata = yield from _server_metadata(state, issuer)
    if metadata is None and behaviour.server_fallback and urls.origin(issuer) != urls.origin(state.url):
        state.note_traits("server_fallback")
        issuer = urls.origin(state.url)
        metadata = yield from _server_metadata(state, issuer)
    if metadata is not None and state.typed_id:
        state.note_traits("typed_id_endpoints")
        if behaviour.typed_id_endpoints == "guessed":
            metadata = None
    if metadata is None:
        if profile.without_metadata == "stops" and state.prm is not None:
            raise state.stop("as-discovery", f"it finds no metadata of {issuer}", "without_metadata")
        state.note_traits("without_metadata", "default_endpoints")
        base = state.url if behaviour.default_endpoints == "resource" else issuer
        nowhere = f"it finds no metadata of {issuer}"
        why = nowhere if state.prm is not None else f"it finds no protected resource metadata, and {nowhere[3:]}"
        _compare_late(state)
        return FlowState.by_default(urls.origin(base), resource, _scope(state, {}), why)
    _compare_late(state)
    _judge(state, metadata, issuer)
    return FlowState(metadata, resource, _scope(state, metadata))


def document(state: WalkState, url: str, actor: Actor = "client") -> Steps[Exchange | None]:
    """What the place answers; None where we may not go there."""
    if url in state.answers:
        return state.answers[url]
    if state.limited or not may_go(state.url, url):
        return None
    answer = yield from followed(state.url, ProbeRequest(state.asker.document(url), actor))
    state.answers[url] = answer
    state.limited = answer.status == 429
    found = _object(answer)
    if "/.well-known/oauth-protected-resource" in url or "authorization_servers" in found:
        state.servers += texts(found.get("authorization_servers"))
    return answer


def _object(answer: Exchange | None) -> dict[str, Any]:
    return answer.response.json_object if answer and answer.response and answer.status == 200 else {}


def header_parameter(state: WalkState, name: str) -> str | None:
    """A parameter of the challenge, as clients read it."""
    response = state.challenge.response if state.challenge else None
    lines = response.header_lines("www-authenticate") if response else ()
    return www_authenticate.parse_like_sdks(lines, name) if lines else None


def header_scheme(state: WalkState) -> bool:
    """The challenge names a scheme that clients sign in for. Where none was seen, nothing says that it does not."""
    response = state.challenge.response if state.challenge else None
    if response is None:
        return True
    return any("bearer" in line.lower() for line in response.header_lines("www-authenticate"))


# --- the resource's metadata


def _resource_metadata(state: WalkState) -> Steps[dict[str, Any] | None]:
    """The document that the client uses; None where it goes on without one."""
    profile, unfit = state.client.profile, ""
    stops = profile.without_prm == "stops"
    if stops and state.typed_id and state.client.behaviour.without_prm_with_id == "origin":
        stops = False
        state.note_traits("without_prm_with_id")
    for place in _prm_places(state):
        found = _object((yield from document(state, place)))
        stated = text(found.get("resource"))
        if not found or (stated is None and profile.resource_mismatch != "stops"):
            continue
        if stated == state.url or (stated is not None and _fits(state, stated)):
            return found
        state.note_traits("resource_mismatch")
        if profile.resource_mismatch == "ignored":
            return found
        if state.client.behaviour.resource_compared == "after-metadata":
            return found
        unfit = _unfit(stated, state.url)
        if profile.resource_mismatch == "stops":
            break
    change = f"Publish `resource`: {state.url}"
    if unfit and (profile.resource_mismatch == "stops" or stops):
        raise state.stop("prm-discovery", unfit, "resource_rule", change)
    if stops:
        asked = ", ".join(f"{url} ({_said(one)})" for url, one in state.answers.items())
        place = urls.prm_locations(state.url)[0].url
        change = (
            f"Serve {place} with `resource` {state.url}, and name it in the 401: "
            f'WWW-Authenticate: Bearer resource_metadata="{place}"'
        )
        raise state.stop("prm-discovery", f"it finds no protected resource metadata: {asked}", "without_prm", change)
    state.note_traits("without_prm", "resource_without_prm")
    return None


def _unfit(stated: str | None, url: str) -> str:
    return f"`resource` in the metadata is {stated or 'missing'}, and it wants {url}"


def _compare_late(state: WalkState) -> None:
    """The comparison of `resource`, for a client that makes it last. Raises Stop."""
    profile, stated = state.client.profile, text((state.prm or {}).get("resource"))
    late = state.client.behaviour.resource_compared == "after-metadata" and profile.resource_mismatch == "stops"
    if late and stated is not None and not urls.same(stated, state.url) and not _fits(state, stated):
        change = f"Publish `resource`: {state.url}"
        raise state.stop("prm-discovery", _unfit(stated, state.url), "resource_rule", change)


def _said(answer: Exchange) -> str:
    return str(answer.status) if answer.response else "no answer"


def _prm_places(state: WalkState) -> list[str]:
    profile = state.client.profile
    known = [place.url for place in urls.prm_locations(state.url) if place.how in profile.prm_places]
    named = header_parameter(state, "resource_metadata") if profile.reads_header else None
    if named is not None and not urls.split(named):
        whole = absolute(named, state.url)
        if profile.relative_header == "stops":
            raise state.stop(
                "mcp-challenge", f"it cannot use the relative `resource_metadata` {named}", "relative_header",
                f"Write the whole URL: resource_metadata=\"{whole}\"",
            )  # fmt: skip
        state.note_traits("relative_header")
        named = whole if profile.relative_header == "resolved" else None
    if named and profile.header_same_origin and urls.origin(named) != urls.origin(state.url):
        state.note_traits("header_same_origin")
        named = None
    if not named:
        return known
    if profile.header_fallback:
        return [named, *(place for place in known if place != named)]
    return [named]


def _fits(state: WalkState, stated: str) -> bool:
    state.note_traits("resource_rule")
    return RESOURCE_RULES[state.client.profile.resource_rule](stated, state.url)


# --- the authorization server's


def _server_metadata(state: WalkState, issuer: str) -> Steps[dict[str, Any] | None]:
    profile, behaviour, found = state.client.profile, state.client.behaviour, None
    places = list(metadata_places(profile, issuer))
    for place in places:
        answer = yield from document(state, place)
        if answer is None:
            continue
        if answer.response is None and behaviour.unreachable == "stops":
            raise state.stop("as-discovery", f"it gets no answer from {place}", "unreachable", outcome="unreachable")
        content = _object(answer)
        if content:
            found = content
            break
        if answer.status == 200 and profile.html_metadata == "stops":
            raise state.stop("as-discovery", f"{place} answers 200 with something that is no JSON", "html_metadata")
        if (answer.status or 0) >= 500 and answer.status != 502 and behaviour.server_error == "stops":
            raise state.stop("as-discovery", f"{place} answers {answer.status}", "server_error")
    if found and behaviour.asks_oidc_too:
        base, path = urls.origin(issuer), urls.path_of(issuer).rstrip("/")
        yield from document(state, base + path + urls.OIDC)
    if len(places) > 1 and state.answers.get(places[0]) and not _object(state.answers[places[0]]):
        state.note_traits("as_places")
    return found


def _judge(state: WalkState, metadata: dict[str, Any], issuer: str) -> None:
    """What the client refuses of the metadata. Raises Stop."""
    profile, behaviour = state.client.profile, state.client.behaviour
    for name in ("authorization_endpoint", "token_endpoint"):
        url = text(metadata.get(name))
        if not url or not urls.split(url):
            raise state.stop("as-discovery", f"the metadata has no usable `{name}`")
        if not may_go(state.url, url):
            raise state.stop("as-discovery", f"`{name}` is {url}, on a network that only this machine reaches")
        if behaviour.https and not url.startswith("https://") and not urls.is_loopback(url):
            raise state.stop("as-discovery", f"`{name}` is {url}, and it calls nothing without TLS", "https")
    stated = text(metadata.get("issuer"))
    if stated != issuer and (state.prm is not None or behaviour.issuer_without_prm):
        state.note_traits("issuer_rule")
        if not issuer_fits(profile.issuer_rule, issuer, stated):
            why = f"the metadata says `issuer` {stated or '(none)'}, and it wants {issuer}"
            change = f"Make `issuer` what `authorization_servers` names: {issuer}"
            raise state.stop("as-discovery", why, "issuer_rule", change)
    methods = metadata.get("code_challenge_methods_supported")
    if "S256" not in texts(methods):
        if profile.pkce == "s256-listed" or (profile.pkce == "s256-if-listed" and methods is not None):
            raise state.stop(
                "as-discovery", "S256 is not among `code_challenge_methods_supported`", "pkce",
                'Publish `"code_challenge_methods_supported": ["S256"]`',
            )  # fmt: skip
        state.note_traits("pkce")
    if profile.response_types and "code" not in texts(metadata.get("response_types_supported")):
        raise state.stop("as-discovery", "`response_types_supported` does not list `code`", "response_types")


def _scope(state: WalkState, metadata: dict[str, Any]) -> str | None:
    """What the client asks for, by its own order of whose list it takes."""
    behaviour = state.client.behaviour
    listed = {
        "challenge": header_parameter(state, "scope") or "",
        "resource": " ".join(texts((state.prm or {}).get("scopes_supported"))),
        "server": " ".join(texts(metadata.get("scopes_supported"))),
    }
    scope = next((listed[whose] for whose in behaviour.scopes if listed[whose]), "")
    if len({value for value in listed.values() if value}) > 1:
        state.note_traits("scopes")
    offered = "offline_access" in texts(metadata.get("scopes_supported"))
    if scope and behaviour.offline_access and offered and "offline_access" not in scope.split():
        scope += " offline_access"
    return scope or None
