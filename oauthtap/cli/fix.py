"""`oauthtap fix [SESSION]`: from a recording to `fixes.toml`, and whether that would be enough."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from oauthtap import fixfile, urls
from oauthtap.candidates import WANT_AN_ISSUER, Candidate, candidates, states, vendor_of
from oauthtap.cli.errors import Usage
from oauthtap.cli.fixing import FixFlags
from oauthtap.cli.heard import heard
from oauthtap.cli.reaching import reach
from oauthtap.clients import profiles
from oauthtap.findings import Finding
from oauthtap.fixes import Fix, with_values
from oauthtap.mending import Fixes
from oauthtap.plain import plain
from oauthtap.presets import presets
from oauthtap.session import sessions
from oauthtap.tap import Tap
from oauthtap.trial import Trial, cause_of, lay_over, smallest
from oauthtap.upstream import Reach, document_at


def fix(arguments: Namespace) -> int:
    """Propose the fewest fixes, try them on the recording, write them. Gives 1 when they would not be enough."""
    session = arguments.session or _newest()
    tap, report = heard(session)
    new_tap = partial(Tap, tap.handshake.resource, tap.revision, tap.client, profiles(), tap.goal)
    given = tuple(_with_values(FixFlags(arguments).fixes))
    if cause_of(lay_over(new_tap, tap.steps, ())) is None and not given:
        print(f"Nothing in {session} stands in the way{', and it connected' if report.connected else ''}.")
        return 0
    trial, stuck = smallest(new_tap, tap.steps, given)
    if stuck is not None and stuck.rule in WANT_AN_ISSUER:
        issuer = _issuer(tap, stuck, None if arguments.offline else reach(arguments))
        if issuer:
            chosen = fixfile.chosen(stuck.rule, issuer)
            trial, stuck = smallest(new_tap, tap.steps, (*trial.fixes, *chosen))
    elif stuck is not None:
        _say_stuck(stuck)
    if not trial.fixes:
        return 1
    _write(Path(arguments.output), trial, session)
    _say(trial, tap, Path(arguments.output))
    return 0 if trial.enough or _only_a_run_can_tell(trial) else 1


def _newest() -> str:
    found = sessions()
    if not found:
        raise Usage("no session was recorded so far. Try: oauthtap --upstream https://mcp.example.com/mcp")
    return str(found[0].folder)


def _with_values(on: Fixes) -> Iterable[Fix]:
    """Those that a file can hold: a client id goes in as it is, a secret never."""
    known = {name: value for name, value in on.values.items() if name != "client_secret"}
    return (with_values(one, known) for one in on.fixes if "client_secret" not in one.needs)


def _issuer(tap: Tap, finding: Finding, reach: Reach | None) -> str | None:
    """The issuer that is meant: the one that was checked, or the one the person names. None: nobody knows."""
    print(f"{finding.rule}: {plain(finding.message, limit=300)}")
    tried = [one for one in candidates(tap.handshake) if one.issuer.rstrip("/") != (finding.actual or "").rstrip("/")]
    good = [one for one in tried if one.sure] or (asyncio.run(_checked(tried, reach)) if reach else [])
    for one in good:
        how = "its metadata was fetched just now" if one.sure == "checked" else "its metadata is in the recording"
        print(f"  {one.issuer}: {one.why}; {how}")
    if len(good) == 1:
        return good[0].issuer
    return _asked(tried, good, finding, asked=reach is not None)


def _asked(tried: list[Candidate], good: list[Candidate], finding: Finding, *, asked: bool) -> str | None:
    if not good:
        looked = "has no metadata" if asked else "was not asked (--offline)"
        for one in tried:
            print(f"  {one.issuer}: {looked}")
    if vendor := vendor_of(finding.actual or ""):
        print(f"  {vendor.name} has issuers like {vendor.issuer}: look up {vendor.ask}.")
    question = "Which of them is it?" if good else "Which issuer is right?"
    if sys.stdin.isatty():
        answer = input(f"{question} (https://…, empty: I do not know) ").strip()
        if urls.origin(answer).startswith(("https://", "http://")):
            return answer
    print(f"{question} oauthtap does not guess. Say it: oauthtap fix --fix {finding.rule}=https://ISSUER")
    return None


async def _checked(tried: Iterable[Candidate], reach: Reach) -> list[Candidate]:
    good = []
    for one in tried:
        for place in urls.as_locations(one.issuer):
            document = await document_at(place.url, reach)
            stated = str(document.get("issuer", ""))
            if stated.rstrip("/") == one.issuer.rstrip("/") and states(stated, document):
                good.append(Candidate(stated, one.why, "checked"))
                break
    return good


def _say_stuck(finding: Finding) -> None:
    print(f"{finding.rule}: {plain(finding.message, limit=300)}")
    needing = [one for one in presets() if finding.rule in one.cures]
    if needing and "value" in needing[0].needs:
        print(f"  It needs a value: --fix {finding.rule}=…")
    elif any("client_id" in one.needs for one in needing):
        print("  It needs a client that was registered beforehand: --client-id ID")
    else:
        print("  No change of answers or requests cures this one; it has to be changed where it is made.")
        print(f"  {plain(finding.fix, limit=500)}")


def _write(path: Path, trial: Trial, session: str) -> None:
    name = Path(session).name
    heading = f"Proposed by oauthtap for the session {name}.\nWhat each key means: docs/fixes.md"
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(fixfile.write(trial.fixes, heading))
    except OSError as problem:
        raise Usage(f"{path}: {problem.strerror or problem}. Try: -o FILE") from None


def _say(trial: Trial, before: Tap, path: Path) -> None:
    print(f"\n{path} holds {len(trial.fixes)} fix{'es' if len(trial.fixes) > 1 else ''}:")
    for one in trial.fixes:
        print(f"  {one.name}: {one.says or 'what the rule proposes for this answer'}")
        print(f"    {'safe' if one.safe else 'assumes that ' + plain(_spoken(one, before), limit=200)}")
    changed = ", ".join(map(str, trial.touched)) or "none"
    print(f"\nWould it be enough? Laid over the recording (changed: exchange {changed}):")
    if trial.report.connected:
        print("  The client connected in the recording, and nothing is in the way now either.")
    elif trial.enough:
        print(f"  Nothing that was recorded stands in the way any more, up to {trial.report.reached}.")
        print("  What comes after it was never requested, so nobody knows yet.")
    elif _only_a_run_can_tell(trial):
        print("  They change requests, and what would have been answered to others nobody knows: only a run can tell.")
    elif (still := cause_of(trial)) is not None:
        print(f"  No: {still.rule} is still in the way.")
    stopped = {one.slug for one in before.report().clients if one.outcome == "stops"}
    freed = [one.slug for one in trial.report.clients if one.outcome != "stops" and one.slug in stopped]
    if freed:
        print(f"  Would not stop there any more: {', '.join(freed)}.")
    print(f"\nTry it: oauthtap --upstream {plain(before.handshake.resource or 'URL')} --fix {path}")


def _only_a_run_can_tell(trial: Trial) -> bool:
    return any(one.request is not None for one in trial.fixes)


def _spoken(one: Fix, tap: Tap) -> str:
    words = (one.assumes or "").replace("${value}", one.value)
    return words.replace("${resource}", tap.handshake.resource or "the server")
