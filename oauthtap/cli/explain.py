"""`oauthtap explain [RULE | "TEXT"]`: what a rule says and what to change; what an error message means."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from itertools import groupby
from textwrap import fill
from typing import Any

from oauthtap import rules
from oauthtap.cli.errors import UsageError, nearest
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.compare import lock_check
from oauthtap.diagnosis.meanings import TextMeaning, meanings_of
from oauthtap.diagnosis.refusal_finding import REFUSED
from oauthtap.model.sanitize import escape_controls
from oauthtap.rules import Rule

_RULE_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+$")
"""What is meant for a rule's id. Everything else is a text."""

RECORD = "oauthtap --upstream https://mcp.example.com/mcp"

_UNSURE = f"""This wording is not known; these are meanings of messages like it. The exchange behind it tells more.
Try: {RECORD}"""


_REFUSED = """refused

A server refused, and no rule explains it better than the answer itself.

The cause is then told in the words of whoever refused: `It said` has status, code and words, the message what
such words mean where that is known (`oauthtap explain "THE WORDS"` looks them up again), `Whose` the party
that answered. `How sure: certain` means that this very wording is known of this vendor.

Change: what the words name. Where they name nothing, look in the log of that server at the time of the exchange.
Several changes of answers can be tried without a deployment: oauthtap fix."""


def explain(arguments: Namespace) -> int:
    """Print one rule's page, what a text may mean, or the list of all rules by stage. 1 when a text means nothing."""
    if arguments.rules:
        load_rule_files(arguments.rules)
    asked = " ".join(arguments.rule)
    as_json = arguments.format == "json"
    if asked and not _RULE_ID.match(asked) and asked != REFUSED:
        return _explain_text(asked, {}, as_json=as_json)
    known = rules.load()
    if not asked:
        print(json.dumps(list(map(_short, known.values())), indent=1) if as_json else _index(list(known.values())))
        return 0
    if asked == REFUSED:
        print(_REFUSED)
        return 0
    known = known | {lock_check.RULE: lock_check.PAGE}
    rule = known.get(asked)
    if rule is None:
        return _explain_text(asked, known, as_json=as_json)
    print(json.dumps(_whole(rule), ensure_ascii=False, indent=1) if as_json else page(rule))
    return 0


def _short(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.id, "title": rule.title, "severity": rule.severity, "who": rule.who, "stage": rule.group}


def _whole(rule: Rule) -> dict[str, Any]:
    """A rule's page for scripts."""
    asked = rule.requirement
    return {
        **_short(rule), "level": asked.level, "since": rule.since, "until": rule.until, "why": rule.prose,
        "change": rule.repair, "bad": rule.example("Bad"), "good": rule.example("Good"),
        "source": asked.source, "source_url": asked.url,
    }  # fmt: skip


def _explain_text(text: str, known: dict[str, Rule], *, as_json: bool) -> int:
    near = nearest(text, known, 3) or [rule for rule in known if text in rule][:3]
    found = [] if near and _RULE_ID.match(text) else meanings_of(text)
    if not found and not as_json and _RULE_ID.match(text):
        hint = f"did you mean {' or '.join(near)}?" if near else "`oauthtap explain` lists all rules"
        raise UsageError(f"there is no rule {text!r}; {hint}")
    if as_json:
        print(json.dumps({"meanings": members(found)}, indent=2, ensure_ascii=False))
    elif found:
        print(shown(found))
        if not found[0].sure:
            print(f"\n{_UNSURE}")
    else:
        print(f"Nothing is known of this message. What is needed is the exchange behind it.\nTry: {RECORD}")
    return 0 if found else 1


def members(found: list[TextMeaning]) -> list[dict[str, str | None]]:
    """The meanings for scripts."""
    return [
        {"subject": m.subject, "who": m.who, "why": m.why, "look": m.look, "rule": m.rule, "command": m.command}
        for m in found
    ]


def shown(found: list[TextMeaning]) -> str:
    """The meanings as the console has them, the likeliest first."""
    return "\n\n".join(_meaning(place, meaning) for place, meaning in enumerate(found, 1))


def _meaning(place: int, meaning: TextMeaning) -> str:
    said = f" ({meaning.said_by})" if meaning.said_by else ""
    possible = "" if meaning.sure or place > 1 else "possible: "
    title = f"{place}. {possible}{meaning.subject}, {_WHOSE[meaning.who]}{said}"
    label = "Change" if meaning.look[:1].isupper() else "Look at"  # a sentence says what to do, all else is a place
    lines = [title, meaning.why, f"{label}: {meaning.look}"]
    if meaning.rule:
        lines.append(f"Rule: oauthtap explain {meaning.rule}")
    lines.append(f"Try: {meaning.command}")
    return "\n   ".join(escape_controls(line) for line in lines)


_WHOSE = {
    "resource-server": "the MCP server's",
    "authorization-server": "the authorization server's",
    "client": "the client's",
    "config": "the configuration's",
    "network": "the network's",
    "person": "the user's",
}


def page(rule: Rule) -> str:
    """A rule as plain text: statement, prose, repair, examples, source."""
    known = f"{rule.severity} · {rule.requirement.level} · {_WHOSE[rule.who]}"
    revisions = (
        f"MCP {rule.since or 'any'} to {rule.until or 'newest'}" if rule.since or rule.until else "every MCP revision"
    )
    parts = [
        f"{rule.id}\n{'=' * len(rule.id)}\n{rule.title}.",
        f"{known} · {revisions}",
        rule.prose,
        fill(f"What to change: {rule.repair}", 96, break_on_hyphens=False, break_long_words=False),
        f"Bad:\n\n{_indented(rule.example('Bad'))}",
        f"Good:\n\n{_indented(rule.example('Good'))}",
        f"Source: {rule.requirement.source}\n{rule.requirement.url}",
    ]
    if rule.group != "own":
        parts.append(f"Its page, with the rules of the same step: docs/rules/{rule.group}.md#{rule.id}")
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
