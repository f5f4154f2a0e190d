"""What people have in hand: every form by its samples, a list for each reader in `tests/formats/`.

A sample is `=== title`, then the exchanges that have to come out (method, URL or path, status or `-`, perhaps the
actor; `client=NAME` for whose log it is), `---`, and the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthtap import formats
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import SourceError

SAMPLES = Path(__file__).parents[2] / "formats"


def samples(*names: str) -> Iterator[tuple[str, list[str], str]]:
    for name in names or sorted(path.stem for path in SAMPLES.glob("*.txt") if path.stem != "unreadable"):
        parts = re.split(r"^=== (.*)\n", (SAMPLES / f"{name}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
        for title, rest in zip(parts[1::2], parts[2::2], strict=True):
            wanted, _, text = rest.partition("\n---\n")
            yield f"{name}: {title}", wanted.splitlines(), text.rstrip("\n") + "\n"


EVERY = list(samples())


@pytest.mark.parametrize(("title", "wanted", "text"), EVERY, ids=[title for title, _, _ in EVERY])
def test_what_a_sample_holds(title: str, wanted: list[str], text: str, tmp_path: Path) -> None:
    file = tmp_path / "anything"
    file.write_text(text, encoding="utf-8")
    read = loader.read(file)
    clients = [line.removeprefix("client=") for line in wanted if line.startswith("client=")]
    lines = [line for line in wanted if not line.startswith("client=")]
    assert [shown(exchange, line) for exchange, line in zip(read.exchanges, lines, strict=False)] == lines
    assert len(read.exchanges) == len(lines), [e.request.url for e in read.exchanges]
    if clients:
        agents = {e.request.header("user-agent") or "" for e in read.exchanges}
        known = {"claude-ai": "Claude-User", "claude-code": "claude-code/"}
        assert read.client == clients[0] or any(a.startswith(known.get(clients[0], "?")) for a in agents)


def shown(exchange: Exchange, line: str) -> str:
    """The exchange as the sample writes it: as much of the URL, and the actor only where the sample names one."""
    url = exchange.request.bare_url
    if line.split()[1].startswith("/"):
        url = exchange.request.path
    words = [exchange.request.method, url, str(exchange.status or "-")]
    return " ".join([*words, exchange.actor] if len(line.split()) > 3 else words)


@pytest.mark.parametrize(("title", "wanted", "text"), EVERY, ids=[title for title, _, _ in EVERY])
def test_what_is_not_shown_is_unseen(title: str, wanted: list[str], text: str) -> None:
    read = formats.load_recording(text)
    assert read is not None
    assert all(exchange.excerpt for exchange in read.exchanges) or "HAR" in title


UNREADABLE = list(samples("unreadable"))


@pytest.mark.parametrize(("title", "wanted", "text"), UNREADABLE, ids=[title for title, _, _ in UNREADABLE])
def test_a_refusal_says_what_it_is_and_what_to_type(title: str, wanted: list[str], text: str, tmp_path: Path) -> None:
    file = tmp_path / "anything"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        loader.read(file)
    assert wanted[0] in str(refused.value)


@pytest.mark.parametrize("start", [b"\x89PNG\r\n", b"%PDF-1.7", b"\x1f\x8b\x08", b"\xd4\xc3\xb2\xa1"])
def test_a_binary_file_is_named(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(start + bytes(40))
    with pytest.raises(SourceError, match=r"Try: "):
        loader.read(tmp_path / "x")


def test_a_refusal_repeats_no_token(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("Error: bad token sk-live-0123456789abcdef0123456789abcdef\x1b[31m")
    with pytest.raises(SourceError) as refused:
        loader.read(tmp_path / "x")
    assert "0123456789abcdef0123" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([text for _, _, text in EVERY]), st.integers(0, 3000), st.integers(0, 3000), st.text(max_size=20)
)
def test_no_text_breaks_a_reader(text: str, start: int, length: int, put: str) -> None:
    formats.load_recording(text[: start % (len(text) + 1)] + put + text[(start + length) % (len(text) + 1) :])
