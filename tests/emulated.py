"""How near the emulations come: to the real Claude Code on the bed, and to what the labels of recordings say.

`python -m tests.emulated` prints both tables; with `bed` or `recordings`, one of them (and a lot's name: that alone).
`bed --keep` runs Claude Code and keeps what it did in `tests/data/claude_code_on_the_bed.json`; `bed --kept` compares
with that alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from oauthtap.clients import emulations, profiles
from oauthtap.clients.traits import WalkEnd
from oauthtap.diagnosis.progress import STAGE_ORDER
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.handshake.stages import AuthorizationRequest, Registration, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.probe.runner import probe
from oauthtap.probe.walk import Plan
from oauthtap.replay import server
from oauthtap.replay.script import build_script
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.upstream.options import UpstreamOptions
from tests.injected import drive
from tests.support.bed import TARGETS, Bed

HERE = Path(__file__).parent
KEPT = HERE / "data" / "claude_code_on_the_bed.json"
RECORDINGS = HERE / "recordings"
STOPS = HERE / "data" / "hosted" / "stops.tsv"
ENDS = {"repeating": "refused", "waiting": "abandoned", "signed-in": "connected", "unreachable": "refused"}
"""Endings that differ only in how often somebody tried, whether somebody was still there, and in what the tap makes of
a broken connection (it answers 504)."""
_BEFORE_MCP = STAGE_ORDER.index("mcp-initialize")


@dataclass(frozen=True)
class Fared:
    """What became of one sign-in."""

    ending: str
    stage: str
    """The furthest step of the sign-in that was asked for; `mcp-token-rejected` where the token was refused."""


def fared(report: dict[str, Any]) -> Fared:
    """By the wire alone, so that a real client and a walk are measured alike."""
    asked = (step for step in report["exchanges"] if step["actor"] in ("client", "browser"))
    own = [stage for step in asked for stage in step["stages"]]
    steps = [stage for stage in own if STAGE_ORDER.index(stage) < _BEFORE_MCP or stage == "mcp-token-rejected"]
    steps = [stage for stage in steps if stage not in ("mcp-challenge", "token-refresh")]
    furthest = max(steps, key=STAGE_ORDER.index, default=own[-1] if own else "")
    ending = ENDS.get(report["ending"], report["ending"])
    return Fared(ending, "mcp-request" if ending == "connected" else furthest)


def walked(plan: Plan, reach: UpstreamOptions) -> tuple[Report, WalkEnd]:
    """One walk, judged, and how it ended for the client."""
    ends: list[WalkEnd] = []
    named = plan.client.profile.slug if plan.client else None
    tap = SessionAnalyzer(plan.url, client=named, profiles=profiles(), probe_goal=plan.goal)

    async def walk() -> None:
        async for exchange in probe(plan, reach, tell=ends.append):
            tap.add(exchange)

    asyncio.run(walk())
    return build(tap), ends[0]


def emulate(client: str, url: str, reach: UpstreamOptions, client_id: str | None = None) -> tuple[Report, WalkEnd]:
    """The whole way that `oauthtap drive CLIENT@emulated` goes."""
    return walked(Plan(url, "0", sign_in="headless", client=emulations()[client], client_id=client_id), reach)


# --- on the bed, beside the real client


def real(bed: Bed, target: str) -> Fared:
    """The real Claude Code, by `oauthtap drive`."""
    with tempfile.TemporaryDirectory(prefix="oauthtap-emulated-", ignore_cleanup_errors=True) as home:
        return fared(drive(bed, "claude-code", target, Path(home), "--timeout", "30").report)


def emulated(bed: Bed, target: str) -> Fared:
    report, _ = emulate("claude-code", bed.url(target), UpstreamOptions(tuple(bed.connect_to), str(bed.ca_file)))
    return fared(report.model_dump(mode="json"))


def kept() -> dict[str, Fared]:
    """What the real client did when it was last run."""
    return {name: Fared(**one) for name, one in json.loads(KEPT.read_text())["targets"].items()}


def on_the_bed(flags: Iterable[str]) -> Iterator[str]:
    """The table: target, what the real client did, what the walk did."""
    known = kept() if "--kept" in flags else {}
    did: dict[str, Fared] = {}
    equal = 0
    with Bed() as bed:
        for target in TARGETS:
            one = did[target] = known.get(target) or real(bed, target)
            other = emulated(bed, target)
            equal += one == other
            same = "" if one == other else f"   emulated: {other.ending} {other.stage}"
            yield f"{target:9} {one.ending:12} {one.stage:24}{same}"
    yield f"\n{equal} of {len(TARGETS)} targets of the bed end for the emulated Claude Code as for the real one"
    if "--keep" in flags:
        content = {"date": str(date.today()), "targets": {name: asdict(one) for name, one in did.items()}}
        KEPT.write_text(json.dumps(content, indent=1) + "\n")


# --- on recordings of hosted clients


@dataclass(frozen=True)
class Case:
    """A labelled recording of one of the clients."""

    name: str
    path: Path
    client: str
    stages: tuple[str, ...]
    """The labelled ones; none for a recording in which nothing is wrong."""
    rules: tuple[str, ...]
    """The labelled causes."""
    observable: str
    unknowable: str = ""
    """Why no answer of a server tells that the client stops there; empty where one does."""


_CLIENTS = (("claude-ai", ("claude.ai", "claude desktop", "claude connector", "claude web")), ("chatgpt", ("chatgpt",)),
            ("vs-code", ("vs code",)), ("cursor", ("cursor",)))  # fmt: skip


def cases() -> Iterator[Case]:
    """Every labelled recording whose client is one of those that cannot be run here."""
    for folder in (RECORDINGS, RECORDINGS / "holdout"):
        for name, label in json.loads((folder / "labels.json").read_text()).items():
            words = (label.get("client") or "").lower()
            client = next((slug for slug, marks in _CLIENTS if any(mark in words for mark in marks)), None)
            if client:
                path = next((folder / "corpus").glob(f"{name}.*"))
                stages: tuple[str, ...] = () if label.get("healthy") else (label["cause_stage"],)
                rules = tuple(label.get("cause_rules", ()))
                yield Case(name, path, client, stages, rules, label.get("observable", ""))
    stops = dict(_stops())
    for labels in sorted((RECORDINGS / "lots").glob("*/labels.json")):
        for label in json.loads(labels.read_text()):
            name, path = f"{labels.parent.name} {label['id']}", labels.parent / label["file"]
            stages, unknowable = stops.get(name, ((), ""))
            if (stages or label.get("control")) and path.suffix == ".har" and (client := _recorded_client(path)):
                rules = tuple((label.get("cause") or {}).get("rules", ()))
                yield Case(name, path, client, stages, rules, "lots", unknowable)


def _stops() -> Iterator[tuple[str, tuple[tuple[str, ...], str]]]:
    """By the recording of a lot: where its client stopped, and why nobody can know; a label names the cause alone."""
    for line in STOPS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            lot, name, stages, *why = line.split("\t")
            yield f"{lot} {name}", (tuple(stages.split("/")), "".join(why))


def _recorded_client(path: Path) -> str | None:
    """Labels of lots name no client: the recording itself shows it."""
    handshake = _handshake(path)
    wanted = {slug for slug, _ in _CLIENTS}
    return next((one.slug for one in profiles() if one.slug in wanted and one.is_client(handshake)), None)


def _handshake(path: Path) -> Handshake:
    recording = loader.read(path)
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    return tap.handshake


@dataclass(frozen=True)
class Replayed:
    """The recorded server once more."""

    url: str
    recorded: Fared
    """How the client in the recording fared."""
    client_id: str | None
    """Of a client that was registered beforehand."""
    missing: list[str]
    """What was asked for and is not in the recording, as it happens."""


@contextmanager
def replayed(path: Path) -> Iterator[Replayed]:
    """Plays while the block lasts. Raises ValueError or Unseen where the recording holds too little for that."""
    recording = loader.read(path)
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    was = fared(build(tap, now=recording.until).model_dump(mode="json"))
    play, servers = server.opened(build_script(tap.handshake), 0)
    missing: list[str] = []
    server.tell = lambda *lines: missing.extend(line for line in lines if line.endswith("not in the recording"))
    for one in servers:
        threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield Replayed(server.address(play), was, _known_beforehand(tap.handshake), missing)
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()


def _known_beforehand(handshake: Handshake) -> str | None:
    asked = handshake.last(AuthorizationRequest)
    client_id = asked.get("client_id") if asked and not handshake.all(Registration) else None
    return None if client_id is None or client_id.startswith("https://") else client_id


@dataclass(frozen=True)
class Row:
    """How a walk compares with its label."""

    case: Case
    stage: bool
    """It stopped at the labelled one."""
    wire: bool
    """It stopped at the step at which the recorded client did."""
    cause: bool
    """Its report names the labelled one."""
    beyond: bool
    """It stopped at an answer that the recording does not hold."""


def on_recordings(wanted: str = "") -> Iterator[str]:
    """The table: recording, labelled stage, where the walk stopped and why, the cause that its report names."""
    rows: list[Row] = []
    false, controls, left_out = 0, 0, 0
    for case in cases():
        if wanted not in case.name:
            continue
        try:
            with replayed(case.path) as played:
                report, end = emulate(case.client, played.url, UpstreamOptions(), played.client_id)
        except (ValueError, Unseen) as problem:
            left_out += 1
            yield f"    {case.name:41} {case.client:10} cannot be replayed: {problem}"
            continue
        stopped, cause = end.outcome in ("stopped", "unreachable"), report.cause.rule if report.cause else "-"
        told = f"{end.outcome} {end.stage}: {end.why[:90]} [{cause}]"
        beyond = stopped and _is_missing(report, played.missing)
        if not case.stages:
            controls, false = controls + 1, false + (stopped and not beyond)
            mark = ">" if beyond else "!" if stopped else " "
            yield f"{mark}   {case.name:41} {case.client:10} {'healthy':24} {told}"
            continue
        stage = (stopped or end.outcome == "waiting") and end.stage in case.stages
        wire = fared(report.model_dump(mode="json")).stage == played.recorded.stage
        rows.append(Row(case, stage, wire, cause in case.rules, beyond))
        marks = "".join(m if good else "-" for m, good in zip("swc", (stage, wire, cause in case.rules), strict=True))
        mark = "?" if case.unknowable else ">" if beyond else " "
        yield f"{marks}{mark}{case.name:41} {case.client:10} {'/'.join(case.stages):24} {told}"
    yield "\ns: at the labelled stage; w: at the step at which the recorded client stopped; c: the labelled cause"
    yield ">: stopped at an answer that the recording does not hold; ?: by its label no answer of a server tells it"
    for kind in dict.fromkeys(row.case.observable for row in rows):
        yield _totals(kind, [row for row in rows if row.case.observable == kind])
    yield f"{controls} healthy recordings, {false} false stops; {left_out} left out"


def _totals(kind: str, rows: list[Row]) -> str:
    known = [row for row in rows if not row.case.unknowable]
    right = sum(row.stage for row in known)
    misses = [row for row in known if not row.stage]
    beyond = sum(row.beyond for row in misses)
    other = f"w {sum(row.wire for row in known)}, c {sum(row.cause for row in known)}"
    either = sum(row.stage or row.cause for row in known)
    told = f"observable {kind}: of {len(known)}, s {right}, {other}, s or c {either}; "
    told += f"not s: {len(misses)}, {beyond} of them >"
    unknown = [row for row in rows if row.case.unknowable]
    return told + (f"; of {len(unknown)} marked ?, s {sum(row.stage for row in unknown)}" if unknown else "")


def _is_missing(report: Report, missing: list[str]) -> bool:
    """The last answer that the walk itself got was made up, because the recording has none."""
    own = [step for step in report.exchanges if step.actor != "reporter"]
    return bool(own) and any(urlsplit(own[-1].url).path in line for line in missing if own[-1].method in line)


def main() -> None:
    words = sys.argv[1:]
    if "recordings" not in words:
        for line in on_the_bed(words):
            print(line, flush=True)
    if "bed" not in words:
        for line in on_recordings(next((word for word in words if word.startswith("20")), "")):
            print(line, flush=True)


if __name__ == "__main__":
    main()
