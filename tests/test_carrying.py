"""What mitmproxy does of itself is done the same: commands in order, and header lines as it reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.connection import Client, Server
from mitmproxy.coretypes.multidict import MultiDict
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


@given(
    lines=st.lists(st.tuples(st.sampled_from([b"Accept", b"accept", b"X-A", b"\xc3\x84"]), st.binary(max_size=5))),
    name=st.sampled_from(["accept", "ACCEPT", "x-a", "Ä", "gone", b"Accept"]),
)
def test_header_lines_are_what_mitmproxy_reads(lines: list[tuple[bytes, bytes]], name: str | bytes) -> None:
    headers = http.Headers(lines)
    key = name if isinstance(name, bytes) else name.encode()
    expected = [value.decode("utf-8", "surrogateescape") for value in MultiDict.get_all(headers, key)]
    assert messages._get_all(headers, name) == expected
