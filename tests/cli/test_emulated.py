"""`probe --client` and `drive CLIENT@emulated` on the bed; the emulated Claude Code beside what the real one did."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from oauthtap.cli import main
from oauthtap.cli.options.overrides import validate_overrides
from oauthtap.upstream.options import UpstreamOptions
from tests.emulated import emulate, emulated, kept, real
from tests.support.bed import TARGETS, Bed
from tests.support.running import to_the_bed


def run(bed: Bed, home: Path, *words: str) -> int:
    return main([*words, *to_the_bed(bed), "--session", str(home / "session")])


@pytest.mark.parametrize("target", TARGETS)
def test_the_emulated_claude_code_ends_as_the_real_one_did(bed: Bed, target: str) -> None:
    assert emulated(bed, target) == kept()[target]


@pytest.mark.parametrize(("target", "connects"), [("f04", True), ("f07", False), ("f08", False), ("f14", True)])
def test_the_emulated_codex_connects_where_the_real_one_did(bed: Bed, target: str, connects: bool) -> None:
    """As measured with Codex 0.171.0 on 2026-11-28; of f01 to f15 all fifteen are alike."""
    _, end = emulate("codex", bed.url(target), UpstreamOptions(tuple(bed.connect_to), str(bed.ca_file)))
    assert (end.outcome == "connected") is connects


@pytest.mark.more_clients
@pytest.mark.parametrize("target", TARGETS)
def test_the_emulated_claude_code_ends_as_the_real_one_does(bed: Bed, target: str) -> None:
    assert emulated(bed, target) == real(bed, target)


def test_the_headline_says_where_claude_ai_stops_and_what_to_change(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    assert run(bed, tmp_path, "probe", bed.url("seed1"), "--client", "claude-ai") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Claude.ai and Claude Desktop connectors would stop at prm-discovery" in said
    assert "Change: Serve https://seed1.mcp.test/.well-known/oauth-protected-resource/sse" in said
    assert "How sure: possible" in said


def test_a_check_of_the_client_alone_is_the_cause_that_the_verdict_names(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    assert run(bed, tmp_path, "probe", bed.url("seed1fix"), "--client", "claude-ai") == 1
    verdict = " ".join(capsys.readouterr().out.partition("would stop at")[0].split())
    assert "Cause `resource` in the metadata is https://seed1fix.mcp.test, and it wants possible" in verdict
    assert "Change Publish `resource`: https://seed1fix.mcp.test/sse" in verdict
    page = (tmp_path / "session" / "report.html").read_text(encoding="utf-8")
    assert "and it wants https://seed1fix.mcp.test/sse" in page


def test_the_outcome_is_a_member_of_the_json_report(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    assert run(bed, tmp_path, "probe", bed.url("seed1"), "--client", "claude-ai", "--format", "json") == 1
    walk = json.loads(capsys.readouterr().out)["walk"]
    assert (walk["client"], walk["outcome"], walk["stage"]) == ("claude-ai", "stopped", "prm-discovery")
    assert walk["confidence"] == "possible"
    assert walk["change"].startswith("Serve https://seed1.mcp.test/.well-known/")
    assert [(one["trait"], one["basis"], one["seen"]) for one in walk["because"]] == [
        ("without_prm", "documented", "2026-07-29")
    ]
    assert json.loads((tmp_path / "session" / "report.json").read_text())["walk"] == walk


def test_no_other_report_has_that_member(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    run(bed, tmp_path, "probe", bed.url("good"), "--format", "json")
    assert "walk" not in json.loads(capsys.readouterr().out)


def test_an_emulated_client_connects_where_all_is_well(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    assert run(bed, tmp_path, "drive", "claude-ai@emulated", "--upstream", bed.url("good")) == 0
    captured = capsys.readouterr()
    assert "Claude.ai and Claude Desktop connectors would connect." in captured.out
    assert not [secret for secret in bed.issued if len(secret) > 20 and secret in captured.out + captured.err]


@pytest.mark.parametrize("target", ["seed1", "seed1fix"])
def test_fix_gives_the_change_with_which_claude_ai_would_connect(bed: Bed, tmp_path: Path, target: str) -> None:
    probed, fixes = tmp_path / "probed", tmp_path / "fixes.toml"
    url, reach = bed.url(target), to_the_bed(bed)
    assert main(["probe", url, "--client", "claude-ai", "--session", str(probed), *reach]) == 1
    assert main(["fix", str(probed), "--output", str(fixes), *reach]) == 0
    driven = ["drive", "claude-ai@emulated", "--upstream", url, "--session"]
    assert main([*driven, str(tmp_path / "before"), *reach]) == 1
    assert main([*driven, str(tmp_path / "after"), "--fix", str(fixes), *reach]) == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["probe", "https://mcp.example.com/mcp", "--client", "gemini-cli"], "Try one of: ai-sdk, chatgpt"),
        (["probe", "https://mcp.example.com/mcp", "--client", "chatgpt", "--login"], "--client chatgpt --headless"),
        (["drive", "vs-code@emulated"], "drive vs-code@emulated --upstream"),
    ],
)
def test_wrong_use_ends_in_what_to_type(words: list[str], hint: str, capsys: Any) -> None:
    assert main(words) == 2
    assert hint in capsys.readouterr().err


def test_a_client_is_known_with_hyphens_or_without() -> None:
    arguments = Namespace(client="VSCode", client_a=None, client_b="claudecode", revision=None)
    validate_overrides(arguments)
    assert (arguments.client, arguments.client_b) == ("vs-code", "claude-code")
