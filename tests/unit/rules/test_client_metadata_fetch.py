"""Odd cases of client metadata documents."""

from __future__ import annotations

from tests.support.exchanges import found

ASKED = """
@browser
GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com%2Fid.json&state=s1
400
"""
MISSING = """
@authorization-server
GET https://client.example.com/id.json
404
"""


def test_a_document_that_was_fetched_before_the_client_id_was_seen_counts() -> None:
    assert "cimd-document-unavailable" in found(MISSING + ASKED)


def test_a_document_not_modified_is_there() -> None:
    assert "cimd-document-unavailable" not in found(ASKED + MISSING.replace("404", "304"))


def test_an_id_that_was_registered_may_be_any_url() -> None:
    text = """
POST https://as.example.com/register {"redirect_uris": ["http://localhost:3000/callback"]}
201 {"client_id": "http://as.example.com"}

@browser
GET https://as.example.com/authorize?response_type=code&client_id=http%3A%2F%2Fas.example.com&state=s1
400
"""
    assert "cimd-client-id-format" not in found(text)


def test_a_plain_client_id_is_none_of_this() -> None:
    text = "\n@browser\nGET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1\n400\n"
    assert "cimd-client-id-format" not in found(text)
