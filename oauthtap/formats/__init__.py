"""Everything that people have in hand and that is no recording: logs, pasted HTTP, single documents.

One module for each form, with a list of samples beside it in `tests/formats/`. Each has `read(text)`, which gives a
`Recording`, or None when the text holds nothing of that form, and `FORM`, the line that `oauthtap check --help` says
of it. What a text does not show is unseen (see `builder`): no finding rests on its absence.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from html import unescape
from urllib.parse import quote

import oauthtap.formats.logs.client_logs as client_logs
from oauthtap.clients import profiles
from oauthtap.formats import access_log, document, json_log, shown_page, transcript
from oauthtap.formats.builder import STAND_IN, origin_of
from oauthtap.formats.logs import lone_error, sentences, vs_code
from oauthtap.formats.logs.builder import object_in
from oauthtap.formats.logs.client_messages import last_step
from oauthtap.formats.logs.client_names import client_of
from oauthtap.formats.logs.log_lines import has_times
from oauthtap.formats.logs.statements import last_mark
from oauthtap.formats.mixture import as_told, step_of, with_bodies, with_rest, with_told
from oauthtap.model.exchange import Exchange, Request, first_value
from oauthtap.model.recording import Recording
from oauthtap.model.sanitize import escape_controls

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_ADDED = re.compile(r"\bmcp add\b[^\n]*--transport (?:http|sse)\s+\S+\s+(?!https?://)([\w-]+(?:\.[\w-]+)+\S*)")
"""A command that gives a client a URL without its scheme, which is taken without a word."""
_VERBOSE = re.compile(r"> (?:GET|POST|PUT|HEAD|DELETE|OPTIONS) \S+ HTTP/")
_TAGS = re.compile(r"<(?:p|code|strong|li|h[1-6])>")
_PLACEHOLDER = re.compile(
    r"(https?://)(<[\w .-]{1,40}>|\$?\{[\w .-]{1,40}\}|\[[a-zA-Z][\w .-]{1,40}\]|\*{3,}|[xX]{4,}|…|\.{3,})"
    r"(?=[:/\s\"'`)\\,]|$)"
)
"""A host that was left out: `https://<host>/mcp`, `https://{tenant}`."""
_SEGMENT = re.compile(r"(?<=/)<([\w-]{1,40})>(?=/)")
"""A segment of a path that was left out: `/<path>/mcp`."""
_VALUE_BELOW = re.compile(r"([?&][\w.]+=)[ \t]*\n[ \t]+(?=https?://\S)")
"""A parameter whose value, a URL, stands on the next line."""
_PARAMETERS_BELOW = re.compile(
    r"((?:https?://[^\s?\"'`<>]+|/[^\s?\"'`<>]*(?=\?))(?:\?[^\s\"'`<>]*)?)((?:[ \t]*\n[ \t]*[?&][\w.]+=[^\s\"'`<>]*)+)"
)
"""An authorization URL whose parameters stand on lines of their own."""
_SHORT = 8_000
"""Characters of a report by a person: in longer texts only one form is read."""
_EXPECTED = re.compile(
    r"(?:^|\n)[#*\s>]*(?:(?:what )?(?:I|was|is|it) )?(?:Expected|Should be|Correct|Wanted)\b[^\n]{0,60}\n?\s*$"
    r"|\b(?:should|would|must) (?:\w+ ){0,3}(?:receive|return|be|look|get|serve|see)\b[^\n]{0,80}:\s*$",
    re.I,
)
"""The heading of a block that shows what did not come."""
_PARAMETER_TABLE = re.compile(
    r"^\|\s*`?(redirect_uri|resource|scope|client_id|response_type|code_challenge_method)`?\s*\|.*\n\|[\s:|-]+\n", re.M
)
_ASKED = re.compile(r"\b((?:GET|POST) (?:https?://[^\s`?]+|/[^\s`?]*))")
_STATUS_BELOW = re.compile(r"\s*((?:HTTP/[\d.]+|(?:HTTP )?status(?: code)?:?)\s*[1-5]\d\d\b[^\n]{0,40})\n", re.I)
"""What stands below the fence of a command: the status that it got."""
_ANSWER_BESIDE = re.compile(r"^HTTP/[\d.]+ [1-5]\d\d\b", re.M)
"""A raw answer that somebody put beside a client's log."""
_FEW_TAGS = 4
_HEAD = 4
"""Lines in which a log in JSON begins: its path may stand above it."""
_LARGEST = 20_000_000
"""Characters. Logs larger than that are cut: what lies at their end is read."""

FORMS = (
    "session folders, session.jsonl, .mitm, .har",
    "Claude Code: what --debug-file writes, mcp-logs-*/*.jsonl; mcp-remote: *_debug.log, what it prints",
    vs_code.FORM,
    sentences.FORM,
    transcript.FORM,
    access_log.FORM,
    json_log.FORM,
    document.FORM,
    "Markdown with any of these between fences, as in a bug report",
)
"""Everything that `oauthtap check` reads, a line each."""


def load_recording(text: str) -> Recording | None:
    """The exchanges in a text of any of these forms; None when there are none. Never raises for what is in it."""
    text = _SEGMENT.sub(r"\1", _PLACEHOLDER.sub(_host_of, _without_tags(_unquoted(text[-_LARGEST:]))))
    text = _with_requests(text)
    text = _VALUE_BELOW.sub(r"\1", text)
    text = _PARAMETERS_BELOW.sub(lambda url: url[1] + re.sub(r"\s+", "", url[2]), text)
    found = _any_form(text)
    if found and found.client is None and (client := client_of(text)):
        found = replace(found, header={**found.header, "client": client})
    if found and found.client:
        found = replace(found, exchanges=tuple(_by_client(one, text) for one in found.exchanges))
    if found and len(text) < _SHORT and not has_times(text):
        found = as_told(found, text)
    # Claude Code tells of a redirect whether or not anybody is sent there: its own reader knows which.
    if found and (step := (None if client_logs.recognizes(text) else last_mark(text)) or last_step(text)):
        found = replace(found, header={**found.header, "told_step": step})
    if found and (bare := _ADDED.search(text)):
        given = escape_controls(bare[1], limit=100)
        note = f"The client was given {given}: without https:// in front it is no URL, and nothing is sent."
        found.header.setdefault("notes", []).append(note)
    return found


def _with_requests(text: str) -> str:
    """A table of values of one parameter and what each got: its rows as requests of the one that stands above it."""
    head = _PARAMETER_TABLE.search(text)
    asked = _ASKED.findall(text[: head.start()]) if head else []
    if head is None or len(set(asked)) != 1:
        return text
    rows = re.sub(
        r"^(\|\s*)`?([^|`\s]+)`?(?=\s*\|)",
        lambda row: f"{row[1]}`{asked[0]}?{head[1]}={quote(row[2], safe='')}`",
        text[head.end() :],
        flags=re.MULTILINE,
    )
    return text[: head.end()] + rows


def _by_client(exchange: Exchange, text: str) -> Exchange:
    """A challenge that somebody quotes is what the client met that the text names, unless a command got it."""
    challenged = exchange.response is not None and exchange.response.header("www-authenticate") is not None
    if exchange.actor != "reporter" or not challenged or re.search(r"\bcurl\b|\bwget\b|\bhttpie\b", text):
        return exchange
    return exchange.replace(actor="client")


def _host_of(placeholder: re.Match[str]) -> str:
    """A host that somebody wrote a name or stars for, as one that a URL may have; the same name is the same host."""
    name = re.sub(r"[^a-z0-9]+", "-", placeholder[2].lower()).strip("-")
    return f"{placeholder[1]}{f'{name}.invalid' if name else STAND_IN.removeprefix('https://')}"


def _any_form(text: str) -> Recording | None:
    if whole := _client_log(text):
        return whole
    fences = list(_FENCE.finditer(text))
    fences = [match for match in fences if not _EXPECTED.search(text[: match.start()])] or fences
    fenced = [textwrap.dedent(match[3]) for match in fences]
    ends = [0, *(match.end() for match in fences)]
    starts = [*(match.start() for match in fences), len(text)]
    prose = [text[a:b] for a, b in zip(ends, starts, strict=True)]
    if fenced and (joined := _joined(fenced, prose)):
        return with_told(_with_prose(joined, prose), "\n\n".join(prose))
    if len(text) > _SHORT or has_times(text):
        return _plain(text)
    return with_told(_plain(text), "\n\n".join(prose))


def _unquoted(text: str) -> str:
    """A text whose every line is quoted, as in a mail or an issue, without the marks."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not all(line.startswith(">") for line in lines) or any(_VERBOSE.match(line) for line in lines):
        return text
    return re.sub(r"^> ?", "", text, flags=re.MULTILINE)


def _without_tags(text: str) -> str:
    """A report that was pasted as HTML, as the text it shows. A page that a server answered stays as it is."""
    if len(_TAGS.findall(text, 0, 100_000)) < _FEW_TAGS or re.search(r"<html|<!doctype|<body", text[:100_000], re.I):
        return text
    return unescape(re.sub(r"</?(?:p|strong|em|code|pre|li|ul|ol|h[1-6]|br|span|b|i)\b[^<>\n]{0,200}>", "", text))


def _client_log(text: str) -> Recording | None:
    """A log of one client, which tells of itself in its own words."""
    if (client_logs.recognizes(text) or _is_claude_jsonl(text)) and (found := client_logs.read(text)).exchanges:
        answered = transcript.read(text) if _ANSWER_BESIDE.search(text) else None
        return with_rest(found, [answered], later=True) if answered else found
    if vs_code.recognizes(text):
        return vs_code.read(text)
    return None


def _is_claude_jsonl(text: str) -> bool:
    first = next((line for line in text[:20_000].splitlines()[:_HEAD] if line.startswith("{")), "")
    return client_logs.recognizes_line(object_in(first)) if first else False


def _plain(text: str, above: str = "", below: str = "") -> Recording | None:
    """One form throughout: the one that finds most in it. Of two that find as much, the more telling one."""
    if entries := document.har_part(text):
        return entries
    if text.lstrip()[:1] in ("{", "[") and (in_json := document.read(text, above, below) or json_log.read(text)):
        return in_json
    readers = (transcript.read, sentences.read, access_log.read, json_log.read)
    found: list[Recording] = [one for reader in readers if (one := reader(text)) is not None]
    if not found:
        return document.read(text, above, below)
    best = max(found, key=_told)
    if len(text) < _SHORT and not has_times(text):
        documents = document.read(text, above, below)
        best = with_rest(best, [one for one in (*found, documents) if one is not None and one is not best])
    client = best.client or client_of(text) or _by_callback(best)
    return best if best.client == client else replace(best, header={**best.header, "client": client})


def _told(recording: Recording) -> tuple[int, int]:
    """How much a reading shows: exchanges with their answers, then all."""
    return sum(one.response is not None for one in recording.exchanges), len(recording.exchanges)


def _by_callback(recording: Recording) -> str | None:
    """The one client that lets itself be called back there; None where several do, or none."""
    shown = (first_value(exchange.request.query, "redirect_uri") or "" for exchange in recording.exchanges)
    uris = tuple(filter(None, shown))
    owners = {one.slug for one in profiles() if any(uri.startswith(one.recognize.redirect_uri) for uri in uris)}
    return owners.pop() if len(owners) == 1 else None


def _joined(blocks: list[str], prose: list[str]) -> Recording | None:
    """The blocks of a bug report, each read by itself, in their order."""
    above = ["\n".join(prose[: number + 1])[-2000:] for number in range(len(blocks))]
    below = [piece[:300] for piece in prose[1:]]
    found = [
        one
        for block, *words in zip(blocks, above, below, strict=True)
        if (one := _client_log(block) or _plain(_with_status(block, words[1]), *words))
        or (len(blocks) > 1 and (one := lone_error.read(block, "\n".join(words))))
        or (one := shown_page.read(block, words[0]))
    ]
    # A command in one block, and what it printed in the next.
    together = transcript.read("\n\n".join(blocks))
    if together and len(together.exchanges) > sum(len(one.exchanges) for one in found):
        return together
    found = with_bodies(shown_page.without_told(found))
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    upstream = next((one.upstream for one in found if one.upstream), None)
    if len(found) > 1:
        found = [one for one in found if not _in_server_log(one, found)]
    every = [exchange for one in found for exchange in one.exchanges]
    home = origin_of(upstream or "") or next((o for e in every if (o := origin_of(e.request.url)) != STAND_IN), None)
    numbered = tuple(
        exchange.replace(id=number, started_at=None, request=_at_home(exchange.request, home))
        for number, exchange in enumerate(every, 1)
    )
    client = next((one.client for one in found if one.client), None)
    counts = [len(one.exchanges) for one in found]
    notes = dict.fromkeys(note for at, one in enumerate(found) for note in _renumbered(one.notes, sum(counts[:at])))
    return Recording(numbered, {"upstream": upstream, "client": client}, None, tuple(notes))


def _with_status(block: str, below: str) -> str:
    """A command, with the status that stands below its fence."""
    shown = _STATUS_BELOW.match(below)
    return f"{block}\n{shown[1]}\n" if shown and re.match(r"\s*(?:[$>#]\s+)?curl\b", block) else block


def _in_server_log(one: Recording, found: list[Recording]) -> bool:
    """A client's message about one refusal, which the log of the server in another block tells with its method."""
    if one.client is None or len(one.exchanges) != 1 or not (one.exchanges[0].status or 0) >= 400:
        return False
    told = (step_of(one.exchanges[0]), one.exchanges[0].status)
    others = [other for other in found if other is not one and other.client is None and len(other.exchanges) > 1]
    return any(told == (step_of(each), each.status) for other in others for each in other.exchanges)


def _with_prose(found: Recording, pieces: list[str]) -> Recording:
    """What the sentences around the blocks tell besides: answered exchanges, in front of those of the blocks."""
    known = {(exchange.request.path, exchange.status) for exchange in found.exchanges}
    told = [
        one for piece in pieces if (read := sentences.read(piece)) for one in read.exchanges
        if not _made(one) or f" {one.request.path}\n" in f"{piece}\n"
    ]  # fmt: skip
    more = {(one.request.path, one.status): one for one in told if one.status}
    anywhere = {exchange.status for exchange in found.exchanges if _made(exchange)}
    new = [one for key, one in more.items() if key not in known and one.status not in anywhere]
    if not new:
        return found
    every = [one.replace(id=number, started_at=None) for number, one in enumerate([*new, *found.exchanges], 1)]
    home = next((o for e in every if (o := origin_of(e.request.url)) != STAND_IN), None)
    every = [one.replace(request=_at_home(one.request, home)) for one in every]
    return replace(found, exchanges=tuple(every), notes=_renumbered(found.notes, len(new)))


def _renumbered(notes: tuple[str, ...], by: int) -> tuple[str, ...]:
    """Notes about exchanges that have others in front of them now."""
    return tuple(re.sub(r"(?<=status of exchange )\d+", lambda number: str(int(number[0]) + by), one) for one in notes)


def _made(exchange: Exchange) -> bool:
    """The text does not say where it went."""
    return exchange.request.url == f"{STAND_IN}/mcp" or "-endpoint-not-shown" in exchange.request.url


def _at_home(request: Request, home: str | None) -> Request:
    """Paths whose host one block does not show are at the host that another one shows."""
    if home is None or not request.url.startswith(f"{STAND_IN}/"):
        return request
    return request.model_copy(update={"url": request.url.replace(STAND_IN, home, 1)})


__all__ = ["FORMS", "load_recording"]
