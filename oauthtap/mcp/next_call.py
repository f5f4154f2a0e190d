"""Which call comes next: what an agent that reads no prose has to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oauthtap.mcp.answers import Call
from oauthtap.session.state import SessionState

Report = Mapping[str, Any]


def after_probe(report: Report, url: str, reach: Mapping[str, Any]) -> Call | None:
    """After the server was asked what a client asks: the experiment with the real client.

    Also where nothing is wrong so far: whether a client gets a token, only a client shows. None where no answer came.
    """
    if report["ending"] == "unreachable":
        return None
    return Call(tool="solve", arguments={"url": url, **reach}, why="only a real client shows whether it connects")


def after_recording(report: Report, recording: str | None) -> Call | None:
    """After a recording was read: what its server can change; None where it works, or nothing is to be changed."""
    if report["ending"] in ("connected", "signed-in") or not report.get("causes"):
        return None
    if recording is not None:
        return Call(tool="solve", arguments={"session": recording}, why="a simulation of the fixes on this recording")
    return Call(tool="explain", arguments={"text": _words(report)}, why="what these words mean, and what to run")


def _words(report: Report) -> str:
    refusal = report.get("refusal") or {}
    return str(refusal.get("words") or report["causes"][0]["rule"])[:200]


def after_wait(state: SessionState) -> Call | None:
    """While a tap runs: a fix to try, more waiting, or the lines to deploy."""
    report, session = state.report, state.session
    if state.phase in ("ended", "died"):
        return None
    if report is None or not state.over:
        return Call(tool="wait", arguments={"session": session}, why="the sign-in is not over; sign in with the client")
    if report["ending"] in ("connected", "signed-in"):
        if state.fixes:
            return Call(tool="deploy_lines", arguments={"session": session}, why="it works with the fix: make it stay")
        return Call(tool="stop", arguments={"session": session}, why="it works")
    causes = report.get("causes") or ()
    curable = next((one for one in causes if one["rule"] not in ("refused", *state.fixes)), None)
    if curable is None:
        return Call(tool="stop", arguments={"session": session}, why="no change of an answer would help")
    return Call(
        tool="try_fix",
        arguments={"session": session, "rule": curable["rule"]},
        why="changes the answer, live; then sign in",
    )


def commands_for(url: str) -> list[str]:
    """The lines for Claude Code, in this order, and the one that undoes them."""
    return [
        f"claude mcp add --transport {'sse' if url.endswith('/sse') else 'http'} tapped {url}",
        "claude mcp login tapped",
        "claude mcp list",
        "claude mcp remove tapped",
    ]


def after_solve(document: Report, arguments: Mapping[str, Any]) -> Call | None:
    """After experiments: more of them where the time was too short. Else None: it is proved, or a person has to act."""
    seconds = float(arguments.get("seconds", _SECONDS))
    if document["outcome"] != "budget" or seconds >= _LONGEST:
        return None
    longer = {**arguments, "seconds": min(seconds * 3, _LONGEST)}
    return Call(tool="solve", arguments=longer, why="the time was over before every change was tried")


_SECONDS, _LONGEST = 600.0, 1800.0
