"""The command line: every command, with the words that `--help` teaches by; its flags stand in `flags`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from textwrap import fill

from oauthtap import __version__
from oauthtap.cli.argument_parser import COMMAND, ArgumentParser
from oauthtap.cli.flags.files import (
    check_flags,
    diff_flags,
    explain_flags,
    fix_flags,
    lock_flags,
    paste_flags,
    replay_flags,
    sessions_flags,
    summary_table_flags,
    verify_flags,
)
from oauthtap.cli.flags.live import (
    drive_flags,
    grant_flags,
    mcp_flags,
    probe_flags,
    record_flags,
    run_flags,
    skill_flags,
    solve_flags,
    status_flags,
    stop_flags,
    wait_flags,
    watch_flags,
)
from oauthtap.cli.flags.shared import deferred

_EXAMPLES = """\
examples:
  oauthtap https://mcp.example.com/mcp                   proxy between client and server (the same as --upstream URL)
  oauthtap run -- claude mcp login NAME                  the same with the real URLs, for one command
  oauthtap drive claude-code --upstream URL              the real client without a person; exit 0 when it connects
  oauthtap solve claude-code --upstream URL              find the smallest change with which it connects
  oauthtap probe https://mcp.example.com/mcp             send the requests of a sign-in without a client
  oauthtap check ~/capture.har                           judge a recording
  oauthtap paste                                         judge what you paste: a log, curl output, an access log
  oauthtap diff A B                                      where two recordings differ, and why
  oauthtap replay SESSION                                serve a recorded session as a mock server
  oauthtap lock SESSION -o FILE                          write a lock file, for check --against
  oauthtap explain prm-as-entry-is-endpoint              what a rule means, and what to change
  oauthtap explain "any error text"                      what a message of a client or server means
  oauthtap sessions                                      the recorded sessions

exit codes: 0 it works (connected, or signed in); 1 it stopped, or a finding reaches --fail-on; 2 wrong usage, or a file
that cannot be read; 3 nothing arrived, so there is no verdict
"""


def parser() -> ArgumentParser:
    """The whole command line. The unnamed command is `watch`."""
    top = ArgumentParser(
        prog="oauthtap",
        usage="oauthtap URL [FLAG…]\n       oauthtap COMMAND …",
        description="Record the OAuth sign-in of an MCP client, and name the cause when it fails.",
        epilog=_EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"oauthtap {__version__}", help="print the version")
    top.set_defaults(command=deferred("watch:watch"))
    watch_flags(top)
    verbs = top.add_subparsers(title="other commands", metavar=COMMAND, prog="oauthtap", parser_class=ArgumentParser)
    for name, (sentence, example, flags) in _COMMANDS.items():
        description = f"{sentence[:1].upper()}{sentence[1:]}."
        command = verbs.add_parser(
            name, help=sentence, description=fill(description, 96), epilog=f"example:\n  {example}"
        )
        flags(command)
        command.usage = command.usage or _usage(name, command)
        if "exit codes:" not in (command.epilog or ""):
            told = fill(f"exit codes: {_EXITS.get(name, _DONE)}", 96)
            command.epilog = f"{command.epilog}\n\n{told}"
    return top


def _usage(name: str, command: ArgumentParser) -> str:
    """The command with what has no flag: the flags are explained below it."""
    words = [f"[{one.metavar}]" if one.nargs in ("?", "*") else str(one.metavar) for one in command.places]
    return " ".join(["oauthtap", name, "[FLAG…]", *words])


_JUDGED = (
    "0 it works (connected, or signed in); 1 it stopped, or a finding reaches --fail-on; 2 wrong usage; "
    "3 nothing arrived"
)
_DONE = "0 done; 2 wrong usage"
_EXITS = {
    "run": "those of COMMAND; 2 wrong usage, or it cannot be started",
    "probe": _JUDGED,
    "check": _JUDGED,
    "paste": _JUDGED,
    "explain": "0 known; 1 nothing is known of this message; 2 wrong usage, or no such rule",
    "status": "0 it works so far; 1 it stopped; 2 wrong usage; 3 nothing has arrived",
    "wait": "0 it works; 1 a cause, or it stopped; 2 wrong usage; 3 nothing arrived in that time",
    "stop": "those of the tap: 0 it works; 1 it stopped; 2 wrong usage; 3 nothing arrived",
    "record": "0 done, without the lines that could not be read; 2 wrong usage; 3 no exchange came",
    "verify": "0 no secret found; 1 secrets found; 2 wrong usage; 3 no verdict: the session is incomplete, or was not "
    "redacted at its end (--sweep)",
    "fix": "0 enough, or nothing to fix; 1 not enough; 2 wrong usage",
    "diff": "0 the same; 1 something that matters differs; 2 wrong usage",
}
"""What each exit code means, where it is more than done or wrong."""


_SWITCHES = frozenset({
    "--allow-private", "--background", "--brief", "--clients", "--events", "--insecure", "--keep-secrets",
    "--no-background", "--no-look", "--no-preflight", "--no-web", "--once", "--verbose", "-v",
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


_COMMANDS: dict[str, tuple[str, str, Callable[[ArgumentParser], None]]] = {
    "run": (
        "run one client command through a forward proxy of its own, with the server's real URLs",
        "oauthtap run -- claude mcp login NAME",
        run_flags,
    ),
    "drive": (
        "run a real client through the tap, without a person; exit 0 when it connects",
        "oauthtap drive claude-code --upstream https://mcp.example.com/mcp",
        drive_flags,
    ),
    "solve": (
        "find the smallest change with which a real client connects, by experiment",
        "oauthtap solve claude-code --upstream https://mcp.example.com/mcp",
        solve_flags,
    ),
    "probe": (
        "send the requests of a sign-in without a client, and check the responses",
        "oauthtap probe https://mcp.example.com/mcp",
        probe_flags,
    ),
    "grant": (
        "sign in once, and store what `probe --grant` and `drive --grant` need, encrypted",
        "oauthtap grant https://mcp.example.com/mcp -o mcp.grant",
        grant_flags,
    ),
    "check": (
        "find the cause in a recording: session folder, HAR, .mitm, log, pasted text",
        "oauthtap check ~/capture.har -v",
        check_flags,
    ),
    "paste": (
        "find the cause in pasted text: a log, curl output, a document (the same as check -)",
        "curl -i https://mcp.example.com/mcp | oauthtap paste",
        paste_flags,
    ),
    "summary": (
        "print one table of several sessions, a row per client, for a pull request",
        "oauthtap summary handshakes/* --baseline baseline.json",
        summary_table_flags,
    ),
    "explain": (
        "say what a rule or an error message means; without one, list all rules",
        "oauthtap explain prm-as-entry-is-endpoint",
        explain_flags,
    ),
    "status": (
        "print the state of a tap in the background",
        "oauthtap status 2026-11-29-101500-mcp.example.com",
        status_flags,
    ),
    "wait": (
        "wait until a tap in the background is ready, names a cause, or has ended",
        "oauthtap wait 2026-11-29-101500-mcp.example.com",
        wait_flags,
    ),
    "stop": (
        "end a tap in the background, and print the result",
        "oauthtap stop 2026-11-29-101500-mcp.example.com",
        stop_flags,
    ),
    "record": (
        "record exchanges that your own server writes as JSON lines (addons/express_recorder.mjs)",
        "oauthtap record https://mcp.example.com/mcp < exchanges.jsonl",
        record_flags,
    ),
    "mcp": (
        "serve the commands of oauthtap as tools to a coding agent, over stdio",
        "claude mcp add oauthtap -- oauthtap mcp",
        mcp_flags,
    ),
    "skill": ("print or install the skill file for coding agents", "oauthtap skill --install", skill_flags),
    "sessions": ("list the recorded sessions, newest first", "oauthtap sessions", sessions_flags),
    "verify": (
        "search a session for secrets that were not redacted",
        "oauthtap verify 2026-11-29-101500-mcp.example.com",
        verify_flags,
    ),
    "fix": (
        "propose fixes for a session, and say whether they would be enough",
        "oauthtap fix 2026-11-29-101500-mcp.example.com",
        fix_flags,
    ),
    "lock": (
        "write a lock file: what clients rely on in the server's responses, for `check --against`",
        "oauthtap lock 2026-11-29-101500-mcp.example.com -o mcp.lock",
        lock_flags,
    ),
    "diff": (
        "compare two recordings, and name the first difference that matters",
        "oauthtap diff works.har fails.har",
        diff_flags,
    ),
    "replay": (
        "serve a recorded session as a mock server, for the same client",
        "oauthtap replay 2026-11-29-101500-mcp.example.com",
        replay_flags,
    ),
}
"""The name of each command, its sentence and its example in `--help`, and what gives it its flags."""
