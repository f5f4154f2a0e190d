"""Pages of the authorization server: what only looks like a fault."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found

ASK = (
    "@browser\nGET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1"
    "&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb\n"
)


def page_then_redirect(policy: str, target: str = "http://127.0.0.1:4711/cb?code=made-up&state=s1") -> set[str]:
    return found(f"""{ASK}200
Content-Type: text/html
Content-Security-Policy: {policy}
  <form method="post" action="/approve"></form>
@browser
POST https://as.example.com/approve decision=allow
303
Location: {target}""")


@pytest.mark.parametrize(
    "policy", ["default-src 'self'", "form-action *", "form-action http:", "form-action http://127.0.0.1:*",
               "form-action 'self' http://127.0.0.1:4711/other"]
)  # fmt: skip
def test_these_policies_let_the_callback_through(policy: str) -> None:
    assert "authz-csp-form-action" not in page_then_redirect(policy)


@pytest.mark.parametrize(
    "policy", ["form-action 'self'", "form-action 'none'", "form-action https:", "form-action http://127.0.0.1",
               "form-action http://localhost:4711", "form-action *, form-action 'self'", "form-action"]
)  # fmt: skip
def test_these_policies_stop_the_callback(policy: str) -> None:
    assert "authz-csp-form-action" in page_then_redirect(policy)


def test_a_redirect_the_browser_did_follow_was_not_stopped() -> None:
    rules = found(f"""{ASK}200
Content-Type: text/html
Content-Security-Policy: form-action 'self'
  <form method="post" action="/approve"></form>
@browser
POST https://as.example.com/approve decision=allow
303
Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
@browser
GET http://127.0.0.1:4711/cb?code=made-up&state=s1
200""")
    assert "authz-csp-form-action" not in rules


def test_a_login_page_that_waits_for_its_user_has_lost_nothing() -> None:
    rules = found(f"""{ASK}302
Location: https://as.example.com/login
@browser
GET https://as.example.com/login
200 <form method="post"><input name="user"></form>
@browser
POST https://as.example.com/login user=anna
302
Location: https://as.example.com/consent
@browser
GET https://as.example.com/consent
200 <button>Allow</button>""")
    assert "authz-transaction-lost" not in rules


def test_a_form_refused_for_want_of_its_cookie() -> None:
    rules = found(f"""{ASK}200 <form method="post" action="/login"></form>
Set-Cookie: txn=made-up; SameSite=Strict
@browser
POST https://as.example.com/login user=anna
Cookie: theme=dark
403 <p>Session expired</p>""")
    assert "authz-transaction-lost" in rules


def test_a_307_within_the_authorization_server_harms_nobody() -> None:
    rules = found(f"""{ASK}200 <form method="post" action="/a"></form>
@browser
POST https://as.example.com/a decision=allow
307
Location: https://as.example.com/b""")
    assert "authz-307-after-credentials" not in rules
