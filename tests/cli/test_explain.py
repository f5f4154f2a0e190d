"""What an error message means: each message of a client and its meaning, and the command that tells it."""

from __future__ import annotations

import json
import re
import time
import tomllib
from typing import get_args

import pytest
from pydantic import ValidationError

from oauthtap import rules
from oauthtap.cli import main
from oauthtap.clients.messages import TOPICS, ClientMessages, PartyOrPerson, messages
from oauthtap.diagnosis.meanings import meanings_of
from oauthtap.diagnosis.neighbours import labelled
from oauthtap.diagnosis.phrases import fold
from oauthtap.diagnosis.terms import reason
from oauthtap.diagnosis.topics import TOPICS as TOPIC_OF
from oauthtap.diagnosis.topics import likely_meanings
from oauthtap.vendors import SUBJECTS, matched, pattern, vendors

MESSAGES = [(client, message) for client in messages() for message in client.message]
each_message = pytest.mark.parametrize(
    ("client", "message"), MESSAGES, ids=[f"{c.slug}-{m.match[:50]}" for c, m in MESSAGES]
)


@each_message
def test_a_message_matches_its_example_and_its_first_meaning_is_among_the_three(client, message) -> None:
    assert matched(pattern(message.match), fold(message.example))
    if message.not_example:
        assert not matched(pattern(message.match), fold(message.not_example))
    first = message.meaning[0]
    found = meanings_of(message.example)
    assert (first.subject, first.who) in [(m.subject, m.who) for m in found]


@each_message
def test_a_message_is_whole(client, message) -> None:
    known = rules.load()
    assert message.source
    assert not re.search(r"[+*}]\)(?:[+*]|\{\d*,\})", message.match)
    for meaning in message.meaning:
        assert meaning.why.endswith(".")
        assert meaning.rule is None or meaning.rule in known


def test_every_subject_has_a_topic() -> None:
    assert set(TOPIC_OF) == set(SUBJECTS)
    assert set(TOPIC_OF.values()) <= set(TOPICS)


def test_labels_are_of_known_subjects_and_parties_and_each_has_a_meaning() -> None:
    pairs = {pair for one in labelled() for pair in one.pairs}
    assert {subject for subject, _ in pairs} == set(TOPICS)
    assert {who for _, who in pairs} == set(get_args(PartyOrPerson))
    known = rules.load()
    for pair, meaning in likely_meanings().items():
        assert pair in pairs
        assert meaning.rule is None or meaning.rule in known


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Our servers could not make sense of the callback address that your program sent", "redirect_uri"),
        ("pkce: the S256 proof you sent is wrong", "pkce"),
        ("peer presented a certificate signed by an authority nobody trusts", "network"),
        ("your token came without the scope that listing files takes", "scope"),
    ],
)
def test_a_wording_nobody_has_seen_is_read_by_what_it_names(text: str, subject: str) -> None:
    assert meanings_of(text)[0].subject == subject


@pytest.mark.parametrize(
    "text", ["context length exceeded", "Unhandled promise rejection", "disk is full, no token left"]
)
def test_one_shared_word_makes_nothing_sure(text: str) -> None:
    assert not any(meaning.sure for meaning in meanings_of(text))


def test_the_reason_at_the_end_of_a_message_is_read_by_itself() -> None:
    assert reason("Token exchange failed: Server returned error response: invalid_client") == "invalid_client"
    assert reason("{'error':'invalid_request','error_description':'redirect_uri is wrong'}") == "redirect_uri is wrong"
    assert reason("expected issuer: https://a.example/v2.0/") is None


def test_what_only_resembles_a_known_message_is_called_possible(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Server said: your session key is bad, log in anew"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1. possible: ")
    assert "Try: oauthtap --upstream https://mcp.example.com/mcp" in told
    main(["explain", "redirect_uri is not registered for this client"])
    assert "possible" not in capsys.readouterr().out


def test_every_subject_that_a_phrase_leaves_open_has_somebody() -> None:
    open_ones = {p.subject: p for v in vendors() for p in v.phrase if p.party is None}
    for phrase in open_ones.values():
        assert meanings_of(phrase.example)[0].who in get_args(PartyOrPerson)


def test_what_the_server_said_counts_before_what_carries_it() -> None:
    told = (
        'Couldn\'t complete authentication for "x": SDK auth failed: Dynamic Client Registration rejected '
        '(HTTP 400): {"error":"invalid_redirect_uri","error_description":"redirect_uris must use https"}'
    )
    first = meanings_of(told)[0]
    assert (first.subject, first.who) == ("redirect_uri", "authorization-server")
    assert meanings_of("Dynamic Client Registration rejected (HTTP 400): ")[0].subject == "registration"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Redirect URI 'http://localhost:51234/callback' not registered for client",
            "redirect uri “https://claude.ai/api/mcp/auth_callback” NOT registered for client",
        ),
        (
            "AADSTS50011: The redirect URI 'http://a' specified",
            "error_description=AADSTS50011%3A+The+redirect+URI+%27http%3A%2F%2Fb%27+specified&state=1",
        ),
        (
            "Protected resource https://a/ does not match expected https://a/mcp (or origin)",
            "Error: Protected resource http://10.0.0.1:8080/x does not match\n  expected https://b.example/mcp",
        ),
        ('{"error":"invalid_target"}', '{ \\"error\\": \\"invalid_target\\" }'),
    ],
)
def test_ids_addresses_quotes_and_case_change_nothing(one: str, other: str) -> None:
    assert meanings_of(one)[0] == meanings_of(other)[0]


def test_three_meanings_differ_in_subject_or_party() -> None:
    found = meanings_of("HTTP 401")
    assert len(found) == 3
    assert len({(m.subject, m.who) for m in found}) == 3


def test_a_long_text_is_explained_in_bounded_time() -> None:
    began = time.process_time()
    meanings_of("'path': [ { token expired error 401 " * 3_000)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "more", ['colour = "red"', '[[message]]\nmatch = "x"\nexample = "x"\nsource = "s"\nmeaning = []']
)
def test_an_unfit_file_is_refused(more: str) -> None:

    with pytest.raises(ValidationError):
        ClientMessages(slug="x", **tomllib.loads(f'name = "X"\n{more}'))


def test_explain_tells_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Incompatible auth server: does not support dynamic client registration"
    assert main(["explain", text]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1. registration, the authorization server's (TypeScript SDK)")
    assert "oauthtap explain as-no-registration-path" in told
    assert "\n2. " in told
    assert main(["explain", *text.split(), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["meanings"]
    assert 1 < len(found) <= 3
    assert set(found[0]) == {"subject", "who", "why", "look", "rule", "command"}
    assert found[0]["subject"] == "registration"


def test_explain_says_what_records_the_rest_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "the weather is fine"]) == 1
    assert "Try: oauthtap --upstream" in capsys.readouterr().out
    assert main(["explain", "the weather is fine", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"meanings": []}


def test_explain_still_tells_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "prm-as-entry-is-endpoint"]) == 0
    assert capsys.readouterr().out.startswith("prm-as-entry-is-endpoint\n===")
    assert main(["explain", "prm-as-entry-is-endpont"]) == 2
    assert "did you mean prm-as-entry-is-endpoint" in capsys.readouterr().err


def test_what_is_printed_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "invalid_target \x1b[31m"])
    assert "\x1b" not in capsys.readouterr().out


def test_a_rule_is_a_json_object_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "prm-as-entry-is-endpoint", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rule"], told["severity"], told["stage"]) == ("prm-as-entry-is-endpoint", "error", "prm-discovery")
    assert all(told[name] for name in ("title", "why", "change", "bad", "good", "source_url"))


def test_what_a_description_names_comes_before_invalid_request() -> None:
    first = meanings_of('{"error":"invalid_request","error_description":"redirect_uri is not in ALLOWED_URIS"}')[0]
    assert (first.subject, first.who) == ("redirect_uri", "authorization-server")
