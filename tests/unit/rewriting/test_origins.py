"""The two-way map of origins, and which of them a document may make us open."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthtap.model import json_edit, urls
from oauthtap.model.exchange import Request
from oauthtap.rewriting import requests, responses
from oauthtap.rewriting.origins import HOSTS, PUBLIC, Origins, matched_host
from oauthtap.rewriting.responses import DocumentKind
from oauthtap.rewriting.ssrf_guard import address_refusal, blocked_reason, parse_ip

ORIGINS = Origins({"https://mcp.example.com": 8080, "http://as.example.com:8443": 8081, "https://[2001:db8::1]": 8082})


@pytest.mark.parametrize(
    ("upstream", "local"),
    [
        ("https://mcp.example.com", "http://localhost:8080"),
        ("https://mcp.example.com/", "http://localhost:8080/"),
        ("https://mcp.example.com/mcp?x=1#y", "http://localhost:8080/mcp?x=1#y"),
        ("https://mcp.example.com?x", "http://localhost:8080?x"),
        ("http://as.example.com:8443/t", "http://localhost:8081/t"),
        ("https://[2001:db8::1]/a%2Fb", "http://localhost:8082/a%2Fb"),
    ],
)
def test_a_url_keeps_everything_but_its_origin(upstream: str, local: str) -> None:
    assert ORIGINS.local(upstream) == local
    assert ORIGINS.upstream(local) == upstream


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.com.evil.org/mcp",
        "https://mcp.example.comx",
        "https://mcp.example.com@evil.org/",
        "https://user@mcp.example.com/",
        "http://mcp.example.com/mcp",
        "https://mcp.example.com:8443/mcp",
        "http://as.example.com:84439/t",
        "xhttps://mcp.example.com",
        "see https://mcp.example.com",
        "/mcp",
        "",
    ],
)
def test_longer_names_and_other_origins_stay(url: str) -> None:
    assert ORIGINS.local(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:80801/mcp",
        "http://localhost:8080.evil.org/",
        "http://localhost.evil.org:8080/",
        "http://evil@localhost:8080/",
        "https://localhost:8080/mcp",
        "http://localhost/mcp",
        "http://localhost:33111/callback",
    ],
)
def test_what_is_not_ours_stays(url: str) -> None:
    assert ORIGINS.upstream(url) == url
    assert not ORIGINS.is_local(url)


@pytest.mark.parametrize("host", HOSTS)
def test_each_name_of_this_machine_is_ours(host: str) -> None:
    local = ORIGINS.local("https://mcp.example.com/mcp", host)
    assert local == f"http://{host}:8080/mcp"
    assert ORIGINS.upstream(local) == "https://mcp.example.com/mcp"


@pytest.mark.parametrize(
    "odd", ["https://MCP.Example.com/mcp", "https://mcp.example.com:443/mcp", "HTTPS://mcp.example.com/mcp"]
)
def test_an_odd_spelling_comes_back_as_it_was(odd: str) -> None:
    origins = Origins({"https://mcp.example.com": 8080})
    assert origins.upstream(origins.local(odd)) == odd
    assert origins.upstream("http://localhost:8080/other") == "https://mcp.example.com/other"


def test_a_larger_map_remembers_the_spellings_of_the_smaller_one() -> None:
    small = Origins({"https://mcp.example.com": 8080})
    large = small.with_origin("https://as.example.com", 8081)
    told = small.local("https://MCP.example.com/")
    assert large.upstream(told) == "https://MCP.example.com/"
    assert "https://as.example.com" not in small.ports


def test_port_80_is_written_without_its_number() -> None:
    origins = Origins({"https://mcp.example.com": 80})
    assert origins.local("https://mcp.example.com/mcp") == "http://localhost/mcp"
    assert origins.upstream("http://localhost/mcp") == origins.upstream("http://localhost:80/mcp")


@given(rest=st.text(alphabet="/?#=&%abc:@.~é", max_size=20), host=st.sampled_from(HOSTS))
def test_whatever_goes_down_comes_back_up(rest: str, host: str) -> None:
    url = "https://mcp.example.com" + ("/" + rest if rest else "")
    assert ORIGINS.upstream(ORIGINS.local(url, host)) == url


@pytest.mark.parametrize(
    ("header", "port", "host"),
    [
        ("localhost:8080", 8080, "localhost"),
        ("LOCALHOST:8080", 8080, "localhost"),
        ("127.0.0.1:8080", 8080, "127.0.0.1"),
        ("[::1]:8080", 8080, "[::1]"),
        ("localhost", 80, "localhost"),
        ("localhost", 8080, None),
        ("localhost:8081", 8080, None),
        ("evil.example:8080", 8080, None),
        ("localhost:8080@evil", 8080, None),
        (None, 8080, None),
    ],
)
def test_only_our_own_name_is_answered_to(header: str | None, port: int, host: str | None) -> None:
    assert matched_host(header, port) == host


# --- what may be opened


@pytest.mark.parametrize(
    "url",
    ["https://auth.example.com", "http://93.184.216.34:8080/x", "https://[2606:2800:220:1::1]/", "https://as.test"],
)
def test_a_public_origin_may_be_opened(url: str) -> None:
    assert blocked_reason(url, private=False) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://169.254.1.1/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0xa9fea9fe/",
        "http://100.100.100.200/",
        "http://metadata.google.internal/",
        "http://METADATA.google.internal./",
        "http://0.0.0.0:8000/",
        "ftp://example.com/",
        "not a url",
        "https://",
    ],
)
def test_some_places_are_never_opened(url: str) -> None:
    assert blocked_reason(url, private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/",
        "http://127.1/",
        "http://017700000001/",
        "http://2130706433/",
        "http://[::1]:3000/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://[fd12::1]/",
        "http://localhost:3000/",
        "http://app.localhost/",
        "http://printer.local/",
        "http://intranet/",
    ],
)
def test_this_network_is_opened_only_where_that_is_meant(url: str) -> None:
    assert blocked_reason(url, private=False)
    assert blocked_reason(url, private=True) is None


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_address_is_read_as_resolvers_do(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for spelled in (str(number), hex(number), f"0{number:o}", f"{number >> 24}.{number & 0xFFFFFF}", str(address)):
        assert parse_ip(spelled) == address


def test_a_host_name_is_no_address() -> None:
    assert parse_ip("example.com") is None
    assert parse_ip("1.2.3.4.5") is None
    assert parse_ip("1.2.3.999") is None


def test_what_a_name_resolves_to_is_held_to_the_same() -> None:
    assert address_refusal(ipaddress.ip_address("10.0.0.1"), private=False)
    assert address_refusal(ipaddress.ip_address("93.184.216.34"), private=False) is None


# --- whatever a server writes


ORIGIN = st.sampled_from(
    ["https://mcp.example.com", "HTTPS://mcp.example.com", "https://MCP.Example.com", "https://mcp.example.com:443",
     "https://mcp.EXAMPLE.com:443", "http://as.example.com:8443", "http://AS.example.com:8443", "https://[2001:db8::1]",
     "https://[2001:DB8::1]", "https://[2001:db8::1]:443"]
)  # fmt: skip
REST = st.sampled_from(
    ["", "/", "/t", "/t/", "//", "/a%2Fb", "/%C3%A9?x=%20y", "/t?a=1&b=http://localhost:8080#z", "?q"]
)
URL = st.builds(str.__add__, ORIGIN, REST)
FOREIGN = st.sampled_from(["https://mcp.example.com.evil.org/", "https://third.example/x", "/relative", "", "urn:x"])
TUNNELS = {8080: "https://tap.tunnel.test", 8081: "https://as.tunnel.test", 8082: "https://six.tunnel.test"}
FOLLOWED = (
    "issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint",
    "introspection_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint",
    "userinfo_endpoint", "end_session_endpoint", "jwks_uri",
)  # fmt: skip
PRM = st.fixed_dictionaries(
    {"resource": URL | FOREIGN, "authorization_servers": st.lists(URL | FOREIGN, max_size=4)},
    optional={"resource_documentation": URL, "jwks_uri": URL, "scopes_supported": st.lists(URL, max_size=2)},
)
ASM = st.fixed_dictionaries(
    dict.fromkeys(FOLLOWED, URL | FOREIGN), optional={"service_documentation": URL, "op_policy_uri": URL}
)


@given(
    document=st.one_of(st.tuples(st.just("resource-metadata"), PRM), st.tuples(st.just("server-metadata"), ASM)),
    host=st.sampled_from([*HOSTS, PUBLIC]),
    indent=st.sampled_from([None, 2]),
    slashes=st.booleans(),
)
def test_a_document_mapped_back_is_byte_for_byte_what_the_server_sent(
    document: tuple[DocumentKind, dict[str, Any]], host: str, indent: int | None, slashes: bool
) -> None:
    kind, members = document
    origins = Origins(ORIGINS.ports, TUNNELS)
    text = json.dumps(members, indent=indent)
    text = text.replace("/", "\\/") if slashes else text
    told = responses.body(text, kind, origins, host)
    followed = {("resource",), *(("authorization_servers", n) for n in range(4)), *((name,) for name in FOLLOWED)}
    followed -= {("jwks_uri",)} if kind == "resource-metadata" else set()

    def back(path: json_edit.Path, value: str) -> str:
        return origins.upstream(value) if path in followed else value

    assert json_edit.edit_strings(told, back) == text
    for path, value in strings(json.loads(told)):
        if path in followed:
            assert urls.origin(value) not in ORIGINS.ports, "the client would go past us"
        else:
            assert value == dict(strings(members))[path]


@given(st.lists(URL, max_size=6), st.sampled_from([*HOSTS, PUBLIC]))
def test_urls_that_differ_for_the_server_differ_for_the_client(written: list[str], host: str) -> None:
    origins = Origins(ORIGINS.ports, TUNNELS)
    told = [origins.local(url, host) for url in written]
    assert [told.index(one) for one in told] == [written.index(one) for one in written]
    assert [urls.similarity(one, told[0]) == "different" for one in told] == [
        urls.similarity(one, written[0]) == "different" for one in written
    ]


@given(
    written=URL,
    host=st.sampled_from([*HOSTS, PUBLIC]),
    name=st.sampled_from(["resource", "audience", "target_link_uri"]),
    escaped=st.booleans(),
    place=st.sampled_from(["query", "form", "json", "origin"]),
)
def test_no_local_origin_ever_reaches_an_upstream(
    written: str, host: str, name: str, escaped: bool, place: str
) -> None:
    origins = Origins(ORIGINS.ports, TUNNELS)
    told = origins.local(written, host)
    ours = origins.local_name(8080, host)
    value = quote(told, safe="" if escaped else ":/?=@[]")
    headers: tuple[tuple[str, str], ...] = (("Host", "localhost:8080"),)
    body, query = "", ""
    if place == "query":
        query = f"?a=%20&{name}={value}&z"
    elif place == "form":
        headers += (("Content-Type", "application/x-www-form-urlencoded"),)
        body = f"grant_type=refresh_token&{name}={value}&z="
    elif place == "json":
        headers += (("Content-Type", "application/json"),)
        body = json.dumps({name: told})
    else:
        headers += (("Origin", ours or ""), ("Referer", told))
    asked = Request(method="POST", url=f"{ours}/token{query}", headers=headers, body=body)
    sent = requests.request(asked, origins, "https://mcp.example.com")
    texts = [sent.bare_url, *(v for _, v in (*sent.query, *sent.form, *sent.headers)), *sent.json_object.values()]
    assert written in texts, "as the server wrote it"
    # What stands behind an origin is the server's own text, as it was told.
    left = "\n".join(texts).replace(written, "").lower()
    assert "localhost:8080" not in left
    assert "tunnel.test" not in left
    assert sent.url.startswith("https://mcp.example.com/token")


def strings(value: Any, path: json_edit.Path = ()) -> Iterator[tuple[json_edit.Path, str]]:
    """Every string of a JSON value, with its place."""
    if isinstance(value, str):
        yield path, value
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from strings(inner, (*path, name))
