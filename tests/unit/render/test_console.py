"""The summary on a terminal: what stands on the screen when a command is done answers what, whose, and what next.

`python -m tests.unit.render.test_console` writes the screens anew; look at each before it is committed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pyte
import pytest

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.options.summary import ink
from oauthtap.drive.driver import drivers
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.advice import SOLVES
from oauthtap.render.console import console
from oauthtap.render.display import Display, Ink, Section, fit
from oauthtap.render.verdict import headline
from oauthtap.report.model import ExchangeRow, Report
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2

RECORDINGS = Path(__file__).parents[2] / "recordings"
SCREENS = Path(__file__).parents[2] / "data" / "screens"
COLUMNS, LINES = 80, 24
OF = {
    "abandoned": "corpus/001-as-endpoint-url-in-prm.har",
    "abandoned-without-cause": "holdout/corpus/p04.har",
    "by-hand": "pasted/47.txt",
    "connected": "live/mcpremote__ba.har",
    "denied": "corpus/h19-user-denies-consent.har",
    "lost-later": "holdout/corpus/n22.har",
    "refused-at-login": "holdout/corpus/n05.har",
    "refused-registration": "live/cc197__ba.har",
    "refused-token": "live/py1__cf022.har",
    "repeating": "live/cc330__seed2.har",
    "signed-in": "corpus/142-silence-after-token-edge-block.har",
    "unreachable": "corpus/135-tls-reset-for-datacenter.har",
    "waiting": "live/inspweb1__cfold-sse.har",
}
"""A recording for each ending, and for who says no where."""
FORECAST = ("claude-ai", "claude-code", "mcp-remote", "python-sdk-1", "vs-code")


@cache
def recorded(name: str) -> tuple[Report, tuple[Exchange, ...]]:
    """A report and its exchanges. Of the forecasts a few: one more profile changes no screen."""
    analyzer, report = analyze_recording(str(RECORDINGS / OF[name]))
    forecasts = tuple(one for one in report.clients if one.slug in FORECAST)
    return report.model_copy(update={"clients": forecasts}), tuple(step.exchange for step in analyzer.steps)


def told(name: str, **how: object) -> str:
    return console(*recorded(name), display=Display(session="SESSION", **{"columns": COLUMNS, "height": LINES, **how}))  # type: ignore[arg-type]


def screen(text: str) -> str:
    """What a terminal of 80x24 shows when the command has ended and the prompt is back."""
    shown = pyte.Screen(COLUMNS, LINES)
    pyte.Stream(shown).feed(text.replace("\n", "\r\n") + "$ ")
    return "\n".join(line.rstrip() for line in shown.display) + "\n"


@pytest.mark.parametrize("name", OF)
def test_the_screen_is_the_committed_one(name: str) -> None:
    committed = (SCREENS / f"{name}.txt").read_text(encoding="utf-8")
    assert screen(told(name)) == committed, "python -m tests.unit.render.test_console writes them anew"


@pytest.mark.parametrize("name", OF)
def test_five_seconds_are_enough(name: str) -> None:
    report, _ = recorded(name)
    text = screen(told(name))
    assert re.search(r"^[✗✓] ", text, re.M), "what"
    assert (report.upstream or "") in text.replace("\n  ", "")
    if report.cause is not None:
        for word in ("  Cause    ", "  Whose    ", "  Change   "):
            assert word in text
        assert report.causes[0].confidence in text
    elif not report.connected:
        assert re.search(r"^  (Next|Look at)", text, re.M), "what next"
    if report.refusal is not None and report.refusal.words:
        assert f'"{escape_controls(report.refusal.words)[:25]}' in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", OF)
@pytest.mark.parametrize("columns", [20, 60, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal_but_for_what_is_to_be_copied(name: str, columns: int) -> None:
    width = max(60, min(columns, 120))
    for line in told(name, columns=columns, height=60, clients=True).splitlines():
        assert len(line) <= width or "oauthtap " in line or line.startswith(" " * 13), line


@pytest.mark.parametrize("name", OF)
def test_nothing_is_lost(name: str) -> None:
    report, _ = recorded(name)
    text = told(name, verbose=True, clients=True)
    flowing = " ".join(text.split())
    for row in report.exchanges:
        assert re.search(rf"^ *{row.id}[A-Z]? +{row.stage} +{row.method} ", text, re.M)
    for finding in report.findings:
        assert finding.rule in text
        assert escape_controls(finding.message, limit=400) in text
        assert finding.source in text
    for one in report.clients:
        assert one.recorded or one.client in flowing
    for note in report.notes:
        assert note in flowing


@pytest.mark.parametrize("name", OF)
def test_brief_is_brief_and_still_names_the_cause(name: str) -> None:
    report, _ = recorded(name)
    lines = told(name, brief=True).splitlines()
    assert sum(-(-len(line) // COLUMNS) for line in lines) <= 15
    assert report.cause is None or any(line.startswith("  Cause ") for line in lines)


@pytest.mark.parametrize("agent", ["Bun/1.4.6", "node", "python-httpx/0.28.1"])
def test_a_runtime_is_no_name_of_a_client(agent: str) -> None:
    report = judge(re.sub(r"^((?:GET|POST) .+)$", rf"\1\nUser-Agent: {agent}", SEED2, flags=re.M))
    assert report.client is not None
    assert agent.startswith(report.client.name)
    assert headline(report).startswith("The client could not sign in")


def test_a_finding_is_said_once() -> None:
    for name in OF:
        text = told(name, height=200)
        for finding in recorded(name)[0].findings:
            words = escape_controls(finding.message, limit=60)
            assert text.count(words) <= 1, (name, finding.rule)


def test_the_value_that_is_wrong_is_underlined() -> None:
    lines = told("abandoned").splitlines()
    place = next(n for n, line in enumerate(lines) if '"authorization_servers"' in line)
    start, under = lines[place + 1].index("─"), lines[place + 1].count("─")
    assert lines[place][start : start + under] == "https://api.workos.com/sso/authorize"


def test_the_cross_is_at_the_step_of_the_cause_and_not_where_it_stopped() -> None:
    report, _ = recorded("repeating")
    assert report.reached == "as-discovery"
    steps = next(line for line in told("repeating").splitlines() if line.startswith("  ✓ challenge"))
    assert steps == "  ✓ challenge  ✗ PRM  ─ AS metadata  ─ registration  ─ login  ─ token  ─ MCP"


def test_the_same_request_over_and_over_is_one_line() -> None:
    report = judge(SEED2)
    row = report.exchanges[0]
    rows = tuple(row.model_copy(update={"id": number}) for number in range(7, 481))
    text = console(report.model_copy(update={"exchanges": rows, "cause": None, "causes": ()}))
    assert "exchanges 7-480: 474 × POST / 401" in text


def test_a_loop_of_several_requests_is_one_line() -> None:
    report = judge(SEED2)
    first, second = report.exchanges[:2]
    rows: list[ExchangeRow] = [
        (first, second)[number % 2].model_copy(update={"id": number + 1}) for number in range(200)
    ]
    text = console(report.model_copy(update={"exchanges": tuple(rows), "cause": None, "causes": ()}))
    assert "exchanges 1-200: 100 × the same 2 requests, from POST /" in text


def test_colours_are_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    class Pipe:
        def isatty(self) -> bool:
            return False

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert ink(Terminal()).on  # type: ignore[arg-type]
    assert not ink(Pipe()).on  # type: ignore[arg-type]
    monkeypatch.setenv("TERM", "dumb")
    assert not ink(Terminal()).on  # type: ignore[arg-type]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ink(Pipe()).on  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not ink(Terminal()).on  # type: ignore[arg-type]
    assert "\x1b[" not in console(judge(SEED2))
    assert "\x1b[" in console(judge(SEED2), display=Display(ink=Ink(on=True)))


def test_what_ranks_last_goes_first_where_there_is_no_room() -> None:
    parts = [Section(("a",)), Section(("b",), rank=1), Section(("c",), rank=2), Section(("d",))]
    assert list(fit(parts, 10, Display())) == ["a", "", "b", "", "c", "", "d"]
    assert list(fit(parts, 4, Display())) == ["a", "b", "c", "d"]
    assert list(fit(parts, 2, Display())) == ["a", "d"]


def test_causes_are_told_apart_with_the_real_client_where_there_is_one() -> None:
    assert set(drivers()) >= SOLVES
    assert "  Find out oauthtap solve claude-code --upstream http://localhost:8115/" in told("repeating", height=60)


if __name__ == "__main__":
    SCREENS.mkdir(exist_ok=True)
    for each in OF:
        (SCREENS / f"{each}.txt").write_text(screen(told(each)), encoding="utf-8")
