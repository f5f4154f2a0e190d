"""The lots are whole, and their scorer tells a right answer from a wrong one.

Nothing is judged here: the first run of a lot is made once, by hand.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from benchmarks.lots import Output, judge, visible

LOTS = sorted((Path(__file__).parents[2] / "recordings" / "lots").glob("*/labels.json"))
SUBJECTS = {
    "redirect_uri",
    "client",
    "scope",
    "resource",
    "pkce",
    "grant",
    "code",
    "token",
    "session",
    "origin",
    "media-type",
    "policy",
    "edge",
    "server-fault",
    "discovery",
    "registration",
    "metadata",
}
ENDINGS = {
    "connected",
    "signed-in",
    "refused",
    "abandoned",
    "unreachable",
    "waiting",
    "repeating",
    "lost-later",
    "nothing-arrived",
}


def said(recording: Path) -> str:
    """All that the servers of a recording said, and whatever a redirect carried."""
    entries = json.loads(recording.read_text(encoding="utf-8"))["log"]["entries"]
    answers = [entry["response"] for entry in entries]
    texts = [answer["content"].get("text", "") for answer in answers]
    texts += [header["value"] for answer in answers for header in answer["headers"]]
    texts += [entry.get("_error", "") for entry in entries]
    # The browser brings the client what a redirect carried, also where the redirect itself was not recorded.
    texts += [entry["request"]["url"] for entry in entries if entry.get("_actor") == "browser"]
    plain = " ".join(texts).replace('\\"', '"')
    return f"{plain} {unquote_plus(plain)} {html.unescape(plain)}"


@pytest.mark.parametrize("path", LOTS, ids=lambda path: path.parent.name)
def test_every_label_can_be_met(path: Path) -> None:
    labels: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert len({label["source"] for label in labels}) == len(labels)
    for label in labels:
        recording = path.parent / label["file"]
        assert recording.stem == label["id"]
        assert label["subject"] in SUBJECTS
        assert label["ending"] in ENDINGS
        cause = label["cause"]
        assert (cause is None) == bool(label.get("control")), label["id"]
        if cause is not None:
            assert cause["who"]
            assert cause["mentions"]
            assert not set(cause["rules"]) & set(label.get("forbid", [])), label["id"]
        for pattern in [*(cause or {}).get("mentions", []), *label.get("says", []), *label.get("not_words", [])]:
            re.compile(pattern)
        for words in label.get("words", []):
            assert visible(words, said(recording)), (label["id"], words)


LABEL: dict[str, Any] = {
    "cause": {"rules": ["right-rule"], "who": ["client"], "mentions": ["scope"]},
    "forbid": ["wrong-rule"],
    "connected": False,
    "words": ["No such scope"],
}


def output(rule: str, who: str = "client", message: str = "", title: str = "", console: str = "") -> Output:
    cause = {"rule": rule, "who": who, "exchange": 1, "message": message, "title": title}
    return Output({"connected": False, "cause": cause}, console, "")


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (output("right-rule", who="network"), True),
        (output("new-rule", title="It asks a scope"), True),
        (output("new-rule", who="network", title="It asks a scope"), False),
        (output("new-rule", title="It asks a resource"), False),
        (output("known-rule", title="It asks a scope"), False),
        (output("known-rule", message="the scope is unknown"), True),
        (output("wrong-rule", message="the scope is unknown"), False),
        (Output({"connected": False, "cause": None}, "the scope is unknown", ""), False),
    ],
)
def test_a_cause_is_right_by_its_rule_or_by_party_and_words(given: Output, right: bool) -> None:
    assert judge(LABEL, given, {"known-rule"})["cause"].right is right


def test_words_have_to_stand_outside_the_list_of_exchanges() -> None:
    listed = "Refused\n   1  token-request  POST https://as.example/token 400 No such scope\n"
    assert not judge(LABEL, output("right-rule", console=listed), set())["words"].right
    assert judge(LABEL, output("right-rule", console="Refused: No  such\nscope\n" + listed), set())["words"].right


def test_a_place_in_the_summary_does_not_excuse_a_forbidden_cause() -> None:
    label = {**LABEL, "cause": {**LABEL["cause"], "place": "summary"}}
    assert judge(label, output("other-rule", console="about a scope"), set())["cause"].right
    assert not judge(label, output("wrong-rule", console="about a scope"), set())["cause"].right


def test_anything_against_a_control_is_an_alarm() -> None:
    control = {"cause": None, "control": True, "findings_not": ["loud-rule"]}
    quiet = Output({"connected": True, "cause": None, "exchanges": []}, "Connected", "")
    assert judge(control, quiet, set())["quiet"].right
    assert not judge(control, output("any-rule"), set())["quiet"].right
    finding = {"rule": "loud-rule", "severity": "warning"}
    loud = Output({"connected": True, "cause": None, "exchanges": [{"findings": [finding]}]}, "", "")
    assert not judge(control, loud, set())["quiet"].right
