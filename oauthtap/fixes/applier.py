"""Fixes at work: lays those that are switched on over requests and answers.

What is judged are always the upstream's own words. Rules see exchanges without secrets, so
what they propose holds none; a stand-in for a secret must not reach anybody, and none does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding, Patch
from oauthtap.fixes.model import Fix, holds_alias, stages_of
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Request, Response, first_value
from oauthtap.redaction.alias_format import mentions


@dataclass
class ActiveFixes:
    """What is switched on. May be changed while it is in use."""

    rules: frozenset[str] = frozenset()
    """Rules whose own patches are applied as they are found."""
    fixes: tuple[Fix, ...] = ()
    every_safe: bool = False
    """Also whatever a rule proposes that assumes nothing."""
    values: Mapping[str, str] = field(default_factory=dict)
    """`client_id`, `client_secret`, and whatever else placeholders stand for."""

    @property
    def on(self) -> bool:
        """Anything may be changed at all."""
        return bool(self.rules or self.fixes or self.every_safe)

    @property
    def names(self) -> tuple[str, ...]:
        """What is switched on, in words that tell two states apart."""
        named = (f"{fix.name}={fix.value}" if fix.value else fix.name for fix in self.fixes)
        return (*sorted(self.rules), *(["safe"] if self.every_safe else []), *named)

    def apply(
        self, analyzed: AnalyzedExchange, request: Request, response: Response
    ) -> tuple[Response, tuple[str, ...]]:
        """The response as the client is to get it, and the names of the fixes that changed it.

        `request` and `response` are the live ones, secrets and all; `analyzed` is what they turned out to be.
        Placeholders are filled from the handshake of its own client.
        """
        made, names = response, list[str]()
        for rule, patch in self._proposed(analyzed.findings):
            after = patch(made)
            made, names = (after, [*names, rule]) if after != made else (made, names)
        known = self._known(request, analyzed.handshake)
        slugs = tuple(stage.slug for stage in analyzed.stages)
        for fix in self.fixes:
            if fix.answer is None or set(fix.cures) & set(names) or not fix.when.answers(slugs, request, made):
                continue
            filled = fix.filled(known)
            after = filled.answer(request, made) if filled and filled.answer else made
            made, names = (after, [*names, fix.name]) if after != made else (made, names)
        assert _aliases(made) <= _aliases(response), "a stand-in for a secret would reach the client"
        return made, tuple(names)

    def request(
        self, request: Request, so_far: Handshake, *, stages: tuple[str, ...] = (), **values: str
    ) -> tuple[Request, tuple[str, ...]]:
        """The request as it goes on, and the names of the fixes that changed it.

        `stages`: what it is known to be, where its parameters do not tell; `values`: for placeholders.
        """
        made, names = request, list[str]()
        asking = [fix for fix in self.fixes if fix.request is not None]
        if not asking:
            return request, ()
        slugs, known = stages or stages_of(request), {**self._known(request, so_far), **values}
        for fix in asking:
            filled = fix.filled(known) if slugs and fix.when.asks(slugs, made) else None
            after = filled.request(made) if filled and filled.request else made
            made, names = (after, [*names, fix.name]) if after is not made else (made, names)
        return made, tuple(names)

    def _proposed(self, findings: tuple[Finding, ...]) -> list[tuple[str, Patch]]:
        found = [(one.rule, one.patch) for one in findings if one.patch is not None]
        wanted = [
            (rule, patch) for rule, patch in found if rule in self.rules or (self.every_safe and patch.assumes is None)
        ]
        return [(rule, patch) for rule, patch in wanted if not holds_alias(patch)]

    def _known(self, request: Request, so_far: Handshake) -> dict[str, str]:
        """What placeholders stand for at this exchange."""
        resource = so_far.resource or ""
        stated = so_far.metadata.issuer if so_far.metadata else None
        behind = next((issuer for issuer, _ in urls.issuers_for_metadata_url(request.bare_url)), None)
        places = urls.prm_locations(resource)
        known = {
            "resource": resource,
            "origin": urls.origin(request.url),
            "issuer": stated or so_far.issuer or urls.origin(resource),
            "expected": behind or stated or so_far.issuer or urls.origin(request.url),
            "prm": places[0].url if places else "",
            "state": first_value(request.query, "state") or "",
        }
        return {**known, **documents(so_far), **self.values}


def documents(so_far: Handshake) -> dict[str, str]:
    """The newest metadata of either kind that was found, as JSON, for `${prm_document}` and `${as_document}`."""
    found = {"prm_document": so_far.prm, "as_document": so_far.metadata}
    return {name: json.dumps(one.response.json_object) for name, one in found.items() if one is not None}


def _aliases(response: Response) -> set[tuple[str, int]]:
    texts = [response.body or "", *(value for _, value in response.headers)]
    return {alias for text in texts for alias in mentions(text)}
