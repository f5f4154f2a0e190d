"""Whose the cause is, what to change there, and the commands that try it or tell causes apart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oauthtap.diagnosis.findings import Finding, Party
from oauthtap.fixes.deploy_plan import recognized_in
from oauthtap.fixes.issuer_candidates import WANT_AN_ISSUER, vendor_of
from oauthtap.fixes.model import PLACEHOLDER
from oauthtap.fixes.presets import presets
from oauthtap.fixes.stacks import Snippet, stacks
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.consequence import title
from oauthtap.report.model import Report

_MOST_LINES = 8
_COMMENT = re.compile(r"\s+(?:#|//) .*")
SOLVES = frozenset({"claude-code", "codex", "fastmcp", "gemini-cli", "mcp-inspector", "mcp-remote", "opencode"})
"""Clients, by the names of their profiles, that `oauthtap solve` runs."""
_KIND = {"resource-server": "server", "authorization-server": "authorization-server"}


@dataclass(frozen=True)
class VendorLines:
    """What to write where, for a stack that was recognized."""

    where: str
    lines: tuple[str, ...]
    """Those of them that matter; all of them prints `oauthtap fix --stack`."""
    look_up: str = ""
    """Where its owner finds the value that oauthtap does not know."""


def whose(report: Report, party: Party, exchanges: Sequence[Exchange] = ()) -> str:
    """Who has to change something, with the stack or vendor where the exchanges show it."""
    said = report.refusal
    if said and said.subject == "user-denied" and report.cause and report.cause.exchange == said.exchange:
        return "the person who signed in: consent was denied"
    if (behind := _behind(report)) and party in _KIND:
        sender = "your server" if report.same_origin else "the authorization server"
        return f"{behind}, to which {sender} sends the browser"
    if report.same_origin and party in _KIND:
        name = "your server (MCP server and authorization server are one)"
    elif party == "client":
        name = title(report.client)
        return name if name.startswith("the client") else f"the client ({name})"
    else:
        name = {
            "resource-server": "your MCP server",
            "authorization-server": "the authorization server",
            "config": "the configuration (every component behaves as configured)",
            "network": "the network between client and server",
        }[party]
    known = [stacks()[slug].name for slug in _slugs(report, party, exchanges)]
    if not known and party == "authorization-server" and (vendor := vendor_of(_server(report))):
        known = [vendor.name]
    return f"{name} ({known[0]})" if known and not name.endswith(")") else name


def _behind(report: Report) -> str:
    """The vendor that refused at a host of its own, where the authorization server only passes the browser on to it."""
    place = report.refusal.exchange if report.refusal else 0
    row = next((row for row in report.exchanges if row.id == place), None)
    vendor = vendor_of(row.url) if row is not None and row.stage == "other" else None
    if row is None or vendor is None or report.cause is None or report.cause.exchange != place:
        return ""
    return "" if urls.origin(row.url) == urls.origin(_server(report)) else f"{vendor.name} ({urls.host(row.url)})"


def _server(report: Report) -> str:
    """A URL of the authorization server, where one was met."""
    kinds = ("as-discovery", "client-registration", "authorization-request", "token-request")
    return next((row.url for kind in kinds for row in report.exchanges if row.stage == kind), "")


def _slugs(report: Report, party: Party, exchanges: Sequence[Exchange]) -> list[str]:
    """The stacks of that party which the exchanges gave away, the surest first."""
    stages = {row.id: row.stage for row in report.exchanges}
    seen = [(stages[one.id], one) for one in exchanges if one.id in stages]
    return [slug for slug in recognized_in(seen) if stacks()[slug].kind == _KIND.get(party)]


def vendor_lines(report: Report, finding: Finding | None, exchanges: Sequence[Exchange]) -> Iterator[VendorLines]:
    """The lines to deploy for the cause, for each stack that was recognized."""
    if report.cause is None or report.cause.fix.startswith("Leave `resource` out"):
        return  # lines that register it would say the opposite
    does = {report.cause.rule, *(fix.name for fix in presets() if report.cause.rule in fix.cures)}
    values, look_up = _values(report, finding)
    for slug in (*_slugs(report, "resource-server", exchanges), *_slugs(report, "authorization-server", exchanges)):
        snippet = next((one for one in stacks()[slug].lines if does & set(one.for_)), None)
        if snippet is not None:
            yield _filled(snippet, values, look_up)


def _filled(snippet: Snippet, values: dict[str, str], look_up: str) -> VendorLines:
    telling = [line.strip() for line in snippet.text.strip("\n").splitlines() if PLACEHOLDER.search(line)]
    chosen = telling or [line for line in snippet.text.strip("\n").splitlines() if line.strip()]
    texts = (snippet.where, *chosen[:_MOST_LINES])
    where, *lines = (PLACEHOLDER.sub(lambda hit: values.get(hit[1]) or hit[1].upper(), text) for text in texts)
    asks = look_up if any("${issuer}" in line for line in chosen) else ""
    return VendorLines(
        escape_controls(where),
        tuple(escape_controls(_COMMENT.sub("", line).rstrip(), limit=300) for line in lines),
        asks,
    )


def _values(report: Report, finding: Finding | None) -> tuple[dict[str, str], str]:
    """What stands for the placeholders, and where the issuer can be looked up."""
    resource = report.upstream or ""
    issuer, look_up = _issuer(report, finding)
    return {
        "issuer": issuer,
        "resource": resource,
        "document_resource": resource,
        "origin": urls.origin(resource),
        "path": urls.path_of(resource),
    }, look_up


def _issuer(report: Report, finding: Finding | None) -> tuple[str, str]:
    """The issuer that belongs there, or what the vendor's issuers look like."""
    expected = finding.expected if finding else None
    if expected and urls.origin(expected).startswith("https://") and " " not in expected:
        return expected, ""
    vendor = vendor_of((finding.actual if finding else None) or "")
    return (vendor.issuer, vendor.ask) if vendor else ("https://ISSUER", "")


def try_it(report: Report, finding: Finding | None) -> str:
    """The command that shows whether the change is enough, without a deployment; empty where there is none."""
    if report.cause is None or report.upstream is None:
        return ""
    if report.causes and report.causes[0].experiment:
        return report.causes[0].experiment
    words = fix_flag(report, finding)
    return f"oauthtap --upstream {shlex.quote(report.upstream)} {words}" if words else ""


def fix_flag(report: Report, finding: Finding | None) -> str:
    """The flag that switches on a fix for the cause; empty where there is none."""
    if report.cause is None:
        return ""
    rule = report.cause.rule
    if finding is not None and finding.patch is not None:
        return f"--fix {rule}"
    known = [fix for fix in presets() if rule in fix.cures and not fix.by_hand]
    if any("client_id" in fix.needs for fix in known):
        return "--client-id ID"
    if any("value" not in fix.needs for fix in known):
        return f"--fix {rule}"
    if known:
        value = _issuer(report, finding)[0] if rule in WANT_AN_ISSUER else "VALUE"
        return f"--fix {shlex.quote(f'{rule}={value}')}"
    return ""


def tell_apart(report: Report) -> str:
    """The command that tells the first cause from the next: with the real client where oauthtap can run it, else with
    one change of an answer; empty where there is neither."""
    if len(report.causes) < 2:
        return ""
    if report.upstream and report.client and report.client.name in SOLVES:
        return f"oauthtap solve {report.client.name} --upstream {shlex.quote(report.upstream)}"
    return next((one.experiment for one in report.causes if one.experiment), "")
