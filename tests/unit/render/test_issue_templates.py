"""Reports in the shape of issue trackers: their headings, nothing guessed, and nothing of the upstream's is markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from oauthtap.cli import main
from oauthtap.render.issue_templates import TRACKERS, tracker
from oauthtap.report.model import Client
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2
from tests.unit.handshake.test_classify import SIGN_IN
from tests.unit.render.test_markdown import hostile


@pytest.mark.parametrize("name", TRACKERS)
def test_every_heading_of_the_form_has_an_answer(name: str) -> None:
    text = tracker(judge(SEED2), name)
    for heading, _ in TRACKERS[name]:
        answer = text.split(f"### {heading}\n\n", 1)[1].partition("\n### ")[0]
        assert answer.strip(), heading


@pytest.mark.parametrize("name", TRACKERS)
def test_what_is_wrong_and_what_was_tried_is_told(name: str) -> None:
    text = tracker(judge(SEED2), name)
    assert "`authorization_servers[0]` is `https://api.workos.com/sso/authorize`" in text
    assert "| 6 | client-registration | `POST https://api.workos.com/register` | 404 |" in text
    assert "https://logs.example.com/" in text


def test_a_cause_that_is_not_the_clients_is_said_before_anybody_files_it() -> None:
    assert tracker(judge(SEED2), "claude-code").startswith(
        "> Before you file this: by what was recorded the cause is the"
    )
    assert "Before you file" not in tracker(judge(SIGN_IN), "claude-code")


def test_what_the_recording_does_not_know_is_asked_for() -> None:
    text = tracker(judge(SEED2), "claude-code")
    assert "_Please add: what `claude --version` prints._" in text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (SEED2, "When pressing the Connect button"),
        (SIGN_IN.partition("@browser\nGET http://localhost")[0], "In the authorization screen"),
        (SIGN_IN.partition("POST https://as.example.com/swap")[0], "When auth finishes and redirects back"),
        (SIGN_IN, "During a conversation"),
    ],
    ids=["metadata", "consent", "redirect", "connected"],
)
def test_the_place_is_told_in_the_words_of_the_form(text: str, place: str) -> None:
    assert place in tracker(judge(text), "claude-ai")


def test_registration_and_transport_are_read_from_the_recording() -> None:
    text = tracker(judge(SIGN_IN), "claude-ai")
    assert "Dynamic Client Registration (DCR)" in text
    assert "streamable-http" in text
    assert "2026-01-01 00:00 UTC" in text


@pytest.mark.parametrize("name", TRACKERS)
def test_upstream_text_becomes_no_markup(name: str) -> None:
    text = tracker(hostile(), name)
    assert "\x1b" not in text
    assert "\u202e" not in text
    tokens = [inner for token in MarkdownIt().enable("table").parse(text) for inner in (token, *(token.children or ()))]
    assert not [token for token in tokens if token.type.startswith("html")]
    assert all(str(token.attrs.get("href", "https://")).startswith("https://") for token in tokens)


def test_the_command_line_knows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "seed.http"
    file.write_text(SEED2)
    assert main(["check", str(file), "--for", "claude-code"]) == 1
    assert "### What's Wrong?" in capsys.readouterr().out
    assert main(["check", str(file), "--for", "claude-code", "--format", "sarif"]) == 2
    assert "--for writes Markdown" in capsys.readouterr().err


def test_a_version_is_that_of_the_trackers_own_client() -> None:
    report = judge(SEED2).model_copy(update={"client": Client(name="claude-code", version="2.1.330")})
    assert "### Claude Code Version\n\n`2.1.330`" in tracker(report, "claude-code")
    asked = tracker(report, "inspector")
    assert "### Inspector version\n\n_Please add:" in asked
    assert "Recorded with `claude-code 2.1.330`." in asked


def test_the_question_about_sse_is_answered_from_what_was_posted() -> None:
    report = judge(SEED2)
    assert "Not applicable (my server does not use SSE)" in tracker(report, "claude-ai")
    legacy = report.exchanges[0].model_copy(
        update={"stages": ("legacy-sse",), "method": "POST", "url": report.upstream, "status": 405}
    )
    told = report.model_copy(update={"exchanges": (*report.exchanges, legacy)})
    assert "POST requests?\n\nYes (405)" in tracker(told, "claude-ai")
