"""Which changes may help, for what one run of a client came to: the ranked causes first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.issuer_candidates import WANT_AN_ISSUER, vendor_of
from oauthtap.fixes.model import Fix, with_values
from oauthtap.fixes.presets import presets
from oauthtap.report.model import Report
from oauthtap.solve.dry_run import proposals, recorded
from oauthtap.solve.model import ChangeSet, Need

_MOST = 6
"""Changes that are taken from one run."""

VALUES = ("issuer", "client-id", "resource-metadata", "resource", "scope")
"""What `--set` takes."""
_VALUE_OF = {
    "prm-authorization-servers": "issuer",
    "challenge-pointer-to": "resource-metadata",
    "force-resource": "resource",
    "scope": "scope",
}
"""What the `value` of a preset is."""
NOT_FOUND = frozenset({"as-metadata-not-found", "as-metadata-html-200"})
"""Rules that find no metadata where it has to be."""
_NOBODY_THERE = frozenset({"connection-failed", "tls-certificate-not-trusted", "response-timeout"})
_QUESTIONS = {
    "issuer": "Which issuer is right: the exact `issuer` value of the authorization server's metadata?",
    "client-id": "Which client id was registered beforehand, with this client's redirect URIs?",
    "resource-metadata": "Where does the protected resource metadata lie?",
    "resource": "Which `resource` does the authorization server take?",
    "scope": "Which scopes does the authorization server know?",
}


def candidates(
    tap: SessionAnalyzer,
    report: Report,
    values: Mapping[str, str],
    issuers: Sequence[str] = (),
    misplaced: Mapping[str, Any] | None = None,
) -> tuple[list[ChangeSet], list[Need]]:
    """Changes to try, the likeliest first, and the values that others of them would need.

    `values`: what the person named (`--set`); `issuers`: those whose metadata was fetched and states them; `misplaced`:
    the metadata of the issuer that was named, fetched from a place where clients do not look.
    """
    found: dict[frozenset[str], ChangeSet] = {}
    needs: dict[str, Need] = {}
    for finding in _findings(report):
        if misplaced and finding.rule in NOT_FOUND:
            found.setdefault((moved := _moved(finding.rule, misplaced)).key, moved)
        for change in _changes(tap, finding, values, issuers):
            found.setdefault(change.key, change)
        for need in _needs(finding, values, issuers):
            needs.setdefault(need.name, need)
    if any(cause.subject == "resource" for cause in report.causes):
        dropped = ChangeSet(fixes=tuple(fix for fix in presets() if fix.name == "drop-resource"), rules=("resource",))
        found.setdefault(dropped.key, dropped)
    used = {fix.name for change in found.values() for fix in change.fixes}
    for change in _asked_for(values, used):
        found.setdefault(change.key, change)
    return list(found.values())[:_MOST], list(needs.values())


def _asked_for(values: Mapping[str, str], used: set[str]) -> Iterator[ChangeSet]:
    """What a named value is good for, where no finding asks for it: the person may know better."""
    if "client-id" in values and "client-id" not in used:
        yield _registered("client-id", values)
    for preset in presets():
        name = _VALUE_OF.get(preset.name, "")
        if name in values and preset.name not in used:
            yield ChangeSet(fixes=(preset.model_copy(update={"value": values[name]}),), rules=(name,))


def _findings(report: Report) -> Iterator[Finding]:
    """The findings of the causes, in their order, then every other error that does not follow from one."""
    blamed = [(cause.rule, cause.exchange) for cause in report.causes]
    by_place = {(one.rule, one.exchange): one for one in report.findings}
    yield from (by_place[place] for place in blamed if place in by_place)
    for finding in report.findings:
        if finding.severity == "error" and (finding.rule, finding.exchange) not in blamed:
            yield finding


def _changes(
    tap: SessionAnalyzer, finding: Finding, values: Mapping[str, str], issuers: Sequence[str]
) -> Iterator[ChangeSet]:
    rule = finding.rule
    if wants_an_issuer(finding):
        preset = next(one for one in presets() if one.name == "prm-authorization-servers")
        for issuer in [values["issuer"]] if "issuer" in values else issuers:
            yield ChangeSet(fixes=(preset.model_copy(update={"value": issuer}),), rules=(rule,))
    step = next((one for one in tap.steps if one.exchange.id == finding.exchange), None)
    known = recorded(tap)
    fixes = tuple(with_values(fix, known) for fix in proposals(step, finding))
    if fixes and not any("client_id" in fix.needs for fix in fixes):
        yield ChangeSet(fixes=fixes, rules=(rule,))
    for preset in _wanting(rule):
        name = _VALUE_OF.get(preset.name, "")
        if name and name != "issuer" and name in values:
            yield ChangeSet(fixes=(preset.model_copy(update={"value": values[name]}),), rules=(rule,))
    if values.get("client-id") and any("client_id" in one.needs for one in presets() if rule in one.cures):
        yield _registered(rule, values)


def _moved(rule: str, document: Mapping[str, Any]) -> ChangeSet:
    """The metadata as it lies elsewhere, at the places where clients look."""
    preset = next(one for one in presets() if one.name == "as-metadata-copy")
    return ChangeSet(fixes=(with_values(preset, {"as_document": json.dumps(document)}),), rules=(rule,))


def wants_an_issuer(finding: Finding) -> bool:
    """Another issuer may cure it: its rule says so, or the authorization server could not be found where it was said to
    be."""
    return finding.rule in WANT_AN_ISSUER or (finding.rule in _NOBODY_THERE and finding.stage == "as-discovery")


def _wanting(rule: str) -> Iterator[Fix]:
    """Presets for a rule that need a value of the person's."""
    return (one for one in presets() if rule in one.cures and "value" in one.needs)


def _registered(rule: str, values: Mapping[str, str]) -> ChangeSet:
    """The fixes that put a client registered beforehand in the place of a registration."""
    wanted = ("client-id-endpoint", "client-id", *(("client-secret",) if "client-secret" in values else ()))
    known = {"client_id": values["client-id"]}
    return ChangeSet(fixes=tuple(with_values(fix, known) for fix in presets() if fix.name in wanted), rules=(rule,))


def _needs(finding: Finding, values: Mapping[str, str], issuers: Sequence[str]) -> Iterator[Need]:
    rule = finding.rule
    of_a_client = any("client_id" in one.needs for one in presets() if rule in one.cures)
    if of_a_client and "client-id" not in values:
        yield Need(name="client-id", rule=rule, question=_QUESTIONS["client-id"])
    for preset in _wanting(rule):
        name = _VALUE_OF.get(preset.name, "")
        if not name or name in values or preset.by_hand or (name == "issuer" and issuers):
            continue
        vendor = vendor_of(finding.actual or "") if name == "issuer" else None
        hint = f"{vendor.name} has issuers like {vendor.issuer}: look up {vendor.ask}." if vendor else ""
        yield Need(name=name, rule=rule, question=_QUESTIONS[name], hint=hint)
