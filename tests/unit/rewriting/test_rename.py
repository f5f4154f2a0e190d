"""Renaming in both directions: exactly the places that tell a client where to go, and no byte beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthtap.model import json_edit
from oauthtap.model.exchange import Request, Response
from oauthtap.model.sse import KEPT, BoundedCapture, SseRewriter
from oauthtap.rewriting import limits, requests, responses
from oauthtap.rewriting.callback_relay import Relay, restored
from oauthtap.rewriting.origins import Origins
from oauthtap.rewriting.responses import DocumentKind

UP, AS = "https://mcp.example.com", "https://as.example.com"
HERE, THERE = "http://localhost:8080", "http://localhost:8081"
ORIGINS = Origins({UP: 8080, AS: 8081})
CLIENT = "http://127.0.0.1:33111/callback"


def body(kind: DocumentKind, text: str) -> str:
    return responses.body(text, kind, ORIGINS, "localhost")


def header(name: str, value: str) -> str | None:
    lines = responses.headers(((name, value),), ORIGINS, "localhost")
    return lines[0][1] if lines else None


# --- down: headers


@pytest.mark.parametrize(
    ("value", "renamed"),
    [
        (f'Bearer resource_metadata="{UP}/prm"', f'Bearer resource_metadata="{HERE}/prm"'),
        (f"Bearer resource_metadata={UP}/prm, scope=a", f"Bearer resource_metadata={HERE}/prm, scope=a"),
        (f'bearer Resource_Metadata = "{UP}/prm"', f'bearer Resource_Metadata = "{HERE}/prm"'),
        (f'DPoP algs="ES256", Bearer realm="{UP}", resource_metadata="{UP}/prm"',
         f'DPoP algs="ES256", Bearer realm="{UP}", resource_metadata="{HERE}/prm"'),
        ('Bearer resource_metadata="/prm"', 'Bearer resource_metadata="/prm"'),
        (f'Bearer resource_metadata="{UP}.evil.org/prm"', f'Bearer resource_metadata="{UP}.evil.org/prm"'),
        (f'Bearer error_description="see {UP}/docs"', f'Bearer error_description="see {UP}/docs"'),
    ],
)  # fmt: skip
def test_of_a_challenge_only_the_metadata_url_is_renamed(value: str, renamed: str) -> None:
    assert header("WWW-Authenticate", value) == renamed


def test_every_challenge_line_is_renamed_and_keeps_its_place() -> None:
    lines = (("WWW-Authenticate", "Basic"), ("X", UP), ("www-authenticate", f'Bearer resource_metadata="{UP}"'))
    assert responses.headers(lines, ORIGINS, "localhost") == (
        ("WWW-Authenticate", "Basic"), ("X", UP), ("www-authenticate", f'Bearer resource_metadata="{HERE}"'),
    )  # fmt: skip


def test_a_redirect_stays_on_the_ports_that_are_open() -> None:
    assert header("Location", f"{UP}/mcp/") == f"{HERE}/mcp/"
    assert header("Location", "/mcp/") == "/mcp/"
    assert header("Location", "https://elsewhere.example/") == "https://elsewhere.example/"


def test_the_issuer_on_its_way_to_a_callback_is_the_one_the_client_was_told() -> None:
    sent = f"{CLIENT}?code=x&iss=https%3A%2F%2Fas.example.com%2Ft&state=%20y"
    assert header("Location", sent) == f"{CLIENT}?code=x&iss=http%3A%2F%2Flocalhost%3A8081%2Ft&state=%20y"


@pytest.mark.parametrize("name", ["Strict-Transport-Security", "Alt-Svc"])
def test_what_would_lead_past_us_goes(name: str) -> None:
    assert header(name, 'h3=":443"') is None


@pytest.mark.parametrize("name", ["Access-Control-Allow-Origin", "Set-Cookie", "Link", "Content-Security-Policy"])
def test_every_other_header_passes(name: str) -> None:
    assert header(name, UP) == UP


# --- down: bodies


def test_resource_metadata_is_renamed_and_otherwise_untouched() -> None:
    listed = f'"authorization_servers" : ["{AS}/", "{AS}.evil.org"]'
    rest = f'"resource_documentation":"{UP}/docs", "signed_metadata": "ey.x.y", "scopes_supported":["{UP}/a"], "n":1.50'
    text = '{ "resource":"https:\\/\\/mcp.example.com\\/mcp",\n\t' + listed + "," + rest + "}"
    renamed = text.replace("https:\\/\\/mcp.example.com\\/", "http:\\/\\/localhost:8080\\/").replace(
        f"{AS}/", f"{THERE}/"
    )
    assert body("resource-metadata", text) == renamed.replace('"signed_metadata": "ey.x.y", ', "")


@pytest.mark.parametrize("shape", ["", "/", "/mcp", "/mcp/"])
def test_the_shape_of_a_resource_stays(shape: str) -> None:
    assert json.loads(body("resource-metadata", json.dumps({"resource": UP + shape})))["resource"] == HERE + shape


def test_server_metadata_is_renamed_on_every_origin_that_is_open() -> None:
    document = {
        "issuer": f"{AS}/t",
        "authorization_endpoint": f"{AS}/authorize",
        "token_endpoint": f"{UP}/token",
        "made_up_endpoint": f"{AS}/x",
        "revocation_endpoint": "https://third.example/revoke",
        "jwks_uri": f"{AS}/jwks",
        "service_documentation": f"{AS}/docs",
        "mtls_endpoint_aliases": {"token_endpoint": f"{AS}/mtls"},
        "signed_metadata": "ey.x.y",
        "scopes_supported": [f"{AS}/scope"],
    }
    assert json.loads(body("server-metadata", json.dumps(document))) == {
        "issuer": f"{THERE}/t",
        "authorization_endpoint": f"{THERE}/authorize",
        "token_endpoint": f"{HERE}/token",
        "made_up_endpoint": f"{THERE}/x",
        "revocation_endpoint": "https://third.example/revoke",
        "jwks_uri": f"{THERE}/jwks",
        "service_documentation": f"{AS}/docs",
        "scopes_supported": [f"{AS}/scope"],
    }


@pytest.mark.parametrize(
    "text", ["", "<html>https://as.example.com</html>", '{"issuer": "https://as.example.com"', "null"]
)
def test_what_is_no_document_passes(text: str) -> None:
    assert body("server-metadata", text) == text


def test_a_registration_keeps_what_is_the_clients() -> None:
    document = {"client_uri": UP, "redirect_uris": [f"{UP}/cb"], "registration_client_uri": f"{AS}/register/1"}
    assert json.loads(body("registration", json.dumps(document))) == {
        **document, "registration_client_uri": f"{THERE}/register/1"
    }  # fmt: skip


def test_of_a_token_answer_only_the_resource_is_renamed() -> None:
    document = {"access_token": UP, "resource": [f"{UP}/mcp"], "scope": UP}
    assert json.loads(body("token", json.dumps(document))) == {**document, "resource": [f"{HERE}/mcp"]}


def test_a_challenge_inside_a_tool_result_is_renamed() -> None:
    challenge = f'Bearer resource_metadata="{UP}/prm", error="insufficient_scope"'
    result = {"isError": True, "content": [{"text": UP}], "_meta": {"mcp/www_authenticate": [challenge]}}
    renamed = json.loads(body("mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "result": result})))["result"]
    assert renamed["_meta"]["mcp/www_authenticate"] == [challenge.replace(UP, HERE)]
    assert renamed["content"] == [{"text": UP}]


def test_a_tool_result_that_speaks_of_the_server_passes() -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"resource": UP, "issuer": AS}})
    assert body("mcp", text) == text


def test_a_changed_document_keeps_no_validator_and_metadata_no_cache() -> None:
    lines = (("ETag", "1"), ("Cache-Control", "max-age=60"), ("Digest", "x"), ("Age", "5"), ("Vary", "Origin"))
    assert responses.drop_validators(lines, metadata=True) == (
        ("Vary", "Origin"),
        ("Cache-Control", "no-store"),
    )
    assert responses.drop_validators(lines, metadata=False) == (
        ("Cache-Control", "max-age=60"),
        ("Vary", "Origin"),
    )


def test_a_foreign_resource_or_issuer_opens_no_way() -> None:
    prm = Response(status=200, body=json.dumps({"resource": "https://x.example", "authorization_servers": [AS, 7]}))
    assert list(responses.named("resource-metadata", prm)) == [AS]
    asm = Response(
        status=200, body=json.dumps({"issuer": "https://x.example", "token_endpoint": f"{AS}/t", "jwks_uri": UP})
    )
    assert list(responses.named("server-metadata", asm)) == [f"{AS}/t"]


# --- JSON as text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_text_whose_strings_stay_keeps_every_byte(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert json_edit.edit_strings(text, lambda path, string: string) == text


@given(json_values)
def test_changing_every_string_is_what_changing_every_value_is(value: Any) -> None:
    def everywhere(one: Any) -> Any:
        if isinstance(one, str):
            return one + "!"
        if isinstance(one, list):
            return [everywhere(item) for item in one]
        return {name: everywhere(item) for name, item in one.items()} if isinstance(one, dict) else one

    assert json.loads(json_edit.edit_strings(json.dumps(value), lambda path, string: string + "!")) == everywhere(value)


@given(st.dictionaries(st.sampled_from("abcdef"), json_values), st.sampled_from("abcdef"), st.sampled_from([None, 2]))
def test_a_dropped_member_takes_its_comma_along(document: dict[str, Any], name: str, indent: Any) -> None:
    text = json_edit.edit_strings(
        json.dumps(document, indent=indent), lambda path, s: s, drop=lambda path: path == (name,)
    )
    assert json.loads(text) == {key: value for key, value in document.items() if key != name}


def test_paths_say_where_a_string_stands() -> None:
    seen: list[json_edit.Path] = []
    json_edit.edit_strings('{"a": ["x", {"b": "y"}]}', lambda path, text: (seen.append(path), text)[1])
    assert seen == [("a", 0), ("a", 1, "b")]


def test_a_member_written_twice_is_changed_twice() -> None:
    assert (
        body("server-metadata", f'{{"issuer": "{AS}", "issuer": "{AS}/"}}')
        == f'{{"issuer": "{THERE}", "issuer": "{THERE}/"}}'
    )


def test_depth_is_no_danger() -> None:
    for text in ("[" * 100_000 + "]" * 100_000, "[" * 500 + '"x"' + "]" * 500):
        assert json_edit.edit_strings(text, lambda path, string: string) == text


# --- up


def up(request: Request) -> Request:
    return requests.request(request, ORIGINS, AS)


@pytest.mark.parametrize(
    ("query", "renamed"),
    [
        ("resource=http%3A%2F%2Flocalhost%3A8080%2Fmcp&state=%20a+b",
         "resource=https%3A%2F%2Fmcp.example.com%2Fmcp&state=%20a+b"),
        ("resource=http%3a%2f%2flocalhost%3a8080", "resource=https%3a%2f%2fmcp.example.com"),
        ("resource=http://localhost:8080/", "resource=https://mcp.example.com/"),
        ("resource=http://127.0.0.1:8080/&resource=http://localhost:8081/", f"resource={UP}/&resource={AS}/"),
        ("resource=https://mcp.example.com/mcp", "resource=https://mcp.example.com/mcp"),
        ("audience=http://localhost:8080/mcp", f"audience={UP}/mcp"),
        ("client_id=http://localhost:8080/id&redirect_uri=http://localhost:8080/cb",
         "client_id=http://localhost:8080/id&redirect_uri=http://localhost:8080/cb"),
        ("a&b=&&=c", "a&b=&&=c"),
    ],
)  # fmt: skip
def test_a_query_keeps_its_order_and_its_escaping(query: str, renamed: str) -> None:
    assert up(Request(method="GET", url=f"{THERE}/authorize?{query}")).url == f"{AS}/authorize?{renamed}"


def test_a_form_is_renamed_like_a_query() -> None:
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    asked = Request(
        method="POST", url=f"{THERE}/token", headers=form, body=f"grant_type=refresh_token&resource={HERE}/mcp"
    )
    assert up(asked).body == f"grant_type=refresh_token&resource={UP}/mcp"


def test_json_to_a_token_endpoint_is_renamed_and_json_rpc_is_not() -> None:
    kind = (("Content-Type", "application/json"),)
    wrong = Request(method="POST", url=f"{THERE}/token", headers=kind, body=json.dumps({"resource": f"{HERE}/mcp"}))
    assert json.loads(up(wrong).body or "") == {"resource": f"{UP}/mcp"}
    call = json.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": {"arguments": {"url": f"{HERE}/x"}}})
    assert up(Request(method="POST", url=f"{THERE}/mcp", headers=kind, body=call)).body == call


def test_the_headers_that_name_an_origin_name_the_upstreams() -> None:
    lines = (("Host", "localhost:8081"), ("Origin", HERE), ("Referer", f"{HERE}/x"), ("X-Own", HERE))
    assert requests.headers(lines, ORIGINS, AS) == (
        ("Host", "as.example.com"), ("Origin", UP), ("Referer", f"{UP}/x"), ("X-Own", HERE),
    )  # fmt: skip


def test_the_origin_of_a_page_elsewhere_stays() -> None:
    lines = (("Origin", "http://localhost:6274"),)
    assert requests.headers(lines, ORIGINS, AS) == lines


def test_what_is_signed_is_said() -> None:
    proof = Request(method="POST", url=f"{THERE}/token", headers=(("DPoP", "ey.x.y"),), body="client_assertion=ey.x.y")
    assert len(list(limits.in_request(proof))) == 2
    assert list(limits.in_request(Request(method="POST", url=THERE, body="grant_type=x"))) == []


# --- the callback


def registered(relay: Relay, *uris: str) -> list[str]:
    text, swap = relay.registration(json.dumps({"redirect_uris": list(uris)}))
    relay.granted("client-1", swap)
    return list(json.loads(text)["redirect_uris"])


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("http://127.0.0.1:33111/callback", "http://127.0.0.1:8090/callback"),
        ("http://localhost/cb?x=1", "http://localhost:8090/cb?x=1"),
        ("http://[::1]:5/", "http://[::1]:8090/"),
        ("http://app.localhost:5/cb", "http://localhost:8090/cb"),
    ],
)
def test_our_callback_looks_like_the_clients(uri: str, ours: str) -> None:
    assert registered(Relay(8090), uri) == [ours]


@pytest.mark.parametrize(
    "uri", ["cursor://anysphere/callback", "https://vscode.dev/redirect", "https://localhost:5/cb"]
)
def test_other_callbacks_are_relayed_only_on_request(uri: str) -> None:
    assert registered(Relay(8090), uri) == [uri]
    assert registered(Relay(8090, "relay", named=uri), uri) == ["http://localhost:8090/callback"]
    elsewhere = not uri.startswith("https://localhost")
    assert registered(Relay(8090, "relay"), uri) == [uri if elsewhere else "http://localhost:8090/callback"]


def test_direct_relays_nothing() -> None:
    relay = Relay(None, "direct")
    assert registered(relay, CLIENT) == [CLIENT]
    assert relay.authorization(f"client_id=client-1&redirect_uri={CLIENT}", "localhost") == (
        f"client_id=client-1&redirect_uri={CLIENT}", {}
    )  # fmt: skip


def test_all_three_legs_name_the_same_callback() -> None:
    relay = Relay(8090)
    (ours,) = registered(relay, CLIENT)
    query, _ = relay.authorization(f"client_id=client-1&redirect_uri={CLIENT}&state=a", "localhost")
    form, swap = relay.token(f"grant_type=authorization_code&redirect_uri={CLIENT}")
    assert query == f"client_id=client-1&redirect_uri={ours}&state=a"
    assert form == f"grant_type=authorization_code&redirect_uri={ours}"
    assert swap == {ours: CLIENT}


def test_two_clients_at_once_each_get_their_own_answer() -> None:
    relay = Relay(8090, "relay")
    other = "http://127.0.0.1:44222/callback"
    for uri, state in ((CLIENT, "a"), (other, "b")):
        relay.authorization(f"client_id=x&redirect_uri={uri}&state={state}", "localhost")
    for uri, state in ((CLIENT, "a"), (other, "b")):
        waiting = relay.match_callback(
            Request(method="GET", url=f"http://127.0.0.1:8090/callback?state={state}&code=1")
        )
        assert waiting is not None
        assert relay.client_callback_url(waiting, f"state={state}&code=1", ORIGINS) == f"{uri}?state={state}&code=1"


def test_a_client_metadata_document_is_relayed_only_where_the_issuer_is_sent() -> None:
    relay = Relay(8090)
    query = f"client_id=https://client.example/id.json&redirect_uri={CLIENT}"
    assert relay.authorization(query, "localhost")[1] == {}
    relay.issuer_is_sent = True
    assert relay.authorization(query, "localhost")[1] == {"http://127.0.0.1:8090/callback": CLIENT}


def test_a_callback_that_does_not_come_by_us_is_said() -> None:
    relay = Relay(8090)
    registered(relay, CLIENT)
    assert relay.notice_for(f"client_id=client-1&redirect_uri={CLIENT}") is None
    before = relay.notice_for(f"client_id=older&redirect_uri={CLIENT}")
    assert before is not None
    assert "did not register through oauthtap" in before
    relay.issuer_is_sent = True
    assert "`iss`" in (relay.notice_for(f"client_id=older&redirect_uri={CLIENT}") or "")
    assert "not on this machine" in (relay.notice_for("client_id=client-1&redirect_uri=cursor://x/cb") or "")


SPOKEN = {"2025-11-25": {}, "DRAFT-2026-v1": {}, "2026-07-28": {"http://127.0.0.1:8090/callback": CLIENT}}


@pytest.mark.parametrize(("revision", "swap"), SPOKEN.items())
def test_who_registered_elsewhere_is_relayed_only_where_nothing_else_can_work(
    revision: str, swap: dict[str, str]
) -> None:
    relay = Relay(8090)
    query = f"client_id=older&redirect_uri={CLIENT}"
    relay.note_revision(
        Request(method="POST", url="http://mcp.test/mcp", headers=(("MCP-Protocol-Version", revision),))
    )
    assert relay.authorization(query, "localhost")[1] == {}
    relay.issuer_is_sent = True
    assert relay.authorization(query, "localhost")[1] == swap
    said = relay.notice_for(query) or ""
    assert ("http://127.0.0.1:8090/callback stands in" in said) == bool(swap)
    assert "oauthtap run" in said
    direct = Relay(None, "direct", issuer_is_sent=True, issuer_is_compared=True)
    assert direct.authorization(query, "localhost")[1] == {}


def test_an_error_page_that_repeats_our_callback_shows_the_clients() -> None:
    swap = {"http://127.0.0.1:8090/callback": CLIENT}
    page = (
        'http://127.0.0.1:8090/callback "http:\\/\\/127.0.0.1:8090\\/callback" http%3A%2F%2F127.0.0.1%3A8090%2Fcallback'
    )
    assert "8090" not in restored(page, swap)


# --- streams


def events() -> SseRewriter:
    return SseRewriter(
        endpoint=lambda url: ORIGINS.local(url),
        message=lambda text: responses.body(text, "mcp", ORIGINS, "localhost"),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("url", [f"{UP}/m?s=1", "/m?s=1", f"{UP}4/m"])
def test_an_endpoint_event_is_renamed_however_it_is_cut(end: str, url: str) -> None:
    lines = [
        ": hello",
        "",
        "event: endpoint",
        f"data: {url}",
        "",
        "event: message",
        f'data: {{"u":"{UP}"}}',
        "",
        "data: a",
    ]
    raw = end.join(lines).encode()
    wanted = raw.replace(f"data: {url}".encode(), f"data: {ORIGINS.local(url)}".encode())
    for size in range(1, len(raw) + 1):
        passing = events()
        out = b"".join(passing(raw[at : at + size]) for at in range(0, len(raw), size)) + passing(b"")
        assert out == wanted
        assert passing.seen_endpoint


def test_a_challenge_in_a_streamed_result_is_renamed() -> None:
    text = json.dumps({"result": {"_meta": {"mcp/www_authenticate": [f'Bearer resource_metadata="{UP}/p"']}}})
    passing = events()
    assert f"{HERE}/p".encode() in passing(f"event: message\ndata: {text}\n\n".encode())


def test_an_event_without_an_end_is_not_held_for_ever() -> None:
    passing = events()
    passed = b"".join(passing(b"x" * 65536) for _ in range(20))
    assert len(passed) == 20 * 65536


def test_a_copy_keeps_both_ends() -> None:
    copy = BoundedCapture()
    copy.add(b"a" * KEPT)
    assert copy.whole
    for _ in range(10):
        copy.add(b"b" * KEPT)
    copy.add(b"c")
    assert not copy.whole
    kept = copy.bytes()
    assert kept.startswith(b"a" * 1000)
    assert kept.endswith(b"bc")
    assert len(kept) < 2 * KEPT + 100


def test_no_half_of_a_line_stands_at_the_gap_of_a_copy() -> None:
    """Half a secret would be found by nobody."""
    copy = BoundedCapture()
    for line in (b"data: one\n", b"x" * (KEPT - 30) + b"\n", b"data: secret-in-two\n", b"y\n" * 4 * KEPT):
        copy.add(line)
    copy.add(b"data: another-" + b"z" * KEPT)
    copy.add(b"-secret\ndata: end\n")
    kept = copy.bytes()
    assert b"data: one\n" in kept
    assert kept.endswith(b"data: end\n")
    assert b"secret" not in kept
