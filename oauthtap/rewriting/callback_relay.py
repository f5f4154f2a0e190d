"""The callback relay: our own redirect URI in place of the client's, and back.

Authorization servers send `iss` with the code (RFC 9207), and clients compare it with the
issuer they were told, which is a local name. So the browser has to come by us on its way
back. Registration, authorization and token request must then all name the same URI.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote_plus

from oauthtap.model import json_edit, urls
from oauthtap.model.exchange import Request, first_value
from oauthtap.rewriting.origins import HOSTS, PUBLIC, Origins, local_origin
from oauthtap.rewriting.requests import is_authorization, pairs

Callback = Literal["auto", "relay", "direct"]
CALLBACKS: tuple[Callback, ...] = ("auto", "relay", "direct")
RedirectUriMap = dict[str, str]
"""Our redirect URI to the client's own, for one request."""

PUBLIC_PATH = "/oauthtap/callback"
"""Our callback on a public name: a path that no server has, because that name is the server's otherwise."""
_WAITING = 100
_REGISTERED = 1000
_NO_URI = re.compile(r"[^\x21-\x7e]|[\\@]")
"""What browsers and parsers read in different ways: a URI with one of these is nobody's."""
_COMPARED_SINCE = "2026-07-28"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ISS = re.compile(r"(?P<name>(?:^|[?&#])iss=)(?P<value>[^&#]*)")


@dataclass(frozen=True)
class Waiting:
    """An authorization request whose answer has to come by us."""

    client_uri: str
    host: str
    """The name by which the client knows us."""
    state: str = ""
    """What the client sent along to recognize the answer by."""


@dataclass
class Relay:
    """Remembers who registered through us, and who waits for an answer."""

    port: int | None
    """Our callback's local port; None when nothing is relayed."""
    mode: Callback = "auto"
    registered: set[str] = field(default_factory=set)
    """Marks of the client ids that the authorization server knows with our redirect URI."""
    public: str | None = None
    """The public origin of the MCP server's port: where a client that is elsewhere finds our callback."""
    named: str = ""
    """A redirect URI that is not on this machine, to which the person wants answers led on."""
    issuer_is_sent: bool = False
    """The authorization server announces `iss` (RFC 9207), so a client may refuse without us."""
    issuer_is_compared: bool = False
    """The client speaks a revision of MCP that has it compare `iss`, so it does refuse without us."""

    def __post_init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], Waiting] = OrderedDict()
        """By `state`, and by the place of our callback."""
        self._in_registrations: OrderedDict[str, None] = OrderedDict()
        """Redirect URIs of registrations that we relayed."""
        self._asked_with: dict[str, str] = {}

    # --- on the way up

    def note_revision(self, request: Request) -> None:
        """Note which revision of MCP the client speaks."""
        named = request.header("mcp-protocol-version") or ""
        if _DATE.fullmatch(named) and named >= _COMPARED_SINCE:
            self.issuer_is_compared = True

    def registration(self, body: str) -> tuple[str, RedirectUriMap]:
        """The body of a registration request with our redirect URIs in it (RFC 7591, 2)."""
        swap: RedirectUriMap = {}

        def ours(path: json_edit.Path, uri: str) -> str:
            if len(path) != 2 or path[0] != "redirect_uris" or not self._stands_in(uri):
                return uri
            swap[self.uri_for(uri)] = uri
            self._in_registrations[_without_port(uri)] = None
            while len(self._in_registrations) > _REGISTERED:
                self._in_registrations.popitem(last=False)
            return self.uri_for(uri)

        return (json_edit.edit_strings(body, ours), swap) if self._on else (body, swap)

    def granted(self, client_id: str, swap: RedirectUriMap) -> None:
        """The registration succeeded: from now on this client id goes with our redirect URI."""
        if swap:
            self.registered.add(fingerprint(client_id))

    def authorization(self, text: str, host: str) -> tuple[str, RedirectUriMap]:
        """The query or form of an authorization or pushed authorization request."""
        given = _decoded(text)
        uri, client_id = given.get("redirect_uri", ""), given.get("client_id", "")
        if not uri or not self._relays(client_id, uri) or not self._may_lead_to(uri, host):
            return text, {}
        ours = self.uri_for(uri)
        waiting = Waiting(uri, host, given.get("state", ""))
        for key in (("state", given.get("state", "")), ("place", _place(ours))):
            self._waiting[key] = waiting
            self._waiting.move_to_end(key)
        while len(self._waiting) > _WAITING:
            self._waiting.popitem(last=False)
        self._asked_with[uri] = ours
        return pairs(text, lambda name, value: ours if name == "redirect_uri" else value), {ours: uri}

    def token(self, body: str) -> tuple[str, RedirectUriMap]:
        """The form (or, from a client that errs, the JSON) of a token request."""
        swap: RedirectUriMap = {}

        def ours(name: str, value: str) -> str:
            if name != "redirect_uri" or value not in self._asked_with:
                return value
            swap[self._asked_with[value]] = value
            return self._asked_with[value]

        if body.lstrip()[:1] == "{":
            return json_edit.edit_strings(body, lambda path, value: ours(str(path[-1]) if path else "", value)), swap
        return pairs(body, ours), swap

    def with_our_callback(self, asked: Request, host: str) -> tuple[Request, RedirectUriMap]:
        """The same request with our redirect URI in it, where the callback is relayed, and what stands for what."""
        before, question, query = asked.url.partition("?")
        text, swap = asked.body or "", RedirectUriMap()
        if asked.method == "POST" and isinstance(asked.json_object.get("redirect_uris"), list):
            text, swap = self.registration(text)
        elif is_authorization(asked):
            query, swap = self.authorization(query, host)
        elif first_value(asked.form, "grant_type") or "grant_type" in asked.json_object:
            text, swap = self.token(text)
        elif first_value(asked.form, "redirect_uri"):
            text, swap = self.authorization(text, host)
        if not swap:
            return asked, swap
        return Request(method=asked.method, url=before + question + query, headers=asked.headers, body=text), swap

    def notice_for(self, query: str) -> str | None:
        """What the person should know of the way back from an authorization request; None where all is well."""
        given = _decoded(query)
        uri, client_id = given.get("redirect_uri", ""), given.get("client_id", "")
        if not self._on or not uri:
            return None
        if self._relays(client_id, uri):
            return self._risked(client_id, uri)
        consequence = "the answer goes straight to the client, out of sight"
        if self.issuer_is_sent:
            consequence += ", and a client that compares its `iss` will refuse it (our metadata names a local issuer)"
        if client_id.startswith("https://"):
            return (
                f"The client identifies itself by a metadata document, so {consequence}. `--callback relay` may help."
            )
        if not self._stands_in(uri):
            return f"The callback {uri} is not on this machine, so {consequence}. `--callback {uri}` may help."
        return (
            f"This client did not register through oauthtap, so {consequence}. Let it sign out and in again "
            "(for Claude Code: claude mcp logout NAME), or keep its names: oauthtap run -- COMMAND."
        )

    def _risked(self, client_id: str, uri: str) -> str | None:
        """A client that registered elsewhere: its server does not know our port."""
        if self.mode == "relay" or client_id.startswith("https://") or fingerprint(client_id) in self.registered:
            return None
        return (
            f"This client did not register through oauthtap and has to compare `iss`, so {self.uri_for(uri)} stands in "
            "for its callback. An authorization server that pins loopback ports (against RFC 8252, 7.3) refuses that. "
            "Then let the client sign out and in again, or keep its names: oauthtap run -- COMMAND."
        )

    # --- on the way back

    def match_callback(self, request: Request) -> Waiting | None:
        """Whose answer a request to our callback is; by `state`, or by path where the server dropped it.

        None for a `state` that no client sent: such an answer goes nowhere.
        """
        if state := first_value((*request.query, *request.form), "state"):
            return self._waiting.get(("state", state))
        return self._waiting.get(("place", (request.parts.hostname or "") + request.path))

    def restored(self, text: str) -> str:
        """The text with the client's redirect URI wherever it repeats ours."""
        return restored(text, {ours: theirs for theirs, ours in self._asked_with.items()})

    def receives(self, url: str) -> bool:
        """It leads to our own callback on this machine."""
        parts = urls.split(url)
        return self.port is not None and parts is not None and parts.port == self.port and urls.is_loopback(url)

    @classmethod
    def client_callback_url(cls, waiting: Waiting, query: str, origins: Origins) -> str:
        """Where the browser goes on to: the client's own callback, `iss` as the client was told it."""
        return meant(waiting, cls.with_local_issuer(query, waiting.host, origins))

    @staticmethod
    def with_local_issuer(text: str, host: str, origins: Origins) -> str:
        """A query, or a URL with one, with `iss` as the client was told it, who knows us as `host`."""

        def renamed(match: re.Match[str]) -> str:
            said = unquote_plus(match["value"])
            told = origins.local(said, host)
            return match[0] if told == said else match["name"] + quote(told, safe="")

        return _ISS.sub(renamed, text)

    # --- which

    def uri_for(self, uri: str) -> str:
        """Our redirect URI for one of the client's: same host form and path where it is on loopback."""
        assert self.port is not None
        parts = urls.split(uri)
        if self.public and not urls.is_loopback(uri):
            return self.public + PUBLIC_PATH
        if parts is None or parts.scheme != "http" or not urls.is_loopback(uri):
            return local_origin(self.port) + "/callback"
        host = "[::1]" if parts.hostname == "::1" else parts.hostname
        host = host if host in HOSTS else "localhost"
        query = f"?{parts.query}" if parts.query else ""
        return f"{local_origin(self.port, host)}{parts.path}{query}"

    @property
    def _on(self) -> bool:
        return self.port is not None and self.mode != "direct"

    def _stands_in(self, uri: str) -> bool:
        """Only for loopback callbacks, and for the one that the person named: we would send codes to it.

        Besides, a refused `cursor://…` may be the very fault under study.
        """
        if self.mode == "relay" and self.named and uri == self.named:
            return True
        scheme = uri.partition(":")[0].lower()
        schemes = ("http", "https") if self.mode == "relay" else ("http",)
        return scheme in schemes and not _NO_URI.search(uri) and urls.is_loopback(uri)

    def _may_lead_to(self, uri: str, host: str) -> bool:
        """A client on this machine may name any loopback URI; by a tunnel comes only what was registered through us."""
        return host != PUBLIC or uri == self.named or _without_port(uri) in self._in_registrations

    def _relays(self, client_id: str, uri: str) -> bool:
        if not self._on or not self._stands_in(uri):
            return False
        # The server has to ignore loopback ports (RFC 8252, 7.3). Many pin them all the same, so we rely on it only
        # for a metadata document, which names no port, and where the client is sure to refuse otherwise.
        relied_on = self.issuer_is_sent and (client_id.startswith("https://") or self.issuer_is_compared)
        return self.mode == "relay" or fingerprint(client_id) in self.registered or relied_on


def meant(waiting: Waiting, query: str) -> str:
    """The client's callback with the query that came to ours."""
    base = urls.without_query(waiting.client_uri)
    return f"{base}?{query}" if query else base


def restored(text: str, swap: RedirectUriMap) -> str:
    """An upstream's text with the client's redirect URI wherever it repeats ours, however escaped."""
    for ours, theirs in swap.items():
        for form in (str, lambda uri: quote(uri, safe=""), lambda uri: uri.replace("/", "\\/")):
            text = text.replace(form(ours), form(theirs))
    return text


def fingerprint(client_id: str) -> str:
    """A client id by a fingerprint: what is kept on disk need not name it."""
    return hashlib.sha256(client_id.encode()).hexdigest()[:16]


def _without_port(uri: str) -> str:
    """A loopback URI as authorization servers have to compare it (RFC 8252, 7.3)."""
    parts = urls.split(uri)
    return parts._replace(netloc=parts.hostname or "").geturl() if parts else uri


def _place(uri: str) -> str:
    parts = urls.split(uri)
    return f"{parts.hostname}{parts.path or '/'}" if parts else ""


def _decoded(text: str) -> dict[str, str]:
    pieces = (piece.partition("=") for piece in text.split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pieces}
