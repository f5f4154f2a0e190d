"""`oauthtap explain [RULE]`: what a rule says, why a client cares, what to change."""

from __future__ import annotations

import difflib
from argparse import Namespace
from itertools import groupby

from oauthtap import rules
from oauthtap.cli.errors import Usage
from oauthtap.comparing import promises
from oauthtap.rules import Rule


def explain(arguments: Namespace) -> int:
    """Print one rule's page, or the list of all rules by stage."""
    known = rules.load()
    if arguments.rule is None:
        print(_index(list(known.values())))
        return 0
    known = known | {promises.RULE: promises.PAGE}
    rule = known.get(arguments.rule)
    if rule is None:
        near = difflib.get_close_matches(arguments.rule, known, n=3) or [r for r in known if arguments.rule in r][:3]
        hint = f"did you mean {' or '.join(near)}?" if near else "`oauthtap explain` lists all rules"
        raise Usage(f"there is no rule {arguments.rule!r}; {hint}")
    print(page(rule))
    return 0


def page(rule: Rule) -> str:
    """A rule as plain text: statement, prose, repair, examples, source."""
    known = f"{rule.severity} · {rule.requirement.level} · {rule.who}"
    revisions = (
        f"MCP {rule.since or 'any'} to {rule.until or 'newest'}" if rule.since or rule.until else "every MCP revision"
    )
    parts = [
        f"{rule.id}\n{'=' * len(rule.id)}\n{rule.title}.",
        f"{known} · {revisions}",
        rule.prose,
        f"What to change: {rule.repair}",
        f"Bad:\n\n{_indented(rule.example('Bad'))}",
        f"Good:\n\n{_indented(rule.example('Good'))}",
        f"Source: {rule.requirement.source}\n{rule.requirement.url}",
    ]
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.strip().splitlines())


def _index(known: list[Rule]) -> str:
    known.sort(key=lambda rule: (rule.group, rule.id))
    width = max((len(rule.id) for rule in known), default=0)
    lines = [f"{len(known)} rules. `oauthtap explain RULE` shows one of them."]
    for group, members in groupby(known, key=lambda rule: rule.group):
        lines += ["", group]
        lines += [f"  {rule.id:<{width}}  {rule.title}" for rule in members]
    return "\n".join(lines)
