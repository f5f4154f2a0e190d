"""`oauthtap probe --attack`: a sound server refuses all of it, and each fault that lets something in is named."""

from __future__ import annotations

import argparse
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthtap.cli import attack as cli_attack
from oauthtap.cli import main
from oauthtap.cli.errors import UsageError
from oauthtap.probe import attack as attacks
from oauthtap.probe.runner import Browser, probe
from oauthtap.probe.walk import Plan
from tests.cli.test_probe import hands, reach
from tests.support.bed import Bed
from tests.support.bed.healthy import Good
from tests.support.bed.weaknesses import FORGED, WEAKNESSES


@pytest.fixture(scope="module")
def weak() -> Iterator[Bed]:
    with Bed(*WEAKNESSES) as started:
        yield started


def attacked(weak: Bed, folder: Path, name: str, *more: str) -> int:
    ways = [word for rule in weak.connect_to for word in ("--connect-to", rule)]
    flags = ("--ca", str(weak.ca_file), "--session", str(folder), "--headless", "--attack", *ways, *more)
    return main(["probe", weak.url(name), *flags])


@pytest.mark.parametrize("kind", WEAKNESSES)
def test_what_is_accepted_is_named_and_nothing_else(
    weak: Bed, kind: type[Good], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "GRACE", 0.1)
    monkeypatch.setattr("oauthtap.rules.token_refresh.answers._GRACE", 0.05)
    accepted, rules = WEAKNESSES[kind]
    code = attacked(weak, tmp_path / "s", kind.host.partition(".")[0], "--yes", "--format", "json")
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    lines = [re.split(" {2,}", line) for line in shown.err.partition("Attack  ")[2].splitlines()[1:] if line.strip()]
    assert {words[0] for words in lines if words[-1] == "ACCEPTED"} == accepted
    found = {f["rule"] for f in report["findings"] if f["severity"] != "note" or f["rule"] in rules}
    assert found == rules
    assert not [f["rule"] for f in report["findings"] if f["who"] == "client"], "no client sent this"
    assert code == bool(accepted)
    assert report["ending"] == "connected"


def test_what_was_sent_is_marked_as_an_attack_and_no_secret_is_left(weak: Bed, tmp_path: Path, capsys: Any) -> None:
    with weak.watching() as arrived:
        assert attacked(weak, tmp_path / "s", "sound", "--yes") == 0
    assert main(["verify", str(tmp_path / "s")]) == 0
    marks = {entry.headers.get("user-agent", "").partition("(attack: ")[2].rstrip(")") for entry in arrived}
    assert FORGED | {"hostile Origin", "reused code", "unregistered redirect_uri"} <= marks
    texts = [*capsys.readouterr(), *(p.read_text("utf-8", "replace") for p in (tmp_path / "s").iterdir())]
    forged = {entry.headers.get("authorization", "").partition(" ")[2] for entry in arrived} - {""}
    assert len(forged) > len(FORGED)
    assert not [token for token in forged for text in texts if token in text]


async def test_a_person_signs_in_anew_for_each_code(weak: Bed) -> None:
    came: list[attacks.AttackOutcome] = []
    plan = Plan(weak.url("sound"), "1.0", sign_in="person", attack=True)
    async for _ in probe(plan, reach(weak), Browser(hands(weak), patience=10), tell_attack=came.append):
        pass
    assert {one.verdict for one in came} == {"refused"}
    assert len(came) == 13


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--attack"], "--login --attack"),
        (["--attack", "--login", "--client", "codex"], "without --client"),
        (["--attack", "--headless"], "--attack --yes"),
    ],
)
def test_wrong_usage_sends_nothing(weak: Bed, flags: list[str], hint: str, capsys: Any) -> None:
    with weak.watching() as arrived:
        assert main(["probe", weak.url("sound"), *flags]) == 2
    assert hint in capsys.readouterr().err
    assert not arrived


@pytest.mark.parametrize(("answer", "sent"), [("y\n", True), ("\n", False), ("", False)])
def test_it_asks_whose_the_server_is(answer: str, sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked)
    arguments = argparse.Namespace(url="https://mcp.example.com/mcp", yes=False)
    if sent:
        cli_attack.ask(arguments)
    else:
        with pytest.raises(UsageError, match="nothing was sent"):
            cli_attack.ask(arguments)
    assert "Is it yours? [y/N]" in asked.getvalue()
