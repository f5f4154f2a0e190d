"""`oauthtap fix [SESSION]`: from a recording to `fixes.toml`, and whether that would be enough."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.cli.live_fixes import spoken, title
from oauthtap.cli.options.again import invocation
from oauthtap.cli.options.fixes import LIVE_FIX_FILE, FixOptions
from oauthtap.cli.options.newest import newest_session
from oauthtap.cli.options.summary import session_word
from oauthtap.cli.options.upstream import parse_upstream_options
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.deploy_plan import Deploy, deploy
from oauthtap.fixes.issuer_candidates import WANT_AN_ISSUER, vendor_of
from oauthtap.fixes.model import Fix, with_values
from oauthtap.fixes.presets import presets
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import SourceError
from oauthtap.model.sanitize import escape_controls
from oauthtap.render import deploy_plan
from oauthtap.render.commands import Invocation
from oauthtap.render.labels import attempts, next_step, outcome
from oauthtap.render.labels import said as said_in_words
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.session import read_session
from oauthtap.solve.dry_run import Trial, cause_of, simulate
from oauthtap.solve.proposal import (
    Proposal,
    checked,
    fetch_stated_issuer,
    for_its_client,
    latest_attempt_steps,
    new_tap_like,
    offline,
    with_issuer,
)
from oauthtap.upstream.options import UpstreamOptions


def fix(arguments: Namespace) -> int:
    """Propose the fewest fixes, try them on the recording, write them. Gives 1 when they would not be enough."""
    if arguments.format == "console":
        return _fix(arguments, FixResult())
    result = FixResult()
    with contextlib.redirect_stdout(sys.stderr):  # what a person reads
        result.exit = _fix(arguments, result)
    print(result.model_dump_json(indent=1))
    return result.exit


class ProposedFix(BaseModel):
    """One fix of a proposal."""

    name: str
    """As `--fix` takes it, with its value."""
    says: str
    assumes: str | None = None


class FixResult(BaseModel):
    """What `oauthtap fix --format json` prints."""

    version: Literal[1] = 1
    session: str = ""
    file: str | None = None
    """Where the fixes were written; None where there are none."""
    fixes: list[ProposedFix] = []
    enough: bool | None = None
    """Applied to the recording, nothing is in the way any more. None: only a run can tell, or there is no fix."""
    remains: str | None = None
    """The rule of the cause that is left."""
    deploy: Deploy | None = None
    """What to change on the server."""
    exit: int = 0


def _fix(arguments: Namespace, result: FixResult) -> int:
    session = arguments.session or newest_session()
    result.session = session
    door = Path(session) / LIVE_FIX_FILE
    if arguments.undo:
        return _undo(door)
    if arguments.apply:
        _still_runs(session)
    tap, _ = analyze_recording(session)
    steps = latest_attempt_steps(tap)
    given = (*_with_values(FixOptions(arguments).fixes), *(_applied(door) if arguments.apply else ()))
    if not arguments.offline:
        _say_what_is_behind(given, parse_upstream_options(arguments))
    goes_through = cause_of(simulate(new_tap_like(tap), steps, ())) is None
    if goes_through and not given and not arguments.strict:
        own = for_its_client(tap, steps)
        if own is None:
            return _nothing_to_do(tap, session, arguments, result)
        found = Proposal(own, None)
    else:
        found = offline(tap, steps, given, strict=arguments.strict and goes_through)
    again = invocation(arguments).command(
        f"oauthtap fix {'--apply ' if arguments.apply else ''}{session_word(session)}"
    )
    reach = None if arguments.offline else parse_upstream_options(arguments)
    found = _with_an_issuer(tap, steps, found, reach, again)
    left = cause_of(found.trial)
    result.remains = left.rule if left is not None else None
    if not found.trial.fixes:
        if goes_through:
            print("No problem that this client tolerates can be fixed by changing responses or requests.")
        return int(not goes_through)
    file = door if arguments.apply else Path(arguments.output)
    _write(file, found.trial, session)
    _say(found.trial, tap, file, invocation(arguments), live=arguments.apply)
    made = deploy(found.trial.patched, found.trial.tap.handshake, proved=False, stack=arguments.stack)
    result.file, result.deploy = str(file), made
    result.fixes = [_proposed(one, tap) for one in found.trial.fixes]
    result.enough = None if _only_a_run_can_tell(found.trial) else found.trial.enough
    _say_deploy(made, arguments.deploy)
    return 0 if arguments.apply or found.trial.enough or _only_a_run_can_tell(found.trial) else 1


def _proposed(one: Fix, tap: SessionAnalyzer) -> ProposedFix:
    known = {"value": one.value, "resource": tap.handshake.resource or "the server"}
    assumes = None if one.safe else spoken(one.assumes or "", known)
    says = one.says or "what the rule proposes for this answer"
    return ProposedFix(name=f"{one.name}={one.value}" if one.value else one.name, says=says, assumes=assumes)


def _say_what_is_behind(given: Iterable[Fix], reach: UpstreamOptions) -> None:
    """An issuer that was named by hand is used as it is; whether there is one is said."""
    for one in given:
        if not one.value or not WANT_AN_ISSUER & set(one.cures):
            continue
        known = asyncio.run(fetch_stated_issuer(one.value, reach))
        if known == one.value:
            print(f"{title(one)}: its metadata was fetched just now")
        elif known:
            print(f"{title(one)}: its metadata writes it {escape_controls(known)}, and clients compare to the letter")
        else:
            print(f"{title(one)}: no metadata was found there; it is used because you named it")


def _why_nothing(report: Report, session: str) -> str:
    """Why there is no fix to propose: the client connected, or no problem can be fixed."""
    if report.connected:
        return f"No blocking problem found in {session}; the client connected."
    if report.works or report.ending in ("waiting", "nothing-arrived"):
        return outcome(report)
    said = f" {said_in_words(report.refusal)}." if report.refusal else ""
    change = f"\n  Change: {escape_controls(report.cause.fix)}" if report.cause else ""
    return f"No change of an answer is known that would help {session}.{said}{change}"


def _nothing_to_do(tap: SessionAnalyzer, session: str, arguments: Namespace, result: FixResult) -> int:
    report = build(tap)
    print(_why_nothing(report, escape_controls(session)))
    if report.attempts:
        print(f"  {escape_controls(attempts(report), limit=900)}")
    elif any(one.outcome == "stops" for one in report.clients):
        strict = invocation(arguments).command(f"oauthtap fix --strict {session_word(session)}")
        print(f"  Other clients would stop here. For these: {escape_controls(strict)}")
    result.deploy = deploy(_patched(tap), tap.handshake, proved=report.connected, stack=arguments.stack)
    _say_deploy(result.deploy, arguments.deploy)
    return 0


def _patched(tap: SessionAnalyzer) -> list[Exchange]:
    """What fixes changed in the newest sign-in while it was recorded."""
    return [step.exchange for step in latest_attempt_steps(tap) if step.exchange.applied_fixes]


def _say_deploy(found: Deploy | None, file: str | None) -> None:
    if found is None:
        return
    print("", *deploy_plan.console(found), sep="\n")
    if file:
        _put(Path(file), found.model_dump_json(indent=2) + "\n", "--deploy FILE")


def _still_runs(session: str) -> None:
    """Raises Usage when nobody would take up what is applied."""
    try:
        over = Path(session).is_dir() and read_session(session).until is not None
    except SourceError as problem:
        raise UsageError(str(problem)) from None
    if over or not Path(session).is_dir():
        word = escape_controls(session_word(session))
        raise UsageError(f"{escape_controls(session)}: this session has ended. Try: oauthtap fix {word}")


def _applied(door: Path) -> tuple[Fix, ...]:
    """What was applied before: it stays on."""
    try:
        return toml_io.read(door.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, toml_io.FixError):
        return ()


def _undo(door: Path) -> int:
    try:
        door.unlink()
    except OSError:
        word = session_word(door.parent)
        raise UsageError(f"{door.parent}: nothing was applied here. Try: oauthtap fix --apply {word}") from None
    print("The tap switches off what was applied, within a second.")
    return 0


def _with_values(on: ActiveFixes) -> Iterable[Fix]:
    """Those that a file can hold: a client id goes in as it is, a secret never."""
    known = {name: value for name, value in on.values.items() if name != "client_secret"}
    return (with_values(one, known) for one in on.fixes if "client_secret" not in one.needs)


def _with_an_issuer(
    tap: SessionAnalyzer,
    steps: Sequence[AnalyzedExchange],
    found: Proposal,
    reach: UpstreamOptions | None,
    again: str,
) -> Proposal:
    """The proposal once it is known which issuer is meant: checked, or named by the person. `again`: this command."""
    stuck = found.unresolved
    if stuck is None:
        return found
    if stuck.rule not in WANT_AN_ISSUER:
        _say_stuck(stuck)
        return found
    print(f"{stuck.rule}: {escape_controls(stuck.message, limit=300)}")
    found = asyncio.run(checked(tap, steps, found, reach))
    for one in found.issuers:
        how = "its metadata was fetched just now" if one.sure == "checked" else "its metadata is in the recording"
        print(f"  {escape_controls(one.issuer)}: {one.why}; {how}")
    if len(found.issuers) == 1:
        return found
    answer = _asked(found, stuck, again, asked=reach is not None)
    return with_issuer(tap, steps, found, answer) if answer else found


def _asked(found: Proposal, stuck: Finding, again: str, *, asked: bool) -> str | None:
    """What the person says, where there is somebody to ask."""
    if not found.issuers:
        looked = "has no metadata" if asked else "was not asked (--offline)"
        for one in found.tried:
            print(f"  {escape_controls(one.issuer)}: {looked}")
    if vendor := vendor_of(stuck.actual or ""):
        print(f"  {vendor.name} has issuers like {vendor.issuer}: look up {vendor.ask}.")
    question = "Which of them is it?" if found.issuers else "Which issuer is right?"
    if sys.stdin.isatty():
        answer = input(f"{question} (https://…, empty: I do not know) ").strip()
        if urls.origin(answer).startswith(("https://", "http://")):
            return answer
    print(f"{question} oauthtap does not guess. Name it: {escape_controls(again)} --fix {stuck.rule}=https://ISSUER")
    return None


def _say_stuck(finding: Finding) -> None:
    print(f"{finding.rule}: {escape_controls(finding.message, limit=300)}")
    needing = [one for one in presets() if finding.rule in one.cures]
    if needing and "value" in needing[0].needs:
        print(f"  It needs a value: --fix {finding.rule}=…")
    elif any("client_id" in one.needs for one in needing):
        print("  It needs a client that was registered beforehand: --client-id ID")
    else:
        print("  No change of answers or requests cures this one; it has to be changed where it is made.")
        print(f"  {escape_controls(finding.fix, limit=500)}")


def _write(path: Path, trial: Trial, session: str) -> None:
    name = Path(session).name
    heading = f"Proposed by oauthtap for the session {name}.\nWhat each key means: docs/fixes.md"
    _put(path, toml_io.write(trial.fixes, heading), "-o FILE")


def _put(path: Path, text: str, instead: str) -> None:
    """Write a file that only its owner reads, in one step. Raises Usage, with what to type `instead`.

    A device or a pipe is written to, and stays what it is: `-o /dev/null` must not put a file in its place.
    """
    draft = path.with_name(path.name + ".new")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8")
            return
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        draft.replace(path)
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror or problem}. Try: {instead}") from None


def _say(trial: Trial, before: SessionAnalyzer, path: Path, here: Invocation, *, live: bool) -> None:
    print(f"\n{path} holds {len(trial.fixes)} fix{'es' if len(trial.fixes) > 1 else ''}:")
    for one in trial.fixes:
        known = {"value": one.value, "resource": before.handshake.resource or "the server"}
        print(f"  {title(one)}: {one.says or 'what the rule proposes for this answer'}")
        print(f"    {'assumes nothing' if one.safe else 'assumes that ' + spoken(one.assumes or '', known)}")
    changed = ", ".join(map(str, trial.touched)) or "none"
    print(f"\nWould it be enough? Applied to the recording (changed: exchange {changed}):")
    if trial.report.works and not trial.report.connected:
        print(f"  The client signed in in the recording. Next: {next_step(trial.report)}")
    elif trial.report.connected:
        print("  The client connected in the recording, and nothing is in the way now either.")
    elif trial.enough:
        print(f"  No blocking problem is left in the recording, up to {trial.report.reached}.")
        print("  What comes after it was never requested, so it is unknown.")
    elif _only_a_run_can_tell(trial):
        print("  They change requests, and what would have been answered to others nobody knows: only a run can tell.")
    elif (still := cause_of(trial)) is not None:
        print(f"  No: {still.rule} is still in the way.")
    stopped = {one.slug for one in build(before).clients if one.outcome == "stops"}
    freed = [one.slug for one in trial.report.clients if one.outcome != "stops" and one.slug in stopped]
    if freed:
        print(f"  Would not stop there any more: {', '.join(freed)}.")
    if live:
        print("\nThe tap switches them on within a second. Let the client sign in once more.")
        undo = Invocation(here.program).command(f"oauthtap fix --undo {session_word(path.parent)}")
        print(f"Off again: {escape_controls(undo)}")
    else:
        upstream = shlex.quote(before.handshake.resource or "URL")
        command = here.command(f"oauthtap --upstream {upstream} --fix {shlex.quote(str(path))}")
        print(f"\nTry it: {escape_controls(command)}")


def _only_a_run_can_tell(trial: Trial) -> bool:
    return any(one.request is not None for one in trial.fixes)
