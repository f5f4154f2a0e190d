"""What changes nothing: the same handshake written otherwise, or among other traffic, is judged alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange, Pairs, Request, Response
from oauthtap.model.recording import Recording
from oauthtap.report.build import build
from oauthtap.report.model import Report
from tests.unit.formats.test_loader import RECORDINGS

FOLDERS = (RECORDINGS, RECORDINGS / "holdout")
LABELS = {name: label for folder in FOLDERS for name, label in json.loads((folder / "labels.json").read_text()).items()}
FILES = {path.stem: path for folder in FOLDERS for path in sorted((folder / "corpus").glob("*.har"))}
HEALTHY = [name for name in FILES if LABELS[name].get("healthy")]
STOPPED = [name for name in FILES if name not in HEALTHY][::6]
Change = Callable[[list[Exchange]], Iterator[Exchange]]


def _answer(exchange: Exchange, **changes: Any) -> Exchange:
    if exchange.response is None:
        return exchange
    return exchange.model_copy(update={"response": exchange.response.model_copy(update=changes)})


def further_members(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Members that no specification knows, in every JSON answer of a success."""
    for exchange in exchanges:
        told = exchange.response.json_object if exchange.response and exchange.ok else {}
        more = {**told, "x_vendor": "1", "x_list": [1, {"a": None}], "x_see": "https://docs.vendor.example/"}
        yield _answer(exchange, body=json.dumps(more)) if told else exchange


def indented(exchanges: list[Exchange]) -> Iterator[Exchange]:
    for exchange in exchanges:
        told = exchange.response.json_value if exchange.response else None
        yield exchange if told is None else _answer(exchange, body="\n " + json.dumps(told, indent=4) + "\n")


def _headers(change: Callable[[Pairs], Pairs]) -> Change:
    def changed(exchanges: list[Exchange]) -> Iterator[Exchange]:
        for exchange in exchanges:
            request = exchange.request.model_copy(update={"headers": change(exchange.request.headers)})
            headers = change(exchange.response.headers) if exchange.response else ()
            yield _answer(exchange.model_copy(update={"request": request}), headers=headers)

    return changed


def among_others(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Other programs speak meanwhile: a CDN, telemetry with a token of its own, and the sign-in of another app."""
    portal = "https://portal.corp.example/cb"
    for number, exchange in enumerate(exchanges):
        yield exchange
        yield _foreign(exchange, "GET", "https://static.cdn.example/app.js", 200, body="let x")
        yield _foreign(
            exchange, "POST", "https://api.telemetry.example/v1/events", 401 if number % 2 else 202,
            sent=(("content-type", "application/json"), ("authorization", "Bearer telemetry-123456")),
        )  # fmt: skip
        yield _foreign(
            exchange, "GET", f"https://sso.corp.example/oauth2/authorize?client_id=a&response_type=code&redirect_uri={portal}",
            302, got=(("location", f"{portal}?code=abcd&state=z"),), actor="browser",
        )  # fmt: skip


def _foreign(
    beside: Exchange, method: str, url: str, status: int, *, sent: Pairs = (), got: Pairs = (), body: str = "",
    actor: str = "client",
) -> Exchange:  # fmt: skip
    request, response = Request(method=method, url=url, headers=sent), Response(status=status, headers=got, body=body)
    return Exchange(request=request, response=response, started_at=beside.ended, duration=0.01, actor=actor)  # type: ignore[arg-type]


def read_twice(exchanges: list[Exchange]) -> Iterator[Exchange]:
    for exchange in exchanges:
        yield exchange
        if exchange.request.method == "GET" and exchange.actor == "client":
            yield exchange


def tried_again(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Every request of the client that was answered failed once before, as an overloaded server makes it fail."""
    for exchange in exchanges:
        if exchange.actor == "client" and exchange.response and exchange.response.status < 400 and exchange.started_at:
            busy = Response(status=503, headers=(("retry-after", "1"), ("content-type", "text/plain")), body="busy")
            yield exchange.model_copy(
                update={"response": busy, "started_at": exchange.started_at - 0.02, "duration": 0.01}
            )
        yield exchange


CHANGES: dict[str, Change] = {
    "further members": further_members,
    "indented": indented,
    "lower case": _headers(lambda lines: tuple((name.lower(), value) for name, value in lines)),
    "upper case": _headers(lambda lines: tuple((name.upper(), value) for name, value in lines)),
    "other order": _headers(lambda lines: lines[::-1]),
    "further headers": _headers(lambda lines: (*lines, ("X-Request-Id", "1"), ("Vary", "Origin"), ("NEL", "{}"))),
    "among others": among_others,
    "read twice": read_twice,
    "tried again": tried_again,
}
each_change = pytest.mark.parametrize("change", CHANGES)


def judged(recording: Recording, change: Change = iter) -> Report:
    tap = SessionAnalyzer(recording.upstream)
    for exchange in change(list(recording.exchanges)):
        tap.add(exchange.model_copy(update={"id": 0}))
    return build(tap, now=recording.until)


@each_change
def test_a_sound_handshake_stays_one(change: str) -> None:
    for name in HEALTHY:
        report = judged(loader.read(FILES[name]), CHANGES[change])
        allowed = {*LABELS[name].get("allowed_cause_rules", ()), None}
        assert (report.cause.rule if report.cause else None) in allowed, name
        assert not [f.rule for f in report.findings if f.severity == "error" and f.rule not in allowed], name
        assert report.connected or not LABELS[name].get("connected", False), name


@each_change
def test_the_cause_stays_the_same(change: str) -> None:
    for name in STOPPED:
        recording = loader.read(FILES[name])
        before, after = judged(recording), judged(recording, CHANGES[change])
        either = {report.cause.rule if report.cause else None for report in (before, after)}
        assert len(either) == 1 or either <= set(LABELS[name]["cause_rules"]), (name, either)
        assert after.connected is before.connected, name
