"""The rules as documentation: a Markdown page per group, and their ids. Written by `python -m tools.rule_docs DIR`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from oauthtap import rules
from oauthtap.render.labels import MARK, STAGE, WHO
from oauthtap.rules import Rule


def pages() -> dict[str, str]:
    """File name to text, of the index, the list of ids and every group, for all rules that come with oauthtap."""
    known = sorted((r for r in rules.load().values() if r.group != "own"), key=_place)
    groups = {group: list(members) for group, members in groupby(known, key=lambda rule: rule.group)}
    return {
        "README.md": _index(groups),
        "ids.tsv": _ids(known),
        **{f"{group}.md": _page(group, members) for group, members in groups.items()},
    }


def _place(rule: Rule) -> tuple[int, str]:
    order = list(STAGE)
    return order.index(rule.group), rule.id


def _ids(known: list[Rule]) -> str:
    """One line a rule. Ids are public, and level and party are what people argue about: a change shows in review."""
    rows = sorted((rule.id, rule.group, rule.requirement.level, rule.who) for rule in known)
    return "".join("\t".join(row) + "\n" for row in [("id", "stage", "level", "who"), *rows])


def _index(groups: dict[str, list[Rule]]) -> str:
    lines = [
        "# The rules",
        "",
        "Generated from the rules themselves by `uv run python -m tools.rule_docs docs/rules`; do not edit.",
        "",
        "| group | what it is about | rules |",
        "|---|---|---|",
        *(f"| [{group}]({group}.md) | {STAGE[group]} | {len(members)} |" for group, members in groups.items()),
    ]
    return "\n".join([*lines, "", "The terms are explained in the [glossary](../glossary.md)."]) + "\n"


def _page(group: str, members: list[Rule]) -> str:
    head = [f"# {group}", "", f"Rules about {STAGE[group]}.", ""]
    table = ["| rule | says |", "|---|---|", *(f"| [{r.id}](#{r.id}) | {_cell(r.title)} |" for r in members)]
    return "\n".join([*head, *table, "", *("\n".join(section(rule)) for rule in members)])


def section(rule: Rule) -> list[str]:
    span = f", MCP {rule.since or 'any'} to {rule.until or 'newest'}" if rule.since or rule.until else ""
    return [
        f"## {rule.id}",
        "",
        f"**{rule.title}.**",
        "",
        f"{MARK[rule.severity]} {rule.severity}, {rule.requirement.level}, {WHO[rule.who].partition(':')[0]}{span}",
        "",
        rule.prose,
        "",
        f"**What to change.** {rule.repair}",
        "",
        "Bad:",
        "",
        *_example(rule, "Bad"),
        "Good:",
        "",
        *_example(rule, "Good"),
        f"Source: [{_cell(rule.requirement.source)}]({rule.requirement.url})",
        "",
    ]


def _example(rule: Rule, heading: str) -> list[str]:
    return ["```http", rule.example(heading).strip(), "```", ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/rules")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
