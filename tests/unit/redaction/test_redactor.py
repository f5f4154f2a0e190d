"""Secrets: learned in their place, gone from everywhere, and what is needed of them still told."""

# ruff: noqa: E501  (exchanges are written whole)

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.redaction import matcher as known_secrets
from oauthtap.redaction import prose, secret_locations
from oauthtap.redaction.alias_format import claims, jose_header, parse_alias
from oauthtap.redaction.matcher import SecretMatcher
from oauthtap.redaction.redactor import Redactor

CANARY = "c4nary/Tok+en-9f8e7d6c5b4a"
"""Holds characters that URLs, JSON, HTML and base64 each write in their own way."""
PLAIN = "c4naryTokenOf32Characters_abcdef"


def struck(text: str, redactor: Redactor | None = None) -> list[Exchange]:
    redactor = redactor or Redactor()
    return [redactor.redact(exchange) for exchange in notation.parse(text)]


def everything(exchanges: list[Exchange]) -> str:
    return json.dumps([exchange.model_dump() for exchange in exchanges], ensure_ascii=False)


FORMS = [
    *(
        "access_token",
        "refresh_token",
        "id_token",
        "code",
        "code_verifier",
        "client_secret",
        "registration_access_token",
    ),
    *("assertion", "client_assertion", "subject_token", "actor_token", "device_code", "user_code", "password"),
    *("request_uri", "id_token_hint", "api_key", "token"),
]
MEMBERS = [name for name in FORMS if name != "code"]
HEADERS = ["Authorization: Bearer {}", "Authorization: DPoP {}", "Authorization: Token {}", "Authorization: {}",
           "Proxy-Authorization: Bearer {}", "X-API-Key: {}", "Cookie: theme=dark; sid={}", "DPoP: {}",
           "X-Auth-Token: {}", "X-Amz-Security-Token: {}", "Private-Token: {}",
           "X-Forwarded-Authorization: Bearer {}"]  # fmt: skip

PLACES = {
    **{f"form {name}": f"POST https://as.example/token\n  grant_type=x&{name}=@url@" for name in FORMS},
    **{f"query {name}": f"GET https://as.example/x?a=b&{name}=@url@&c=d" for name in FORMS},
    **{
        f"fragment {name}": f"GET https://c.example/cb\n302\nLocation: https://c.example/#{name}=@url@"
        for name in FORMS
    },
    **{f"member {name}": f'POST https://as.example/t\n200 {{"a": 1, "{name}": "@json@"}}' for name in MEMBERS},
    **{f"header {line}": f"GET https://mcp.example.com/mcp\n{line.format('@raw@')}" for line in HEADERS},
    "set-cookie": "GET https://as.example/\n200\nSet-Cookie: sid=@raw@; Path=/; HttpOnly",
    "location": "GET https://as.example/authorize?x=1\n302\nLocation: http://localhost:1/callback?code=@url@&state=s",
    "referer": "GET https://c.example/style.css\nReferer: https://c.example/callback?code=@url@",
    "json request to the token endpoint": 'POST https://as.example/token\n  {"grant_type":"x","code":"@json@"}',
    "json in json": 'POST https://as.example/t\n200 {"text": "{\\"access_token\\":\\"@plain@\\"}"}',
    "form post page": 'GET https://as.example/a\n200 text/html <form><input type="hidden" name="code" value="@html@"></form>',
    "form post page, value first": "GET https://as.example/a\n200 text/html <input value='@html@' name='id_token'>",
    "link in a page": 'GET https://as.example/a\n200 text/html <a href="/cb?state=1&amp;code=@url@">on</a>',
    "url in json": 'POST https://as.example/consent\n200 {"redirect": "http://localhost:1/cb?code=@url@\\u0026state=1"}',
    "url in a url": "GET https://as.example/login?next=http%3A%2F%2Fc.example%2Fcb%3Fcode%3D@url@%26state%3D1",
    "pushed request": 'POST https://as.example/par\n201 {"request_uri": "urn:ietf:params:oauth:request_uri:@json@"}',
    "event stream": 'POST https://mcp.example.com/mcp\n200 text/event-stream data: {"access_token": "@json@"}',
    "cut off json": 'POST https://as.example/token\n200 {"access_token": "@json@',
    "form answer": "POST https://as.example/token\n200 text/plain access_token=@url@&token_type=bearer",
}


@pytest.mark.parametrize("secret", [CANARY, PLAIN], ids=["awkward", "plain"])
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_gone_from_its_place(place: str, secret: str) -> None:
    template = PLACES[place]
    if "@plain@" in template:
        secret = PLAIN
    ways = {
        "raw": secret,
        "url": quote(secret, safe=""),
        "json": json.dumps(secret)[1:-1],
        "html": html.escape(secret),
        "plain": secret,
    }
    text = template
    for way, written in ways.items():
        text = text.replace(f"@{way}@", written)
    after = everything(struck(text))
    assert secret not in after
    assert quote(secret, safe="") not in after
    assert "‹" in after


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as is": lambda s: s,
    "url": lambda s: quote(s, safe=""),
    "url, lower case": lambda s: quote(s, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "url twice": lambda s: quote(quote(s, safe=""), safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 of a sentence": lambda s: base64.b64encode(f"the token {s} is wrong".encode()).decode(),
    "base64 of another sentence": lambda s: base64.urlsafe_b64encode(f"token {s}!".encode()).decode(),
    "json": lambda s: json.dumps({"detail": s}).replace("/", "\\/"),
    "json in json": lambda s: json.dumps(json.dumps({"detail": s})),
    "unicode escapes": lambda s: s.replace("+", "\\u002b").replace("/", "\\u002F"),
    "html": lambda s: html.escape(s),
    "html, numeric": lambda s: s.replace("+", "&#43;").replace("/", "&#x2F;"),
}


@pytest.mark.parametrize("secret", [CANARY, PLAIN, "p@ss w0rd<&>'\"x", "ümläute-gehören-dazu"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_seen_once_is_found_in_every_encoding(encoding: str, secret: str) -> None:
    redactor = Redactor()
    redactor.redact(
        Exchange(request=Request(method="POST", url="https://as.example/t", body=f"password={quote(secret, safe='')}"))
    )
    written = ENCODINGS[encoding](secret)
    echo = f"before {written} after"
    assert written not in redactor.redact_known(echo)
    assert redactor.redact_known(echo).startswith("before ")
    assert redactor.redact_known(echo).endswith(" after")
    assert written.encode() not in redactor.redact_known_bytes(echo.encode())


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40)


@given(SECRETS, st.sampled_from(sorted(ENCODINGS)))
def test_any_secret_is_found_in_any_encoding(secret: str, encoding: str) -> None:
    known = SecretMatcher()
    known.add(secret, "‹token 1›")
    written = ENCODINGS[encoding](secret)
    echo = f"<{written}>"
    assert written not in known.strike(echo, known.within(echo))


@given(st.lists(SECRETS, min_size=1, max_size=4), st.sampled_from(sorted(ENCODINGS)), st.text(max_size=30))
def test_many_secrets_are_found_as_few_are(secrets: list[str], encoding: str, around: str) -> None:
    few, many = SecretMatcher(), SecretMatcher()
    for number, secret in enumerate(secrets):
        few.add(secret, f"‹{number}›")
        many.add(secret, f"‹{number}›")
    for number in range(known_secrets._FEW):
        many.add(f"entirely-another-{number:04}-zq", "‹other›")
    assert len(few._anchors) <= known_secrets._FEW < len(many._anchors)
    text = around + ENCODINGS[encoding](secrets[0]) + around
    assert set(few.within(text)) == set(many.within(text))
    assert many.strike(text, many.within(text)) == few.strike(text, few.within(text))


def test_the_answer_of_the_same_exchange_is_swept_too() -> None:
    [exchange] = struck(f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {PLAIN}\n401 text/plain bad {PLAIN}!")
    assert exchange.response is not None
    assert exchange.response.body == "bad ‹token 1›!"


def test_a_page_that_echoes_a_secret_of_an_earlier_exchange_is_swept() -> None:
    first, second = struck(
        f"POST https://as.example/token\n  grant_type=authorization_code&code={quote(CANARY, safe='')}\n"
        f"400\n\nGET https://as.example/error/{quote(CANARY, safe='')}\n404 text/html <p>{html.escape(CANARY)}</p>"
    )
    assert first.request.form == (("grant_type", "authorization_code"), ("code", "‹code 1›"))
    assert second.request.url == "https://as.example/error/‹code+1›"
    assert second.response is not None
    assert second.response.body == "<p>‹code 1›</p>"


def test_the_beginning_of_a_secret_at_a_cut_is_struck() -> None:
    redactor = Redactor()
    struck(f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {PLAIN}", redactor)
    cut = Response(status=200, body=f"data: {PLAIN[:20]}", truncated=True)
    exchange = redactor.redact(Exchange(request=Request(method="GET", url="https://mcp.example.com/mcp"), response=cut))
    assert exchange.response is not None
    assert exchange.response.body == "data: …"


def test_equal_secrets_have_equal_aliases_and_others_do_not() -> None:
    issued, used, other = struck(
        f'POST https://as.example/token\n200 {{"access_token": "{PLAIN}"}}\n\n'
        f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {PLAIN}\n\n"
        f"GET https://mcp.example.com/mcp\nAuthorization: Bearer other-{PLAIN[:12]}"
    )
    assert issued.response is not None
    assert used.request.header("authorization") == f"Bearer {issued.response.json_object['access_token']}"
    assert other.request.header("authorization") == "Bearer ‹token 2›"


def test_a_code_keeps_its_alias_from_redirect_to_token_request() -> None:
    redirect, request = struck(
        f"@browser\nGET https://as.example/a?client_id=x\n302\nLocation: http://localhost:1/cb?code={quote(CANARY)}&state=s\n\n"
        f"POST https://as.example/token\n  grant_type=authorization_code&code={quote(CANARY, safe='')}"
    )
    assert redirect.response is not None
    target = Request(method="GET", url=redirect.response.header("location") or "")
    assert dict(target.query)["code"] == dict(request.request.form)["code"] == "‹code 1›"
    assert dict(target.query)["state"] == "s"


def test_a_url_that_was_typed_looks_like_those_on_the_wire() -> None:
    redactor = Redactor()
    typed = redactor.strike_url("https://mcp.example.com/mcp?api_key=c4nary-0123456789&v=1")
    [exchange] = struck("POST https://mcp.example.com/mcp?api_key=c4nary-0123456789&v=1", redactor)
    assert typed == exchange.request.url == "https://mcp.example.com/mcp?api_key=‹key+1›&v=1"


def test_a_path_and_the_redirect_to_it_stay_equal() -> None:
    uid = "V1StGXR8Z5jdHi6BmyT0"
    first, second = struck(
        f"GET https://as.example/auth\n302\nLocation: /interaction/{uid}\nSet-Cookie: _i={uid}; Path=/\n\n"
        f"GET https://as.example/interaction/{uid}\nCookie: _i={uid}"
    )
    assert first.response is not None
    assert second.request.path == first.response.header("location")


# --- what is no secret


@pytest.mark.parametrize(
    "text",
    [
        'POST https://mcp.example.com/mcp\n200 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}',
        'POST https://as.example/token\n400 {"code": "invalid_request", "error": "invalid_request"}',
        'POST https://as.example/register\n400 {"code": "authentication_required_error", "token": "required"}',
        'GET https://as.example/.well-known/oauth-authorization-server\n200 {"grant_types_supported": ["password", "refresh_token"]}',
        'POST https://mcp.example.com/mcp\n200 {"result": {"tools": [{"name": "t", "inputSchema": {"token": {"type": "string"}}}]}}',
        "GET https://mcp.example.com/mcp\nMcp-Session-Id: 8e1c2f5a-9d4b\n200",
        "GET https://as.example/a?state=Zk3mQ9xWv2&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&nonce=n-0S6_WzA2Mj",
        "GET https://mcp.example.com/mcp\nAuthorization: Bearer undefined",
        "GET https://mcp.example.com/mcp\nAuthorization: Bearer ${MCP_TOKEN}",
        "GET https://mcp.example.com/mcp\nAuthorization: Bearer",
        "POST https://as.example/token\n  grant_type=authorization_code&client_secret=&code=",
        "GET https://as.example/a?request_uri=https://client.example/request.jwt",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    for before in notation.parse(text):
        assert Redactor().redact(before) is before


def test_short_values_are_struck_in_their_place_only() -> None:
    [exchange] = struck("POST https://as.example/token\n  code=1234&x=1234\n400 text/plain HTTP error 1234")
    assert exchange.request.body == "code=‹code+1›&x=1234"
    assert exchange.response is not None
    assert exchange.response.body == "HTTP error 1234"


def test_a_cookie_that_repeats_the_state_leaves_the_state_alone() -> None:
    [first, second] = struck(
        "GET https://as.example/a?client_id=x&state=Zk3mQ9xWv2LpT7yR\n302\n\n"
        "POST https://as.example/consent\n302\nSet-Cookie: s=Zk3mQ9xWv2LpT7yR\n"
        "Location: http://localhost:1/cb?code=abcdefghijkl&state=Zk3mQ9xWv2LpT7yR"
    )
    assert dict(first.request.query)["state"] == "Zk3mQ9xWv2LpT7yR"
    assert second.response is not None
    assert second.response.header("set-cookie") == "s=‹cookie 1›"
    assert (second.response.header("location") or "").endswith("state=Zk3mQ9xWv2LpT7yR")


def test_a_jwt_that_is_meant_to_be_read_stays() -> None:
    document = jwt.encode({"iss": "https://as.example"}, "k" * 32)
    client_id = jwt.encode({"redirect_uris": []}, "k" * 32)
    before = Exchange(
        request=Request(method="GET", url=f"https://as.example/a?client_id={client_id}"),
        response=Response(status=200, body=json.dumps({"signed_metadata": document, "client_id": client_id})),
    )
    assert Redactor().redact(before) is before


# --- what an alias tells


def test_a_verifier_tells_its_length_and_digest() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    [exchange] = struck(f"POST https://as.example/token\n  code_verifier={verifier}")
    facts = parse_alias(dict(exchange.request.form)["code_verifier"])
    assert facts["length"] == "43"
    assert facts["s256"] == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert "charset" not in facts


def test_a_verifier_of_forbidden_characters_says_so() -> None:
    [exchange] = struck("POST https://as.example/token\n  code_verifier=" + quote("a+b/" * 12, safe=""))
    assert parse_alias(dict(exchange.request.form)["code_verifier"])["charset"] == "bad"


def test_a_plain_challenge_is_the_verifier() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    first, second = struck(
        f"GET https://as.example/a?code_challenge={verifier}&code_challenge_method=plain\n302\n\n"
        f"POST https://as.example/token\n  code_verifier={verifier}"
    )
    assert dict(first.request.query)["code_challenge"] == dict(second.request.form)["code_verifier"]
    assert verifier not in everything([first, second])


def test_a_jwt_keeps_header_and_claims_but_not_its_signature() -> None:
    token = jwt.encode({"aud": ["https://mcp.example.com"], "exp": 5, "x": "›\u203a"}, "k" * 32, headers={"kid": "k1"})
    [exchange] = struck(f'POST https://as.example/token\n200 {{"access_token": "{token}"}}')
    assert exchange.response is not None
    alias = exchange.response.json_object["access_token"]
    assert claims(alias) == claims(token) == {"aud": ["https://mcp.example.com"], "exp": 5, "x": "››"}
    assert jose_header(alias) == jose_header(token) == {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    assert not any(part in everything([exchange]) for part in token.split("."))


def test_an_encrypted_token_has_a_header_and_no_claims() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"dir","enc":"A256GCM"}').decode().rstrip("=")
    token = f"{header}..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ"
    [exchange] = struck(f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {token}")
    alias = (exchange.request.header("authorization") or "").removeprefix("Bearer ")
    assert jose_header(alias) == {"alg": "dir", "enc": "A256GCM"}
    assert claims(alias) is None
    assert claims(token) is None


def test_secrets_inside_claims_are_struck() -> None:
    inner = "inner-s3cret-0123456789"
    token = jwt.encode({"access_token": inner, "note": f"token is {PLAIN}", "aud": "a"}, "k" * 32)
    _, exchange = struck(
        f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {PLAIN}\n\n"
        f'POST https://as.example/token\n200 {{"id_token": "{token}"}}'
    )
    assert exchange.response is not None
    told = claims(exchange.response.json_object["id_token"])
    assert told == {"access_token": "(token 3)", "note": "token is (token 1)", "aud": "a"}
    assert inner not in everything([exchange])


def test_persons_stay_unless_told_otherwise() -> None:
    token = jwt.encode(
        {"email": "ada@example.com", "name": "Ada Lovelace", "sub": "user-0815-abc", "aud": "a"}, "k" * 32
    )
    text = f'POST https://as.example/token\n200 {{"id_token": "{token}"}}\n\nGET https://as.example/hello\n200 text/plain Hello Ada Lovelace'  # fmt: skip
    assert "Ada Lovelace" in everything(struck(text))
    after = struck(text, Redactor(claims=True))
    assert not [word for word in ("ada@", "Ada", "0815") if word in everything(after)]
    assert after[0].response is not None
    assert (claims(after[0].response.json_object["id_token"]) or {})["aud"] == "a"


@pytest.mark.parametrize(
    ("credentials", "facts"),
    [
        ("client-1:s3cret-0123456", {"client_id": "client-1", "secret": "1", "encoded": "plain"}),
        ("client-1:", {"client_id": "client-1", "secret": "empty", "encoded": "plain"}),
        ("https://c.example/id:s3cret-0123456", {"client_id": "https", "encoded": "no"}),
        ("app%2F1:s3cret%2F0123456", {"client_id": "app%2F1", "encoded": "yes"}),
        ("app/1:s3cret-0123456", {"client_id": "app/1", "encoded": "no"}),
    ],
)
def test_basic_tells_client_and_encoding(credentials: str, facts: dict[str, str]) -> None:
    header = base64.b64encode(credentials.encode()).decode()
    [exchange] = struck(
        f"POST https://as.example/token\nAuthorization: Basic {header}\n  grant_type=client_credentials"
    )
    scheme, _, alias = (exchange.request.header("authorization") or "").partition(" ")
    assert scheme == "Basic"
    assert facts.items() <= parse_alias(alias).items()
    assert "s3cret" not in everything([exchange])


def test_the_secret_in_basic_is_the_one_that_was_registered() -> None:
    header = base64.b64encode(b"client-1:s3cret%2F0123456").decode()
    registered, used = struck(
        'POST https://as.example/register\n201 {"client_id": "client-1", "client_secret": "s3cret/0123456"}\n\n'
        f"POST https://as.example/token\nAuthorization: Basic {header}\n  grant_type=client_credentials"
    )
    assert registered.response is not None
    number = parse_alias(registered.response.json_object["client_secret"])["number"]
    assert parse_alias((used.request.header("authorization") or "").removeprefix("Basic "))["secret"] == number


def test_a_key_as_the_user_of_basic_is_a_secret() -> None:
    header = base64.b64encode(b"sk_live_0123456789:").decode()
    [exchange] = struck(
        f"GET https://mcp.example.com/mcp\nAuthorization: Basic {header}\n401 text/plain sk_live_0123456789"
    )
    assert "sk_live" not in everything([exchange])


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("Bearer Bearer c4nary-0123456789", "Bearer Bearer ‹token 1›"),
        ("Bearer: c4nary-0123456789", "Bearer: ‹token 1›"),
        ('Bearer "c4nary-0123456789"', 'Bearer "‹token 1›"'),
        ("Bearer c4nary 0123456789", "Bearer ‹token 1 charset=bad›"),
        ("bearer c4nary-0123456789", "bearer ‹token 1›"),
        ("c4nary-0123456789", "‹token 1›"),
        ("Bearer c4nary-0123456789, Bearer c4nary-9876543210", "Bearer ‹token 1›, Bearer ‹token 2›"),
        ("Bearer " + "c4nary-0123456789" * 300, "Bearer ‹token 1 length=5100›"),
    ],
)
def test_what_is_odd_about_a_header_stays_visible(header: str, after: str) -> None:
    [exchange] = struck(f"GET https://mcp.example.com/mcp\nAuthorization: {header}")
    assert exchange.request.header("authorization") == after


def test_a_pushed_request_uri_keeps_its_prefix() -> None:
    urn = "urn:ietf:params:oauth:request_uri:"
    pushed, used = struck(
        f'POST https://as.example/par\n201 {{"request_uri": "{urn}{PLAIN}"}}\n\n'
        f"GET https://as.example/authorize?client_id=x&request_uri={quote(urn + PLAIN)}"
    )
    assert pushed.response is not None
    assert pushed.response.json_object["request_uri"] == dict(used.request.query)["request_uri"] == f"{urn}‹request 1›"


# --- once more


SESSION = f"""\
POST https://mcp.example.com/mcp
Authorization: Bearer {jwt.encode({"aud": "a", "jti": "j"}, "k" * 32)}
Cookie: a=1; sid="{PLAIN}"
401 {{"detail": "{PLAIN}"}}

POST https://as.example/token
Authorization: Basic {base64.b64encode(b"c:s3cret-0123456").decode()}
  grant_type=authorization_code&code={quote(CANARY, safe="")}&code_verifier={"v" * 43}
200 {{"access_token": "{CANARY}2", "refresh_token": "{PLAIN}3", "id_token": "{jwt.encode({"nonce": "n"}, "k" * 32)}"}}

GET https://as.example/cb?code={quote(CANARY, safe="")}&state=s#access_token=abcdefgh12345678
200 text/html <input name="code" value="{html.escape(CANARY)}"> <a href="/x?token=abcdefgh12345678">
"""


def test_striking_twice_changes_nothing() -> None:
    redactor = Redactor()
    once = struck(SESSION, redactor)
    for exchange in once:
        assert Redactor().redact(exchange) is exchange
        assert redactor.redact(exchange) is exchange


def test_numbers_go_on_behind_those_already_given() -> None:
    redactor = Redactor()
    struck("GET https://mcp.example.com/mcp\nAuthorization: Bearer ‹token 7›", redactor)
    [exchange] = struck(f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {PLAIN}", redactor)
    assert exchange.request.header("authorization") == "Bearer ‹token 8›"


def test_nothing_computed_from_the_unstruck_text_survives() -> None:
    [before] = notation.parse(f'POST https://as.example/token\n  code={PLAIN}\n200 {{"access_token": "{PLAIN}"}}')
    assert before.response is not None
    assert before.response.json_object
    assert before.request.form
    after = Redactor().redact(before)
    assert after.response is not None
    assert PLAIN not in str((after.response.json_object, after.request.form, vars(after.response), vars(after.request)))


def test_the_secrets_are_listed_for_proving_that_none_is_left() -> None:
    redactor = Redactor()
    after = everything(struck(SESSION, redactor))
    assert len(redactor.secrets) >= 7
    assert not [secret for secret in redactor.secrets if secret in after]


@pytest.mark.parametrize(
    "body",
    [
        "<input " * 40_000,
        "\\" * 300_000 + '"',
        '{"token":"' * 20_000,
        "ey" * 200_000,
        "%3Fcode%3D" * 20_000,
        "[" * 100_000,
    ],
    ids=["inputs", "backslashes", "members", "ey", "nested", "brackets"],
)
def test_hostile_bodies_cost_no_more_than_their_length(body: str) -> None:
    redactor = Redactor()
    struck(f"GET https://mcp.example.com/mcp\nAuthorization: Bearer {quote(CANARY)}", redactor)
    begin = time.monotonic()
    redactor.redact(
        Exchange(request=Request(method="POST", url="https://x.example"), response=Response(status=200, body=body))
    )
    assert time.monotonic() - begin < 10


def test_a_digest_is_what_the_specification_says() -> None:
    verifier = "a" * 128
    [exchange] = struck(f"POST https://as.example/token\n  code_verifier={verifier}")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert parse_alias(dict(exchange.request.form)["code_verifier"])["s256"] == digest


# --- by name in any form, and what only has the word in it


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ('{"pin": 483920}', '{"pin": "‹password 1›"}'),
        ('{"api_keys": ["aaaa1111bbbb", "cccc2222dddd"]}', '{"api_keys": ["‹key 1›", "‹key 2›"]}'),
        ('{"credentials": {"user": "ada", "pass": "h0rse-st4ple"}}', '{"credentials": {"user": "ada", "pass": "‹'),
        ('{"text": "{\\"dbPassword\\": \\"h0rse-st4ple\\"}"}', '{"text": "{\\"dbPassword\\": \\"‹password 1›\\"}"}'),
        ('{"db_\\u0070assword": "h0rse-st4ple"}', '{"db_\\u0070assword": "‹password 1›"}'),
        ("password: h0rse-st4ple\nport: 80", "password: ‹password 1›\nport: 80"),
        (
            "<wsse:Password Type='x'>h0rse-st4ple</wsse:Password>",
            "<wsse:Password Type='x'>‹password 1›</wsse:Password>",
        ),
        ("at postgres://app:h0rse-st4ple@db:5432/x", "at postgres://‹userinfo-1›@db:5432/x"),
        ("X-Api-Key: h0rse-st4ple!", "X-Api-Key: ‹key 1›!"),
    ],
)
def test_a_name_is_known_in_any_notation(body: str, after: str) -> None:
    exchange = Exchange(
        request=Request(method="GET", url="https://a.example/"), response=Response(status=200, body=body)
    )
    response = Redactor().redact(exchange).response
    assert response is not None
    assert (response.body or "").startswith(after)


@pytest.mark.parametrize(
    "body",
    [
        '{"token_type": "Bearer", "expires_in": 3600, "scope": "mcp:read", "client_id": "abc-123-def-456-ghi"}',
        '{"token_endpoint": "https://as.example/t0ken/v1", "token_endpoint_auth_methods_supported": ["private_key_jwt"]}',
        '{"error": "invalid_token", "error_description": "Password: must have 8 characters, token: expired"}',
        '{"usage": {"input_tokens": 123456, "max_tokens": 4096}, "_meta": {"progressToken": 1234567}}',
        '{"inputSchema": {"properties": {"password": {"type": "string", "description": "The password-v2"}}}}',
        '{"password": "required", "secret": "missing", "deploy_key": "invalid_api_key"}',
        '{"password": ["must be longer than 12 characters"]}',
        '{"key": "PROJ-1234", "sort_key": "name", "public_key": "AAAAB3NzaC1yc2EAAAADAQ", "nextPageToken": "CAUQAA12345"}',
        '{"keys": [{"kty": "RSA", "kid": "k1-0123456789abcdef", "n": "AQABAQABAQAB1234", "e": "AQAB", "use": "sig"}]}',
        "Bearer authentication is required. Basic realm=oauth2",
        "session: started, cookie: none, key: value",
    ],
)
def test_words_about_secrets_stay(body: str) -> None:
    before = Exchange(request=Request(method="GET", url="https://a.example/"), response=Response(status=200, body=body))
    assert Redactor().redact(before) is before


def test_a_path_that_nobody_chose_is_one_alias_wherever_it_stands() -> None:
    secret = "Zk3mQ9xWv2LpT7yRb4Nc8Hd1"
    redactor = Redactor()
    typed = redactor.strike_url(f"https://mcp.example.com/s/{secret}/mcp")
    asked, found = struck(
        f"POST https://mcp.example.com/s/{secret}/mcp\n401\n\n"
        f"GET https://mcp.example.com/.well-known/oauth-protected-resource/s/{secret}/mcp\n"
        f'200 {{"resource": "https://mcp.example.com/s/{secret}/mcp", "authorization_servers": ["https://a.example"]}}',
        redactor,
    )
    assert found.response is not None
    assert (
        typed == asked.request.url == found.response.json_object["resource"] == "https://mcp.example.com/s/‹path-1›/mcp"
    )
    assert found.request.path == "/.well-known/oauth-protected-resource/s/‹path-1›/mcp"


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example/550e8400-e29b-41d4-a716-446655440000/v2.0/authorize",
        "https://mcp.example.com/.well-known/oauth-protected-resource/2025-06-18/mcp",
        "https://mcp.example.com/a-long-name-of-a-server-with-words/mcp",
        "https://mcp.example.com/messages/?session_id=8e1c2f5a9d4b4c0f8e1c2f5a9d4b4c0f",
    ],
)
def test_a_path_of_words_or_of_a_tenant_stays(url: str) -> None:
    assert Redactor().strike_url(url) == url


def test_where_an_authorization_server_lives_is_public() -> None:
    issuer = "https://api.descope.example/P2abc9DEf7ghI5jklM3nOp1Q"
    first, second = struck(
        "GET https://mcp.example.com/.well-known/oauth-protected-resource\n"
        f'200 {{"resource": "https://mcp.example.com/mcp", "authorization_servers": ["{issuer}"]}}\n\n'
        f"GET {issuer}/.well-known/oauth-authorization-server\n404"
    )
    assert second.request.url.startswith(issuer)
    assert first.response is not None
    assert first.response.json_object["authorization_servers"] == [issuer]


def test_what_was_issued_as_a_secret_is_one_though_it_equals_a_state() -> None:
    secret = "Zk3mQ9xWv2LpT7yR"
    _, _, third = struck(
        f"GET https://as.example/a?client_id=x&state={secret}\n302\n\n"
        f'POST https://as.example/token\n200 {{"access_token": "{secret}"}}\n\n'
        f"GET https://as.example/hello\n200 text/plain it was {secret}!"
    )
    assert third.response is not None
    assert third.response.body == "it was ‹token 1›!"


def test_an_ordinary_exchange_is_struck_in_a_millisecond() -> None:
    exchanges = list(notation.parse(SESSION))
    Redactor().redact(exchanges[0])
    costs = []
    for _ in range(20):
        redactor = Redactor()
        begin = time.process_time()
        for exchange in exchanges:
            redactor.redact(exchange)
        costs.append((time.process_time() - begin) / len(exchanges))
    assert min(costs) < 0.002


def test_an_alias_of_an_earlier_recording_stays_in_json_that_writes_ascii_only() -> None:
    alias = '‹token 1 {"alg": "RS256"} {"iss": "https://as.example.com"}›'
    body = json.dumps({"access_token": alias, "token_type": "Bearer"}, ensure_ascii=True)
    request = Request(method="POST", url="https://as.example.com/token", body="grant_type=authorization_code")
    struck = Redactor().redact(Exchange(request=request, response=Response(status=200, body=body)))
    assert struck.response is not None
    assert struck.response.json_object["access_token"] == alias


HOSTILE = (
    "token=", "\\", "-----BEGIN PRIVATE KEY-----", '"name":"token","value":', '"token": {', '"token":[', 'token:{"', "<input name=token ",
    "Digest response=", "identified by ", "https://a/b1c2d3e4f5g6h7i8j9k0l1/", "password is ", "data: ", "%25", "eyJhbGciOiJI.", "‹",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_longer_the_longer_it_is(piece: str) -> None:
    """Each took the square of its length once: an upstream could hold up everybody else."""
    body, value = piece * (20_000 // len(piece)), piece * (10_000 // len(piece))
    headers = (("Set-Cookie", value), ("X-A", value), ("Content-Type", "multipart/form-data; boundary=b"))
    exchange = Exchange(
        request=Request(method="POST", url=f"https://a.example/?{value}", headers=headers, body=body),
        response=Response(status=200, headers=headers, body=json.dumps({"a": body})),
    )
    began = time.process_time()
    Redactor(claims=piece == "‹").redact(exchange)
    assert time.process_time() - began < 2


def test_a_hint_is_found_beside_words_that_have_none() -> None:
    plain = "rain until the evening"
    for text in (plain, plain):
        assert not secret_locations.may_hold_a_name(text)
    for word in ("Token", "PASSWORT", "heslo", "api_key=1"):
        assert secret_locations.may_hold_a_name(f"{plain} {word}")
        assert secret_locations.may_hold_a_name(f"{plain} {word}")


@pytest.mark.parametrize("word", prose._IN_ASCII)
def test_what_another_language_calls_a_password_has_a_hint(word: str) -> None:
    assert secret_locations.may_hold_a_name(f"{word}: s3cretvalue9")
    assert "s3cretvalue9" not in Redactor().redact_text(f"{word}: s3cretvalue9")
