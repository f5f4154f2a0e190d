"""Is a sign-in that is broken at one place blamed there? `uv run python -m benchmarks.breaks [--misses]`.

Takes recordings in which nothing is wrong, of many clients and servers, spoils one answer of each step in one way (a
status, a refusal in words of some vendor or in words that nobody knows, a page, an error redirected back, a member that
is missing or wrong, a header that is gone, no answer at all), and ends the recording there. No label is needed, for
what must hold is the same each time: it is not connected, there is a cause, the cause stands at the spoiled exchange,
its party is the one that answered, and the words are shown. Prints how many hold, by way and by check; exits with 0
whatever the figures.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from benchmarks.lots import Output, visible
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Pairs, Response
from oauthtap.model.recording import Recording
from oauthtap.render.console import console
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.vendors import Phrase, vendors

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
BASES = (
    "corpus/h03-oidc-appended-after-two-misses",
    "corpus/h04-issuer-with-trailing-slash",
    "corpus/h05-cimd-loopback-any-port",
    "corpus/h16-dcr-confidential-secret-post",
    "corpus/h17-root-prm-with-origin-resource",
    "corpus/h24-browser-client-with-cors",
    "lots/2026-11-29-a/inputs/a21",
    "lots/2026-11-29-a/inputs/a26",
    "lots/2026-11-29-b/inputs/b03",
    "lots/2026-11-29-c/inputs/c12",
    "lots/2026-11-29-c/inputs/c19",
    "lots/2026-11-29-d/inputs/d16",
    "lots/2026-11-29-d/inputs/d21",
    "lots/2026-11-29-e/inputs/e29",
    "lots/2026-11-29-e/inputs/v08",
    "lots/2026-11-29-j/inputs/j03",
    "lots/2026-11-29-f/inputs/f23",
    "lots/2026-11-29-k/inputs/k13",
    "live/cc330__ba",
    "live/fm__cfmid",
    "live/inspcli__fmrem",
    "live/inspweb2__rs1",
    "live/mcporter__cf022",
    "live/py2__ba",
    "live/ts1__rs1",
    "live/ts2__cfmid",
)
"""Healthy sign-ins from the 401 to an MCP answer: different clients and servers, controls and recorded ones."""

STEPS = {
    "mcp-challenge": "the 401",
    "prm-discovery": "resource metadata",
    "as-discovery": "server metadata",
    "client-registration": "registration",
    "authorization-request": "login",
    "token-request": "token",
    "mcp-initialize": "MCP",
}
_OF_MCP = ("mcp-challenge", "prm-discovery", "mcp-initialize")

_ABOUT: dict[str, str] = {
    "mcp-challenge": "origin edge server-fault",
    "prm-discovery": "edge server-fault",
    "as-discovery": "edge server-fault",
    "client-registration": "registration redirect_uri scope policy client-not-allowed edge server-fault",
    "authorization-request": "redirect_uri client client-not-allowed scope resource policy session edge server-fault",
    "token-request": "client client-auth client-not-allowed scope resource pkce grant code redirect_uri policy edge "
    "server-fault",
    "mcp-initialize": "token token-key token-issuer token-audience token-revoked scope policy origin edge server-fault",
}
"""What a refusal can be about at each step."""

UNKNOWN = (
    "The blue gate keeps its doors shut until the harvest is in.",
    "Plan bronze of workspace 4711 does not include this integration.",
    "E-20417: tenant bluebird has been moved to another cell",
)
"""Words that nobody has a phrase for."""

Spoil = Callable[[Exchange], Exchange | None]


@dataclass(frozen=True)
class Break:
    """One way to spoil one answer."""

    way: str
    name: str
    spoil: Spoil
    words: str = ""
    """What the summary has to show of it."""
    parties: frozenset[str] = frozenset()
    """Who may be blamed beside the one that answered."""


def _answer(
    exchange: Exchange, status: int, body: str, media: str = "application/json", headers: Pairs = ()
) -> Exchange:
    own: Pairs = (("content-type", media), *headers) if media else headers
    return exchange.replace(response=Response(status=status, headers=own, body=body))


def _page(words: str) -> str:
    return (
        "<!doctype html><html><head><title>Problem</title></head><body><h1>Something went wrong</h1>"
        f"<p>{html.escape(words)}</p></body></html>"
    )


def _as(form: str, words: str, code: str, status: int, stage: str) -> Spoil:
    """The refusal in one of the forms that servers use."""
    if form == "oauth":
        body = json.dumps({"error": code, "error_description": words})
        if stage == "mcp-initialize":
            header = f'Bearer error="{code}", error_description="{words.replace(chr(34), "")}"'
            return lambda one: _answer(one, status, body, headers=(("www-authenticate", header),))
        return lambda one: _answer(one, status, body)
    if form == "nested":
        return lambda one: _answer(one, status, json.dumps({"error": {"code": code, "message": words}}))
    if form == "problem":
        told = {"type": "about:blank", "title": "Problem", "status": status, "detail": words}
        return lambda one: _answer(one, status, json.dumps(told), "application/problem+json")
    if form == "page":
        return lambda one: _answer(one, status, _page(words), "text/html; charset=utf-8")
    return lambda one: _answer(one, status, words, "text/plain")


def _redirected(words: str, code: str) -> Spoil:
    def spoil(one: Exchange) -> Exchange | None:
        query = dict(one.request.query)
        if "redirect_uri" not in query:
            return None
        told = {"error": code, "error_description": words} | ({"state": query["state"]} if "state" in query else {})
        location = f"{query['redirect_uri']}?{urlencode(told)}"
        return _answer(one, 302, "", "", (("location", location),))

    return spoil


def _members(**changes: Any) -> Spoil:
    """A JSON answer with members that are changed (`None`: gone)."""

    def spoil(one: Exchange) -> Exchange | None:
        held = one.response.json_object if one.response else {}
        if not held or not set(changes) & set(held):
            return None
        told = {name: value for name, value in (held | changes).items() if value is not None}
        return one.replace(response=one.response.model_copy(update={"body": json.dumps(told)}))  # type: ignore[union-attr]

    return spoil


def _without_header(name: str, value: str | None = None) -> Spoil:
    def spoil(one: Exchange) -> Exchange | None:
        if one.response is None or one.response.header(name) is None:
            return None
        kept = tuple(pair for pair in one.response.headers if pair[0].lower() != name)
        kept = kept if value is None else (*kept, (name, value))
        return one.replace(response=one.response.model_copy(update={"headers": kept}))

    return spoil


def _unanswered(error: str) -> Spoil:
    return lambda one: one.replace(response=None, error=error)


def _pick(text: str, some: list[Any], count: int) -> list[Any]:
    """A few of them, always the same for the same text."""
    return sorted(some, key=lambda item: crc32(f"{text}{item}".encode()))[:count]


_FORMS = ("oauth", "nested", "problem", "page", "text")
_CODES = {
    "client-registration": "invalid_client_metadata",
    "authorization-request": "invalid_request",
    "token-request": "invalid_request",
    "mcp-initialize": "invalid_token",
}


def _refusals(stage: str, seed: str) -> Iterator[Break]:
    phrases: list[tuple[str, Phrase]] = [
        (phrase.example, phrase)
        for vendor in vendors()
        for phrase in vendor.phrase
        if phrase.subject in _ABOUT[stage].split()
        and len(phrase.example) > 20
        and phrase.example[:1] not in "{<["
        and " " in phrase.example
        and not phrase.code
    ]
    code = _CODES.get(stage, "server_error")
    for number, (words, phrase) in enumerate(_pick(seed + stage, phrases, 6)):
        form = _FORMS[(crc32(f"{seed}{stage}".encode()) + number) % len(_FORMS)]
        status = 401 if stage == "mcp-initialize" and phrase.subject.startswith("token") else (400, 403)[number % 2]
        status = 500 if phrase.subject == "server-fault" else status
        beside = frozenset({phrase.party or "", "network" if phrase.subject in ("edge", "server-fault") else ""})
        name = f"{form} {status} {phrase.vendor} {phrase.subject}: {words[:50]}"
        yield Break("known words", name, _as(form, words, code, status, stage), words, beside)
        if stage == "authorization-request" and number < 2:
            name = f"back: {phrase.vendor} {phrase.subject}: {words[:50]}"
            yield Break("redirected back", name, _redirected(words, "invalid_request"), words, beside)
    for number, words in enumerate(UNKNOWN):
        form = _FORMS[(crc32(f"{seed}{stage}u".encode()) + number) % len(_FORMS)]
        status = (400, 403, 401)[number] if stage not in ("mcp-challenge",) else (400, 403, 422)[number]
        yield Break("unknown words", f"{form} {status}: {words[:40]}", _as(form, words, code, status, stage), words)
    if stage == "authorization-request":
        yield Break("redirected back", "back, unknown", _redirected(UNKNOWN[1], "server_error"), UNKNOWN[1])


_NGINX = (
    "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr><center>nginx</center></body></html>"
)
_SPA = '<!doctype html><html lang="en"><head><title>App</title></head><body><div id="root"></div></body></html>'


def _plain(stage: str) -> Iterator[Break]:
    network = frozenset({"network"})
    for status in (403, 500):
        yield Break("bare status", f"{status}", lambda one, s=status: _answer(one, s, "", ""), str(status), network)  # type: ignore[misc]
    yield Break("bare status", "429", lambda one: _answer(one, 429, "", "", (("retry-after", "60"),)), "429", network)
    for title in ("502 Bad Gateway", "503 Service Unavailable"):
        page, status = _NGINX.format(title), int(title[:3])
        name = f"nginx {status}"
        yield Break("gateway", name, lambda one, s=status, p=page: _answer(one, s, p, "text/html"), title[:3], network)  # type: ignore[misc]
    if stage not in ("authorization-request", "mcp-challenge"):
        yield Break("page for JSON", "app shell", lambda one: _answer(one, 200, _SPA, "text/html"), "", network)
        yield Break("page for JSON", "empty 200", lambda one: _answer(one, 200, "", ""), "", network)
    for error in ("connection refused", "timed out", "TLS: certificate verify failed"):
        yield Break("no answer", error, _unanswered(error), "", frozenset({"network", "config"}))


def _spoilt_members(stage: str) -> Iterator[Break]:
    ways: dict[str, list[tuple[str, Spoil]]] = {
        "prm-discovery": [
            ("no authorization_servers", _members(authorization_servers=None)),
            ("empty authorization_servers", _members(authorization_servers=[])),
            ("another resource", _members(resource="https://elsewhere.example/mcp")),
            ("no resource", _members(resource=None)),
        ],
        "as-discovery": [
            ("no authorization_endpoint", _members(authorization_endpoint=None)),
            ("no token_endpoint", _members(token_endpoint=None)),
            ("another issuer", _members(issuer="https://elsewhere.example")),
            ("no S256", _members(code_challenge_methods_supported=["plain"])),
            ("no code", _members(response_types_supported=["token"])),
        ],
        "client-registration": [
            ("no client_id", _members(client_id=None)),
            ("null client_id", _members(client_id="")),
            ("other redirect_uris", _members(redirect_uris=["https://elsewhere.example/cb"])),
        ],
        "token-request": [
            ("no access_token", _members(access_token=None)),
            ("no token_type", _members(token_type=None)),
            ("token_type mac", _members(token_type="mac")),
            ("expires_in a word", _members(expires_in="soon")),
        ],
    }
    for name, spoil in ways.get(stage, ()):
        yield Break("member", name, spoil)
    if stage == "mcp-challenge":
        yield Break("header", "no WWW-Authenticate", _without_header("www-authenticate"))
        yield Break(
            "header", "Basic", _without_header("www-authenticate", 'Basic realm="x"'), "", frozenset({"network"})
        )
    elif stage not in ("authorization-request",):
        yield Break("header", "text/html", _without_header("content-type", "text/html"))


def breaks(stage: str, seed: str) -> Iterator[Break]:
    """Every way to spoil an answer of the stage."""
    yield from _refusals(stage, seed)
    yield from _plain(stage)
    yield from _spoilt_members(stage)


@dataclass(frozen=True)
class Trial:
    base: str
    stage: str
    broken: Break
    exchange: int
    report: Report
    failed: tuple[str, ...]


CHECKS = ("not connected", "cause", "place", "party", "words")


def analyzed(recording: Recording, exchanges: list[Exchange]) -> tuple[SessionAnalyzer, Report]:
    tap = SessionAnalyzer(recording.upstream)
    for exchange in exchanges:
        tap.add(exchange.model_copy(update={"id": 0}))
    return tap, build(tap, now=recording.until)


def trials(base: str, stages: tuple[str, ...] = tuple(STEPS)) -> Iterator[Trial]:
    recording = loader.read(str(RECORDINGS / f"{base}.har"))
    exchanges = list(recording.exchanges)
    _, healthy = analyzed(recording, exchanges)
    assert healthy.connected, base
    token = next(row for row in healthy.exchanges if "token-request" in row.stages and row.status == 200)
    here = urls.origin(exchanges[0].request.url)
    one_server = here == urls.origin(token.url)
    for stage in stages:
        good = [
            row for row in healthy.exchanges
            if stage in row.stages and row.status is not None and row.actor in ("client", "browser")
            and (row.status < 400 or (stage == "mcp-challenge" and row.status == 401))
        ]  # fmt: skip
        if stage == "mcp-initialize":
            good = [row for row in good if row.id > token.id]
        if not good:
            continue
        place = good[0].id
        for broken in breaks(stage, base):
            spoilt = broken.spoil(exchanges[place - 1])
            if spoilt is None:
                continue
            tap, report = analyzed(recording, [*exchanges[: place - 1], spoilt])
            own = "resource-server" if stage in _OF_MCP else "authorization-server"
            parties = {own, "config"} | broken.parties
            if one_server:
                parties |= {"resource-server", "authorization-server"}
            yield Trial(base, stage, broken, place, report, tuple(_failed(broken, place, parties, tap, report)))


def _failed(broken: Break, place: int, parties: set[str], tap: SessionAnalyzer, report: Report) -> Iterator[str]:
    if report.connected or report.ending in ("connected", "signed-in"):
        yield "not connected"
    cause = report.cause
    if cause is None:
        yield "cause"
    else:
        if cause.exchange != place:
            yield "place"
        if cause.responsible not in parties - {"client"}:
            yield "party"
    if broken.words:
        shown = Output(None, console(report, [step.exchange for step in tap.steps]), "").summary
        if not visible(broken.words[:60].rstrip(), shown):
            yield "words"


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts what holds of healthy sign-ins that were broken at one place.")
    parser.add_argument("--misses", action="store_true", help="print each that does not hold")
    parser.add_argument("--base", help="only bases with this text in their name")
    parser.add_argument("--stage", help="only this stage")
    asked = parser.parse_args()
    every, whole, failed = Counter[str](), Counter[str](), Counter[str]()
    for base in BASES:
        if asked.base and asked.base not in base:
            continue
        for trial in trials(base, (asked.stage,) if asked.stage else tuple(STEPS)):
            every[trial.broken.way] += 1
            whole[trial.broken.way] += not trial.failed
            failed.update(trial.failed)
            if asked.misses and trial.failed:
                cause = trial.report.cause
                came = f"{cause.rule} ({cause.responsible}) at {cause.exchange}" if cause else "no cause"
                name = f"{base.rpartition('/')[2][:12]:<12} {trial.stage:<22} {trial.broken.way}: {trial.broken.name}"
                print(f"{'+'.join(trial.failed):<22} {name:<110} {trial.exchange} {trial.report.ending} {came}")
    for way in every:
        print(f"{way:<18} {whole[way]:>5} of {every[way]}")
    print(f"{'all':<18} {whole.total():>5} of {every.total()}")
    print("; ".join(f"{name}: {failed[name]}" for name in CHECKS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
