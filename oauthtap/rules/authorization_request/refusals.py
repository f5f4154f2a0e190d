"""Reads refusals of authorization servers, in all their forms."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    ClientMetadata,
    Interaction,
    Registration,
    texts,
)
from oauthtap.handshake.stages import text as as_text
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, first_value

Asked = AuthorizationRequest | Interaction | AuthorizationResponse
"""Where a refusal may show: at once, after some pages, or at the callback."""

REDIRECT = re.compile(r"redirect|call.?back|return.?ur[il]|reply.?ur[il]|loopback", re.I)
CLIENT = re.compile(
    r"(?:unknown|unrecogni[sz]ed|unregistered|invalid|no such|bad|missing)[\W_]{1,10}(?:oauth[\W_]{1,10})?"
    r"(?:client|application)(?:[ _-]?id)?\b(?!\W{1,10}(?:redirect|secret|metadata|call))|"
    r"\b(?:client|application|client_id)\b\W{1,20}(?:\w{1,60}\W{1,20}){0,5}?"
    r"(?:not found|not registered|not recogni[sz]ed|does ?n[o']t exist|unknown|is invalid|not exist|unrecogni[sz]ed|"
    r"could not be found|was not found|no longer)",
    re.I,
)
"""Bounded everywhere: these patterns run over pages that strangers wrote."""
SCOPE = re.compile(r"\bscopes?\b|invalid_scope", re.I)
STATE = re.compile(r"\bstate\b", re.I)
_OTHER = re.compile(r"code_challenge|pkce|response_type|invalid_target|\bresource\b|access_denied|tenant", re.I)
_ALARM = re.compile(
    r"error|invalid|oops|denied|bad request|mismatch|not found|unknown|wrong|refused|failed|blocked|sorry|trouble|unable",
    re.I,
)
_ENTRA = re.compile(r"AADSTS(\d{5,7})")
_ENTRA_MEANS: dict[str, re.Pattern[str] | None] = {
    **dict.fromkeys(("50011", "500112", "500113", "500117", "50102", "900971"), REDIRECT),
    **dict.fromkeys(("700016", "700038"), CLIENT),
    **dict.fromkeys(("650053", "70011", "28002", "28003"), SCOPE),
    **dict.fromkeys(("901002", "9010010", "500011", "650057", "50001", "65001", "90094", "50105"), None),
}
"""What Entra ID's numbers are about, whatever its words mention besides; None for something else."""
_HEADING = re.compile(r"<(?:title|h1|h2)[^>]{0,200}>(.{0,300}?)</", re.I | re.S)


@dataclass(frozen=True)
class Refusal:
    """A no to an authorization request."""

    asked: AuthorizationRequest
    words: str
    """All that was said: error code, description, and the text of the page."""
    error: str | None
    """The OAuth error code, where there is one."""
    at: str
    """Where the words stand."""
    redirected: bool
    """The client was told, by a redirect to its callback."""
    at_once: bool
    """The request itself was answered so: no user had a say."""

    def about(self, pattern: re.Pattern[str]) -> bool:
        number = _ENTRA.search(self.words)
        if number and number[1] in _ENTRA_MEANS and pattern in (REDIRECT, CLIENT, SCOPE, STATE):
            return pattern is _ENTRA_MEANS[number[1]]
        return bool(pattern.search(self.words))

    @property
    def of_client(self) -> bool:
        """It is the client that the server does not take, by the error code or in its words."""
        number = _ENTRA.search(self.words)
        coded = self.error in ("invalid_client", "unauthorized_client")
        return self.about(CLIENT) or (coded and not (number and number[1] in _ENTRA_MEANS))

    @property
    def vague(self) -> bool:
        """The words tell nothing about what was refused."""
        return not any(self.about(pattern) for pattern in (REDIRECT, CLIENT, SCOPE, STATE, _OTHER))

    @property
    def quoted(self) -> str:
        """The words, short enough for a sentence."""
        said = " ".join(self.words.split())
        return f"{said[:157]}…" if len(said) > 160 else said or "no words"


def refusal(stage: Asked, so_far: Handshake) -> Refusal | None:
    """The no in this answer, with the request it is for; None when it is none.

    Raises Unseen when the request's body was needed and not recorded.
    """
    if isinstance(stage, AuthorizationRequest):
        asked, at_once = stage, True
    else:
        known = stage.requested if isinstance(stage, AuthorizationResponse) else so_far.authorization
        if known is None or _said(known.exchange) or stage.exchange.actor not in ("client", "browser"):
            return None
        asked, at_once = known, False
    if asked.exchange.actor not in ("client", "browser") or own_request(asked) is False:
        return None
    if isinstance(stage, AuthorizationResponse) and stage.callback:
        error = stage.get("error")
        said: tuple[str, str | None, str] | None = (
            (f"{error} {stage.get('error_description') or ''}", error, "request.query.error") if error else None
        )
        target: str | None = stage.url
    else:
        said = _said(stage.exchange)
        target = stage.exchange.response.header("location") if stage.exchange.response else None
    if said is None:
        return None
    back = asked.redirect_uri
    told = bool(target and back and urls.endpoint(absolute(target, stage.url)) == urls.endpoint(back))
    return Refusal(asked, said[0].strip(), said[1], said[2], told, at_once)


def _said(exchange: Exchange) -> tuple[str, str | None, str] | None:
    """Words, error code and place of a refusal in one answer; None when it is no refusal."""
    response = exchange.response
    if response is None:
        return None
    if 300 <= response.status < 400:
        location = response.header("location") or ""
        pairs = Request(method="GET", url=location.replace("#", "&" if "?" in location else "?", 1)).query
        error = first_value(pairs, "error")
        words = f"{error} {first_value(pairs, 'error_description') or ''}"
        return (words, error, "response.header.location") if error else None
    error = as_text(response.json_object.get("error"))
    page = response.body or ""
    if response.status >= 400 or (response.status == 200 and response.json_object.get("error")):
        return _plain(page), error, "response.body" if page else "response.status"
    heading = " ".join(_HEADING.findall(page[:20_000])) if response.media_type == "text/html" else ""
    if response.status == 200 and (_ALARM.search(heading) or _ENTRA.search(_plain(page))):
        return _plain(page), None, "response.body"
    return None


def _plain(page: str) -> str:
    """The readable text of a page; any other body as it is. At most 4000 characters."""
    if not page.lstrip().startswith("<"):
        return page[:4000]
    said: list[str] = []
    silent = ""
    for piece in page[:100_000].split("<"):
        tag, _, rest = piece.partition(">")
        name = tag.lower().split(maxsplit=1)[0] if tag.strip() else ""
        if silent:
            silent = "" if name == f"/{silent}" else silent
        elif name in ("script", "style"):
            silent = name
        if not silent:
            said.append(rest)
    return html.unescape(" ".join(said))[:4000]


def own_request(request: AuthorizationRequest) -> bool:
    """The client wrote this request, and its parameters are in sight.

    Not so for what a redirect made (a federated server sends the browser on with an id of
    its own), and for parameters behind a `request_uri` or inside a signed `request`.
    """
    if request.exchange.actor not in ("client", "browser"):
        return False
    if request.initiator is not None and request.initiator.at == "response.header.location":
        return False
    names = {name for name, _ in request.request.query}
    return request.pushed is not None or not names & {"request_uri", "request"}


def registered_uris(request: AuthorizationRequest, so_far: Handshake) -> tuple[str, ...] | None:
    """The redirect URIs registered for the request's client id; None when the registration was not seen."""
    client_id = request.get("client_id")
    for stage in reversed(so_far.stages):
        if isinstance(stage, Registration) and stage.ok and stage.exchange.response:
            if stage.exchange.response.body is None or stage.issued.get("client_id") != client_id:
                continue
            return texts(stage.issued.get("redirect_uris")) or texts(stage.requested.get("redirect_uris"))
        if isinstance(stage, ClientMetadata) and stage.ok and stage.url == client_id:
            return stage.list("redirect_uris")
    return None


def is_document_id(client_id: str | None) -> bool:
    """The client id is the address of a client ID metadata document."""
    return bool(client_id and client_id.startswith("https://") and urls.path_of(client_id) != "/")
