"""While the tap runs, exchanges that say nothing new are told together on one line."""

from __future__ import annotations

from io import StringIO

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.cli.repeats import Repeats
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.render.display import PLAIN
from oauthtap.report.model import ExchangeRow

AGAIN = """
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
401
WWW-Authenticate: Bearer

"""


def row(number: int, url: str = "https://mcp.example.com/mcp", status: int = 401) -> ExchangeRow:
    return ExchangeRow(
        id=number, started_at=0, stage="mcp-challenge", stages=("mcp-challenge",), method="POST", url=url, status=status
    )


def test_every_exchange_is_told_and_repeats_are_one_line() -> None:
    out = StringIO()
    reporter = ConsoleReporter(out)
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    for exchange in notation.parse(AGAIN * 30):
        reporter.steps([tap.add(exchange)])
    reporter.say("behind them")
    lines = out.getvalue().splitlines()
    assert [line for line in lines if "POST" in line] == [
        next(line for line in lines if line.startswith("   1  mcp-challenge")),
        "      exchanges 2-30: 29 × POST https://mcp.example.com/mcp 401, as before",
    ]
    assert lines[-1] == "behind them"


def test_a_repeat_with_news_is_told_by_itself() -> None:
    held = Repeats()
    assert not held.holds(row(1), "", news=False)
    assert held.holds(row(2), "", news=False)
    assert not held.holds(row(3), "", news=True)
    assert not held.holds(row(4, status=403), "", news=False)
    assert not held.holds(row(5), "B", news=False)


def test_one_repeat_is_a_line_as_ever_and_several_kinds_are_named() -> None:
    held = Repeats()
    for number, url in enumerate(("https://a.example/x", "https://a.example/y") * 2, 1):
        held.holds(row(number, url), "", news=False)
    assert list(held.release(PLAIN)) == ["      exchanges 3-4: as before (2 × mcp-challenge 401)"]
    held.holds(row(5, "https://a.example/x"), "", news=False)
    assert next(held.release(PLAIN)).startswith("   5  mcp-challenge")
    assert list(held.release(PLAIN)) == []


def test_they_are_told_when_nothing_comes_and_when_they_do_not_end() -> None:
    now = [0.0]
    held = Repeats(lambda: now[0])
    held.holds(row(1), "", news=False)
    assert not held.due
    held.holds(row(2), "", news=False)
    now[0] = 1.9
    assert not held.due
    now[0] = 2.1
    assert held.due
    for second in range(3, 16):
        now[0] = second + 0.9
        held.holds(row(second), "", news=False)
    assert held.due
