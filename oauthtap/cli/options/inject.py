"""`--inject`: from words on the command line to faults that are to be made; and the list that teaches them."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from oauthtap.cli.errors import nearest
from oauthtap.faults.injector import FaultInjector
from oauthtap.faults.model import Fault, injections, named
from oauthtap.model.sanitize import escape_controls

_WIDTH = 100
LIST = "list"


def inject_flag(group: Any) -> None:
    """Put `--inject` into a group of flags. The parsed value is an `FaultInjector`, also without the flag."""
    group.add_argument(
        "--inject",
        action=_Inject,
        default=FaultInjector(),
        metavar="FAULT[=VALUE]",
        help="inject this fault once, to see what the client does; repeatable; `--inject list` lists them",
    )


class _Inject(argparse.Action):
    """One more fault; `list` prints all of them and ends."""

    def __call__(self, parser: argparse.ArgumentParser, arguments: Any, word: Any, _: str | None = None) -> None:
        if word == LIST:
            width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH)
            print("\n".join(explained(width)))
            parser.exit(0)
        before: FaultInjector = getattr(arguments, self.dest)
        try:
            setattr(arguments, self.dest, FaultInjector([*before.pending, parse_fault(word)]))
        except ValueError as problem:
            parser.exit(2, f"oauthtap: --inject {problem}\n")


def parse_fault(word: str) -> Fault:
    """The fault of `NAME` or `NAME=VALUE`. Raises ValueError, in words that end in what to type next."""
    name, equals, value = word.partition("=")
    found = named(name)
    if found is None:
        near = nearest(name, [one.name for one in injections()])
        raise ValueError(f"{escape_controls(name)}: there is no such fault. Try: --inject {near[0] if near else LIST}")
    if not equals:
        return found
    if not found.takes or not value or not value.isprintable():
        example = f"{name}={found.value or '…'}" if found.takes else name
        raise ValueError(f"{escape_controls(word)}: that is no value for it. Try: --inject {example}")
    filled = found.model_copy(update={"value": value})
    try:
        _ = filled.seconds
    except ValueError as problem:
        raise ValueError(f"{name}: {escape_controls(str(problem))}. Try: --inject {name}={found.value}") from None
    return filled


def explained(width: int = _WIDTH) -> Iterator[str]:
    """Every fault with what it teaches, in lines of that width."""
    yield "Faults to inject, in the order of a sign-in. Each is injected once and labelled as injected; no"
    yield "finding blames client or server for it. Try: oauthtap --upstream URL --inject expired-token"
    for one in injections():
        default = f", default {one.value}" if one.value else ""
        yield ""
        yield f"{one.name}{f'[=VALUE: {one.takes}{default}]' if one.takes else ''}"
        yield from wrap(one.says, width, initial_indent="  ", subsequent_indent="  ")
        yield from wrap(one.teaches, width, initial_indent="  ", subsequent_indent="  ")
        if one.leads:
            yield from wrap(f"To come there at once: {also(one)}", width, initial_indent="  ", subsequent_indent="  ")


def also(injection: Fault) -> str:
    """The flags that lead to it at once."""
    return " ".join(f"--inject {name}" for name in (*injection.leads, injection.name))


def unused_faults_notice(injecting: FaultInjector) -> Iterator[str]:
    """A sentence for every fault that was asked for and found no place."""
    for one in injecting.pending:
        hint = f" Try: {also(one)}" if one.leads else ""
        yield f"{one.name} was not injected: no {' or '.join(one.when.stage)} exchange occurred.{hint}"
