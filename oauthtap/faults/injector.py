"""Injections at work: which exchange each one meets, once, and what it makes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.faults.model import Fault
from oauthtap.fixes.actions import RequestChange
from oauthtap.fixes.model import PLACEHOLDER
from oauthtap.handshake.classify import classify
from oauthtap.handshake.stages import Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model import json_edit
from oauthtap.model.exchange import Exchange, Request, Response

_NOTHING = Response(status=0)


@dataclass(frozen=True)
class AppliedFault:
    """An injection that has met its exchange."""

    injection: Fault
    shown: Response | None = None
    """What the client got where the upstream gave no answer."""


@dataclass
class FaultInjector:
    """What is still to be injected. Each goes as soon as it has met its exchange; one exchange takes one."""

    pending: list[Fault] = field(default_factory=list)

    def instead(self, exchange: Exchange, analyzer: SessionAnalyzer) -> Fault | None:
        """What answers this request (it has no answer yet) in the upstream's place. Takes it off the list."""
        return self._taken(exchange, analyzer, [one for one in self.pending if one.instead])

    def match_response(self, exchange: Exchange, analyzer: SessionAnalyzer) -> Fault | None:
        """What replaces or changes this response of the upstream. Takes it off the list."""
        if exchange.response is None:
            return None
        return self._taken(exchange, analyzer, [one for one in self.pending if not one.instead and not one.cuts])

    def cutting(self, exchange: Exchange, analyzer: SessionAnalyzer) -> Fault | None:
        """What breaks this stream, of which only the header lines are known. Leaves the list as it is."""
        return self._met(exchange, analyzer, [one for one in self.pending if one.cuts])

    def match_callback(self) -> Fault | None:
        """What is made of the parameters that a browser brings to the callback. Takes it off the list."""
        found = next((one for one in self.pending if one.callback), None)
        return self.take(found) if found else None

    def take(self, injection: Fault) -> Fault:
        """It has happened."""
        self.pending.remove(injection)
        return injection

    def _taken(self, exchange: Exchange, analyzer: SessionAnalyzer, among: Sequence[Fault]) -> Fault | None:
        found = self._met(exchange, analyzer, among)
        return self.take(found) if found else None

    @staticmethod
    def _met(exchange: Exchange, analyzer: SessionAnalyzer, among: Sequence[Fault]) -> Fault | None:
        if not among:
            return None
        handshake = analyzer.handshake_for(exchange)
        struck = analyzer.redactor.redact(exchange)
        slugs = tuple(stage.slug for stage in classify(struck, handshake))
        for one in among:
            if exchange.response is None:
                meant = one.when.asks(slugs, exchange.request)
            else:
                meant = one.when.answers(slugs, exchange.request, exchange.response)
            ripe = not one.settled or _is_settled(struck, handshake)
            if meant and ripe and _changes(one, exchange, handshake):
                return one
        return None


def answered(injection: Fault, request: Request, response: Response | None, so_far: Handshake) -> Response:
    """The answer as the client is to get it; `response` is the upstream's, None where it was not asked."""
    given = response or _NOTHING
    known = {**_known(so_far), "value": injection.value, **({"scope": injection.value} if injection.value else {})}
    if injection.members is not None:
        body = _with_members(given.body or "", injection.members, known)
        return Response(status=given.status, headers=given.headers, body=body, truncated=given.truncated)
    if injection.answer is None:
        return given
    challenge = {name: _filled(value, known) for name, value in injection.answer.challenge.items()}
    known_ones = {name: value for name, value in challenge.items() if value}
    return injection.answer.model_copy(update={"challenge": known_ones})(request, given)


def _with_members(body: str, members: RequestChange, known: Mapping[str, str]) -> str:
    new = {name: _filled(value, known) for name, value in members.set.items()}
    return json_edit.edit_strings(
        body,
        lambda path, value: new.get(str(path[0]), value) if len(path) == 1 else value,
        drop=lambda path: len(path) == 1 and path[0] in members.drop,
    )


def altered_callback_url(injection: Fault, url: str) -> str:
    """The callback's URL as the client is to get it."""
    assert injection.callback is not None
    values = {name: _filled(value, {"value": injection.value}) for name, value in injection.callback.set.items()}
    changed = injection.callback.model_copy(update={"set": values})(Request(method="GET", url=url))
    return changed.url


def _changes(injection: Fault, exchange: Exchange, so_far: Handshake) -> bool:
    """It makes a difference here: a member that is not there cannot be taken away."""
    if exchange.response is None or (injection.answer is None and injection.members is None):
        return True
    return answered(injection, exchange.request, exchange.response, so_far) != exchange.response


def _is_settled(exchange: Exchange, so_far: Handshake) -> bool:
    """A token that was just issued worked once before; and somebody waits for an answer to the message."""
    _, _, token = (exchange.request.header("authorization") or "").partition(" ")
    fresh = token.strip() in so_far.issued and so_far.authorized is None
    return not fresh and "id" in exchange.request.json_object


def _known(so_far: Handshake) -> dict[str, str]:
    """What placeholders stand for."""
    known = {"metadata": "", "scope": ""}
    with contextlib.suppress(Unseen):
        known["metadata"] = (so_far.challenge.metadata_url or "") if so_far.challenge else ""
    with contextlib.suppress(Unseen):
        known["scope"] = _further_scope(so_far)
    return known


def _further_scope(so_far: Handshake) -> str:
    """The first scope that the server supports and the token has not got; one it has where there is no other."""
    granted = str(so_far.token.issued.get("scope", "")) if so_far.token else ""
    asked = so_far.authorization.get("scope") or "" if so_far.authorization else ""
    supported = [
        scope
        for document in (so_far.prm, so_far.metadata)
        if document is not None
        for scope in document.answer_object.get("scopes_supported") or ()
        if isinstance(scope, str)
    ]
    held = (granted or asked).split()
    further = [scope for scope in supported if scope not in held]
    return next(iter([*further, *held]), "")


def _filled(value: str, known: Mapping[str, str]) -> str:
    """Nothing at all where a placeholder is not known."""
    known_all = all(known.get(name) for name in PLACEHOLDER.findall(value))
    return PLACEHOLDER.sub(lambda found: known[found[1]], value) if known_all else ""
