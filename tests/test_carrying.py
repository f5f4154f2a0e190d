"""What mitmproxy does of itself is done the same: commands in order, and header lines as it reads them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.connection import Client, Server
from mitmproxy.net.http.http1 import expected_http_body_size
from mitmproxy.optmanager import OptManager
from mitmproxy.proxy.commands import CloseConnection, Command, Log, SendData

from oauthtap.mitm import carrying, messages

HERE = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))
THERE = Server(address=("127.0.0.1", 3))


def carried(*commands: Command) -> list[Command]:
    """What comes of a layer's commands."""

    class Layer:
        def handle_event(self, event: Any) -> Iterator[Command]:
            yield from commands

    def never(*_: Any) -> None:
        raise AssertionError("there is no hook here")

    front = carrying._HooksAtOnce(Layer(), None, never)  # type: ignore[arg-type]
    return list(front.handle_event(None))  # type: ignore[arg-type]


def test_head_and_body_go_out_in_one_piece_and_in_order() -> None:
    sent = carried(SendData(HERE, b"head"), SendData(HERE, b"body"), SendData(THERE, b"x"), SendData(HERE, b"y"))
    assert [(one.connection, one.data) for one in sent if isinstance(one, SendData)] == [
        (HERE, b"headbody"),
        (THERE, b"x"),
        (HERE, b"y"),
    ]


def test_nothing_is_sent_behind_the_end_of_a_connection() -> None:
    sent = carried(SendData(HERE, b"last"), CloseConnection(HERE), Log("said"), SendData(THERE, b"more"))
    assert [type(one) for one in sent] == [SendData, CloseConnection, Log, SendData]


def untouched(kind: type) -> Any:
    """A class of mitmproxy's as it is written, whatever was replaced in it."""
    names = dict(vars(sys.modules[kind.__module__]))
    exec(inspect.getsource(kind), names)
    return names[kind.__name__]


STOCK = untouched(http.Headers)
messages.install()
LINES = st.lists(
    st.tuples(st.sampled_from([b"Accept", b"accept", b"X-A", b"\xc3\x84"]), st.binary(max_size=5)).map(list)
)


@given(lines=LINES, name=st.sampled_from(["accept", "ACCEPT", "x-a", "Ä", "gone", b"Accept"]))
def test_header_lines_are_read_and_written_as_mitmproxy_does(lines: list[list[bytes]], name: str | bytes) -> None:
    ours, stock = http.Headers(lines, x_added="one"), STOCK(lines, x_added="one")
    assert ours.fields == stock.fields
    assert ours.get_all(name) == stock.get_all(name)  # type: ignore[arg-type]
    assert ours.get(name) == stock.get(name)
    assert ours.get(name, "none") == stock.get(name, "none")
    assert (name in ours) == (name in stock)
    assert bytes(ours) == bytes(stock)
    for headers in (ours, stock):
        headers[name] = "set"
        headers.pop("x-a", None)
    assert (ours.fields, bytes(ours)) == (stock.fields, bytes(stock))


def test_headers_that_are_not_there_have_no_line() -> None:
    assert http.Headers().fields == ()
    assert bytes(http.Headers()) == b""
    with pytest.raises(KeyError):
        http.Headers()["gone"]


def test_an_option_that_can_be_changed_in_place_is_still_a_copy() -> None:
    options = OptManager()
    options.add_option("places", Sequence[str], ["a"], "")
    options.add_option("often", int | None, None, "")
    options.places.append("b")
    assert options.places == ["a"]
    options.update(places=["c"], often=3)
    options.places.append("d")
    assert (options.places, options.often) == (["c"], 3)


@pytest.mark.parametrize("length", ["-1", "1 2", "+3", "x"])
def test_a_length_that_is_none_is_refused_each_time(length: str) -> None:
    request = http.Request.make("POST", "http://a.test/")
    request.headers["content-length"] = length
    for _ in range(2):
        with pytest.raises(ValueError, match="content-length"):
            expected_http_body_size(request)
    request.headers["content-length"] = "12"
    assert expected_http_body_size(request) == 12
