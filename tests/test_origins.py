"""The two-way map of origins, and which of them a document may make us open."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthtap.origins import HOSTS, Origins, host_used
from oauthtap.reachable import address_refusal, literal, refusal

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
    large = small.opened("https://as.example.com", 8081)
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
    assert host_used(header, port) == host


# --- what may be opened


@pytest.mark.parametrize(
    "url",
    ["https://auth.example.com", "http://93.184.216.34:8080/x", "https://[2606:2800:220:1::1]/", "https://as.test"],
)
def test_a_public_origin_may_be_opened(url: str) -> None:
    assert refusal(url, private=False) is None


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
    assert refusal(url, private=True)


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
    assert refusal(url, private=False)
    assert refusal(url, private=True) is None


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_address_is_read_as_resolvers_do(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for spelled in (str(number), hex(number), f"0{number:o}", f"{number >> 24}.{number & 0xFFFFFF}", str(address)):
        assert literal(spelled) == address


def test_a_host_name_is_no_address() -> None:
    assert literal("example.com") is None
    assert literal("1.2.3.4.5") is None
    assert literal("1.2.3.999") is None


def test_what_a_name_resolves_to_is_held_to_the_same() -> None:
    assert address_refusal(ipaddress.ip_address("10.0.0.1"), private=False)
    assert address_refusal(ipaddress.ip_address("93.184.216.34"), private=False) is None
