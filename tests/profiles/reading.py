"""What the runs of a client say about it: members of its profile, what it sends, and how each server ended for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from tests.profiles.observation import Observation
from tests.profiles.questions import ELSEWHERE, OIDC, Nobody, Other
from tests.support.bed import Received
from tests.support.bed.deployments import METADATA

Seen = Mapping[str, Observation]
PROMISE_ISS = ("f16", "q-iss-missing", "q-documents-iss")
_PLACES = {
    f"{METADATA}/tenant": "oauth-inserted",
    f"{OIDC}/tenant": "oidc-inserted",
    f"/tenant{OIDC}": "oidc-appended",
    METADATA: "oauth-root",
    OIDC: "oidc-root",
}


@dataclass
class Measured:
    """One client, as the bed saw it."""

    traits: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """Member of profile or behaviour → its value, and the server that shows it."""
    sends: dict[str, Any] = field(default_factory=dict)
    bed: dict[str, str] = field(default_factory=dict)

    def note(self, member: str, value: Any, shown_by: str) -> None:
        if value is not None:
            self.traits[member] = (value, shown_by)


def read(seen: Seen, bed: Iterable[str]) -> Measured:
    """All of it. Members that no run shows are left out, and the names of the programs of ours that embed a library."""
    measured = Measured(bed={name: seen[name].ending for name in bed})
    for part in (_discovery, _resource, _server, _registration, _authorization, _requests, _afterwards):
        part(seen, measured)
    for member, name in (("client_info", "name"), ("registration", "client_name")):
        value, where = measured.traits.pop(member, ({}, ""))
        if value.get(name, "").startswith("oauthtap"):
            value = {} if member == "client_info" else {one: value[one] for one in value if one != name}
        measured.note(member, value or None, where)
    return measured


def _discovery(seen: Seen, m: Measured) -> None:
    if seen["good"].requests and seen["good"].requests[0] in seen["good"].mcp:  # else it has read no challenge
        reads = bool(seen["q-named"].to(ELSEWHERE))
        m.note("reads_header", reads, "q-named")
        if reads:
            there = [one for one in seen["q-pointed"].to(ELSEWHERE) if one.host == Other.host]
            if there or seen["q-pointed"].went_on:
                m.note("header_same_origin", not there, "q-pointed")
        if reads and seen["q-dead"].to(ELSEWHERE):
            m.note("header_fallback", bool(_discovering(seen["q-dead"]).resource_places), "q-dead")
        relative = seen["q-relative"]
        took = "resolved" if relative.to(ELSEWHERE) else "ignored" if relative.went_on else "stops"
        m.note("relative_header", took, "q-relative")
        m.note("challenges", [401, 403] if seen["q-forbidden"].went_on else [401], "q-forbidden")
        m.note("needs_challenge", not seen["f09"].went_on, "f09")
    without = seen["q-noprm"]
    places = ["root" if place.endswith("resource") else "inserted" for place in without.resource_places]
    m.note("prm_places", [place for place in places if place in ("inserted", "root")] or None, "q-noprm")
    m.note("without_prm", "origin" if without.went_on else "stops", "q-noprm")
    if without.authorizations:
        m.note("resource_without_prm", "resource" in without.authorizations[-1], "q-noprm")
    if seen["q-open"].connected:
        m.note("open_server", "looks" if seen["q-open"].resource_places else "connects", "q-open")


def _discovering(run: Observation) -> Observation:
    """The run up to its registration or browser: some read the documents anew when they come back with the code."""
    acts = ("/register", "/authorize")
    ends = next((n for n, one in enumerate(run.requests) if one.path.endswith(acts)), len(run.requests))
    return replace(run, requests=run.requests[:ends])


def _resource(seen: Seen, m: Measured) -> None:
    away = seen["q-res-elsewhere"]
    hosts = [host for host, _ in away.server_places]
    late = Other.host in hosts
    mismatch = "ignored" if away.went_on and late else "drops" if away.host in hosts else "stops"
    m.note("resource_mismatch", mismatch, "q-res-elsewhere")
    if mismatch == "stops":
        m.note("resource_compared", "after-metadata" if late else "at-once", "q-res-elsewhere")
    origin = seen["q-res-origin"]

    def taken(name: str) -> bool:
        sent = [one.get("resource", "") for one in seen[name].authorizations]
        stated = {"q-res-origin": "", "q-res-slash": "/mcp/", "q-res-parent": "/team/api/", "q-res-sibling": "/api"}
        own = f"https://{seen[name].host}{stated[name]}"
        return bool(sent) and (mismatch == "stops" or sent[-1].rstrip("/") == own.rstrip("/"))

    if mismatch == "ignored" or taken("q-res-sibling"):
        rule = "origin"
    elif not taken("q-res-origin"):
        rule = "exact"
    elif taken("q-res-slash"):
        rule = "prefix-slash"
    else:
        rule = "prefix" if taken("q-res-parent") else "segment"
    m.note("resource_rule", rule, "q-res-origin, q-res-slash, q-res-parent, q-res-sibling")
    if origin.authorizations and taken("q-res-origin"):
        sent = origin.authorizations[-1].get("resource")
        bare = f"https://{origin.host}"
        if sent in (bare, f"{bare}/"):
            m.note("resource", "stated", "q-res-origin")
            m.note("resource_sent", "verbatim" if sent == bare else "href", "q-res-origin")
        elif sent == f"{bare}{origin.path}":
            m.note("resource", "typed", "q-res-origin")


def _server(seen: Seen, m: Measured) -> None:
    nowhere = seen["q-nometa"]
    there = [_PLACES.get(path, path) for host, path in nowhere.server_places if host == Nobody.host]
    m.sends["server_metadata_places"] = there
    if not seen["prefix-root"].to("/team/api/register", "POST"):  # one part of it asks there, and nothing comes of it
        there = [place for place in there if place != "oauth-root"]
    m.note("as_places", [place for place in there if place in _PLACES.values() and place != "oidc-root"] or None,
           "q-nometa")  # fmt: skip
    if there:
        guessed = [one.host for one in nowhere.requests if one.path.endswith(("/register", "/authorize"))]
        own = [path for host, path in nowhere.server_places if host == nowhere.host]
        if not own or (METADATA in own and nowhere.host in guessed):  # others look there, and go on at the issuer
            m.note("server_fallback", bool(own), "q-nometa")
        m.note("without_metadata", "defaults" if guessed else "stops", "q-nometa")
        if guessed:
            m.note("default_endpoints", "issuer" if guessed[0] == Nobody.host else "resource", "q-nometa")
    m.note("html_metadata", "next" if seen["q-page"].went_on else "stops", "q-page")
    m.note("server_error", "next" if seen["q-broken"].went_on else "stops", "q-broken")
    if len(seen["nosuch-as"].refused) == 1:  # more may be one place tried again
        m.note("unreachable", "stops", "nosuch-as")
    added, dropped = seen["q-issuer-slash"].went_on, seen["q-listed-slash"].went_on
    rules = {(True, True): "root-slash", (False, True): "slash-dropped", (False, False): "exact"}
    m.note("issuer_rule", "none" if seen["f03"].went_on else rules.get((added, dropped)), "f03, q-issuer-slash")
    listed = [bool(seen[name].authorizations) for name in ("f04", "q-plain")]
    pkce = "none" if all(listed) else "s256-if-listed" if listed[0] else "s256-listed"
    m.note("pkce", pkce, "f04, q-plain")
    m.note("response_types", not seen["q-noresponse"].authorizations, "q-noresponse")


def _registration(seen: Seen, m: Measured) -> None:
    m.note("without_registration", "guesses" if seen["q-unnamed"].registrations else "stops", "q-unnamed")
    used = [one["client_id"] for one in seen["q-documents"].authorizations if "client_id" in one]
    if used and used[-1].startswith("https://"):
        m.note("cimd", True, "q-documents")
        m.note("metadata_client_id", used[-1], "q-documents")
        plain = seen["q-documents-iss"].authorizations
        if plain and plain[-1].get("client_id") != used[-1]:
            varying = re.sub(r"/[\w-]{6,}(?=/[\w.]+$)", "/*", used[-1])
            m.note("metadata_client_id", plain[-1]["client_id"], "q-documents-iss")
            m.note("metadata_client_id_without_iss", varying, "q-documents")
    elif used and seen["q-documents"].registrations:
        m.note("cimd", False, "q-documents")
        m.sends["metadata_url"] = "none where the authorization server takes one"
    m.note("registration_redirect_uris", not seen["q-nouris"].authorizations, "q-nouris")
    m.note("registration_nulls", "ignored" if seen["q-nulls"].authorizations else "stops", "q-nulls")
    if not (bodies := seen["f16"].registrations or seen["good"].registrations):
        return
    body = bodies[-1]
    m.note("application_type", "application_type" in body, "good")
    m.note("registration_scope", "scope" in body, "good")
    left_out = ("redirect_uris", "scope", "token_endpoint_auth_method")
    m.note("registration", {name: value for name, value in body.items() if name not in left_out}, "good")
    secret = [one.get("token_endpoint_auth_method") for one in seen["q-secrets"].registrations]
    m.sends["token_endpoint_auth_method"] = body.get("token_endpoint_auth_method", "(not said)")
    if secret and secret[-1] != body.get("token_endpoint_auth_method"):
        m.sends["token_endpoint_auth_method_where_only_secrets_are_listed"] = secret[-1]
    elif body.get("token_endpoint_auth_method") == "none":
        m.note("registration_method", "none", "good, q-secrets")
    if len(body.get("redirect_uris", ())) > 1:
        each = zip(*(one["redirect_uris"] for run in seen.values() for one in run.registrations), strict=True)
        m.note("registered_redirect_uris", [patterned(same) for same in each], "good")


def _authorization(seen: Seen, m: Measured) -> None:
    straight = {name: run for name, run in seen.items() if not run.tapped}
    uris = {
        promised: [one["redirect_uri"] for name, run in straight.items() for one in run.authorizations
                   if "redirect_uri" in one and (name in PROMISE_ISS) is promised]
        for promised in (True, False)
    }  # fmt: skip
    if uris[False]:
        m.note("redirect_uri", patterned(uris[False]), "good")
        if uris[True] and patterned(uris[True]) != m.traits["redirect_uri"][0]:
            m.note("redirect_uri_without_iss", patterned(uris[False]), "good")
            m.note("redirect_uri", patterned(uris[True]), "f16")
    if asked := seen["f16"].authorizations:
        m.sends["authorization_parameters"] = sorted(asked[-1])
        m.sends["code_challenge_method"] = asked[-1].get("code_challenge_method", "none")
    scopes = {name: _scope(seen[name]) for name in ("q-scopes", "q-scopes2", "q-scopes1")}
    m.sends["scope"] = {
        "challenge, resource and server list one": scopes["q-scopes"],
        "resource and server": scopes["q-scopes2"],
        "server alone": scopes["q-scopes1"],
    }
    if all(seen[name].authorizations for name in scopes):
        whose = [
            who for who, name in (("challenge", "q-scopes"), ("resource", "q-scopes2"), ("server", "q-scopes1"))
            if who in scopes[name].split()
        ]  # fmt: skip
        if seen["q-scopes"].tokenless:  # else it has read no challenge
            m.note("scopes", whose or None, "q-scopes, q-scopes2, q-scopes1")
        m.note("offline_access", "offline_access" in scopes["q-scopes"].split(), "q-scopes")

    def redeemed(name: str) -> bool:
        return any(one.get("grant_type") == "authorization_code" for one in seen[name].token_requests)

    if not redeemed("good") and redeemed("f16"):
        rule = "always"
    elif redeemed("q-iss-wrong"):
        rule = "none"
    else:
        rule = "if-present" if redeemed("q-iss-missing") else "exact"
    m.note("iss_rule", rule, "good, f16, q-iss-wrong, q-iss-missing")
    if redeemed("f08"):
        m.note("token_type", not seen["f08"].signed_in, "f08")
    if redeemed("good"):
        m.note("state_compared", not redeemed("f10"), "f10")
    m.note("sends_state", any("state" in one for one in seen["f16"].authorizations), "f16")


def _scope(run: Observation) -> str:
    return run.authorizations[-1].get("scope", "") if run.authorizations else ""


def _requests(seen: Seen, m: Measured) -> None:
    if seen["good"].connected and not seen["seed1"].connected:
        m.note("transport", "streamable", "seed1")
    run = seen["f16"]
    if run.requests:
        first = run.requests[0]
        method = _message(first).get("method", "")
        m.sends["first_request"] = f"{first.method} {first.path} {method}".strip()
        kind = {"initialize": "initialize", "server/discover": "discover"}.get(method)
        m.note("first_request", kind or ("none" if first not in run.mcp else None), "f16")
    if run.tokenless and run.tokenless[0].method == "POST":
        m.note("first_version_header", "mcp-protocol-version" in run.tokenless[0].headers, "f16")
    agents = {
        "MCP without a token": run.tokenless, "resource metadata": _documents(run, "resource"),
        "server metadata": _documents(run, "server"), "registration": run.to("/register", "POST"),
        "token": run.to("/token", "POST"), "MCP with a token": run.signed_in,
    }  # fmt: skip
    m.sends["user_agent"] = {leg: list(dict.fromkeys(_agent(one) for one in found)) for leg, found in agents.items()
                             if found}  # fmt: skip
    if documents := _documents(run, "resource") or _documents(run, "server"):
        m.note("document_accept", documents[0].headers.get("accept", ""), "f16")
        m.note("document_version_header", "mcp-protocol-version" in documents[0].headers, "f16")
        shown = ("accept", "mcp-protocol-version")
        m.sends["document_headers"] = {name: value for name, value in documents[0].headers.items() if name in shown}
    if greeted := [one for one in run.signed_in if _message(one).get("method") == "initialize"]:
        said = _message(greeted[-1])["params"]
        info = said.get("clientInfo") or {}
        m.note("client_info", {name: value for name, value in info.items() if isinstance(value, str)}, "f16")
        m.note("revision", said.get("protocolVersion"), "f16")
    if run.signed_in:
        m.note("agent", _agent(run.signed_in[-1]), "f16")
    if tokens := run.to("/token", "POST"):
        m.note("oauth_agent", _agent(tokens[-1]), "f16")


def _documents(run: Observation, whose: str) -> list[Received]:
    marks = ("oauth-protected-resource",) if whose == "resource" else ("oauth-authorization-server", OIDC)
    return [one for one in run.requests if any(mark in one.path for mark in marks)]


def _agent(one: Received) -> str:
    return one.headers.get("user-agent", "(none)")


def _message(one: Received) -> dict[str, Any]:
    try:
        found = json.loads(one.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _afterwards(seen: Seen, m: Measured) -> None:
    expired = seen["q-expired"]
    renewals = [one for one in expired.requests if "grant_type=refresh_token" in one.body]
    if renewals:
        before = not any(one in expired.signed_in for one in expired.requests[: expired.requests.index(renewals[0])])
        named = "with" if "resource=" in renewals[0].body else "without"
        m.sends["refresh"] = f"{'before the first request' if before else 'once it is refused'}, {named} `resource`"
        m.note("refreshes", f"{named}-resource", "q-expired")
    elif expired.token_requests:
        many = len(expired.authorizations)
        m.sends["refresh"] = f"not where its token is refused: it {'signs in again' if many > 1 else 'gives up'}"
    step, again = seen["q-stepup"], [_scope_of(one) for one in seen["q-stepup"].authorizations]
    if any(one.status == 403 for one in step.signed_in):
        m.sends["step_up"] = f"signs in again with `{again[-1]}`" if len(again) > 1 else "gives up"
        m.note("steps_up", len(again) > 1, "q-stepup")
    refused = seen["f06"]
    if refused.token_requests:
        m.sends["refused_token"] = f"sent {len(refused.signed_in)} times; {len(refused.authorizations)} sign-ins"
    busy = [one for one in seen["q-busy"].signed_in if one.method == "POST"]
    if busy:
        m.sends["server_busy"] = "tries again" if len(busy) > 1 and seen["q-busy"].connected else "gives up"


def _scope_of(asked: Mapping[str, str]) -> str:
    return asked.get("scope", "")


def patterned(uris: Iterable[str]) -> str:
    """The redirect URI with `*` for what is not the same each time: the port, and the last part of the path."""
    parts = [urlsplit(uri) for uri in uris]
    ports, paths = {part.port for part in parts}, {part.path for part in parts}
    host = parts[0].hostname or ""
    port = f":{'*' if len(ports) > 1 else parts[0].port}" if parts[0].port else ""
    path = parts[0].path if len(paths) == 1 else f"{parts[0].path.rpartition('/')[0]}/*"
    return f"{parts[0].scheme}://{host}{port}{path}"
