"""Every command and flag, with the words that `--help` teaches by."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from textwrap import fill
from typing import Any

from oauthtap import __version__
from oauthtap.cli.argument_parser import COMMAND, ArgumentParser
from oauthtap.cli.options.inject import inject_flag
from oauthtap.cli.options.summary import summary_flags
from oauthtap.drive.drivers import drivers
from oauthtap.fixes.stacks import stacks
from oauthtap.formats import FORMS
from oauthtap.render import FORMATS
from oauthtap.render.comparison import FORMATS as COMPARISONS
from oauthtap.render.issue_templates import TRACKERS
from oauthtap.rewriting.origins import FIRST_PORT, WEB_PORT
from oauthtap.session import home

_EXAMPLES = """\
examples:
  oauthtap https://mcp.example.com/mcp                   stand between client and server (the same as --upstream URL)
  oauthtap run -- claude mcp login NAME                  the same without a change to any name
  oauthtap drive claude-code --upstream URL              the real client without a person; exit 0 when it connects
  oauthtap solve claude-code --upstream URL              find, and prove, the smallest change with which it connects
  oauthtap probe https://mcp.example.com/mcp             send the requests of a sign-in without a client
  oauthtap check ~/capture.har                           judge a recording
  oauthtap paste                                         judge what you paste: a log, curl output, an access log
  oauthtap diff A B                                      where two recordings differ, and why
  oauthtap replay SESSION                                serve a recorded session as a mock server
  oauthtap lock SESSION -o FILE                          write down what it promised, for check --against
  oauthtap explain prm-as-entry-is-endpoint              what a rule means, and what to change
  oauthtap explain "any error text"                      what a message of a client or server means
  oauthtap sessions                                      what was recorded so far

exit codes: 0 it works (connected, or signed in); 1 it stopped, or a finding reaches --fail-on; 2 wrong usage, or a file
that cannot be read; 3 nothing arrived
"""


def _command(place: str) -> Callable[[argparse.Namespace], int]:
    """The function at `module:name`, imported when it is called: no command waits for what the others need."""

    def run(arguments: argparse.Namespace) -> int:
        module, _, name = place.partition(":")
        return int(getattr(import_module(f"oauthtap.cli.{module}"), name)(arguments))

    return run


def _callback(text: str) -> str:
    """A word of `--callback`, or a redirect URI."""
    if text in ("auto", "relay", "direct") or (re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S", text) and text.isprintable()):
        return text
    words = "choose from 'auto', 'relay', 'direct', or name the client's redirect URI"
    raise argparse.ArgumentTypeError(f"invalid choice: {text!r} ({words})")


_LONGEST_NAME = 255
"""Bytes of a file's name."""


def _recording(text: str) -> str:
    """The path of a recording; a session that lies where sessions lie may be named without its folder."""
    if len(os.fsencode(text.rpartition("/")[2])) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError("that is text, and no file's name. Try: oauthtap paste")
    own = home() / text
    return str(own) if text and "/" not in text and os.path.isdir(own) and not os.path.exists(text) else text


def _seconds(text: str) -> float:
    """A number of seconds above zero."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError("a number of seconds above zero is needed, such as 120")


def _positive(text: str) -> int:
    """A whole number above zero."""
    if text.isdecimal() and text.isascii() and int(text[:9]) > 0:
        return int(text[:9])
    raise argparse.ArgumentTypeError("a whole number above zero is needed, such as 20")


def parser() -> ArgumentParser:
    """The whole command line. The unnamed command is `watch`."""
    top = ArgumentParser(
        prog="oauthtap",
        usage="oauthtap URL [FLAG…]\n       oauthtap COMMAND …",
        description="Watch a real MCP client sign in, and say in one sentence why it does not.",
        epilog=_EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"oauthtap {__version__}", help="print the version")
    top.set_defaults(command=_command("watch:watch"))
    _watch_flags(top)
    verbs = top.add_subparsers(title="other commands", metavar=COMMAND, prog="oauthtap", parser_class=ArgumentParser)
    for name, (sentence, example, flags) in _COMMANDS.items():
        description = f"{sentence[:1].upper()}{sentence[1:]}."
        command = verbs.add_parser(
            name, help=sentence, description=fill(description, 96), epilog=f"example:\n  {example}"
        )
        flags(command)
    return top


_SWITCHES = frozenset({
    "--allow-private", "--background", "--brief", "--clients", "--events", "--insecure", "--keep-secrets",
    "--no-background", "--no-look", "--no-web", "--once", "--verbose", "-v",
})  # fmt: skip
"""The flags of the unnamed command that take no value."""
_URL = re.compile(r"https?://|(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:/|$)", re.I)
_FILES = (".har", ".json", ".jsonl", ".log", ".mitm", ".toml", ".txt")


def with_upstream(words: Sequence[str]) -> list[str]:
    """The command line with `--upstream` before a URL that stands where a command could: `oauthtap URL`."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word.startswith("-") or (before.startswith("-") and "=" not in before and before not in _SWITCHES):
            continue
        if word not in _COMMANDS and _URL.match(word) and not word.endswith(_FILES) and not os.path.exists(word):
            return [*words[:place], "--upstream", *words[place:]]
        break
    return list(words)


def _explain_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "rule", nargs="*", metavar="RULE | TEXT", help="a rule's id, or an error message of a client or server"
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the answer (console)")
    command.set_defaults(command=_command("explain:explain"))


def _record_flags(command: ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the MCP endpoint, as clients are given it")
    command.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    command.set_defaults(command=_command("record:record"))


def _mcp_flags(command: ArgumentParser) -> None:
    command.set_defaults(command=_command("mcp:mcp"))


def _skill_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "--install",
        nargs="?",
        const="~/.claude",
        metavar="DIR",
        help="write it to DIR/skills/oauthtap/SKILL.md (default: ~/.claude; .claude for this project alone)",
    )
    command.add_argument("--agents", action="store_true", help="the snippet for AGENTS.md instead")
    command.set_defaults(command=_command("skill:skill"))


def _sessions_flags(command: ArgumentParser) -> None:
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the list (console)")
    command.add_argument("--limit", type=_positive, metavar="N", help="only the newest so many")
    command.set_defaults(command=_command("sessions:list_sessions"))


def _verify_flags(command: ArgumentParser) -> None:
    command.add_argument("session", type=_recording, metavar="SESSION", help="a session folder, or one file")
    command.add_argument(
        "--sweep",
        action="store_true",
        help="first strike secrets out of every file once more: for a session that is over and did not end cleanly",
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the result (console)")
    command.set_defaults(command=_command("verify:verify"))


def _fix_flags(command: ArgumentParser) -> None:
    command.add_argument("session", nargs="?", type=_recording, metavar="SESSION", help="default: the newest")
    command.add_argument(
        "-o", "--output", metavar="FILE", default="fixes.toml", help="where to write (default: %(default)s)"
    )
    command.add_argument(
        "--fix", action="append", default=[], metavar="RULE[=VALUE]|FILE", help="begin with this one; repeatable"
    )
    command.add_argument(
        "--stack", choices=tuple(stacks()), help="show the lines to deploy for this stack; overrides the detected one"
    )
    command.add_argument("--deploy", metavar="FILE", help="write what to deploy there as JSON, for scripts")
    live = command.add_mutually_exclusive_group()
    live.add_argument("--apply", action="store_true", help="switch it on in the tap that is recording this session")
    live.add_argument("--undo", action="store_true", help="switch off again what --apply switched on")
    command.add_argument(
        "--strict", action="store_true", help="also for problems this client tolerates but others do not"
    )
    command.add_argument("--offline", action="store_true", help="do not contact servers to verify candidate issuers")
    command.add_argument("--client-id", metavar="ID", help="a pre-registered client id")
    _reach_flags(command)
    command.set_defaults(command=_command("fix:fix"))


def _lock_flags(command: ArgumentParser) -> None:
    command.add_argument("session", type=_recording, metavar="SESSION", help="a session, or a recording")
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of stdout")
    command.add_argument("--revision", metavar="DATE", help="judge by this MCP revision instead of the negotiated one")
    command.set_defaults(command=_command("lock:write_lock"))


def _diff_flags(command: ArgumentParser) -> None:
    command.add_argument("a", type=_recording, metavar="A", help="a session, or a recording")
    command.add_argument("b", type=_recording, metavar="B", help="the one to compare it with")
    command.add_argument("--format", choices=tuple(COMPARISONS), default="console", help="of the comparison")
    for side in "ab":
        command.add_argument(f"--client-{side}", metavar="NAME", help=f"which client {side.upper()} is")
    command.set_defaults(command=_command("diff:diff"))


def _replay_flags(command: ArgumentParser) -> None:
    command.add_argument("session", type=_recording, metavar="SESSION", help="a session, or a recording")
    words = f"first local port (default {FIRST_PORT})"
    command.add_argument("--port", type=int, default=FIRST_PORT, metavar="N", help=words)
    command.add_argument(
        "--as-file", metavar="FILE", help="write it as one Python file to attach to a report (-: print)"
    )
    command.set_defaults(command=_command("replay:replay"))


def _watch_flags(top: ArgumentParser) -> None:
    tap = top.add_argument_group("the tap")
    tap.add_argument("--upstream", metavar="URL", help="the URL of the MCP endpoint, as a client would be given it")
    tap.add_argument(
        "--port",
        type=int,
        default=FIRST_PORT,
        metavar="N",
        help=f"first local port; further origins take the next free ones (default {FIRST_PORT})",
    )
    tap.add_argument(
        "--web-port", type=int, default=WEB_PORT, metavar="N", help=f"port of mitmweb (default {WEB_PORT})"
    )
    tap.add_argument("--no-web", action="store_true", help="no mitmweb; the same result on the console")
    tap.add_argument("--no-look", action="store_true", help="do not probe the server at startup")
    tap.add_argument("--once", action="store_true", help="end when the sign-in has completed or stopped")
    tap.add_argument("--timeout", type=_seconds, metavar="S", help="end after at most S seconds")
    tap.add_argument(
        "--background",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="run without this terminal, and say where; see `oauthtap status`, `wait` and `stop`",
    )
    tap.add_argument(
        "--session", metavar="DIR", help="where to record (default: a dated folder, see `oauthtap sessions`)"
    )
    tap.add_argument(
        "--callback",
        type=_callback,
        default="auto",
        metavar="auto|relay|direct|URI",
        help="route the OAuth redirect through oauthtap (auto: only for clients that register dynamically, or that "
        "would reject `iss`; relay: for every loopback redirect URI; direct: never; URI: also for this redirect URI, "
        "which is not on this machine)",
    )
    tap.add_argument(
        "--public-url",
        action="append",
        default=[],
        metavar="URL|LOCAL=URL",
        help="a tunnel of yours leads from this URL to the first local port, so that hosted clients (Claude.ai, "
        "ChatGPT) can be watched: they are told this name; LOCAL=URL: the same for a further port, as in "
        "http://localhost:8462=https://as.tunnel.example; repeatable, see docs/tunnel.md",
    )
    reach = top.add_argument_group("reaching the upstream")
    _reach_flags(reach)
    reach.add_argument(
        "--allow-private",
        action="store_true",
        help="follow a public server's documents to private addresses too",
    )
    _keeping_flags(top.add_argument_group("recording"))
    telling = top.add_argument_group("output")
    _report_flags(telling)
    _events_flag(telling)
    judging = top.add_argument_group("judging")
    _judging_flags(judging)
    _fix_flag(judging)
    inject_flag(top.add_argument_group("fault injection"))


def _events_flag(group: Any) -> None:
    group.add_argument(
        "--events",
        action="store_true",
        help="print what happens as JSON lines (ready, exchange, finding, cause, fix, ending), and all else to stderr",
    )


def _redact_flag(group: Any) -> None:
    group.add_argument(
        "--redact",
        choices=("claims",),
        help="redact more than secrets; claims: also redact personal data (e-mail, name, sub, …)",
    )


def _keeping_flags(group: Any) -> None:
    _redact_flag(group)
    group.add_argument(
        "--keep-secrets",
        action="store_true",
        help="keep tokens, codes and passwords in the recording and in mitmweb's saves; reports have none",
    )


def _fix_flag(judging: Any) -> None:
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


def _run_flags(command: ArgumentParser) -> None:
    command.usage = "oauthtap run [FLAG…] -- COMMAND…"
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the client, with its arguments")
    seeing = command.add_argument_group("interception scope")
    seeing.add_argument("--upstream", metavar="URL", help="the MCP endpoint, where the command does not tell it")
    seeing.add_argument("--all", action="store_true", help="keep all its traffic, not only OAuth and MCP")
    seeing.add_argument("--web", action="store_true", help="show it in mitmweb meanwhile")
    seeing.add_argument("--web-port", type=int, metavar="N", help="port of mitmweb (default: the first free one)")
    seeing.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    telling = command.add_argument_group("output (stdout is the command's)")
    telling.add_argument("--events", metavar="FILE", help="write what happens there as JSON lines")
    telling.add_argument(
        "--format", choices=("console", "json"), default="console", help="json: the report, to stderr, at the end"
    )
    _limit_flag(telling)
    _keeping_flags(command.add_argument_group("recording"))
    _reach_flags(command.add_argument_group("reaching the servers"))
    judging = command.add_argument_group("judging")
    _judging_flags(judging)
    _fix_flag(judging)
    summary_flags(command.add_argument_group("the summary at the end"))
    command.set_defaults(command=_command("run:run"))


EMULATED = ("chatgpt", "claude-ai", "claude-code", "codex", "cursor", "vs-code")
"""The clients that a walk can behave as; reading their files would make every start slower."""

_DRIVE = """\
clients:
%s
  NAME@emulated    walked as NAME would walk, without it: %s

The client is the one on the PATH, else the newest in our cache. Nothing is fetched unless --install says so: then it
comes from npm or PyPI into the cache, and that one is run.

examples:
  oauthtap drive claude-code --upstream https://mcp.example.com/mcp
  oauthtap drive claude-code --upstream URL --fix fixes.toml            is the repair enough?
  oauthtap drive python-sdk --upstream URL --inject expired-token       what does it do then?
  oauthtap drive claude-code --install --client-version 2.1.330 --upstream URL --format junit > drive.xml

exit codes: 0 connected; 1 not, or a finding reaches --fail-on; 2 wrong usage, or no such client; 3 it sent nothing;
130 interrupted
"""


def _drive_flags(command: ArgumentParser) -> None:
    command.description = "Run a real client through the tap, without a person, in a home folder that is thrown away."
    known = "\n".join(f"  {name:<16} {one.title}" for name, one in drivers().items())
    command.epilog = _DRIVE % (known, ", ".join(EMULATED))
    command.add_argument("driver", metavar="CLIENT", help="which client, see below, or a file of yours (./mine.toml)")
    running = command.add_argument_group("the client")
    running.add_argument("--upstream", metavar="URL", help="the MCP endpoint, as a client would be given it")
    running.add_argument(
        "--install", action="store_true", help="fetch it from npm or PyPI into our cache, and run that"
    )
    running.add_argument("--client-version", metavar="VERSION", help="exactly this one; `latest`: with --install")
    running.add_argument("--browser", action="store_true", help="a person signs in, with the real browser")
    running.add_argument("--timeout", type=_seconds, metavar="S", help="seconds it may take (120; with --browser 300)")
    running.add_argument("--transport", choices=("http", "sse"), help="default: sse for a URL that ends in /sse")
    tap = command.add_argument_group("the tap")
    tap.add_argument("--port", type=int, metavar="N", help="first local port (default: a free one)")
    tap.add_argument("--web", action="store_true", help="show it in mitmweb meanwhile")
    tap.add_argument("--web-port", type=int, metavar="N", help="port of mitmweb (default: the first free one)")
    tap.add_argument(
        "--callback", type=_callback, default="auto", metavar="auto|relay|direct|URI", help="as without `drive`"
    )
    tap.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    reach = command.add_argument_group("reaching the upstream")
    _reach_flags(reach)
    reach.add_argument("--allow-private", action="store_true", help="follow its documents to private addresses too")
    judging = command.add_argument_group("judging")
    _report_flags(judging)
    _events_flag(judging)
    _judging_flags(judging)
    _fix_flag(judging)
    inject_flag(command.add_argument_group("fault injection"))
    command.set_defaults(command=_command("drive:drive"))


_SOLVE = """\
It runs the client as it is, then with each change that its causes suggest, one by one and then in pairs, each time in a
fresh home, until it connects; then it takes every part out again to see that it is needed. SESSION, a recording, is
only simulated: nothing is proved then.

examples:
  oauthtap solve claude-code --upstream https://mcp.example.com/mcp
  oauthtap solve claude-code --upstream URL --set issuer=https://TENANT.authkit.app
  oauthtap solve SESSION                                what its recording tells, without a client

exit codes: 0 proved, or nothing to do; 1 no change of answers or requests cures it, or the budget is over; 2 wrong
usage; 3 a value is needed that only you know (--set)
"""


def _solve_flags(command: ArgumentParser) -> None:
    command.epilog = _SOLVE
    command.add_argument(
        "subject", type=_recording, metavar="CLIENT|SESSION", help="a client as in `drive`, or a recording"
    )
    command.add_argument("--upstream", metavar="URL", help="the MCP endpoint, as a client would be given it")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a value that only you know: issuer, client-id, resource-metadata, resource, scope; repeatable",
    )  # fmt: skip
    budget = command.add_argument_group("budget")
    budget.add_argument("--tries", type=_positive, default=10, metavar="N", help="runs of the client (default 10)")
    budget.add_argument("--timeout", type=_seconds, default=600.0, metavar="S", help="seconds for all (default 600)")
    budget.add_argument("--run-timeout", type=_seconds, default=60.0, metavar="S", help="for each run (default 60)")
    running = command.add_argument_group("the client")
    running.add_argument("--install", action="store_true", help="fetch it from npm or PyPI into our cache")
    running.add_argument("--client-version", metavar="VERSION", help="exactly this one; `latest`: with --install")
    running.add_argument("--transport", choices=("http", "sse"), help="default: sse for a URL that ends in /sse")
    reach = command.add_argument_group("reaching the upstream")
    _reach_flags(reach)
    reach.add_argument("--allow-private", action="store_true", help="follow its documents to private addresses too")
    reach.add_argument("--offline", action="store_true", help="do not contact servers to verify candidate issuers")
    telling = command.add_argument_group("telling")
    telling.add_argument(
        "--session", metavar="DIR", help="where to record; one that was begun goes on (default: a dated folder)"
    )
    telling.add_argument("--format", choices=("console", "json"), default="console", help="of the result (console)")
    summary_flags(telling)
    _events_flag(telling)
    _judging_flags(command.add_argument_group("judging"))
    command.set_defaults(command=_command("solve:solve"))


def _reach_flags(reach: Any) -> None:
    reach.add_argument("--ca", metavar="FILE", help="trust this further CA (PEM) for the upstream")
    reach.add_argument("--insecure", action="store_true", help="do not verify the upstream's certificate")
    reach.add_argument(
        "--connect-to",
        action="append",
        default=[],
        metavar="H1:P1:H2:P2",
        help="connect to H2:P2 where H1:P1 is meant, as in curl; repeatable, empty fields match any",
    )


def _probe_flags(command: ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the MCP endpoint, as a client would be given it")
    going = command.add_argument_group("how far to go (without these: as far as reading goes)")
    going.add_argument("--register", action="store_true", help="register as a client, and undo it where possible")
    way = going.add_mutually_exclusive_group()
    way.add_argument("--login", action="store_true", help="register, sign in with your browser, and use the token")
    way.add_argument(
        "--headless", action="store_true", help="same, without a browser (only if no login or consent is needed)"
    )
    going.add_argument("--client-id", metavar="ID", help="sign in with this pre-registered client id")
    going.add_argument(
        "--callback-port", type=int, default=0, metavar="N",
        help="port of the pre-registered redirect URI http://127.0.0.1:N/callback",
    )  # fmt: skip
    going.add_argument(
        "--attack", action="store_true",
        help="once signed in, send what the server has to refuse; only at a server of your own (asks first)",
    )  # fmt: skip
    going.add_argument("--yes", action="store_true", help="answer the question of --attack, for scripts")
    _reach_flags(command.add_argument_group("reaching the server"))
    telling = command.add_argument_group("output")
    telling.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    _keeping_flags(telling)
    _report_flags(telling)
    _judging_flags(command.add_argument_group("judging"), f"walk as this client would: {', '.join(EMULATED)}")
    command.set_defaults(command=_command("probe:run"))


def _report_flags(group: Any) -> None:
    group.add_argument("--format", choices=tuple(FORMATS), default="console", help="of the report (console)")
    summary_flags(group)
    group.add_argument(
        "--fail-on",
        choices=("error", "warning", "note"),
        help="exit 1 when a finding is at least that bad, or the sign-in stopped for a cause",
    )
    _limit_flag(group)


def _limit_flag(group: Any) -> None:
    group.add_argument(
        "--limit", type=_positive, metavar="N", help="at most so many exchanges, findings and clients in the report"
    )


def _state_flags(command: ArgumentParser, verb: str) -> None:
    command.add_argument(
        "session", nargs="?", type=_recording, metavar="SESSION", help="default: the tap that was started last"
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the answer (console)")
    command.set_defaults(command=_command(f"background:{verb}"))


def _status_flags(command: ArgumentParser) -> None:
    _state_flags(command, "status")


def _wait_flags(command: ArgumentParser) -> None:
    command.description = "Wait for a tap. Exit 0 it works, 1 a cause or a stop, 3 nothing came in that time."
    until = command.add_mutually_exclusive_group()
    for word, help in (
        ("ready", "until clients can connect"),
        ("cause", "until a cause is named, or none will be"),
        ("ending", "until the sign-in has completed or stopped (the default)"),
        ("ended", "until the tap itself has ended"),
    ):
        until.add_argument(f"--{word}", dest="until", action="store_const", const=word, help=help)
    command.add_argument("--timeout", type=_seconds, default=60.0, metavar="S", help="seconds (default 60)")
    _state_flags(command, "wait")


def _stop_flags(command: ArgumentParser) -> None:
    _state_flags(command, "stop")


def _judging_flags(group: Any, client: str = "override the detected client") -> None:
    group.add_argument("--client", metavar="NAME", help=client)
    group.add_argument(
        "--rules", action="append", default=[], metavar="FILE", help="load rules of your own; repeatable"
    )
    group.add_argument("--revision", metavar="DATE", help="judge by this MCP revision instead of the negotiated one")


def _check_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "file", type=_recording, metavar="FILE", help="a recording, a log, or text; - for standard input"
    )
    _judged_flags(command)


def _paste_flags(command: ArgumentParser) -> None:
    command.set_defaults(file="-")
    _judged_flags(command)


def _judged_flags(command: ArgumentParser) -> None:
    command.epilog = f"{command.epilog}\n\nwhat it reads, by what is in it and not by its name:\n" + "\n".join(
        fill(form, 96, initial_indent="  ", subsequent_indent="    ") for form in FORMS
    )
    _report_flags(command)
    command.add_argument(
        "--for", choices=tuple(TRACKERS), dest="tracker", help="Markdown, as that client's issue tracker asks for it"
    )
    command.add_argument(
        "--against", metavar="LOCK", help="check against this lock file only, not against the specifications"
    )
    _redact_flag(command)
    _judging_flags(command)
    command.set_defaults(command=_command("check:check"))


_COMMANDS: dict[str, tuple[str, str, Callable[[ArgumentParser], None]]] = {
    "run": (
        "run a client under its real names, through a proxy of its own",
        "oauthtap run -- claude mcp login NAME",
        _run_flags,
    ),
    "drive": (
        "run a real client through the tap, without a person; exit 0 when it connects",
        "oauthtap drive claude-code --upstream https://mcp.example.com/mcp",
        _drive_flags,
    ),
    "solve": (
        "find the smallest change with which a real client connects, by experiment",
        "oauthtap solve claude-code --upstream https://mcp.example.com/mcp",
        _solve_flags,
    ),
    "probe": (
        "send the requests of a sign-in without a client, and judge what the server answers",
        "oauthtap probe https://mcp.example.com/mcp",
        _probe_flags,
    ),
    "check": (
        "judge a recording: session folder, HAR, .mitm, log, pasted text",
        "oauthtap check ~/capture.har -v",
        _check_flags,
    ),
    "paste": (
        "judge what is pasted here: a log, curl output, a document (the same as check -)",
        "curl -i https://mcp.example.com/mcp | oauthtap paste",
        _paste_flags,
    ),
    "explain": (
        "say what a rule or an error message means; without one, list all rules",
        "oauthtap explain prm-as-entry-is-endpoint",
        _explain_flags,
    ),
    "status": (
        "say how a tap in the background is doing",
        "oauthtap status 2026-11-29-101500-mcp.example.com",
        _status_flags,
    ),
    "wait": (
        "wait until a tap is ready, names a cause, or is over",
        "oauthtap wait 2026-11-29-101500-mcp.example.com",
        _wait_flags,
    ),
    "stop": (
        "end a tap in the background, and say what was wrong",
        "oauthtap stop 2026-11-29-101500-mcp.example.com",
        _stop_flags,
    ),
    "record": (
        "write into a session what a server of yours hands over: addons/express_recorder.mjs",
        "oauthtap record https://mcp.example.com/mcp < exchanges.jsonl",
        _record_flags,
    ),
    "mcp": (
        "serve these commands as tools to a coding agent, over stdio",
        "claude mcp add oauthtap -- oauthtap mcp",
        _mcp_flags,
    ),
    "skill": ("print or install what a coding agent has to know", "oauthtap skill --install", _skill_flags),
    "sessions": ("list the recorded sessions, newest first", "oauthtap sessions", _sessions_flags),
    "verify": (
        "look for secrets that were left in a session; exit 1 when there are any, 3 when it is torn or was not swept",
        "oauthtap verify 2026-11-29-101500-mcp.example.com",
        _verify_flags,
    ),
    "fix": (
        "propose what would repair a session, and say whether it would be enough",
        "oauthtap fix 2026-11-29-101500-mcp.example.com",
        _fix_flags,
    ),
    "lock": (
        "write down what the server promised, for `check --against`",
        "oauthtap lock SESSION -o mcp.lock",
        _lock_flags,
    ),
    "diff": (
        "compare two recordings; exit 1 when anything that matters differs",
        "oauthtap diff works.har fails.har",
        _diff_flags,
    ),
    "replay": (
        "serve a recorded session as a mock server, for the same client",
        "oauthtap replay SESSION",
        _replay_flags,
    ),
}
"""The name of each command, its sentence and its example in `--help`, and what gives it its flags."""
