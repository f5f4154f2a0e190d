"""Flags of the commands that work on what was recorded."""

from __future__ import annotations

from oauthtap.cli.argument_parser import ArgumentParser
from oauthtap.cli.flags.shared import deferred, judged_flags, reach_flags, rules_flag
from oauthtap.cli.flags.values import positive, recording_path
from oauthtap.cli.options.baseline import baseline_flags
from oauthtap.cli.options.newest import WORDS
from oauthtap.fixes.stacks import stacks
from oauthtap.render.comparison import FORMATS as COMPARISONS
from oauthtap.rewriting.origins import FIRST_PORT


def explain_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "rule", nargs="*", metavar="RULE | TEXT", help="a rule's id, or an error message of a client or server"
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the answer (console)")
    rules_flag(command)
    command.set_defaults(command=deferred("explain:explain"))


def sessions_flags(command: ArgumentParser) -> None:
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the list (console)")
    command.add_argument("--limit", type=positive, metavar="N", help="only the newest N")
    command.set_defaults(command=deferred("sessions:list_sessions"))


def summary_table_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "sessions", nargs="+", type=recording_path, metavar="SESSION", help="session folders, or recordings"
    )
    baseline_flags(command)
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="of the table (markdown)")
    command.set_defaults(command=deferred("summary:summary"), fail_on=None)


def verify_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "session", nargs="?", type=recording_path, metavar="SESSION", help=f"a session folder, or one file ({WORDS})"
    )
    command.add_argument(
        "--sweep",
        action="store_true",
        help="redact every file again first: for a session whose tap was killed",
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the result (console)")
    command.set_defaults(command=deferred("verify:verify"))


def fix_flags(command: ArgumentParser) -> None:
    command.add_argument("session", nargs="?", type=recording_path, metavar="SESSION", help=WORDS)
    command.add_argument(
        "-o", "--output", metavar="FILE", default="fixes.toml", help="where to write (default: %(default)s)"
    )
    command.add_argument(
        "--fix", action="append", default=[], metavar="RULE[=VALUE]|FILE", help="include this fix; repeatable"
    )
    command.add_argument(
        "--stack", choices=tuple(stacks()), help="show the lines to deploy for this stack; overrides the detected one"
    )
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the result (console)")
    command.add_argument("--deploy", metavar="FILE", help="write the lines to deploy to FILE as JSON")
    live = command.add_mutually_exclusive_group()
    live.add_argument(
        "--apply", action="store_true", help="turn the fixes on in the tap that is recording this session"
    )
    live.add_argument("--undo", action="store_true", help="turn off what --apply turned on")
    command.add_argument(
        "--strict", action="store_true", help="also for problems this client tolerates but others do not"
    )
    command.add_argument("--offline", action="store_true", help="do not contact servers to verify candidate issuers")
    command.add_argument("--client-id", metavar="ID", help="a pre-registered client id")
    reach_flags(command)
    command.set_defaults(command=deferred("fix:fix"))


def lock_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "session", nargs="?", type=recording_path, metavar="SESSION", help=f"a session, or a recording ({WORDS})"
    )
    command.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of stdout")
    command.add_argument("--revision", metavar="DATE", help="judge by this MCP revision instead of the negotiated one")
    command.add_argument("--format", choices=("json",), default="json", help="a lock is always JSON")
    command.set_defaults(command=deferred("lock:write_lock"))


def diff_flags(command: ArgumentParser) -> None:
    command.add_argument("a", type=recording_path, metavar="A", help="a session, or a recording")
    command.add_argument("b", type=recording_path, metavar="B", help="the recording to compare A with")
    command.add_argument("--format", choices=tuple(COMPARISONS), default="console", help="of the comparison")
    for side in "ab":
        command.add_argument(f"--client-{side}", metavar="NAME", help=f"override the detected client of {side.upper()}")
    command.set_defaults(command=deferred("diff:diff"))


def replay_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "session", nargs="?", type=recording_path, metavar="SESSION", help=f"a session, or a recording ({WORDS})"
    )
    words = f"first local port (default {FIRST_PORT})"
    command.add_argument("--port", type=int, default=FIRST_PORT, metavar="N", help=words)
    command.add_argument(
        "--as-file", metavar="FILE", help="write it as one Python file to attach to a report (-: print)"
    )
    command.add_argument(
        "--format", choices=("console", "json"), default="console", help="json: where it is, as the first line"
    )
    command.set_defaults(command=deferred("replay:replay"))


def check_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "file",
        nargs="?",
        type=recording_path,
        metavar="FILE",
        help=f"a recording, a log, or text; - for standard input ({WORDS})",
    )
    judged_flags(command)


def paste_flags(command: ArgumentParser) -> None:
    command.set_defaults(file="-")
    judged_flags(command)
