"""The MCP server: few tools, each a whole step, each answer with the next call to make."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import AfterValidator, Field

from oauthtap.mcp import next_call
from oauthtap.mcp.answers import (
    Call,
    Deployment,
    Diagnosis,
    Explanation,
    Meaning,
    Solution,
    Tap,
    causes_of,
    deployment_of,
    refusal_of,
    solution_of,
    summary_of,
)
from oauthtap.mcp.commands import BEAT, CommandOutput, end_all, run
from oauthtap.session import background, default_folder
from oauthtap.session.background import BackgroundError, Until
from oauthtap.session.state import SessionState

_INSTRUCTIONS = (
    "oauthtap says why an MCP client cannot sign in to a server (OAuth 2.1, RFC 9728, 8414, 7591). Begin with "
    "`diagnose`: a server's URL, a recording or log file, or pasted text. Each answer has `next`, the call to make now "
    "with its arguments, or null when there is nothing left to do. Only `solve`, and `diagnose` with `register`, "
    "register a client or sign in at the server. Nothing is changed outside oauthtap's session folders, and no answer "
    "holds a secret."
)
_READS = ToolAnnotations(readOnlyHint=True, openWorldHint=True)
_RUNS = ToolAnnotations(readOnlyHint=False, destructiveHint=False, openWorldHint=True)


def _no_option(word: str) -> str:
    """A word of a tool's caller is no option of our commands: `--rules FILE` would run that file."""
    if word.startswith("-"):
        raise ValueError("begins with `-`")
    return word


Word = Annotated[str, AfterValidator(_no_option)]
Url = Annotated[Word, Field(description="the MCP endpoint, as a client would be given it")]
Session = Annotated[Word, Field(description="`session` of an earlier answer")]
ConnectTo = Annotated[
    list[Word] | None, Field(description="HOST1:PORT1:HOST2:PORT2, as `curl --connect-to`; empty fields match any")
]
Ca = Annotated[Word | None, Field(description="a PEM file with a further CA to trust for the server")]

_SLICE = 45.0
"""Seconds after which a search is answered with `running`: many clients give a call up after 60 (MCP, Timeouts)."""
server = FastMCP("oauthtap", instructions=_INSTRUCTIONS, log_level="ERROR")


async def _tell(seconds: float) -> None:
    """Progress, for a client that asked for it: most count their time limit from the last word (MCP, Timeouts)."""
    with contextlib.suppress(ValueError):  # no call is under way
        await server.get_context().report_progress(seconds, message=f"running for {seconds:.0f} s")


_run = partial(run, tell=_tell)


@server.tool(annotations=_READS)
async def diagnose(
    url: Annotated[Word | None, Field(description="an MCP server to ask what a client would ask")] = None,
    recording: Annotated[
        Word | None, Field(description="a file or folder: session, HAR, .mitm, a client's log, an access log")
    ] = None,
    text: Annotated[str | None, Field(description="pasted text: a log, curl output, HTTP, a metadata document")] = None,
    register: Annotated[
        bool, Field(description="with `url`: also register a client there, and undo it where the server lets us")
    ] = False,
    connect_to: ConnectTo = None,
    ca: Ca = None,
) -> Diagnosis:
    """Say how a sign-in ended and why: of a server (`url`), of a `recording`, or of pasted `text`; give one of them."""
    if sum(value is not None for value in (url, recording, text)) != 1:
        raise ToolError("give one of url, recording and text")
    if url is not None:
        ran = await _run("probe", *_brief(), *_reach(connect_to, ca), *(["--register"] if register else []), url)
    elif recording is not None:
        ran = await _run("check", *_brief(), recording)
    else:
        ran = await _run("check", *_brief(), "-", text=text)
    report = _report(ran)
    session = ran.session or (recording if recording is not None and Path(recording).is_dir() else None)
    reach = _reach_arguments(connect_to, ca)
    call = next_call.after_probe(report, url, reach) if url else next_call.after_recording(report, recording)
    return Diagnosis(**_told(report), session=session, next=call)


@server.tool(annotations=_RUNS)
async def start(url: Url, connect_to: ConnectTo = None, ca: Ca = None) -> Tap:
    """Start a tap in the background: a local URL to give to the real MCP client in place of the server's.

    Then sign in with that client, and call `wait`.
    """
    words = ["--upstream", url, *_reach(connect_to, ca)]
    state = await asyncio.to_thread(_background, background.start, words, default_folder(url))
    return _tap(state, Call(tool="wait", arguments={"session": state.session}, why="sign in with the client meanwhile"))


@server.tool(annotations=_READS)
async def wait(
    session: Session,
    until: Annotated[Until, Field(description="what to wait for")] = "ending",
    seconds: Annotated[float, Field(ge=0, le=600)] = 60,
) -> Tap:
    """Wait until the sign-in through a tap has ended, a cause is named, or the time is over; say how it stands."""
    folder = Path(session)
    await asyncio.to_thread(_background, background.wait, folder, until, timeout=seconds)
    state = _background(background.status, folder)
    return _tap(state, next_call.after_wait(state))


@server.tool(annotations=_RUNS)
async def try_fix(
    session: Session,
    rule: Annotated[Word, Field(description="`rule` of a cause")],
    value: Annotated[str | None, Field(description="the value that the fix needs: an issuer, a client id")] = None,
) -> Tap:
    """Change the server's answers in a running tap as this rule's fix says. Then sign in again, and call `wait`."""
    fix = f"{rule}={value}" if value else rule
    ran = await _run("fix", session, "--apply", "--offline", "--fix", fix)
    if ran.code != 0:
        raise ToolError(ran.said or f"the fix of {rule} cannot be applied")
    state = _background(background.status, Path(session))
    return _tap(state, Call(tool="wait", arguments={"session": session}, why="sign in again with the client meanwhile"))


@server.tool(annotations=_RUNS)
async def solve(
    url: Annotated[Word | None, Field(description="the MCP endpoint; the real client is run against it")] = None,
    client: Annotated[
        Word, Field(description="which client: claude-code, codex, opencode, python-sdk, …")
    ] = "claude-code",
    session: Annotated[Word | None, Field(description="in place of `url`: simulate on this recording")] = None,
    going_on: Annotated[
        Word | None, Field(description="`session` of an answer `running`: wait for that search")
    ] = None,
    values: Annotated[
        dict[str, str] | None, Field(description="values that an earlier answer named in `needs`")
    ] = None,
    connect_to: ConnectTo = None,
    ca: Ca = None,
    seconds: Annotated[float, Field(gt=0, le=1800, description="for the whole search")] = 600,
) -> Solution:
    """Find by experiment the smallest change of the server's answers with which the real client connects.

    It registers clients and signs in at the server, each time in a home folder that is thrown away. A search that takes
    longer than 45 seconds is answered with `running`, and goes on: call `next` again, or `stop`.
    """
    if going_on is None and (url is None) == (session is None):
        raise ToolError("give one of url and session")
    given = [word for name, value in (values or {}).items() for word in ("--set", f"{name}={value}")]
    words = [*given, *_reach(connect_to, ca), "--format", "json"]
    again = {"url": url, "client": client, "session": session, "values": values, "seconds": seconds}
    arguments = {name: value for name, value in again.items() if value} | _reach_arguments(connect_to, ca)
    if going_on is not None:
        return await _found(Path(going_on), arguments)
    if session is not None:
        ran = await _run("solve", session, *words)
        if not isinstance(ran.document, dict):
            raise ToolError(ran.said or "nothing came of it in that time")
        return solution_of(ran.document, next_call.after_solve(ran.document, arguments))
    words = [client, "--upstream", url or "", *words, "--timeout", f"{seconds:g}"]
    dated = default_folder(url or "")
    folder = dated.with_name(f"{dated.name}-solve")
    await asyncio.to_thread(_background, background.start_solve, words, folder)
    return await _found(folder, arguments)


async def _found(folder: Path, arguments: dict[str, Any]) -> Solution:
    """What a search came to; `running` when it has not ended in the time that clients wait for an answer."""
    for beat in range(1, round(_SLICE / BEAT) + 1):
        if await asyncio.to_thread(_background, background.wait, folder, "ended", timeout=BEAT) is not None:
            break
        await _tell(beat * BEAT)
    else:
        return Solution(
            outcome="running",
            summary="The search goes on. The same call again waits for it.",
            works=False,
            fixes=[],
            unhelpful=[],
            session=str(folder),
            next=Call(tool="solve", arguments={**arguments, "going_on": str(folder)}, why="it has not ended yet"),
        )
    try:
        document = json.loads((folder / "solution.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise ToolError("the search was ended before it came to a result. Call solve again with its `url`") from None
    for one in filter(None, (document["before"], document["after"])):
        one["session"] = str(folder / one["folder"])
    return solution_of(document, next_call.after_solve(document, arguments))


@server.tool(annotations=_READS)
async def explain(text: Annotated[str, Field(description="an error message, or the id of a rule")]) -> Explanation:
    """What an error message may mean, whose it is, and what to run first; or what a rule means."""
    ran = await _run("explain", "--format", "json", "--", text)
    meanings = (ran.document or {}).get("meanings", []) if isinstance(ran.document, dict) else []
    found = [
        Meaning(
            subject=one.get("subject"),
            responsible=one.get("who"),
            why=one["why"],
            look=one.get("look"),
            rule=one.get("rule"),
            command=one.get("command"),
        )
        for one in meanings[:3]
    ]
    why = "it looks at the server itself" if found else "nothing is known of this text; the server's answers say more"
    return Explanation(meanings=found, next=Call(tool="diagnose", arguments={"url": "URL"}, why=why))


@server.tool(annotations=_READS)
async def deploy_lines(
    session: Session,
    rule: Annotated[Word | None, Field(description="`rule` of a cause; default: what is proposed")] = None,
    value: Annotated[str | None, Field(description="the value that the fix needs: an issuer, a client id")] = None,
    stack: Annotated[Word | None, Field(description="fastmcp, cloudflare, keycloak, …; default: as recognized")] = None,
) -> Deployment:
    """What to change at the server for good: its answers as a diff, and the lines for its stack where that is known."""
    words = ["--fix", f"{rule}={value}" if value else rule] if rule else []
    words += ["--stack", stack] if stack else []
    folder = Path(session) if Path(session).is_dir() else Path(session).parent
    file = folder / "deploy.json"
    ran = await _run("fix", session, "--offline", "-o", str(folder / "fixes.toml"), "--deploy", str(file), *words)
    if not file.exists():
        return Deployment(summary=ran.said or "No change of an answer would help; the cause says what to change.")
    return deployment_of(json.loads(file.read_text("utf-8"))) or Deployment(summary="no answer has to change")


@server.tool(annotations=_RUNS)
async def stop(session: Session) -> Tap:
    """End a tap: its session is complete then."""
    state = await asyncio.to_thread(_background, background.stop, Path(session))
    return _tap(state, None)


# --- words and answers


def _brief() -> tuple[str, ...]:
    return ("--format", "json", "--brief")


def _reach(connect_to: list[str] | None, ca: str | None) -> list[str]:
    words = [word for rule in connect_to or () for word in ("--connect-to", rule)]
    return [*words, *(["--ca", ca] if ca else [])]


def _reach_arguments(connect_to: list[str] | None, ca: str | None) -> dict[str, Any]:
    return {**({"connect_to": connect_to} if connect_to else {}), **({"ca": ca} if ca else {})}


def _report(ran: CommandOutput) -> dict[str, Any]:
    if not isinstance(ran.document, dict) or "ending" not in ran.document:
        raise ToolError(ran.said or "it could not be read")
    return ran.document


def _told(report: dict[str, Any]) -> dict[str, Any]:
    causes = causes_of(report)
    client = report.get("client") or {}
    return {
        "summary": summary_of(report, causes),
        "ending": report["ending"],
        "works": report["ending"] in ("connected", "signed-in"),
        "upstream": report.get("upstream"),
        "client": " ".join(filter(None, (client.get("name"), client.get("version")))) or None,
        "refusal": refusal_of(report),
        "causes": causes,
    }


def _tap(state: SessionState, call: Call | None) -> Tap:
    told = (
        _told(state.report)
        if state.report
        else {"summary": "no request of a client yet", "ending": "nothing-arrived", "works": False}
    )
    if state.url:
        told["upstream"] = told.get("upstream") or state.upstream
    typed = next_call.commands_for(state.url) if state.url and state.ended is None else []
    return Tap(
        **told, session=state.session, phase=state.phase, url=state.url, exchanges=state.exchanges,
        fixes=list(state.fixes), commands=typed, next=call,
    )  # fmt: skip


def _background(work: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return work(*arguments, **named)
    except BackgroundError as problem:
        raise ToolError(str(problem)) from None


def main() -> None:
    """Serve on standard input and output until the client closes them."""
    asyncio.run(_serve())


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(sign, _leave, sign)
    try:
        await server.run_stdio_async()
    finally:
        await end_all()


def _leave(sign: signal.Signals) -> None:
    """End at once: the thread that reads standard input cannot be interrupted."""
    ending = asyncio.ensure_future(end_all())
    ending.add_done_callback(lambda _: os._exit(128 + sign))
