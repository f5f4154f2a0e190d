"""A tap that other programs use: in the background, by events, with a time limit. Real processes, no real clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.cli.test_watch import INITIALIZE, OPEN, serving
from tests.support.running import call


def parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_tap_is_started_used_waited_for_and_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    with serving(OPEN) as upstream:
        flags = ("--session", folder, "--no-preflight", "--background", "--format", "json")
        ran = call("--upstream", f"{upstream}/mcp", *flags, home=tmp_path)
        assert ran.returncode == 0, ran.stderr
        state = parsed(ran.stdout)
        assert state["phase"] == "ready"
        try:
            assert httpx.post(state["url"], json=INITIALIZE, trust_env=False, timeout=10).status_code == 200
            waited = call("wait", "--timeout", "30", folder, "--format", "json", home=tmp_path)
            assert (waited.returncode, parsed(waited.stdout)["report"]["ending"]) == (0, "connected")
        finally:
            stopped = call("stop", folder, home=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout.startswith("tap: ended")
    assert parsed((folder / "report.json").read_text())["connected"] is True
    verified = call("verify", folder, "--format", "json", home=tmp_path)
    assert (verified.returncode, parsed(verified.stdout)["leaks"]) == (0, 0), verified.stdout


def test_events_are_all_of_the_output_and_a_time_limit_ends_it(tmp_path: Path) -> None:
    with serving(OPEN) as upstream:
        flags = ("--port", "0", "--no-web", "--no-preflight", "--once", "--timeout", "0.5", "--events")
        ran = call("--upstream", f"{upstream}/mcp", *flags, home=tmp_path)
    events = [parsed(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 3
    assert (events[0]["event"], list(events[0]["ports"].values())) == ("ready", [upstream])
    assert (events[-1]["event"], events[-1]["exit"]) == ("ending", 3)
    assert "Ctrl-C ends it" in ran.stderr
