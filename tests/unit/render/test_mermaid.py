"""Mermaid: every exchange between its two parties, and nothing of the upstream's becomes notation."""

from __future__ import annotations

import re

from oauthtap.render.mermaid import escaped, mermaid
from oauthtap.render.sequence import lay_out
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2
from tests.unit.handshake.test_classify import SIGN_IN
from tests.unit.render.test_markdown import hostile

LINE = re.compile(
    r"sequenceDiagram|    (?:participant \w+ as .+|\w+(?:->>|-->>|--x)\w+: .+|Note over \w+(?:,\w+)?: .+"
    r"|rect rgba\([\d., ]+\)|end)"
)


def test_a_whole_sign_in_has_its_four_parties() -> None:
    drawn = lay_out(judge(SIGN_IN))
    assert [(lane.key, lane.name, lane.origin) for lane in drawn.lanes] == [
        ("client", "the client", None),
        ("browser", "browser", None),
        ("server0", "MCP server", "https://mcp.example.com"),
        ("server1", "authorization server", "https://as.example.com"),
    ]
    assert drawn.ends[1] == (0, 2)
    assert drawn.ends[3] == (0, 3)
    assert drawn.ends[5] == (1, 3)
    assert drawn.ends[8] == (1, 0), "the callback goes from the browser to the client"


def test_an_origin_may_be_both_servers_and_a_guess_in_vain_makes_none() -> None:
    both = SIGN_IN.replace("https://as.example.com", "https://mcp.example.com")
    assert [lane.name for lane in lay_out(judge(both)).lanes][2:] == ["MCP and authorization server"]
    vain = "POST https://mcp.example.com/mcp\n401\n\nPOST https://mcp.example.com/register {}\n404"
    assert [lane.name for lane in lay_out(judge(vain)).lanes] == ["the client", "MCP server"]


def test_a_program_that_is_its_own_browser_has_a_browser_lane() -> None:
    drawn = lay_out(judge(SIGN_IN.replace("@browser\n", "")))
    assert drawn.lanes[1].key == "browser"
    assert drawn.ends[5] == (1, 3)
    assert drawn.ends[8] == (1, 0)


def test_each_exchange_goes_there_and_back() -> None:
    text = mermaid(judge(SIGN_IN))
    assert "client->>server0: 1. POST /mcp" in text
    assert "server0-->>client: 401" in text
    assert "browser->>client: 8. GET /callback" in text


def test_the_cause_stands_in_a_box() -> None:
    text = mermaid(judge(SEED2))
    box = text[text.index("    rect ") : text.index("    end\n")]
    assert "prm-as-entry-is-endpoint" in box
    assert box.count("->>") == 2


def test_every_line_is_notation_of_ours() -> None:
    for report in (judge(SEED2), judge(SIGN_IN), judge(""), hostile()):
        for line in mermaid(report).splitlines():
            assert LINE.fullmatch(line), line


def test_notation_in_upstream_text_is_written_out() -> None:
    assert escaped("a; end\nb #1 <b>%%") == "a#59; #101;#110;#100;\\nb #35;1 #60;b#62;#37;#37;".replace("\\n", "#92;n")
    assert "<script>" not in mermaid(hostile())


def test_an_exchange_without_an_answer_ends_in_a_cross() -> None:
    assert "--xclient: connection refused" in mermaid(judge("GET https://mcp.example.com/mcp\n- connection refused"))
