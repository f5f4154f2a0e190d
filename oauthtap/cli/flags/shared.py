"""Flags that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from textwrap import fill
from typing import Any

from oauthtap.cli.argument_parser import ArgumentParser
from oauthtap.cli.flags.values import positive, recording_path
from oauthtap.cli.options.baseline import baseline_flags
from oauthtap.cli.options.summary import summary_flags
from oauthtap.formats import FORMS
from oauthtap.render import FORMATS
from oauthtap.render.issue_templates import TRACKERS


def deferred(place: str) -> Callable[[argparse.Namespace], int]:
    """The function at `module:name`, imported when it is called: no command waits for what the others need."""

    def run(arguments: argparse.Namespace) -> int:
        module, _, name = place.partition(":")
        return int(getattr(import_module(f"oauthtap.cli.{module}"), name)(arguments))

    return run


def events_flag(group: Any) -> None:
    group.add_argument(
        "--events",
        action="store_true",
        help="print events as JSON lines (ready, exchange, finding, cause, fix, ending), and everything else to stderr",
    )


def redact_flag(group: Any) -> None:
    group.add_argument(
        "--redact",
        choices=("claims",),
        help="redact more than secrets; claims: also redact personal data (e-mail, name, sub, …)",
    )


def keeping_flags(group: Any) -> None:
    redact_flag(group)
    group.add_argument(
        "--keep-secrets",
        action="store_true",
        help="keep tokens, codes and passwords in the recording and in mitmweb's saves; reports have none",
    )


def fix_flag(judging: Any) -> None:
    judging.add_argument(
        "--fix",
        action="append",
        default=[],
        metavar="RULE[=VALUE]|safe|FILE",
        help="apply this rule's fix to live responses; `safe`: all fixes that make no assumptions; FILE: a fixes.toml; "
        "repeatable",
    )
    judging.add_argument(
        "--fix-header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="set this header in every response (without a value: remove it); repeatable",
    )
    judging.add_argument(
        "--client-id", metavar="ID", help="answer registration requests with this pre-registered client id"
    )


def reach_flags(reach: Any) -> None:
    reach.add_argument("--ca", metavar="FILE", help="trust this further CA (PEM) for the upstream")
    reach.add_argument("--insecure", action="store_true", help="do not verify the upstream's certificate")
    reach.add_argument(
        "--connect-to",
        action="append",
        default=[],
        metavar="H1:P1:H2:P2",
        help="connect to H2:P2 instead of H1:P1, as in curl; repeatable, an empty field matches any",
    )


def report_flags(group: Any) -> None:
    group.add_argument("--format", choices=tuple(FORMATS), default="console", help="of the report (console)")
    summary_flags(group)
    group.add_argument(
        "--fail-on",
        choices=("error", "warning", "note"),
        help="exit 1 when a finding is at least that bad, or the sign-in stopped for a cause",
    )
    limit_flag(group)


def limit_flag(group: Any) -> None:
    group.add_argument(
        "--limit", type=positive, metavar="N", help="at most N exchanges, findings and clients in the report"
    )


def state_flags(command: ArgumentParser, verb: str) -> None:
    command.add_argument(
        "session", nargs="?", type=recording_path, metavar="SESSION", help="default: the tap that was started last"
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the answer (console)")
    command.set_defaults(command=deferred(f"background:{verb}"))


def rules_flag(group: Any) -> None:
    group.add_argument(
        "--rules", action="append", default=[], metavar="FILE", help="load rules of your own; repeatable"
    )


def judging_flags(group: Any, client: str = "override the detected client") -> None:
    group.add_argument("--client", metavar="NAME", help=client)
    rules_flag(group)
    group.add_argument("--revision", metavar="DATE", help="judge by this MCP revision instead of the negotiated one")


def judged_flags(command: ArgumentParser) -> None:
    command.epilog = f"{command.epilog}\n\nwhat it reads, recognized by content and not by file name:\n" + "\n".join(
        fill(form, 96, initial_indent="  ", subsequent_indent="    ") for form in FORMS
    )
    report_flags(command)
    command.add_argument(
        "--for", choices=tuple(TRACKERS), dest="tracker", help="Markdown, as that client's issue tracker asks for it"
    )
    command.add_argument(
        "--against", metavar="LOCK", help="check against this lock file only, not against the specifications"
    )
    baseline_flags(command)
    redact_flag(command)
    judging_flags(command)
    command.set_defaults(command=deferred("check:check"))
