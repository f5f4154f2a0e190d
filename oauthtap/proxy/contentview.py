"""The content view *OAuth* in mitmweb: what an exchange was for, and what is wrong with it. Text only.

Everything an upstream said is data: control characters, escape codes and changes of
direction are written out, so that nothing it sends can pose as a word of ours.
"""

from __future__ import annotations

import contextlib
import json
import textwrap
from collections.abc import Iterator

from mitmproxy import contentviews, http
from mitmproxy.contentviews import Contentview, Metadata, SyntaxHighlight

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.model.exchange import Exchange, Message, Pairs
from oauthtap.model.sanitize import escape_controls
from oauthtap.proxy.flow_annotations import STEPS, because, keep_steps
from oauthtap.proxy.flow_state import exchange_from
from oauthtap.redaction.alias_format import claims, jose_header
from oauthtap.render.labels import patched
from oauthtap.report.build import exchange_row

_LONGEST = 20_000
_WIDTH = 84
_TOKENS = ("access_token", "id_token", "assertion", "client_assertion", "subject_token")


def add() -> None:
    """Let mitmweb know the view."""
    contentviews.add(OAuthContentview())
    keep_steps()


class OAuthContentview(Contentview):
    """Opens by itself on a flow with findings."""

    name = "OAuth"
    syntax_highlight: SyntaxHighlight = "yaml"

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        """Above every other view where there is something to say, else only on request."""
        step = STEPS.get(metadata.flow.id) if metadata.flow else None
        if step is None:
            return -1
        return 100 if step.findings or step.exchange.applied_fixes else 0

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        """The view's text; the body alone for a flow that was never judged."""
        flow = metadata.flow
        step = STEPS.get(flow.id) if flow else None
        if step is None or not isinstance(flow, http.HTTPFlow):
            return escape_controls(data.decode("utf-8", "replace"), limit=_LONGEST, lines=True)
        return "\n".join(page(step, flow, answer=metadata.http_message is flow.response))


def page(step: AnalyzedExchange, flow: http.HTTPFlow, *, answer: bool) -> Iterator[str]:
    """The lines of the view, for the request or for the answer of a flow."""
    exchange = step.exchange
    yield f"exchange {exchange.id}: {step.stage} ({step.stages[0].certainty})"
    yield f"{exchange.request.method} {escape_controls(exchange.request.url)}"
    yield f"status: {exchange.status or escape_controls(exchange.error or 'no answer seen')}"
    if step.initiator is not None:
        yield f"because: {escape_controls(because(step))}"
    yield ""
    worst = sorted(step.findings, key=lambda finding: RANK[finding.severity])
    yield from (line for finding in worst for line in _finding(finding))
    if not worst:
        yield "findings: none"
    for text in patched(exchange_row(step.stages)):
        yield from _wrapped("", text)
    yield from _claims(exchange)
    message = exchange.response if answer else exchange.request
    if message is not None:
        yield from _beside(message, flow, answer=answer)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.upper()}  {finding.rule}"
    yield from _wrapped("", finding.message)
    yield from _wrapped("at: ", finding.at)
    if finding.expected is not None:
        yield from _wrapped("expected: ", finding.expected)
    if finding.actual is not None:
        yield from _wrapped("actual:   ", finding.actual)
    yield from _wrapped("fix: ", finding.fix)
    yield from _wrapped("source: ", f"{finding.source} {finding.source_url}")
    yield ""


def _wrapped(label: str, text: str) -> Iterator[str]:
    """A labelled text in lines that mitmweb shows whole. Nothing for an empty one."""
    shown = escape_controls(text.strip(), limit=2000)
    further = " " * (2 + len(label))
    return iter(
        textwrap.wrap(shown, _WIDTH, initial_indent=f"  {label}", subsequent_indent=further, break_on_hyphens=False)
    )


def _claims(exchange: Exchange) -> Iterator[str]:
    """What the tokens of an exchange say, where they say anything; their signatures are gone."""
    for where, token in _tokens(exchange):
        header, said = jose_header(token), claims(token)
        if header is None and said is None:
            continue
        yield f"{where}:"
        for name, value in (("header", header), ("claims", said)):
            text = json.dumps(value, indent=2, ensure_ascii=True)
            yield f"  {name}: " + text.replace("\n", "\n  ")
        yield ""


def _tokens(exchange: Exchange) -> Iterator[tuple[str, str]]:
    scheme, _, credentials = (exchange.request.header("authorization") or "").partition(" ")
    if credentials and scheme.lower() in ("bearer", "dpop"):
        yield "token in Authorization", credentials.strip()
    for name, value in exchange.request.form:
        if name in _TOKENS:
            yield f"{name} in the request", value
    document = exchange.response.json_object if exchange.response else {}
    for name in _TOKENS:
        if isinstance(document.get(name), str):
            yield f"{name} in the answer", document[name]


def _beside(message: Message, flow: http.HTTPFlow, *, answer: bool) -> Iterator[str]:
    """The message as the upstream knows it, and what of it the client saw differently."""
    yield "as the upstream sent it:" if answer else "as the client meant it:"
    yield from _text(message.headers, message.body)
    if not answer:
        return
    shown = exchange_from(flow).response
    if shown is None:
        return
    gone = [line for line in message.headers if line not in shown.headers]
    come = [line for line in shown.headers if line not in message.headers]
    changed = _told_apart(message.body, shown.body)
    if gone or come or changed:
        yield ""
        yield "what the client saw in its place:"
        yield from (
            f"  - {escape_controls(name)}: {escape_controls(value, limit=500)}"
            for name, value in gone
            if not _secret(name)
        )
        yield from (
            f"  + {escape_controls(name)}: {escape_controls(value, limit=500)}"
            for name, value in come
            if not _secret(name)
        )
        yield from changed


def _secret(name: str) -> bool:
    return name.lower() in ("set-cookie", "cookie", "authorization", "content-length")


def _told_apart(before: str | None, after: str | None) -> list[str]:
    """The strings of a document that differ."""
    try:
        old, new = json.loads(before or "null"), json.loads(after or "null")
    except (ValueError, RecursionError):
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    lines = []
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name) and not _struck(old.get(name)):
            lines.append(f"  {escape_controls(name)}: {_shown(new.get(name)) if name in new else '(left out)'}")
    return lines


def _struck(value: object) -> bool:
    return "‹" in json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> str:
    return escape_controls(json.dumps(value, ensure_ascii=False), limit=500)


def _text(headers: Pairs, body: str | None) -> Iterator[str]:
    yield from (f"  {escape_controls(name)}: {escape_controls(value)}" for name, value in headers)
    if body is None:
        yield "  (the body was not kept)"
    elif body:
        yield ""
        yield from (f"  {line}" for line in _laid_out(body).splitlines())


def _laid_out(body: str) -> str:
    with contextlib.suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return escape_controls(body, limit=_LONGEST, lines=True)
