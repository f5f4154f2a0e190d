"""PKCE at the token endpoint: the verifier has to belong to the challenge of the same sign-in."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import TokenRequest
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import authorization_request_for, by_client, verifier_matches
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must
from oauthtap.redaction.alias_format import parse_alias
from oauthtap.rules import rule

_EXCHANGE = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.3"


@rule("token-verifier-missing", must("OAuth 2.1 draft-13 §4.1.3; RFC 7636 §4.5", _EXCHANGE), who="client")
def missing(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token request has no `code_verifier`, although a `code_challenge` was sent.

    The server stored the challenge and refuses the code without the verifier, with `invalid_grant`.

    Usual causes: the verifier was kept in memory and lost in a restart between browser
    and callback.

    Repair: Store the `code_verifier` with the state, and send it.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code=made-up-code-1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or token.grant != "authorization_code" or token.get("code_verifier"):
        return
    asked = authorization_request_for(token, so_far)
    if asked and asked.get("code_challenge"):
        yield Problem(
            message=f"`code_verifier` is absent, but exchange {asked.exchange.id} sent a `code_challenge`",
            at="request.form.code_verifier",
            expected="the verifier behind that challenge",
            actual="absent",
        )


@rule(
    "token-verifier-mismatch",
    must("OAuth 2.1 draft-13 §4.1.3; RFC 7636 §4.6", "https://www.rfc-editor.org/rfc/rfc7636.html#section-4.6"),
    who="client",
)
def mismatch(token: TokenRequest, so_far: Handshake) -> Problems:
    """`code_verifier` does not match the `code_challenge`.

    The server hashes the verifier and compares. The verifier of another attempt does not match, and
    the response is `invalid_grant`, as if the code were invalid.

    Usual causes: two attempts at once, of which the second overwrote the verifier of the
    first.

    Repair: Store one verifier per state, and look it up by the `state` of the callback.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code=made-up-code-1&code_verifier=a-made-up-verifier-of-another-sign-in-attempt
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code=made-up-code-1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = authorization_request_for(token, so_far) if by_client(token) else None
    if asked and verifier_matches(token.get("code_verifier"), asked) is False:
        digest = parse_alias(token.get("code_verifier") or "").get("s256")
        yield Problem(
            message=f"the verifier hashes to {digest}, but exchange {asked.exchange.id} promised "
            f"{asked.get('code_challenge')}",
            at="request.form.code_verifier",
            expected=asked.get("code_challenge"),
            actual=digest,
            severity="note" if token.ok else None,  # the server did not look at it: token-pkce-not-enforced
        )


@rule(
    "token-verifier-format",
    must("RFC 7636 §4.1; OAuth 2.1 draft-13 §4.1.1", "https://www.rfc-editor.org/rfc/rfc7636.html#section-4.1"),
    who="client",
    severity="warning",
)
def malformed(token: TokenRequest, so_far: Handshake) -> Problems:
    """`code_verifier` does not have the length or characters that PKCE requires.

    A verifier is 43 to 128 characters long and made of letters, digits and `-._~`. Some servers
    check this before they compare it.

    Usual causes: standard base64 with `+`, `/` and `=` where base64url was meant; too few
    random bytes.

    Repair: Make the verifier from 32 random bytes in base64url without padding.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code_verifier=made-up-too-short
        400 {"error": "invalid_request"}

    Good:
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    facts = parse_alias(token.get("code_verifier") or "") if by_client(token) else {}
    length = facts.get("length", "")
    short = length.isdecimal() and not 43 <= int(length) <= 128
    if short or facts.get("charset") == "bad":
        actual = f"{length} characters" + (", some not allowed" if facts.get("charset") == "bad" else "")
        yield Problem(
            message=f"the verifier has {actual}; it has to be 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
            at="request.form.code_verifier",
            expected="43 to 128 unreserved characters",
            actual=actual,
        )


@rule(
    "token-verifier-unexpected",
    must("OAuth 2.1 draft-13 §4.1.3; RFC 9700 §4.8.2", _EXCHANGE),
    who="client",
    severity="warning",
)
def unexpected(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token request has a `code_verifier`, but no `code_challenge` was sent.

    To a server this looks like a PKCE downgrade attack, in which the challenge was removed. A
    careful server refuses the exchange. Usual causes: authorization request and token request are
    built by separate code; a page in between that drops parameters.

    Repair: Send `code_challenge` with the authorization request, or no verifier at all.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token
          grant_type=authorization_code&client_id=c1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or not token.get("code_verifier"):
        return
    asked = authorization_request_for(token, so_far)
    if asked is None or asked.get("code_challenge") or asked.get("request"):
        return
    if first_value(asked.request.query, "request_uri") is None or asked.pushed:
        yield Problem(
            message=f"`code_verifier` is sent, but exchange {asked.exchange.id} had no `code_challenge`",
            at="request.form.code_verifier",
            expected="absent, or a challenge before it",
            actual="present",
        )


@rule(
    "token-pkce-not-enforced",
    must("OAuth 2.1 draft-13 §4.1.3; RFC 7636 §4.6; RFC 9700 §4.8.2", _EXCHANGE),
    who="authorization-server",
    stops_only_at=(),
)
def not_enforced(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token endpoint does not enforce PKCE: it accepts a missing or wrong `code_verifier`.

    Then a stolen code can be redeemed, which PKCE has to prevent. Usual causes: the challenge is
    stored but never compared.

    Repair: Compare the hashed verifier with the stored challenge; answer `invalid_grant` when they differ.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        400 {"error": "invalid_grant"}
    """
    if token.grant != "authorization_code" or not token.get("code") or not token.access_token:
        return
    asked = authorization_request_for(token, so_far)
    if asked is None or not asked.get("code_challenge"):
        return
    verifier = token.get("code_verifier")
    if not verifier or verifier_matches(verifier, asked) is False:
        yield Problem(
            message=f"a token was given for a verifier that is {'wrong' if verifier else 'absent'}; exchange "
            f"{asked.exchange.id} had a `code_challenge`",
            at="response.status",
            expected="400 invalid_grant",
            actual=f"{token.status} with an access token",
        )
