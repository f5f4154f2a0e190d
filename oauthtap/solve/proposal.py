"""Which fixes to propose for what was recorded: the fewest, with issuers that were checked. Prints and asks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from oauthtap.clients import EMULATED_SUFFIX, profiles
from oauthtap.clients.forecast import forecast
from oauthtap.clients.profile import Profile
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.issuer_candidates import WANT_AN_ISSUER, Candidate, candidates, states
from oauthtap.fixes.model import Fix, with_values
from oauthtap.model import urls
from oauthtap.solve.dry_run import NewTap, Trial, minimal_fixes, recorded, simulate, strict_fixes
from oauthtap.upstream.options import UpstreamOptions

_FOR_CHECKS = (
    "challenge-pointer",
    "prm-serve",
    "prm-resource",
    "as-issuer",
    "as-metadata-pkce",
    "as-response-types",
    "registration-complete",
    "callback-iss",
    "token-type",
)
"""The presets that answer a check of a client, in the order of a sign-in."""


@dataclass(frozen=True)
class Proposal:
    """What would repair a recording, as far as is known."""

    trial: Trial
    unresolved: Finding | None
    """The finding that nothing was found for, or nothing without a value that only a person knows."""
    issuers: tuple[Candidate, ...] = ()
    """Where it wants an issuer: those that are good. One of them is part of the trial already when there is but one."""
    tried: tuple[Candidate, ...] = ()
    """Every issuer that was thought of."""


def new_tap_like(tap: SessionAnalyzer) -> NewTap:
    """Makes taps that have heard nothing, for the same server and client."""
    return partial(SessionAnalyzer, tap.handshake.resource, tap.revision, tap.client, profiles(), tap.probe_goal)


def latest_attempt_steps(tap: SessionAnalyzer) -> tuple[AnalyzedExchange, ...]:
    """The exchanges of the newest sign-in, and oauthtap's own."""
    since = tap.newest_period.since
    return tuple(step for step in tap.steps if step.exchange.id >= since or step.exchange.actor == "reporter")


def offline(
    tap: SessionAnalyzer, steps: Sequence[AnalyzedExchange], given: Iterable[Fix], *, strict: bool = False
) -> Proposal:
    """The fewest fixes, with no server asked. May take a second, and touches nothing: another thread may do it.

    `strict`: those for problems that this client tolerates but others do not.
    """
    if strict:
        return Proposal(strict_fixes(new_tap_like(tap), steps, tuple(given)), None)
    trial, stuck = minimal_fixes(new_tap_like(tap), steps, tuple(given))
    if stuck is None or stuck.rule not in WANT_AN_ISSUER:
        return Proposal(trial, stuck)
    wrong = (stuck.actual or "").rstrip("/")
    tried = tuple(one for one in candidates(tap.handshake) if one.issuer.rstrip("/") != wrong)
    return Proposal(trial, stuck, tuple(one for one in tried if one.sure), tried)


async def checked(
    tap: SessionAnalyzer, steps: Sequence[AnalyzedExchange], proposal: Proposal, reach: UpstreamOptions | None
) -> Proposal:
    """The same with its issuers checked over the network (`reach`; None: not), and with the only good one in it."""
    if not proposal.tried or proposal.unresolved is None:
        return proposal
    good = proposal.issuers or (tuple(await _checked(proposal.tried, reach)) if reach else ())
    proposal = replace(proposal, issuers=good)
    return with_issuer(tap, steps, proposal, good[0].issuer) if len(good) == 1 else proposal


def for_its_client(tap: SessionAnalyzer, steps: Sequence[AnalyzedExchange]) -> Trial | None:
    """One preset after which the recorded client no longer stops at a check that it alone makes.

    No rule calls that a fault, because other clients pass. None where the client is not known to stop here.
    """
    new_tap, named = new_tap_like(tap), (tap.client or "").removesuffix(EMULATED_SUFFIX)
    own = (one for one in profiles() if one.slug == named or (not named and one.is_client(tap.handshake)))
    profile = next(own, None)
    if profile is None or simulate(new_tap, steps, ()).report.works or not _stops(profile, tap):
        return None
    for name in _FOR_CHECKS:
        fixes = tuple(with_values(one, recorded(tap)) for one in toml_io.presets_for(name))
        trial = simulate(new_tap, steps, fixes)
        if trial.touched and trial.report.cause is None and not _stops(profile, trial.tap):
            return trial
    return None


def _stops(profile: Profile, tap: SessionAnalyzer) -> bool:
    return forecast(profile, tap.handshake).outcome == "stops"


def with_issuer(tap: SessionAnalyzer, steps: Sequence[AnalyzedExchange], proposal: Proposal, issuer: str) -> Proposal:
    """The same once it is known which issuer is meant."""
    assert proposal.unresolved is not None
    chosen = toml_io.presets_for(proposal.unresolved.rule, issuer)
    trial, stuck = minimal_fixes(new_tap_like(tap), steps, (*proposal.trial.fixes, *chosen))
    return replace(proposal, trial=trial, unresolved=stuck)


async def _checked(tried: Iterable[Candidate], reach: UpstreamOptions) -> list[Candidate]:
    found = [(await fetch_stated_issuer(one.issuer, reach), one.why) for one in tried]
    return [Candidate(issuer, why, "checked") for issuer, why in found if issuer]


async def fetch_stated_issuer(issuer: str, reach: UpstreamOptions) -> str | None:
    """The issuer as its metadata writes it, fetched just now; None when there is none that states it."""
    from oauthtap.upstream.preflight import document_at  # the HTTP client takes long to import: only when needed

    for place in urls.as_metadata_locations(issuer):
        document = await document_at(place.url, reach)
        written = str(document.get("issuer", ""))
        if written.rstrip("/") == issuer.rstrip("/") and states(written, document):
            return written
    return None


async def fetch_misplaced_metadata(issuer: str, reach: UpstreamOptions) -> dict[str, Any] | None:
    """The metadata of an issuer with a path, from where clients do not look for it: the root of its origin, or below
    its path. None when nothing there states it."""
    from oauthtap.upstream.preflight import document_at  # the HTTP client takes long to import: only when needed

    base = urls.origin(issuer)
    for place in (f"{base}{urls.OAUTH}", f"{base}{urls.OIDC}", f"{issuer.rstrip('/')}{urls.OAUTH}"):
        document = await document_at(place, reach)
        if states(issuer, document):
            return document
    return None
