"""What a report by a person tells in words, and what it does not.

The step of a refusal, the client, answers without a URL.
"""

# ruff: noqa: E501  (texts are written whole)

from __future__ import annotations

import pytest

from benchmarks.pasted import stop, told
from oauthtap import formats
from oauthtap.formats.logs.client_names import client_of
from oauthtap.formats.refused_step import step_of
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording


def read(text: str) -> Recording:
    found = formats.load_recording(text)
    assert found is not None
    return found


def shown(exchange: Exchange) -> str:
    return f"{exchange.request.method} {exchange.request.path} {exchange.status or '-'}"


@pytest.mark.parametrize(
    ("step", "code", "words", "around"),
    [
        ("client-registration", "invalid_redirect_uri", "", ""),
        ("authorization-request", "invalid_redirect_uri", "", "the consent screen never comes"),
        ("authorization-request", "invalid_request", "redirect_uri is not registered", ""),
        ("client-registration", "invalid_client", "token_endpoint_auth_method has to be none", ""),
        ("client-registration", "unapproved_software_statement", "", ""),
        ("client-registration", "invalid_scope", "", "The server rejected our registration:"),
        ("token-request", "invalid_grant", "PKCE verification failed", ""),
        ("token-refresh", "invalid_grant", "", "An hour later refreshing the token fails:"),
        ("authorization-request", None, "AADSTS50011: The redirect URI does not match", ""),
        ("mcp-token-rejected", "invalid_token", "the signature is wrong", ""),
        ("mcp-challenge", "invalid_token", "Missing access token", ""),
        (None, "invalid_request", "malformed", ""),
    ],
)
def test_the_step_of_a_refusal_follows_from_code_and_words(
    step: str | None, code: str | None, words: str, around: str
) -> None:
    assert step_of(code, words, around) == step


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-ai", "I added it as a custom connector, and nothing happens."),
        ("claude-ai", "Couldn't register with Harbour's sign-in service."),
        ("cursor", "It works in VS Code, but Cursor never opens the browser."),
        ("mcp-inspector", "Inspector 0.17.2 shows this error."),
        ("gemini-cli", "Run `/mcp auth harbour` and wait."),
        ("opencode", '{"$schema": "https://opencode.ai/config.json"}\nthe status line of opencode says failed'),
        (None, "Cursor and ChatGPT both stop there."),
        (None, "It works in Codex."),
        (None, "Goose stops there, ChatGPT works."),
        (None, 'curl -d \'{"client_name": "ChatGPT"}\' https://mcp.harbour.example/register'),
    ],
)
def test_the_client_is_the_one_that_is_named_as_failing(client: str | None, text: str) -> None:
    assert client_of(text) == client


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["POST /registration-endpoint-not-shown 503"], "The registration POST got a 503, and that was it."),
        (
            ["GET /.well-known/oauth-authorization-server 200", "GET /authorize 404"],
            "Cursor cannot sign in at `https://mcp.harbour.example/mcp`. The browser shows a **404 Not Found** page.\n\n"
            "```\nhttps://id.harbour.example/authorize\n  ?response_type=code\n  &client_id=c1\n  &state=s1\n```\n\n"
            '```\n{"issuer": "https://id.harbour.example", "token_endpoint": "https://id.harbour.example/token"}\n```\n',
        ),
        (
            ["GET /.well-known/oauth-protected-resource 200", "POST /mcp 403"],
            '- `GET /.well-known/oauth-protected-resource` returns `{"resource": "https://mcp.harbour.example/mcp"}`\n\n'
            "the 403 of `POST /mcp` has no challenge\n",
        ),
        (
            ["GET /oauth/authorize 400", "GET /oauth/authorize 302"],
            "`GET /oauth/authorize` is picky:\n\n| `scope` | Result |\n| --- | --- |\n| `mcp:all` | `400` |\n| `mcp` | `302` |\n",
        ),
        (
            ["GET /.well-known/oauth-authorization-server 200"],
            "```\n$ curl -s https://harbour.example/.well-known/oauth-authorization-server | jq -r .issuer\n"
            "https://harbour.example\n```\n",
        ),
        (
            ["POST /register 201", "POST /token 400"],
            'newest entry first\n"POST /token HTTP/1.1" 400 Bad Request\n"POST /register HTTP/1.1" 201 Created\n',
        ),
        (
            ["POST /token 200"],
            "Refreshing fails in `@ai-sdk/mcp`. The raw answer:\n\naccess_token=a1&token_type=bearer\n\n"
            "request URL:\nhttps://id.harbour.example/token\n",
        ),
        (
            ["GET /oauth/client.json 404"],
            '[CIMD] rejected {"client_id":"https:\\/\\/app.harbour.example\\/oauth\\/client.json","status":404}\n',
        ),
    ],
)
def test_answers_are_read_in_the_words_that_tell_them(lines: list[str], text: str) -> None:
    assert sorted(map(shown, read(text).exchanges)) == sorted(lines)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            ["POST /token 502"],
            "2026/10/02 09:00:01 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, "
            'client: 192.0.2.7, server: harbour.example, request: "POST /token HTTP/1.1", upstream: "http://127.0.0.1:81/token"\n'
            '192.0.2.7 - - [02/Oct/2026:09:00:01 +0000] "POST /token HTTP/1.1" 502 157 "-" "python-httpx/0.28.1"\n',
        ),
        (
            ["GET /authorize -"],
            "**Current:**\n```\nhttps://mcp.harbour.example/authorize?response_type=code&client_id=c&state=s\n```\n\n"
            "**Expected:**\n```\nhttps://id.harbour.example/authorize?response_type=code&client_id=c&state=s\n```\n",
        ),
        (["POST /mcp 401"], "`POST /mcp` → 401\n\nThe token endpoint should answer with 400 here.\n"),
    ],
)
def test_what_is_told_twice_or_should_be_is_no_exchange(lines: list[str], text: str) -> None:
    assert list(map(shown, read(text).exchanges)) == lines


def test_an_authorization_request_without_its_query_is_blamed_for_nothing() -> None:
    report = told(read('"GET /authorize HTTP/1.1" 302 Found\n"POST /token HTTP/1.1" 400 Bad Request\n'))
    assert (stop(report), report.reached) == ("token-request", "token-request")
    assert not [finding for finding in report.findings if finding.rule.startswith("authz-")]
