"""What other clients would do at this server: one line, or each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from oauthtap.clients.forecast import ClientForecast
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.display import Display
from oauthtap.render.labels import EVIDENCE
from oauthtap.report.model import Report


def other_clients(report: Report, display: Display) -> list[str]:
    """What other clients would do at this server: one line, or with `--clients` each by its reason."""
    rest = [one for one in report.clients if not one.recorded]
    if not rest:
        return []
    through = [one for one in rest if one.outcome == "goes-through"]
    groups = _by_reason([one for one in rest if one.outcome == "stops"])
    unknown = [one for one in rest if one.outcome == "unknown"]
    if not display.clients:
        counts = (
            (len(through), "would connect"),
            (len(unknown), "not known"),
            (sum(map(len, groups.values())), "would stop"),
        )
        parts = ", ".join(f"{many} {what}" for many, what in counts if many)
        reasons = "; ".join(f"{len(same)}: {why}" if len(groups) > 1 else why for why, same in groups.items())
        short = f"Other clients (--clients lists them): {parts}"
        text = escape_controls(f"{short} ({reasons})" if reasons else short)
        return [display.ink("note", text if len(text) <= display.width else short)]
    rows = [("Would connect", through)] if through else []
    rows += [(f"Would stop at {same[0].stage}: {why}", same) for why, same in groups.items()]
    rows += [(f"Not known: {why}", same) for why, same in _by_reason(unknown).items()]
    return ["Other clients", *(line for head, same in rows for line in _group(head, same, display))]


def _by_reason(clients: Sequence[ClientForecast]) -> dict[str, list[ClientForecast]]:
    found: dict[str, list[ClientForecast]] = {}
    for one in clients:
        found.setdefault(one.why, []).append(one)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _group(head: str, same: Sequence[ClientForecast], display: Display) -> Iterator[str]:
    for indent, text in (("  ", head), ("    ", ", ".join(map(_named, same)))):
        words = escape_controls(text)
        yield from wrap(words, display.width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _named(one: ClientForecast) -> str:
    return f"{one.client}{EVIDENCE[one.evidence]}{f' (as of {one.seen})' if one.stale else ''}"
