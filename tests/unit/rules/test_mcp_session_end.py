"""How the end of a session is answered, which is no failure."""

from __future__ import annotations

import pytest

from tests.support.exchanges import judge

MCP = "https://mcp.example.com/mcp"


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        ("", 401, "DELETE came without a token and is answered 401"),
        ("Authorization: Bearer made-up-token\n", 401, "DELETE came with a token that is no longer accepted"),
        ("Authorization: Bearer made-up-token\n", 405, "DELETE is answered 405: the server ends sessions itself"),
        ("Authorization: Bearer made-up-token\n", 204, ""),
    ],
)
def test_a_refused_delete_is_told_with_its_reason(lines: str, status: int, words: str) -> None:
    judged = judge(f"DELETE {MCP}\nMcp-Session-Id: s-1\n{lines}{status}\n")
    told = [one.message for one in judged.findings if one.rule == "mcp-session-delete-answer"]
    assert [one[: len(words)] for one in told] == ([words] if words else [])


def test_without_a_session_nothing_is_told() -> None:
    assert "mcp-session-delete-answer" not in {one.rule for one in judge(f"DELETE {MCP}\n405\n").findings}
