"""`oauthtap solve CLIENT --upstream URL`: the smallest change with which a real client connects, by experiment."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.drive import driver_named
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import reach_of
from oauthtap.cli.options.fixes import SECRET
from oauthtap.cli.options.grant import stored_grant
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.summary import display
from oauthtap.cli.options.telling import event_stream
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.cli.probe import emulation
from oauthtap.cli.probe_progress import LiveConsole
from oauthtap.cli.solve_runner import ClientRunner, EmulatedRunner, FolderRunner, SimulationRunner
from oauthtap.clients import EMULATED_SUFFIX
from oauthtap.drive import install
from oauthtap.drive.driver import drivers
from oauthtap.fixes.issuer_candidates import candidates as issuer_candidates
from oauthtap.model.sanitize import escape_controls
from oauthtap.redaction.redactor import Redactor
from oauthtap.session import SessionError, default_folder
from oauthtap.session.feed import Feed
from oauthtap.session.paths import replace
from oauthtap.solve.candidates import NOT_FOUND, VALUES, candidates, wants_an_issuer
from oauthtap.solve.model import ChangeSet, Need, Solution, Try
from oauthtap.solve.proposal import fetch_misplaced_metadata, fetch_stated_issuer
from oauthtap.solve.report import console, progress, solution
from oauthtap.solve.search import Runner, RunResult, Search
from oauthtap.upstream.options import UpstreamOptions

_INTERRUPTED = 130


def solve(arguments: Namespace) -> int:
    """Search, and print what was found. Gives 0 proved or nothing to do, 1 not curable, 3 a value is needed."""
    values = _values(arguments)
    load_rule_files(arguments.rules)
    if arguments.subject in drivers() or arguments.subject.endswith((".toml", EMULATED_SUFFIX)):
        return _with_a_client(arguments, values)
    if not Path(arguments.subject).exists():
        raise UsageError(
            f"{escape_controls(arguments.subject)}: neither a client ({', '.join(drivers())}) nor a recording. "
            "Try: oauthtap solve claude-code --upstream https://mcp.example.com/mcp"
        )
    return _by_simulation(arguments, values)


def _values(arguments: Namespace) -> dict[str, str]:
    """What `--set` names. Raises Usage for a name that is not known."""
    found = {}
    for word in arguments.set:
        name, _, value = word.partition("=")
        if name not in VALUES or not value:
            raise UsageError(
                f"--set {escape_controls(word)}: known are {', '.join(VALUES)}. Try: --set issuer=https://…"
            )
        found[name] = value
    if "client-id" in found and os.environ.get(SECRET):
        found["client-secret"] = os.environ[SECRET]
    return found


# --- with a client


def _with_a_client(arguments: Namespace, values: Mapping[str, str]) -> int:
    """With a real client, or with one that is walked as (`NAME@emulated`)."""
    emulated = arguments.subject.endswith(EMULATED_SUFFIX)
    if sys.platform == "win32" and not emulated:
        raise UsageError("solve needs Linux or macOS for a client. Try: oauthtap solve SESSION")
    if not arguments.upstream:
        named = escape_controls(arguments.subject)
        raise UsageError(f"name the server. Try: oauthtap solve {named} --upstream https://mcp.example.com/mcp")
    parse_mcp_url(arguments.upstream, f"oauthtap solve {arguments.subject} --upstream")
    reach = parse_upstream_options(arguments)
    stored_grant(arguments, arguments.upstream)
    with tempfile.TemporaryDirectory(prefix="oauthtap-solve-", ignore_cleanup_errors=True) as private:
        if emulated:
            walked_as = emulation(arguments.subject.removesuffix(EMULATED_SUFFIX))
            run: Callable[..., FolderRunner] = partial(EmulatedRunner, client=walked_as)
            return _experiment(arguments, values, reach, f"{walked_as.profile.name} (emulated)", run)
        driver = driver_named(arguments.subject)
        found = install.locate_client(driver, arguments.client_version, install=arguments.install, say=_say)
        run = partial(ClientRunner, driver=driver, client=found, private=Path(private))
        return _experiment(arguments, values, reach, f"{driver.title} {found.version or ''}".strip(), run)


def _experiment(
    arguments: Namespace,
    values: Mapping[str, str],
    reach: UpstreamOptions,
    client: str,
    run: Callable[..., FolderRunner],
) -> int:
    dated = default_folder(arguments.upstream)
    root = Path(arguments.session) if arguments.session else dated.with_name(f"{dated.name}-solve")
    redactor = Redactor()
    known = redactor.strike_url(arguments.upstream)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(f"--session {root}: {problem.strerror}. Try: --session DIR, with a folder of yours") from None
    feed = Feed(
        "solve", root, known, out=event_stream(arguments), clean=redactor.redact_known, reach=reach_of(arguments)
    )
    runner = run(arguments=arguments, root=root, values=values, feed=feed)
    search = _search(arguments, runner, values, None if arguments.offline else reach)
    _say(f"{escape_controls(client)} at {escape_controls(known)}, recorded in {root}")
    try:
        with _progress(search):
            change = search.solve()
    except SessionError as problem:
        raise UsageError(str(problem)) from None
    except KeyboardInterrupt:
        _say(f"Interrupted. To go on: {_again(arguments, root, known)}")
        return _INTERRUPTED
    last = search.result(change)[1] if change is not None else next(iter(search.ran.values()))[1]
    emulated = arguments.subject.endswith(EMULATED_SUFFIX)
    plan = last.report.deploy if change is not None else None
    if plan is not None and emulated:  # oauthtap connected with it, and no client
        plan = plan.model_copy(update={"proved": False})
    again = _again(arguments, root, known)
    result = solution(
        search, change, emulated=emulated, client=client, upstream=known, deploy=plan, command=again
    )  # fmt: skip
    _keep(root, result, redactor)
    feed.end(last.report, result.exit)
    return _told(result, arguments)


def _again(arguments: Namespace, root: Path, upstream: str) -> str:
    """The command that goes on where this one stopped."""
    words = [upstream if word == arguments.upstream else word for word in arguments.argv]
    return shlex.join(["oauthtap", *words, *(() if arguments.session else ("--session", str(root)))])


def _keep(root: Path, result: Solution, redactor: Redactor) -> None:
    """Write the result into the session: tries by their folders in it, under a name that is no secret's."""
    told = result.as_json()
    for one in filter(None, (told["before"], told["after"], *told["tries"])):
        one["folder"] = Path(one.pop("session")).name
    replace(root / "solution.json", redactor.redact_known(json.dumps(told, indent=1) + "\n").encode())
    if result.fixes_toml:
        replace(root / "solved.toml", redactor.redact_known(result.fixes_toml).encode())


# --- by simulation


def _by_simulation(arguments: Namespace, values: Mapping[str, str]) -> int:
    tap, _ = analyze_recording(arguments.subject, revision=arguments.revision, client=arguments.client)
    if arguments.events:
        raise UsageError("--events is for a client. Try: oauthtap solve SESSION --format json")
    reach = None if arguments.offline else parse_upstream_options(arguments)
    runner = SimulationRunner(tap, values)
    search = _search(arguments, runner, values, reach)
    change = search.solve()
    last = search.result(change)[1] if change is not None else next(iter(search.ran.values()))[1]
    named, server = last.report.client.name if last.report.client else None, tap.handshake.resource or "URL"
    result = solution(
        search, change, simulated=True, client=named, upstream=tap.handshake.resource,
        deploy=last.report.deploy if change is not None else None,
        command=shlex.join(["oauthtap", *arguments.argv]),
        proof=f"oauthtap solve {named if named in drivers() else 'CLIENT'} --upstream {shlex.quote(server)}",
    )  # fmt: skip
    return _told(result, arguments)


# --- both


def _search(arguments: Namespace, runner: Runner, values: Mapping[str, str], reach: UpstreamOptions | None) -> Search:
    asked: dict[str, str | None] = {}

    def issuers(ran: RunResult) -> tuple[list[str], list[str]]:
        """Those whose metadata states them, and all that were thought of. Each is asked for once."""
        wanted = [one for one in ran.report.findings if wants_an_issuer(one)]
        if not wanted or "issuer" in values:
            return [], []
        wrong = {(one.actual or "").rstrip("/") for one in wanted}
        thought = [one for one in issuer_candidates(ran.tap.handshake) if one.issuer.rstrip("/") not in wrong]
        for one in thought:
            if one.issuer not in asked:
                fetched = asyncio.run(fetch_stated_issuer(one.issuer, reach)) if reach and not one.sure else None
                asked[one.issuer] = one.issuer if one.sure else fetched
        good = [stated for one in thought if (stated := asked[one.issuer])]
        return list(dict.fromkeys(good)), [one.issuer for one in thought]

    moved: dict[str, dict[str, Any] | None] = {}

    def misplaced(ran: RunResult) -> dict[str, Any] | None:
        issuer = ran.tap.handshake.issuer
        if reach is None or not issuer or not any(one.rule in NOT_FOUND for one in ran.report.findings):
            return None
        if issuer not in moved:
            moved[issuer] = asyncio.run(fetch_misplaced_metadata(issuer, reach))
        return moved[issuer]

    def propose(ran: RunResult) -> tuple[list[ChangeSet], list[Need]]:
        good, thought = issuers(ran)
        changes, needs = candidates(ran.tap, ran.report, values, good, misplaced(ran))
        named = [
            need.model_copy(update={"candidates": tuple(thought)}) if need.name == "issuer" else need for need in needs
        ]
        return changes, named

    return Search(runner, propose, most=arguments.tries, until=time.monotonic() + arguments.timeout)


@contextmanager
def _progress(search: Search) -> Iterator[None]:
    """A line that changes on a terminal, a line for each try elsewhere; all to stderr."""
    shown = LiveConsole()
    status = shown.status("starting …")

    def tell(number: int, change: ChangeSet, why: str, done: Try | None) -> None:
        words = escape_controls(progress(number, search.most, change, why, done), limit=300)
        if not shown.is_terminal:
            if done is not None:
                _say(words)
        elif done is None:
            status.update(Text(words))
        else:
            shown.print(Text(words))

    search.tell = tell
    if shown.is_terminal:
        status.start()
    try:
        yield
    finally:
        status.stop()


def _told(result: Solution, arguments: Namespace) -> int:
    if arguments.format == "json":
        if not arguments.events:
            print(json.dumps(result.as_json(), ensure_ascii=False, indent=1))
    elif arguments.events:
        _say(console(result, display(sys.stderr, arguments)).rstrip("\n"))
    else:
        sys.stdout.write(console(result, display(sys.stdout, arguments)))
    return result.exit


def _say(*lines: Any) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)
