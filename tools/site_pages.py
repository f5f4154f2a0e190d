"""The generated pages of the documentation site: a page per rule, client, vendor and set of error messages."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pydantic import BaseModel

from oauthtap import rules
from oauthtap.clients import messages, profile, profiles
from oauthtap.fixes.stacks import Stack, stacks
from oauthtap.render.labels import STAGE, WHO
from oauthtap.rules import Rule
from oauthtap.vendors import Phrase, Vendor, vendors
from tools.rule_docs import section

_OF_NO_TRAIT = {"name", "slug", "versions", "seen", "evidence", "source", "recognize", "unknown", "hosted", "measured"}
_EVIDENCE = {
    "measured": "run and recorded",
    "read": "read in its source",
    "documented": "documented by its vendor",
    "reported": "reported by others",
}


def pages() -> dict[str, str]:
    """Path below the site's source folder to Markdown."""
    return {**_rules(), **_clients(), **_vendors(), **_messages()}


def _rules() -> dict[str, str]:
    order = list(STAGE)
    known = sorted(
        (rule for rule in rules.load().values() if rule.group != "own"), key=lambda r: (order.index(r.group), r.id)
    )
    index = [
        "# Rules",
        "",
        f"{len(known)} rules, by the stage of the sign-in. Each page has the reason, usual causes, what to change,",
    ]
    index += ["and a bad and a good example that are its tests. Terms: [glossary](../glossary.md).", ""]
    found = {}
    for group, members in groupby(known, key=lambda rule: rule.group):
        index += [f"## {group}", "", f"{STAGE[group]}.", "", "| rule | says |", "|---|---|"]
        for rule in members:
            index.append(f"| [{rule.id}]({rule.id}.md) | {cell(rule.title)} |")
            found[f"rules/{rule.id}.md"] = _rule(rule)
        index.append("")
    return {"rules/index.md": _text(index), **found}


def _rule(rule: Rule) -> str:
    lines = section(rule)
    first = [f"# {rule.id}", *lines[1:]]
    asked = f"On the command line: `oauthtap explain {rule.id}`. Stage: [{rule.group}](index.md#{rule.group})."
    return _text([*first, asked])


def _clients() -> dict[str, str]:
    index = [
        "# Clients",
        "",
        "What is known of each client's sign-in, and how. oauthtap uses it to say which clients would stop at",
        "the recorded server.",
        "",
    ]
    index += ["| client | versions | known from | seen |", "|---|---|---|---|"]
    found = {}
    explained = _explanations(profile.Profile)
    for one in profiles():
        index.append(f"| [{one.name}]({one.slug}.md) | {cell(one.versions)} | {_evidence(one.evidence)} | {one.seen} |")
        found[f"clients/{one.slug}.md"] = _client(one, explained)
    return {"clients/index.md": _text(index), **found}


def _client(one: profile.Profile, explained: dict[str, str]) -> str:
    lines = [
        f"# {one.name}",
        "",
        f"Versions {one.versions}; {_evidence(one.evidence)}, {one.seen}. Source: {one.source}.",
        "",
    ]
    if one.hosted:
        lines += [
            "A hosted client: it runs at its vendor and cannot reach `localhost`. See [tunnel](../tunnel.md).",
            "",
        ]
    lines += ["| trait | value | meaning |", "|---|---|---|"]
    for name in type(one).model_fields:
        if name in _OF_NO_TRAIT:
            continue
        value = "not known" if name in one.unknown else _value(getattr(one, name))
        lines.append(f"| `{name}` | {cell(value)} | {cell(explained.get(name, ''))} |")
    lines += ["", "## How it is recognized", ""]
    lines += [f"- {name.replace('_', ' ')}: {_value(value)}" for name, value in one.recognize if value] or [
        "- not known"
    ]
    if said := next((table for table in messages.messages() if table.slug == one.slug), None):
        lines += ["", f"Its error messages: [{said.name}](../messages/{said.slug}.md)."]
    return _text(lines)


def _vendors() -> dict[str, str]:
    index = ["# Vendors and stacks", "", "What the refusals of servers mean, and the lines that fix them.", ""]
    index += ["| vendor | known refusals | lines to deploy |", "|---|---|---|"]
    lines_of, spoken = stacks(), {one.slug: one for one in vendors()}
    found = {}
    for slug in sorted({*spoken, *lines_of}):
        vendor, stack = spoken.get(slug), lines_of.get(slug)
        name = vendor.name if vendor else stack.name if stack else slug
        known = len(vendor.phrase) if vendor else 0
        index.append(f"| [{name}]({slug}.md) | {known or '-'} | {len(stack.lines) if stack else '-'} |")
        found[f"vendors/{slug}.md"] = _vendor(name, vendor, stack)
    return {"vendors/index.md": _text(index), **found}


def _vendor(name: str, vendor: Vendor | None, stack: Stack | None) -> str:
    lines = [f"# {name}", ""]
    if stack:
        checked = f"Lines for version {stack.version}, {stack.checked}: {stack.how}. Source: {stack.source}."
        lines += ["## What to deploy", "", checked, ""]
        for snippet in stack.lines:
            meant = ", ".join(f"`{one}`" for one in snippet.for_)
            lines += [
                f"**{snippet.where}**, for {meant}:",
                "",
                f"```{snippet.language}",
                snippet.text.strip("\n"),
                "```",
                "",
            ]
    if vendor:
        lines += ["## What its refusals mean", ""]
        for phrase in vendor.phrase:
            lines += _phrase(phrase)
    return _text(lines)


def _phrase(phrase: Phrase) -> Iterator[str]:
    yield from (
        _quoted(phrase.example),
        "",
        phrase.means,
        "",
        f"**What to change.** {phrase.change}{_see(phrase.rule)}",
        "",
    )
    yield from (f"Source: {phrase.source}", "", "---", "")


def _messages() -> dict[str, str]:
    index = [
        "# Error messages",
        "",
        'What the error messages of clients mean. The same for any text: `oauthtap explain "TEXT"`.',
        "",
    ]
    index += ["| of | messages |", "|---|---|"]
    found = {}
    for table in messages.messages():
        index.append(f"| [{table.name}]({table.slug}.md) | {len(table.message)} |")
        lines = [f"# Error messages: {table.name}", ""]
        for message in table.message:
            lines += [_quoted(message.example), ""]
            for meaning in message.meaning:
                lines.append(
                    f"- {meaning.why} Look at: {meaning.look}. Responsible: {_who(meaning.who)}.{_see(meaning.rule)}"
                )
            lines += ["", f"Source: {message.source}", "", "---", ""]
        found[f"messages/{table.slug}.md"] = _text(lines)
    return {"messages/index.md": _text(index), **found}


def _who(party: str) -> str:
    """`the MCP server's` as `the MCP server`."""
    of = {str(name): words for name, words in WHO.items()}
    return of.get(party, "you").partition(":")[0].removesuffix("'s")


def _see(rule: str | None) -> str:
    return f" Rule: [{rule}](../rules/{rule}.md)." if rule else ""


def _quoted(text: str) -> str:
    """Somebody else's words, as a code block: nothing in them is Markdown."""
    return "```text\n" + text.replace("```", "'''").strip("\n") + "\n```"


def _evidence(kind: str) -> str:
    return _EVIDENCE.get(kind, kind)


def _value(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return f"`{value}`"
        case BaseModel():
            return ", ".join(f"{name}: {_value(inner)}" for name, inner in value if inner) or "none"
        case Iterable():
            return ", ".join(_value(one) for one in value) or "none"
        case _:
            return str(value)


def _explanations(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the members of a class."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for member, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(member, ast.AnnAssign)
            and isinstance(member.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[member.target.id] = " ".join(str(text.value.value).split())
    return found


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
