"""Does a verdict hold when what must not matter changes? `uv run python -m benchmarks.variations [--misses]`.

From every recording of the lots whose label is met, variants are made that mean the same: members in another order,
the refusal in other words of the same subject, another status, another client, a recording that begins or ends
elsewhere, a further harmless defect, a redirect in between. A verdict holds if the variant's cause is right by the
label, or is the one of the recording itself (rule and party). A control has to stay without a cause. Prints how
many hold, by variation; exits with 0 whatever the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from benchmarks.lots import RULES, answers
from oauthtap.diagnosis.phrases import match_phrases
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange, Pairs, Response
from oauthtap.model.recording import Recording
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.vendors import GENERIC, vendors

LOTS = Path(__file__).parent.parent / "tests" / "recordings" / "lots"

Change = Callable[[list[Exchange], Report], list[Exchange] | None]
"""The exchanges of a variant, made from those of the recording and its report; None where there is none."""


@dataclass(frozen=True)
class Case:
    """A label, and the recording that it is of."""

    label: dict[str, Any]
    path: Path

    @property
    def name(self) -> str:
        return f"{self.path.parent.parent.name.rpartition('-')[2]}/{self.label['id']}"


def cases() -> list[Case]:
    """Every label of every lot."""
    found = []
    for labels in sorted(LOTS.glob("*/labels.json")):
        found += [Case(label, labels.parent / label["file"]) for label in json.loads(labels.read_text("utf-8"))]
    return found


def judged(recording: Recording, exchanges: list[Exchange]) -> Report:
    """The report on these exchanges of the recording."""
    tap = SessionAnalyzer(recording.upstream)
    for exchange in exchanges:
        tap.add(exchange.model_copy(update={"id": 0}))
    return build(tap, now=recording.until)


@cache
def known_rules() -> frozenset[str]:
    return frozenset(RULES.read_text("utf-8").split())


def is_right(label: dict[str, Any], report: Report) -> bool:
    """The cause of the report is what the label asks for; of a control, that there is none."""
    cause = report.cause.model_dump(mode="json") if report.cause else None
    want = label.get("cause")
    if want is None:
        return cause is None
    if answers(cause, want, label.get("forbid", []), set(known_rules())):
        return True
    summary = report.refusal is not None and want.get("place") == "summary"
    loud = [f.model_dump(mode="json") for f in report.findings if f.severity != "note"]
    finding = want.get("place") == "finding" and any(answers(f, want, [], set(known_rules())) for f in loud)
    return (summary or finding) and (cause is None or cause["rule"] not in label.get("forbid", []))


def holds(label: dict[str, Any], before: Report, after: Report) -> bool:
    """The verdict on the variant is the one on the recording, or one that the label takes as well."""
    if is_right(label, after):
        return True
    if before.cause is None or after.cause is None:
        return before.cause is after.cause
    return (before.cause.rule, before.cause.responsible) == (after.cause.rule, after.cause.responsible)


# --- what must not matter


def _answer(exchange: Exchange, **changes: Any) -> Exchange:
    assert exchange.response is not None
    return exchange.model_copy(update={"response": exchange.response.model_copy(update=changes)})


def member_order(exchanges: list[Exchange], report: Report) -> list[Exchange]:
    """The members of every JSON answer, the last one first."""

    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    told = [(one, one.response.json_value if one.response else None) for one in exchanges]
    return [_answer(one, body=json.dumps(turned(value))) if isinstance(value, dict) else one for one, value in told]


_ENDPOINTS = ("client-registration", "token-request", "token-refresh", "token-other-grant", "authorization-request")


def _refused(exchanges: list[Exchange], report: Report) -> Iterator[int]:
    """Where the refusal stands that the report tells of, and all that say the same."""
    said = report.refusal
    at = said.exchange if said is not None else 0
    if 0 < at <= len(exchanges) and exchanges[at - 1].response is not None:
        first = exchanges[at - 1].response
        yield from (
            n for n, one in enumerate(exchanges) if one.response and one.response.body == first.body
            and one.response.status == first.status and one.request.parts.path == exchanges[at - 1].request.parts.path
        )  # fmt: skip


def other_status(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """400, 401 and 403 in place of each other, at the endpoints of the authorization server."""
    stages = {step.id: step.stages for step in report.exchanges}
    if report.refusal is None or not set(stages.get(report.refusal.exchange, ())) & set(_ENDPOINTS):
        return None
    places = set(_refused(exchanges, report))
    others = {400: 403, 401: 400, 403: 400}
    if not any(exchanges[n].response.status in others for n in places):  # type: ignore[union-attr]
        return None
    return [
        _answer(one, status=others.get(one.response.status, one.response.status))
        if n in places and one.response
        else one
        for n, one in enumerate(exchanges)
    ]


@cache
def _wordings() -> tuple[tuple[str, str, str], ...]:
    """Subject, party and example of the wordings that every server may use, where nothing else is read into them."""
    generic = next(vendor for vendor in vendors() if vendor.slug == GENERIC)
    plain = [(p.subject, p.party or "", p.example) for p in generic.phrase if " " in p.example]
    return tuple(one for one in plain if (best := next(iter(match_phrases(one[2])), None)) and best.subject == one[0])


_VAGUE = (None, "request", "server-fault")
"""Subjects with which two wordings may mean two things."""


def other_words(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """The refusal in the words of another server, about the same subject."""
    said = report.refusal
    if said is None or said.subject in _VAGUE or not said.words or not said.at.startswith("response.json"):
        return None
    words = next((text for subject, _, text in _wordings() if subject == said.subject and text != said.words), None)
    places = set(_refused(exchanges, report))
    if words is None or not places:
        return None
    old, new = json.dumps(said.words)[1:-1], json.dumps(words)[1:-1]
    changed = [
        _answer(one, body=one.response.body.replace(old, new))
        if n in places and one.response and one.response.body
        else one
        for n, one in enumerate(exchanges)
    ]
    return changed if changed != exchanges else None


_OTHER = ("gizmo/3.1", "Gizmo")


def other_client(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """A client that nobody has measured; not where the client itself is what it is about, or went no further."""
    if report.ending in ("abandoned", "waiting", "signed-in", "nothing-arrived"):
        return None
    changed = []
    for one in exchanges:
        request = one.request
        headers: Pairs = tuple(
            (name, _OTHER[0] if name.lower() == "user-agent" and one.actor == "client" else value)
            for name, value in request.headers
        )
        message = request.json_object
        body = request.body
        if "client_name" in message:
            body = json.dumps({**message, "client_name": _OTHER[1]})
        elif message.get("method") == "initialize":
            params = {**(message.get("params") or {}), "clientInfo": {"name": "gizmo", "version": "3.1.0"}}
            body = json.dumps({**message, "params": params})
        changed.append(
            one.model_copy(update={"request": request.model_copy(update={"headers": headers, "body": body})})
        )
    return changed


def without_beginning(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """The recording began one exchange later: the first request, and the 401 that it got, are not in it."""
    said = report.refusal.exchange if report.refusal else 0
    cause = report.cause.exchange if report.cause and report.cause.exchange else 0
    first = exchanges[0].response
    if said <= 1 or cause <= 1 or first is None or first.status != 401:
        return None
    return exchanges[1:]


def with_more_behind(exchanges: list[Exchange], report: Report) -> list[Exchange]:
    """The client looks again at a page that is no part of it."""
    last, first = exchanges[-1], urlsplit(exchanges[0].request.url)
    url = f"{first.scheme}://{first.netloc}/favicon.ico"
    icon = last.request.model_copy(update={"method": "GET", "url": url, "body": None, "headers": ()})
    answer = Response(status=404, headers=(("content-type", "text/plain"),), body="Not Found")
    ended = last.ended if last.started_at is not None else None
    return [
        *exchanges,
        last.model_copy(
            update={"request": icon, "response": answer, "started_at": ended, "actor": "browser", "error": None}
        ),
    ]


def harmless_defect(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """Lists that are not full, and optional members that are missing: no server is refused for them."""
    changed, any_ = [], False
    for one in exchanges:
        told = one.response.json_object if one.response and one.response.status == 200 else {}
        if "authorization_endpoint" in told and "issuer" in told:
            told = {**told, "scopes_supported": ["openid"]} if "scopes_supported" not in told else told
            told = {
                name: value
                for name, value in told.items()
                if name not in ("service_documentation", "ui_locales_supported")
            }
        elif "authorization_servers" in told:
            told = {
                name: value for name, value in told.items() if name not in ("bearer_methods_supported", "resource_name")
            }
        else:
            changed.append(one)
            continue
        any_ = True
        changed.append(_answer(one, body=json.dumps(told)))
    return changed if any_ else None


def redirect_between(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """The authorization endpoint sends the browser to a page of its own first, which then answers."""
    changed: list[Exchange] = []
    for one in exchanges:
        query = dict(parse_qsl(one.request.parts.query))
        is_asked = (
            one.actor == "browser" and one.request.method == "GET" and query.get("response_type") and one.response
        )
        if not is_asked or one.response is None or one.started_at is None or one.duration is None:
            changed.append(one)
            continue
        parts = urlsplit(one.request.url)
        page = urlunsplit(
            (parts.scheme, parts.netloc, "/u/login", urlencode({"tx": query.get("state", "1")}, quote_via=quote), "")
        )
        hop = Response(status=302, headers=(("location", page),), body=None)
        changed.append(one.model_copy(update={"response": hop, "duration": one.duration / 4}))
        later = one.started_at + one.duration / 2
        request = one.request.model_copy(update={"url": page})
        changed.append(one.model_copy(update={"request": request, "started_at": later, "duration": one.duration / 4}))
    return changed if len(changed) > len(exchanges) else None


def probe_beside(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """The client asks with HEAD whether the endpoint is there, once it was told to sign in: no step of MCP."""
    stages = {step.id: step.stages for step in report.exchanges}
    for n, one in enumerate(exchanges, 1):
        told = one.actor == "client" and one.response is not None and one.response.status == 401
        if not told or "mcp-challenge" not in stages.get(n, ()) or one.started_at is None:
            continue
        request = one.request.model_copy(update={"method": "HEAD", "body": ""})
        answer = Response(status=405, headers=(("allow", "POST"),), body="")
        after = one.started_at + (one.duration or 0.0)
        probe = one.model_copy(update={"request": request, "response": answer, "started_at": after, "duration": 0.01})
        return [*exchanges[:n], probe, *exchanges[n:]]
    return None


_OF_MCP = {"mcp-initialize", "mcp-request", "mcp-token-rejected"}


def packed_words(exchanges: list[Exchange], report: Report) -> list[Exchange] | None:
    """A gateway packs what the MCP server said, as a string, into an error of its own."""
    said = report.refusal
    if said is None or not said.words:
        return None
    at = exchanges[said.exchange - 1]
    stages = {step.id: step.stages for step in report.exchanges}.get(said.exchange, ())
    answer = at.response
    if answer is None or not answer.json_object or not _OF_MCP & set(stages):
        return None
    if "result" in answer.json_object or "error_description" in (answer.header("www-authenticate") or ""):
        return None
    error = {"code": answer.status, "message": "MCP Failure", "data": json.dumps(answer.json_object)}
    places = set(_refused(exchanges, report))
    body = json.dumps({"error": error})
    return [_answer(one, body=body) if n in places else one for n, one in enumerate(exchanges)]


VARIATIONS: dict[str, Change] = {
    "member order": member_order,
    "other status": other_status,
    "other words": other_words,
    "other client": other_client,
    "without beginning": without_beginning,
    "with more behind": with_more_behind,
    "harmless defect": harmless_defect,
    "redirect between": redirect_between,
    "probe beside": probe_beside,
    "packed words": packed_words,
}


def verdicts(case: Case, names: tuple[str, ...] = tuple(VARIATIONS)) -> Iterator[tuple[str, bool, str]]:
    """Variation, whether the verdict holds, and what it came to; nothing for a label that is not met."""
    recording = loader.read(str(case.path))
    exchanges = list(recording.exchanges)
    before = judged(recording, exchanges)
    if not is_right(case.label, before):
        return
    for name in names:
        changed = VARIATIONS[name](exchanges, before)
        if changed is not None:
            after = judged(recording, changed)
            was, now = (f"{r.cause.rule} ({r.cause.responsible})" if r.cause else "no cause" for r in (before, after))
            yield name, holds(case.label, before, after), f"{was} -> {now}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts the verdicts that hold in variants of the lots.")
    parser.add_argument("--misses", action="store_true", help="print each verdict that does not hold")
    parser.add_argument("--id", help="only these, with commas between: e/e01")
    asked = parser.parse_args()
    every, kept = Counter[str](), Counter[str]()
    for case in cases():
        if asked.id and case.name not in asked.id.split(","):
            continue
        for name, right, came in verdicts(case):
            every[name] += 1
            kept[name] += right
            if asked.misses and not right:
                print(f"{case.name:<7} {name:<18} {came}")
    for name in VARIATIONS:
        print(f"{name:<18} {kept[name]:>4} of {every[name]}")
    print(f"{'all':<18} {kept.total():>4} of {every.total()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
