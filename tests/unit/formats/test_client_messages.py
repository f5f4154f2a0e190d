"""A client's known message: the step at which its code says it, and what is said of a document that no answer shows."""

from __future__ import annotations

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import load_recording
from oauthtap.formats.logs import client_messages
from oauthtap.formats.logs.client_messages import KnownMessages, last_step, message_in, told_by
from oauthtap.formats.logs.statements import last_mark
from oauthtap.report.build import build
from oauthtap.report.model import Report

NO_METADATA = (
    "ModelContextProtocol.McpException: 'Failed to find .well-known/openid-configuration or "
    ".well-known/oauth-authorization-server metadata for authorization server: 'https://as.example.com/''\n"
)
CALLED_BACK = """The client never calls /token:
POST https://mcp.example.com/register -> 201
GET https://mcp.example.com/authorize?response_type=code&client_id=a&state=s1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256 -> 200
POST https://mcp.example.com/mcp -> 401 Missing Authorization header
"""  # noqa: E501


def judged(text: str) -> Report:
    recording = load_recording(text)
    assert recording is not None
    tap = SessionAnalyzer(recording.upstream)
    tap.told_step = recording.told_step
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap)


@pytest.mark.parametrize("line", [f" throw new McpException($'{NO_METADATA}')", f"` throw new E('{NO_METADATA}')`"])
def test_a_line_of_source_code_tells_no_request(line: str) -> None:
    assert message_in(NO_METADATA) is not None
    assert message_in(line) is None


def test_the_url_of_a_message_is_where_the_document_was_looked_for() -> None:
    told = told_by(NO_METADATA)
    assert told is not None
    assert (told.step, told.status, told.url) == ("as-discovery", None, "https://as.example.com")


def test_what_was_not_sent_is_the_step_and_no_request() -> None:
    line = "Error: Incompatible auth server: does not support dynamic client registration"
    assert told_by(line) is None
    assert last_step(line) == "client-registration"


def test_of_a_document_that_no_answer_shows_no_member_is_in_doubt() -> None:
    standstill = judged(NO_METADATA).standstill
    assert standstill is not None
    assert standstill.stage == "as-discovery"
    assert "member" not in standstill.unknown
    assert "curl" in standstill.where_to_look


def test_a_token_request_that_never_comes_is_a_stop_behind_the_browser() -> None:
    report = judged(CALLED_BACK)
    assert report.standstill is not None
    assert report.standstill.stage == "authorization-response"
    assert report.reached == "authorization-request"


def test_lines_that_differ_in_their_digits_are_compared_with_every_message_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(client_messages, "told_by", lambda line: looked.append(line))
    known = KnownMessages()
    for number in range(1000):
        assert known.take(f"10:22:{number} [error] worker {number} failed, cannot continue") is None
    assert len(looked) == 1


@pytest.mark.parametrize(
    "said",
    [
        "no issue with what /token returns",
        "It does not work: the answer of /token is 400",
        "A request without a token is 401",
    ],
)
def test_a_token_request_that_is_spoken_of_is_not_one_that_never_came(said: str) -> None:
    assert last_mark(said) is None


@pytest.mark.parametrize(
    "said",
    [
        "POST /token is never called",
        "no POST /token ever happens",
        "the client doesn't call /token",
        "There is no token exchange",
    ],
)
def test_a_token_request_that_never_came_is_a_stop_at_the_redirect(said: str) -> None:
    assert last_mark(said) == "authorization-response"


@pytest.mark.parametrize("code", ["invalid_client", "invalid_grant"])
def test_an_answer_of_a_token_endpoint_without_its_request_is_not_the_mcp_servers(code: str) -> None:
    recording = load_recording(f'HTTP/1.1 401 Unauthorized\ncontent-type: application/json\n\n{{"error": "{code}"}}\n')
    assert recording is None or not any(one.request.path == "/mcp" for one in recording.exchanges)


def test_a_401_without_its_request_is_the_mcp_servers() -> None:
    recording = load_recording("The client always gets\n\nHTTP/2 401\nAuthorization required\n")
    assert recording is not None
    assert [(one.request.path, one.status) for one in recording.exchanges] == [("/mcp", 401)]
