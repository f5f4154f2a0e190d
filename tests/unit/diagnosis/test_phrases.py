"""Vendors' phrases: each matches its own example, says where it is from, and nothing a server says can hold us up."""

from __future__ import annotations

import re
import time

import pytest
from pydantic import ValidationError

from oauthtap import rules
from oauthtap.diagnosis.phrases import CODES, LONGEST, fold, match_phrases, plain_subject
from oauthtap.diagnosis.subjects import meaning
from oauthtap.vendors import SUBJECTS, Phrase, read, vendors

PHRASES = [(vendor, phrase) for vendor in vendors() for phrase in vendor.phrase]
each_phrase = pytest.mark.parametrize(
    ("vendor", "phrase"), PHRASES, ids=[f"{v.slug}-{p.match[:50]}" for v, p in PHRASES]
)


@each_phrase
def test_a_phrase_matches_its_example_and_is_named_first(vendor, phrase) -> None:
    found = match_phrases(phrase.example, phrase.code)
    assert phrase in [match.phrase for match in found]
    assert found[0].subject == phrase.subject, f"{found[0].vendor}: {found[0].phrase.match}"
    if phrase.not_example:
        assert phrase not in [match.phrase for match in match_phrases(phrase.not_example, phrase.code)]


@each_phrase
def test_a_phrase_is_whole(vendor, phrase) -> None:
    assert phrase.means.endswith(".")
    assert phrase.change.endswith((".", ")"))
    assert re.match(r"https://\S+$|[\w.-]+/[\w.-]+(?:#\d+| \S)", phrase.source), phrase.source
    assert phrase.rule is None or phrase.rule in rules.load()


@each_phrase
def test_no_repetition_without_an_end_inside_another(vendor, phrase) -> None:
    """`(a+)+` takes exponential time. One that stands alone is linear on a bounded text."""
    assert not re.search(r"[+*}]\)(?:[+*]|\{\d*,\})", phrase.match)


def test_a_long_text_is_read_in_bounded_time() -> None:
    for piece in (
        "redirect_uri is ",
        "token ",
        "aud 'aud ",
        "\\u0022",
        "<p",
        "scope not ",
        "%41+error=",
        "client " * 3,
    ):
        text = (piece * 100_000)[:100_000]
        began = time.process_time()
        match_phrases(text)
        plain_subject(text)
        assert time.process_time() - began < 5, piece


def test_what_stands_last_in_a_long_text_is_read() -> None:
    text = "x" * LONGEST * 3 + " invalid_target"
    assert match_phrases(text)[0].subject == "resource"


@pytest.mark.parametrize(
    ("told", "folded"),
    [
        ('{"error":"a \\"b\\""}', "{'error':'a 'b''}"),
        (
            "error=access_denied&error_description=Not%20you%2C+Ann",
            "error=access_denied&error_description=Not you, Ann",
        ),
        ("<html><title>Just\n a moment&hellip;</title><p>Wait", "Just a moment… Wait"),
        ("the ‘client’ “x” `y`", "the 'client' 'x' 'y'"),
        ("a <mcp-url> stays", "a <mcp-url> stays"),
    ],
)
def test_a_text_is_folded(told: str, folded: str) -> None:
    assert fold(told) == folded


def test_a_recognized_vendor_comes_first_and_a_longer_wording_before_a_shorter() -> None:
    words = "Invalid redirect URI"
    for hosts, headers in (((), {"X-MS-ESTS-Server": "2.1"}), (("login.microsoftonline.com",), ())):
        found = match_phrases(f"{words}; AADSTS900144", hosts=hosts, headers=headers)
        assert found[0].phrase.vendor == "entra"
        assert found[0].recognized
    scores = [match.score for match in match_phrases("Redirect URI 'http://a' not registered for client")]
    assert len(scores) > 1
    assert scores == sorted(scores, reverse=True)


def test_a_code_counts_where_it_is_asked_for() -> None:
    assert match_phrases("session not found", "invalid_grant")[0].subject == "token-revoked"
    assert match_phrases("session not found", "invalid_request")[0].subject == "session"
    assert (
        match_phrases('{"error":"invalid_grant","error_description":"session not found"}')[0].subject == "token-revoked"
    )


def test_the_sentence_that_defines_a_code_says_no_more_than_the_code() -> None:
    defined = (
        "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token is "
        "invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was "
        "issued to another client."
    )
    assert match_phrases(defined)[0].subject == "grant"
    assert match_phrases(f"{defined} The PKCE code challenge did not match the code verifier.")[0].subject == "pkce"
    told = match_phrases("The requested scope is invalid, unknown, or malformed.", "invalid_scope")
    assert (told[0].subject, told[0].party) == ("scope", "client")
    told = match_phrases(
        "Client authentication failed (e.g., unknown client, no client authentication included, or unsupported "
        "authentication method). The OAuth 2.0 Client supports client authentication method 'none', but method "
        "'client_secret_basic' was requested."
    )
    assert told[0].subject == "client-auth"


def test_subject_and_predicate_are_of_one_clause() -> None:
    words = "Failed to exchange authorization code for tokens: Invalid response body: Premature close"
    assert match_phrases(words)[0].subject == "unreachable"


@pytest.mark.parametrize(
    ("words", "code", "subject"),
    [
        ("Callback URL mismatch for client 7", None, "redirect_uri"),
        ("scope foo unavailable for this token", None, "scope"),
        ("bad luck", "invalid_target", "resource"),
        ("bad luck", None, None),
        ("", None, None),
        ("the scope and the code_verifier", None, None),
    ],
)
def test_nouns_tell_the_subject(words: str, code: str | None, subject: str | None) -> None:
    assert plain_subject(words, code) == subject


def test_every_code_has_a_subject_of_the_list() -> None:
    assert set(CODES.values()) <= set(SUBJECTS)


def test_every_subject_has_a_meaning_and_what_to_change() -> None:
    bare = [subject for subject in SUBJECTS if subject != "discovery" and not all(meaning(subject))]
    assert bare == [], "write it into oauthtap/diagnosis/subjects.toml"


@pytest.mark.parametrize("more", ['colour = "red"', 'subject = "weather"', 'match = "(a)"', 'match = "a*"'])
def test_an_unfit_file_is_refused(more: str) -> None:
    fields = {"match": "x", "subject": "scope", "means": "m.", "change": "c.", "source": "s", "example": "x"}
    phrase = {**fields, **dict([more.replace('"', "").split(" = ")])}
    text = "name = 'V'\n[[phrase]]\n" + "\n".join(f"{key} = '{value}'" for key, value in phrase.items())
    with pytest.raises(ValidationError):
        read("v", text)
    assert Phrase(**fields)


@pytest.mark.parametrize(
    "code", ["invalid_target", "invalid_client", "invalid_grant", "invalid_scope", "invalid_token"]
)
def test_a_code_of_an_rfc_alone_names_no_vendor(code: str) -> None:
    found = match_phrases(f'{{"error":"{code}"}}')
    assert not found or found[0].phrase.is_generic
