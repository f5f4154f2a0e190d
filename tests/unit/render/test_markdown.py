"""Reports in words: upstream text is text."""

from __future__ import annotations

import json

from oauthtap.model.sanitize import escape_controls
from oauthtap.render import FORMATS
from oauthtap.render.markdown import code, code_words
from oauthtap.report.model import Report
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2

HOSTILE = "\x1b]0;owned\x07 \u202eevil\u202c <script>alert(1)</script> `x` | *bold* [link](javascript:1)"


def hostile() -> Report:
    body = json.dumps({"resource": HOSTILE, "authorization_servers": [f"https://as.example.com/authorize?{HOSTILE}"]})
    return judge(f"GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp\n200 {body}")


def test_no_format_lets_control_characters_through() -> None:
    report = hostile()
    assert report.findings
    for name, render in FORMATS.items():
        text = render(report)
        assert "\x1b" not in text, name
        assert name == "json" or "\u202e" not in text, name


def test_markdown_keeps_markup_inside_code() -> None:
    assert code("a`b|c") == "``a`b\\|c``"
    assert code_words("`x` is <b>*y*") == "`x` is \\<b\\>\\*y\\*"
    assert code_words("one ` alone <b>") == "one \\` alone \\<b\\>"


def test_plain_writes_out_what_steers() -> None:
    assert escape_controls("a\x1b[31m\u202eb") == "a\\x1b[31m\\u202eb"
    assert escape_controls("a\nb", lines=True) == "a\nb"
    assert escape_controls("x" * 20, limit=5) == "xxxx…"


def test_json_is_the_contract() -> None:
    report = json.loads(FORMATS["json"](judge(SEED2)))
    assert report["version"] == 2
    assert report["cause"]["rule"] == "prm-as-entry-is-endpoint"
    assert report["exchanges"][1]["because"] == {
        "exchange": 1,
        "at": "response.header.www-authenticate.resource_metadata",
        "guess": False,
        "fallback": "",
    }
