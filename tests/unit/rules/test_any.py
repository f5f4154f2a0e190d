"""Networks and addresses, where a mistake would blame a healthy server."""

from __future__ import annotations

import pytest

from oauthtap.rules.any.addresses import is_internal
from tests.support.exchanges import found

DOCUMENT = "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000",
        "https://10.0.0.7/mcp",
        "http://keycloak:8080",
        "https://a.svc.cluster.local",
        "http://[::1]/x",
    ],
)
def test_internal_hosts(url: str) -> None:
    assert is_internal(url)


@pytest.mark.parametrize(
    "url", ["https://mcp.example.com", "https://8.8.8.8", "https://internal.example.com", "https://mcp.test"]
)
def test_public_hosts(url: str) -> None:
    assert not is_internal(url)


def test_a_server_on_this_machine_may_name_this_machine() -> None:
    local = """
        # mcp: http://localhost:8000/mcp
        GET http://localhost:8000/.well-known/oauth-protected-resource/mcp
        200 {"resource": "http://localhost:8000/mcp", "authorization_servers": ["http://localhost:8080/realms/a"]}
    """.replace("\n        ", "\n")
    assert not {"metadata-url-internal-host", "scheme-downgrade-behind-proxy", "tls-mcp-endpoint-plain-http"} & found(
        local
    )


def test_another_host_over_http_is_no_downgrade() -> None:
    text = f'{DOCUMENT}\n200 {{"resource": "https://mcp.example.com/mcp", "authorization_servers": ["http://as.example.net"]}}'
    assert "scheme-downgrade-behind-proxy" not in found(text)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("getaddrinfo ENOTFOUND mcp.example.com", "connection-failed"),
        ("net::ERR_CONNECTION_REFUSED", "connection-failed"),
        ("ECONNRESET during TLS handshake", "connection-failed"),
        ("unable to verify the first certificate", "tls-certificate-not-trusted"),
        ("x509: certificate signed by unknown authority", "tls-certificate-not-trusted"),
        ("UND_ERR_HEADERS_TIMEOUT", "response-timeout"),
        ("context deadline exceeded", "response-timeout"),
        ("net::ERR_CONTENT_DECODING_FAILED", "response-encoding-broken"),
    ],
)
def test_each_failure_has_one_name(words: str, rule: str) -> None:
    names = {"connection-failed", "tls-certificate-not-trusted", "response-timeout", "response-encoding-broken"}
    assert names & found(f"{DOCUMENT}\n- {words}") == {rule}


def test_a_stream_that_the_client_ends_is_no_failure() -> None:
    stream = "GET https://mcp.example.com/mcp\nAccept: text/event-stream\n- client disconnected"
    assert not {"connection-failed", "response-timeout"} & found(stream)


def test_a_closed_callback_is_not_the_server() -> None:
    text = """
        @browser
        GET https://as.example.net/authorize?response_type=code&client_id=app&state=s&redirect_uri=http://localhost:7777/cb
        302
        Location: http://localhost:7777/cb?code=made-up-code&state=s

        @browser
        GET http://localhost:7777/cb?code=made-up-code&state=s
        - connect ECONNREFUSED 127.0.0.1:7777
    """.replace("\n        ", "\n")
    assert "connection-failed" not in found(text)
