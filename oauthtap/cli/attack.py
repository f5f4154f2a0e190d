"""`oauthtap probe --attack`: the question before it, and the table after it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable

from oauthtap.cli.errors import UsageError
from oauthtap.model.sanitize import escape_controls
from oauthtap.probe.attack import AttackOutcome

NONE = "No attack was sent: the sign-in did not lead to an MCP server that asks for a token."
_ANSWER = 80


def check(arguments: Namespace) -> None:
    """Raises UsageError where the flags do not go together."""
    if arguments.attack and not (arguments.login or arguments.headless):
        raise UsageError("--attack needs a token of your own. Try: --login --attack")
    if arguments.attack and arguments.client:
        raise UsageError("--attack is sent by oauthtap and not by a client. Try: without --client")


def ask(arguments: Namespace) -> None:
    """Whether the server is the user's own. Raises UsageError unless the answer is yes."""
    if arguments.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("--attack asks first, and there is no terminal. Try: --attack --yes, at a server of your own")
    url = escape_controls(arguments.url, limit=200)
    print(
        f"--attack signs in at {url} and sends forged tokens, reused codes and the like.",
        "Do this only at a server that is yours; it may revoke the token of this sign-in.",
        sep="\n", file=sys.stderr,
    )  # fmt: skip
    print("Is it yours? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was sent. Try: without --attack")


def table(attacks: Iterable[AttackOutcome]) -> list[str]:
    """A line for each attack, and what they add up to."""
    rows = [(one, escape_controls(one.answer, limit=_ANSWER)) for one in attacks]
    first, second = (max(len(cell) for cell in column) for column in zip(*((o.name, a) for o, a in rows), strict=True))
    lines = [f"{'Attack':{first}}  {'Answer':{second}}  Refused?"]
    lines += [f"{one.name:{first}}  {answer:{second}}  {one.verdict}" for one, answer in rows]
    lines += dict.fromkeys(f"  {one.name}: a refusal {one.proves}" for one, _ in rows if one.proves and _refused(one))
    accepted = [one.name for one, _ in rows if one.verdict == "ACCEPTED"]
    return [*lines, "", f"ACCEPTED: {', '.join(accepted)}" if accepted else "Nothing was accepted."]


def notes(attacks: Iterable[AttackOutcome]) -> list[str]:
    """The same for the report."""
    told = "; ".join(f"{one.name}: {one.verdict} ({one.answer})" for one in attacks)
    return [f"Attacks sent by oauthtap: {told}"] if told else []


def _refused(one: AttackOutcome) -> bool:
    return one.verdict == "refused"
