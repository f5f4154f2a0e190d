"""Recordings broken on purpose: read, or refused in one sentence, and what was read is judged without a crash."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.recording import Recording, SourceError
from oauthtap.report.build import build
from tests.unit.formats.test_loader import RECORDINGS, session_of

HOSTILE: list[Any] = [
    None, True, -1, 1e308, 10**400, float("nan"), "", "\x00", "\ud800", "é" * 50, "A" * 70_000, [], {}, [[]], [None],
    {"": {"": []}}, "http://[", "https://[::1", "javascript:alert(1)", "//", "%", "\n", "Bearer " * 2000, ", " * 5000,
    '"' * 999, "=" * 3000, "<" * 5000, "2026-99-99", "https://x.example:99999/", "‹token 1›", "a b\tc\r\nd: e",
]  # fmt: skip
JUNK = [b"\x00", b"\xff\xfe", b"{", b"[" * 3000, b'"', b"\\ud800", b"\r\n", b"9" * 500, b"]", b"\x1b[31m"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One file of every format there is, and the whole corpus."""
    folder = tmp_path_factory.mktemp("sessions")
    session_of(RECORDINGS / "corpus" / "001-as-endpoint-url-in-prm.har", folder / "one")
    session_of(RECORDINGS / "holdout" / "corpus" / "w03.har", folder / "two")
    own = [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".mitm", ".har")]
    return sorted([*own, *RECORDINGS.glob("logs/**/*.*"), *RECORDINGS.rglob("*corpus/*.har")])


@pytest.mark.parametrize("seed", range(150))
def test_a_broken_recording_is_read_or_refused(seed: int, files: list[Path], tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "recording"
    path.write_bytes(broken(chance.choice(files).read_bytes(), chance))
    recording = read(path)
    if isinstance(recording, str):
        assert str(path) in recording
        assert "Try: " in recording
        assert "\n" not in recording
        return
    tap = SessionAnalyzer(recording.upstream, recording.revision, recording.client, profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    report = build(tap, now=recording.until)
    assert json.loads(report.model_dump_json())
    assert not [finding.message for finding in report.findings if finding.rule == "internal-error"]


def read(path: Path) -> Recording | str:
    """The recording, or the refusal in words."""
    try:
        return loader.read(path)
    except SourceError as refusal:
        return str(refusal)


def broken(data: bytes, chance: random.Random) -> bytes:
    """The same file with a few values exchanged where it is JSON, else with a few bytes changed."""
    if chance.random() < 0.7:
        try:
            return json.dumps(exchanged(json.loads(data), chance)).encode("utf-8", "surrogatepass")
        except ValueError:
            pass
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 10, 100])):
        place, length = chance.randrange(len(changed) + 1), chance.randrange(1, 200)
        what = chance.randrange(3)
        if what == 0:
            del changed[place : place + length]
        else:
            changed[place:place] = chance.choice(JUNK) if what == 1 else changed[place : place + length]
    return bytes(changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.2 else changed)


def exchanged(document: Any, chance: random.Random) -> Any:
    """Some values of a JSON document, or of the JSON in its strings, in place of what stood there."""
    for _ in range(chance.choice([1, 2, 5, 20])):
        holder, name = chance.choice(list(places(document)))
        inner = holder[name]
        if isinstance(inner, str) and inner[:1] in ("{", "[") and chance.random() < 0.7:
            try:
                holder[name] = json.dumps(exchanged(json.loads(inner), chance))
                continue
            except (ValueError, IndexError):
                pass
        holder[name] = deepcopy(chance.choice(HOSTILE))
    return document


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below the value, with each of its names or numbers."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in list(inside):
        yield value, name
        yield from places(one)
