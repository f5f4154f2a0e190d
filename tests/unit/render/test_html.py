"""The page: everything of the report is on it, nothing comes from outside, and upstream text stays text.

What needs a browser is marked so: a real Chromium looks at the page, and axe-core scans it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.html import html
from oauthtap.render.html.curl import curl
from oauthtap.render.html.message_lines import request_lines, response_lines
from oauthtap.render.verdict import headline
from oauthtap.report.build import build
from tests.support.clients import installed
from tests.unit.diagnosis.test_root_cause import SEED2
from tests.unit.handshake.test_classify import SIGN_IN
from tests.unit.render.test_console import OF, SCREENS, recorded
from tests.unit.render.test_markdown import HOSTILE
from tests.unit.render.test_sarif import tapped

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbSIsImV4cCI6MTc2NzIyOTIwMH0.c2ln"
EVIL = f"""
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp {{"jsonrpc": "2.0", "id": 1, "method": "initialize"}}
401 <script>alert(1)</script><img src=x onerror=alert(2)>
WWW-Authenticate: Bearer error="</script><script>alert(3)</script>", resource_metadata="javascript:alert(4)"
X-Evil: {HOSTILE}

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp?x=<b>y</b>
200 {json.dumps({"resource": HOSTILE, "authorization_servers": ["javascript:alert(5)", f"https://as.example.com/authorize?{HOSTILE}"], "</pre><script>alert(6)</script>": 1}, ensure_ascii=False)}

GET https://as.example.com/.well-known/"><script>alert(7)</script>
404 {HOSTILE}
"""  # noqa: E501


class Page(HTMLParser):
    """Elements with their attributes, and the text inside each element of one class."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        members = dict(attrs)
        self.elements.append((tag, members))
        if tag not in ("meta", "link", "br", "input"):
            kind = members.get("class") or tag
            self._open.append((tag, kind))
            self.texts.setdefault(kind, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, "elements are closed in order"

    def handle_data(self, data: str) -> None:
        for kind in {kind for _, kind in self._open}:
            self.texts[kind][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [members for name, members in self.elements if name == tag]


def page(text: str) -> Page:
    return Page(html(*tapped(text)))


def test_the_answers_stand_on_top_in_their_order() -> None:
    text = html(*tapped(SEED2))
    order = ("<h1", "Cause</dt>", "Whose</dt>", "Change</dt>", "Try it</dt>", "It said</dt>", "<h2>Exchanges")
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "could not sign in to https://logs.example.com/" in text
    assert "your MCP server" in text
    assert "[&#34;<mark>https://api.workos.com/sso/authorize</mark>&#34;]" in text
    assert "authorization_server = &#34;https://TENANT.authkit.app&#34;" in text


def test_the_step_of_the_cause_has_the_cross() -> None:
    seen = page(SEED2)
    steps = [members["class"] for name, members in seen.elements if name == "li" and members.get("class")]
    assert steps[:7] == ["passed", "failed", *["open"] * 5]


def test_the_broken_step_is_marked_and_what_follows_is_pale() -> None:
    kinds = {row["id"]: row["class"] for row in page(SEED2).all("details") if row.get("id")}
    assert kinds["x1"] == "exchange"
    assert kinds["x2"] == "exchange broken"
    assert {kinds[f"x{number}"] for number in (3, 4, 5, 6)} == {"exchange after"}


def test_each_row_says_what_told_the_client_to_go_there() -> None:
    rows = {row["id"]: row for row in page(SEED2).all("details") if row.get("id")}
    assert rows["x2"]["data-because"] == "1"
    assert rows["x3"]["data-because"] == "2"
    assert "data-guess" in rows["x6"]
    assert "data-guess" not in rows["x3"]


def test_a_finding_stands_right_below_the_member_it_is_about() -> None:
    text = html(*tapped(SEED2))
    member = text.index('<pre class="hit error">    &#34;https://api.workos.com/sso/authorize&#34;</pre>')
    following = text[member : member + 400]
    assert '</pre><div class="note error">' in following


def test_a_finding_about_a_missing_member_stands_where_its_parent_closes() -> None:
    lines = response_lines(
        Response(status=200, headers=(("Content-Type", "application/json"),), body='{"a": {"b": 1}}')
    )
    places = {place: line.text for line in lines for place in line.places}
    assert places["response.json"] == "}"
    assert places["response.json.a"] == "  }"
    assert places["response.json.a.b"] == '    "b": 1'


def test_the_lines_of_a_json_body_are_json_again() -> None:
    body = {"a": [1, {"b": []}], "c": {"d": None, "e": "‹token 1›"}, "f": {}}
    lines = response_lines(Response(status=200, body=json.dumps(body)))
    assert json.loads("\n".join(line.text for line in lines[2:])) == body


def test_queries_and_forms_are_a_line_for_each_parameter() -> None:
    request = Request(
        method="POST", url="https://as.example.com/t?a=b%20c", body="code=x&redirect_uri=http%3A%2F%2Fl%2F"
    )
    lines = {place: line.text.strip() for line in request_lines(request) for place in line.places}
    assert lines["request.query.a"] == "a = b c"
    assert lines["request.form.redirect_uri"] == "redirect_uri = http://l/"


def test_claims_of_a_struck_token_are_readable() -> None:
    text = html(*tapped(SIGN_IN.replace("mF_9.B5f-4.1JqM", JWT)))
    assert JWT not in text
    assert "decoded token" in text
    assert "aud: https://mcp.example.com" in text
    assert "exp: 1767229200 (2026-01-01 01:00:00 UTC)" in text


def test_a_request_is_a_curl_command_without_its_secrets() -> None:
    request = Request(
        method="POST", url="https://mcp.example.com/mcp?a=it's", body='{"a": 1}',
        headers=(("Host", "mcp.example.com"), ("Authorization", 'Bearer ‹token 2 {"alg":"RS256"} {"aud":"x"}›')),
    )  # fmt: skip
    words = shlex.split(curl(request).replace("\\\n", ""))
    assert words[:4] == ["curl", "-X", "POST", "https://mcp.example.com/mcp?a=it's"]
    assert words[4:] == ["-H", "Authorization: Bearer ‹token 2›", "--data-raw", '{"a": 1}']
    text = html(*tapped(SIGN_IN.replace("mF_9.B5f-4.1JqM", JWT)))
    assert "curl -X POST https://mcp.example.com/mcp" in text
    assert "Bearer ‹token 1›" in text


def test_rows_that_say_the_same_are_alike_but_for_number_and_time() -> None:
    again = "GET https://mcp.example.com/mcp\n404\n\n"
    rows = [row for row in page(again * 3 + again.replace("404", "401")).all("details") if row.get("id")]
    like = [row["data-like"] for row in rows]
    assert like[1] == like[2] != like[3]


def test_a_patched_answer_stands_beside_the_original() -> None:
    first, *rest = notation.parse(SEED2)
    patched = Response(status=401, headers=(("WWW-Authenticate", "Bearer"),), body=first.response.body)  # type: ignore[union-attr]
    members = {name: getattr(first, name) for name in Exchange.model_fields}
    tap = SessionAnalyzer(resource="https://logs.example.com/")
    for exchange in (Exchange(**{**members, "delivered_response": patched}), *rest):
        tap.add(exchange)
    seen = Page(html(build(tap), [step.exchange for step in tap.steps]))
    assert any("as the server sent it" in text for text in seen.texts["column before"])
    assert any("WWW-Authenticate: Bearer" in text for text in seen.texts["column after-patch"])
    assert "WWW-Authenticate: Bearer" in seen.texts["patched"]


def test_nothing_comes_from_outside_and_nothing_may_be_added() -> None:
    text = html(*tapped(EVIL))
    seen = Page(text)
    assert len(seen.all("script")) == 1
    assert not seen.all("script")[0]
    assert not [name for name, _ in seen.elements if name in ("img", "iframe", "object", "embed", "b onclick", "form")]
    assert [link["href"] for link in seen.all("link")] == ["data:,"]
    assert not [key for _, members in seen.elements for key in members if key.startswith("on") or key == "style"]
    policy = next(m["content"] for m in seen.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_links_lead_to_rows_or_to_documents_of_ours() -> None:
    seen = page(EVIL)
    rows = {row["id"] for name in ("details", "main") for row in seen.all(name) if row.get("id")}
    for link in seen.all("a"):
        href = link["href"] or ""
        assert href.startswith("https://") or href.removeprefix("#") in rows
        assert "evil" not in href


def test_steering_characters_are_written_out() -> None:
    text = html(*tapped(EVIL))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    assert "\\u202eevil" in text


@pytest.mark.parametrize("name", OF)
def test_everything_of_the_report_is_on_the_page(name: str) -> None:
    report, exchanges = recorded(name)
    seen = Page(html(report, exchanges))
    text = re.sub(r"[\s`]", "", "".join(seen.texts["html"]))
    wanted = [part for f in report.findings for part in (f.message, f.rule, f.source, f.fix, f.expected, f.actual)]
    wanted += [part for one in report.causes for part in (one.title, one.message, one.confidence, one.rule)]
    wanted += [row.url for row in report.exchanges] + [row.rule for row in report.not_checked]
    wanted += [one.client for one in report.clients] + [report.refusal.words if report.refusal else ""]
    missing = [part for part in wanted if part and re.sub(r"[\s`]", "", escape_controls(part, lines=True)) not in text]
    assert missing == []
    assert {f"x{row.id}" for row in report.exchanges} <= {row.get("id") for row in seen.all("details")}
    assert {f.source_url for f in report.findings} <= {link["href"] for link in seen.all("a")}


def test_a_report_alone_and_an_empty_one_make_a_page() -> None:
    report, _ = tapped(SEED2)
    assert len([row for row in Page(html(report)).all("details") if row.get("id")]) == 6
    assert "Nothing arrived" in html(*tapped(""))


# --- in a real browser

NEEDED = ("Cause", "Whose", "Change", "Stopped", "Unseen", "Look at", "Next")
"""What answers the three questions; how much below them is still on the screen depends on the fonts."""


def first_screens(folder: Path) -> dict[str, Any]:
    """What of each recording's page is on its first screen, by recording and size; pictures are left in `folder`."""
    for name in OF:
        (folder / f"{name}.html").write_text(html(*recorded(name)), encoding="utf-8")
    found: dict[str, Any] = browsed("first.mjs", folder)
    return found


def as_text(views: dict[str, Any]) -> str:
    """The first screens of a page as they are committed: what is not on all of them names those that it is on."""
    one = next(iter(views.values()))
    lines = [f"on the first screen of {', '.join(views)}", "", one["heading"]]
    lines.append(f"✗ {one['failed']}" if one["failed"] else "no step failed")
    for field, words in {tuple(pair): None for shown in views.values() for pair in shown["fields"]}:
        on = [view for view, shown in views.items() if [field, words] in shown["fields"]]
        if field in NEEDED:
            lines.append(f"{field}{'' if len(on) == len(views) else f' ({chr(44).join(on)})'}: {words}")
    return "\n".join(lines) + "\n"


def many(count: int) -> str:
    """A page of so many exchanges."""
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp")
    once = list(notation.parse(SIGN_IN))
    for number in range(count):
        one = once[number % len(once)]
        members = {name: getattr(one, name) for name in Exchange.model_fields}
        tap.add(Exchange(**{**members, "id": 0, "started_at": notation.START + number}))
    return html(build(tap), [step.exchange for step in tap.steps])


def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail(
            "this test looks at the page in a real browser; install one: apt-get install chromium\n"
            "(to run only the tests that need none: pytest -m 'not browser')",
            pytrace=False,
        )
    return found


def looked_at(text: str, folder: Path) -> Any:
    """What `look.mjs` says of a page; screenshots are left in `folder`."""
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    return browsed("look.mjs", file, folder)


def browsed(program: str, *words: Path) -> Any:
    """What a program of `browser/` prints, as JSON."""
    modules = installed.from_npm("page", "playwright-core@1", "axe-core@4")
    path = Path(__file__).parents[2] / "support" / "browser" / program
    command = ["node", str(path), str(modules), chromium(), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.browser
@pytest.mark.parametrize("text", [SEED2, SIGN_IN.replace("mF_9.B5f-4.1JqM", JWT)], ids=["stopped", "connected"])
def test_a_browser_shows_it_without_a_complaint(text: str, tmp_path: Path) -> None:
    said = looked_at(html(*tapped(text)), tmp_path)
    assert said["console"] == []
    assert said["requests"] == []
    assert said["violations"] == [], "\n".join(said["violations"])
    assert said["wide"] == [], "no sideways scrolling"
    count = len(list(notation.parse(text)))
    assert said["keys"] == {"first": "x1", "down": "x2", "enter": True, "end": f"x{count}", "slash": "search"}
    assert said["curves"] > 3
    assert {"light.png", "dark.png", "narrow.png", "print.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.browser
def test_hostile_upstream_text_is_text_in_a_browser(tmp_path: Path) -> None:
    said = looked_at(html(*tapped(EVIL)), tmp_path)
    assert said["dialogs"] == []
    assert said["console"] == []
    assert said["requests"] == []
    assert said["scripts"] == 1
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in said["text"]
    assert said["violations"] == [], "\n".join(said["violations"])


@pytest.mark.browser
def test_the_scanner_would_see_a_defect(tmp_path: Path) -> None:
    said = looked_at(html(*tapped(SEED2)).replace("<h1", "<button></button><h1"), tmp_path)
    assert any("button-name" in one for one in said["violations"])


@pytest.mark.browser
def test_ten_thousand_exchanges_stay_smooth_and_can_be_reached(tmp_path: Path) -> None:
    said = looked_at(many(10_000), tmp_path)
    assert said["console"] == []
    assert said["keys"]["end"] == "x10000"
    assert said["search"]["nothing"][1] == "0 of 10000 exchanges"
    assert 909 <= int(said["search"]["word"][1].split()[0]) < 1000
    assert max(took for took, _ in said["search"].values()) < 3000
    assert said["times"]["light"] < 5000
    assert said["times"]["frame"] < 1500


@pytest.mark.browser
def test_a_thousand_exchanges_are_accessible_and_their_repeats_are_one_line(tmp_path: Path) -> None:
    said = looked_at(many(1000), tmp_path)
    assert said["violations"] == [], "\n".join(said["violations"])
    assert said["repeats"] == ["exchanges 21–999: the same 11 requests, 89 times more"]


@pytest.mark.browser
@pytest.mark.parametrize("many_rows", [False, True], ids=["stopped", "long"])
def test_the_page_is_walked_by_keyboard_and_read_aloud(many_rows: bool, tmp_path: Path) -> None:
    text = SEED2 + SEED2.partition("\n\n")[2] * 3 if many_rows else SEED2
    (tmp_path / "page.html").write_text(html(*tapped(text)), encoding="utf-8")
    said = browsed("keys.mjs", tmp_path / "page.html")
    assert said["skip"]["name"] == "Skip to the exchanges"
    assert said["skip"]["seen"]
    assert said["skipped"] == "Search"
    assert said["found"].endswith(f"of {len(list(notation.parse(text)))} exchanges")
    assert said["first"] == "x6", "Enter in the search goes to the first row that is found"
    assert said["inside"]
    assert (said["closed"]["row"], said["closed"]["tag"], said["closed"]["open"]) == ("x1", "SUMMARY", False)
    assert said["all"] == "The exchanges are open."
    assert said["none"] == "The exchanges are closed."
    assert said["copy"] == f"Copy {said['copied'][1]}"
    assert said["copied"][0] == f"Copied: {said['copied'][1]}"
    if many_rows:
        assert said["fold"] == "true", "the bar that was pressed keeps the focus"
    for stop in [*said["stops"], *said["back"]]:
        assert stop["name"], stop
        assert stop["outlined"], stop
        assert stop["seen"], stop
    names = [stop["name"] for stop in said["stops"]]
    for wanted in ("exchange 2", "Search", "Only with findings", "Fold repeats", "Open all", "Close all"):
        assert wanted in names
    assert {f"x{number}" for number in range(1, 7)} <= {stop["row"] for stop in said["stops"]}, "every row is reached"
    assert said["headings"][0] == 1
    assert all(after - before <= 1 for before, after in zip(said["headings"], said["headings"][1:], strict=False))
    assert said["language"] == "en"
    for steps in said["steps"].values():
        assert "resource metadata : the cause is here" in steps, "the state of a step is said, also on a phone"
    assert said["nameless"] == []


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return first_screens(tmp_path_factory.mktemp("pages"))


@pytest.mark.browser
@pytest.mark.parametrize("name", OF)
def test_the_first_screen_says_what_and_whose_and_what_to_change(name: str, first: dict[str, Any]) -> None:
    report, _ = recorded(name)
    assert set(first[name]) == {"1280x800", "390x844", "1920x1080"}
    for view, one in first[name].items():
        assert not one["wide"], view
        assert one["stepper"] == 1, "the steps are one line"
        assert headline(report) in one["heading"]
        wanted = ["Cause", "Whose", "Change"] if report.cause else []
        assert set(wanted) <= {field for field, _ in one["fields"]}, view
    committed = (SCREENS / f"{name}.page.txt").read_text(encoding="utf-8")
    assert as_text(first[name]) == committed, (
        "python -m tests.screenshots --screens FOLDER writes them anew; look at each picture"
    )
