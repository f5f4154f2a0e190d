"""Flags of the commands that talk to a client or a server."""

from __future__ import annotations

import argparse

from oauthtap.cli.argument_parser import ArgumentParser
from oauthtap.cli.flags.shared import (
    deferred,
    events_flag,
    fix_flag,
    judging_flags,
    keeping_flags,
    limit_flag,
    reach_flags,
    report_flags,
    state_flags,
)
from oauthtap.cli.flags.values import callback_mode, positive, recording_path, seconds
from oauthtap.cli.options.baseline import baseline_flags
from oauthtap.cli.options.grant import grant_flag
from oauthtap.cli.options.inject import inject_flag
from oauthtap.cli.options.summary import summary_flags
from oauthtap.drive.driver import drivers
from oauthtap.grants.grant_file import KEY
from oauthtap.rewriting.origins import FIRST_PORT, WEB_PORT


def record_flags(command: ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the MCP endpoint, as clients are given it")
    command.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    command.add_argument("--format", choices=("console", "json"), default="console", help="json: what was written")
    command.set_defaults(command=deferred("record:record"))


def mcp_flags(command: ArgumentParser) -> None:
    command.set_defaults(command=deferred("mcp:mcp"))


def skill_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "--install",
        nargs="?",
        const="~/.claude",
        metavar="DIR",
        help="write it to DIR/skills/oauthtap/SKILL.md (default: ~/.claude; .claude for this project alone)",
    )
    command.add_argument("--agents", action="store_true", help="print the snippet for AGENTS.md instead")
    command.add_argument("--format", choices=("console", "json"), default="console", help="of the answer (console)")
    command.set_defaults(command=deferred("skill:skill"))


def watch_flags(top: ArgumentParser) -> None:
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
    tap.add_argument("--no-web", action="store_true", help="do not start mitmweb")
    tap.add_argument("--no-preflight", action="store_true", help="do not send the server a request at startup")
    tap.add_argument("--no-look", dest="no_preflight", action="store_true", help=argparse.SUPPRESS)  # for one release
    tap.add_argument("--once", action="store_true", help="end when the sign-in has completed or stopped")
    tap.add_argument("--timeout", type=seconds, metavar="S", help="end after at most S seconds")
    tap.add_argument(
        "--background",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="run in the background, and print where; see `oauthtap status`, `wait` and `stop`",
    )
    tap.add_argument(
        "--session", metavar="DIR", help="where to record (default: a dated folder, see `oauthtap sessions`)"
    )
    tap.add_argument(
        "--callback",
        type=callback_mode,
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
        help="the public URL of your tunnel to the first local port, for hosted clients (Claude.ai, ChatGPT); "
        "LOCAL=URL: the same for a further port, as in "
        "http://localhost:8462=https://as.tunnel.example; repeatable, see docs/tunnel.md",
    )
    reach = top.add_argument_group("reaching the upstream")
    reach_flags(reach)
    reach.add_argument(
        "--allow-private",
        action="store_true",
        help="follow a public server's documents to private addresses too",
    )
    keeping_flags(top.add_argument_group("recording"))
    telling = top.add_argument_group("output")
    report_flags(telling)
    events_flag(telling)
    judging = top.add_argument_group("judging")
    judging_flags(judging)
    fix_flag(judging)
    inject_flag(top.add_argument_group("fault injection"))


def run_flags(command: ArgumentParser) -> None:
    command.usage = "oauthtap run [FLAG…] -- COMMAND…"
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the client, with its arguments")
    seeing = command.add_argument_group("interception scope")
    seeing.add_argument("--upstream", metavar="URL", help="the URL of the MCP endpoint, if it is not in the command")
    seeing.add_argument("--all", action="store_true", help="record all its traffic, not only OAuth and MCP")
    seeing.add_argument("--web", action="store_true", help="show the traffic in mitmweb")
    seeing.add_argument("--web-port", type=int, metavar="N", help="port of mitmweb (default: the first free one)")
    seeing.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    telling = command.add_argument_group("output (stdout is the command's)")
    telling.add_argument("--events", metavar="FILE", help="write events to FILE as JSON lines")
    telling.add_argument(
        "--format", choices=("console", "json"), default="console", help="json: the report, to stderr, at the end"
    )
    limit_flag(telling)
    keeping_flags(command.add_argument_group("recording"))
    reach_flags(command.add_argument_group("reaching the servers"))
    judging = command.add_argument_group("judging")
    judging_flags(judging)
    baseline_flags(judging)
    fix_flag(judging)
    summary_flags(command.add_argument_group("the summary at the end"))
    command.set_defaults(command=deferred("run:run"))


EMULATED_CLIENTS = (
    "ai-sdk", "chatgpt", "claude-ai", "claude-code", "codex", "cursor", "fastmcp", "langchain", "mcp-inspector",
    "mcp-remote", "mcp-use", "mcporter", "opencode", "python-sdk-1", "python-sdk-2", "qwen-code", "typescript-sdk-1",
    "typescript-sdk-2", "vs-code",
)  # fmt: skip
"""The clients that a walk can behave as; reading their files would make every start slower."""


_DRIVE = """\
clients:
%s
  NAME@emulated    oauthtap sends what NAME would send; NAME itself does not run: %s

The client is the one on the PATH, else the newest in the cache. Only --install downloads one, from npm or PyPI into
the cache.

examples:
  oauthtap drive claude-code --upstream https://mcp.example.com/mcp
  oauthtap drive claude-code --upstream URL --fix fixes.toml            is the fix enough?
  oauthtap drive python-sdk --upstream URL --inject expired-token       what does it do then?
  oauthtap drive claude-code --install --client-version 2.1.330 --upstream URL --format junit > drive.xml

exit codes: 0 connected; 1 not, or a finding reaches --fail-on; 2 wrong usage, or no such client; 3 it sent nothing;
130 interrupted
"""


def drive_flags(command: ArgumentParser) -> None:
    command.description = "Run a real client through oauthtap without a person, in a temporary home folder."
    known = "\n".join(f"  {name:<16} {one.title}" for name, one in drivers().items())
    command.epilog = _DRIVE % (known, ", ".join(EMULATED_CLIENTS))
    command.add_argument("driver", metavar="CLIENT", help="which client, see below, or a file of yours (./mine.toml)")
    running = command.add_argument_group("the client")
    running.add_argument("--upstream", metavar="URL", help="the MCP endpoint, as a client would be given it")
    running.add_argument(
        "--install", action="store_true", help="install it from npm or PyPI into the cache, and run that"
    )
    running.add_argument("--client-version", metavar="VERSION", help="exactly this one; `latest`: with --install")
    who = running.add_mutually_exclusive_group()
    who.add_argument("--browser", action="store_true", help="sign in yourself, with your browser")
    grant_flag(who)
    running.add_argument("--timeout", type=seconds, metavar="S", help="at most S seconds (120; with --browser 300)")
    running.add_argument("--transport", choices=("http", "sse"), help="default: sse for a URL that ends in /sse")
    tap = command.add_argument_group("the tap")
    tap.add_argument("--port", type=int, metavar="N", help="first local port (default: a free one)")
    tap.add_argument("--web", action="store_true", help="show the traffic in mitmweb")
    tap.add_argument("--web-port", type=int, metavar="N", help="port of mitmweb (default: the first free one)")
    tap.add_argument(
        "--callback",
        type=callback_mode,
        default="auto",
        metavar="auto|relay|direct|URI",
        help="as for the tap: see oauthtap --help",
    )
    tap.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    reach = command.add_argument_group("reaching the upstream")
    reach_flags(reach)
    reach.add_argument(
        "--allow-private", action="store_true", help="follow a public server's documents to private addresses too"
    )
    judging = command.add_argument_group("judging")
    report_flags(judging)
    events_flag(judging)
    judging_flags(judging)
    baseline_flags(judging)
    fix_flag(judging)
    inject_flag(command.add_argument_group("fault injection"))
    command.set_defaults(command=deferred("drive:drive"))


_SOLVE = """\
Runs the client unchanged, then with each change that the causes suggest, one at a time and then in pairs, each time in
a new home folder, until it connects; then leaves out each part of the change to check that it is needed. With a
recording (SESSION) the client is simulated, and nothing is proved.

examples:
  oauthtap solve claude-code --upstream https://mcp.example.com/mcp
  oauthtap solve claude-code --upstream URL --set issuer=https://TENANT.authkit.app
  oauthtap solve claude-ai@emulated --upstream URL      a client that cannot run here: emulated, so nothing is proved
  oauthtap solve SESSION                                by simulation, without a client

exit codes: 0 proved (emulated, simulated), or nothing to do; 1 no change of responses or requests is enough, or the
budget is used up; 2 wrong usage; 3 no verdict: a value is needed that only you know (--set)
"""


def solve_flags(command: ArgumentParser) -> None:
    command.epilog = _SOLVE
    command.add_argument(
        "subject", type=recording_path, metavar="CLIENT|SESSION", help="a client as in `drive`, or a recording"
    )
    command.add_argument("--upstream", metavar="URL", help="the MCP endpoint, as a client would be given it")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a value that only you know: issuer, client-id, resource-metadata, resource, scope; repeatable",
    )  # fmt: skip
    budget = command.add_argument_group("budget")
    budget.add_argument(
        "--tries", type=positive, default=10, metavar="N", help="at most N runs of the client (default 10)"
    )
    budget.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="S", help="at most S seconds in all (default 600)"
    )
    budget.add_argument(
        "--run-timeout", type=seconds, default=60.0, metavar="S", help="at most S seconds a run (default 60)"
    )
    running = command.add_argument_group("the client")
    running.add_argument("--install", action="store_true", help="install it from npm or PyPI into the cache")
    running.add_argument("--client-version", metavar="VERSION", help="exactly this one; `latest`: with --install")
    running.add_argument("--transport", choices=("http", "sse"), help="default: sse for a URL that ends in /sse")
    grant_flag(running)
    reach = command.add_argument_group("reaching the upstream")
    reach_flags(reach)
    reach.add_argument(
        "--allow-private", action="store_true", help="follow a public server's documents to private addresses too"
    )
    reach.add_argument("--offline", action="store_true", help="do not contact servers to verify candidate issuers")
    telling = command.add_argument_group("output")
    telling.add_argument(
        "--session",
        metavar="DIR",
        help="where to record; a session that was started there is continued (default: a dated folder)",
    )
    telling.add_argument("--format", choices=("console", "json"), default="console", help="of the result (console)")
    summary_flags(telling)
    events_flag(telling)
    judging_flags(command.add_argument_group("judging"))
    command.set_defaults(command=deferred("solve:solve"))


def probe_flags(command: ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the MCP endpoint, as a client would be given it")
    going = command.add_argument_group("how far to go (default: discovery only)")
    going.add_argument(
        "--register",
        action="store_true",
        help="register as a client, and delete the registration if the server allows it",
    )
    way = going.add_mutually_exclusive_group()
    way.add_argument("--login", action="store_true", help="register, sign in with your browser, and use the token")
    way.add_argument(
        "--headless", action="store_true", help="same, without a browser (only if no login or consent is needed)"
    )
    grant_flag(way)
    going.add_argument("--client-id", metavar="ID", help="sign in with this pre-registered client id")
    going.add_argument(
        "--callback-port", type=int, default=0, metavar="N",
        help="port of the pre-registered redirect URI http://127.0.0.1:N/callback",
    )  # fmt: skip
    going.add_argument(
        "--attack", action="store_true",
        help="once signed in, send requests that the server has to refuse; only to your own server (asks first)",
    )  # fmt: skip
    going.add_argument("--yes", action="store_true", help="answer --attack's question with yes, for scripts")
    reach_flags(command.add_argument_group("reaching the server"))
    telling = command.add_argument_group("output")
    telling.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    keeping_flags(telling)
    report_flags(telling)
    events_flag(telling)
    judging = command.add_argument_group("judging")
    baseline_flags(judging)
    judging_flags(judging, f"send what this client would send: {', '.join(EMULATED_CLIENTS)}")
    command.set_defaults(command=deferred("probe:run"))


_GRANT = f"""\
examples:
  export {KEY}="$(oauthtap grant --new-key)"        store it with your secrets
  oauthtap grant https://mcp.example.com/mcp -o mcp.grant          sign in once, with your browser
  oauthtap probe https://mcp.example.com/mcp --grant mcp.grant     any number of times, without a browser
  oauthtap drive claude-code --upstream https://mcp.example.com/mcp --grant mcp.grant
  oauthtap grant --revoke mcp.grant                                when it is no longer needed

exit codes: 0 kept, or revoked; 1 the sign-in did not lead to the server, or the server did not revoke; 2 wrong usage,
or there is nothing to keep or to revoke; 3 nothing arrived
"""


def grant_flags(command: ArgumentParser) -> None:
    command.epilog = _GRANT
    command.add_argument("url", nargs="?", metavar="URL", help="the MCP endpoint, as a client would be given it")
    command.add_argument("-o", "--output", metavar="FILE", help="where to keep the grant, encrypted")
    command.add_argument("--new-key", action="store_true", help=f"print a key for {KEY}, and nothing else")
    command.add_argument(
        "--revoke", metavar="FILE", help="revoke the refresh token of this grant (RFC 7009), and delete the file"
    )
    way = command.add_mutually_exclusive_group()
    way.add_argument(
        "--headless", action="store_true", help="sign in without a browser (only if no login or consent is needed)"
    )
    way.add_argument(
        "--client-credentials", action="store_true",
        help="keep --client-id and its secret (OAUTHTAP_CLIENT_SECRET) for the client credentials grant",
    )  # fmt: skip
    command.add_argument("--client-id", metavar="ID", help="sign in with this pre-registered client id")
    command.add_argument(
        "--callback-port", type=int, default=0, metavar="N",
        help="port of the pre-registered redirect URI http://127.0.0.1:N/callback",
    )  # fmt: skip
    reach_flags(command.add_argument_group("reaching the server"))
    telling = command.add_argument_group("output")
    telling.add_argument("--session", metavar="DIR", help="where to record (default: a dated folder)")
    report_flags(telling)
    events_flag(telling)
    command.set_defaults(
        command=deferred("grant:grant"), client=None, rules=[], revision=None, redact=None, keep_secrets=False,
        attack=False, register=True,
    )  # fmt: skip


def status_flags(command: ArgumentParser) -> None:
    state_flags(command, "status")


def wait_flags(command: ArgumentParser) -> None:
    command.description = "Wait until a tap in the background is ready, names a cause, or has ended."
    until = command.add_mutually_exclusive_group()
    for word, help in (
        ("ready", "until clients can connect"),
        ("cause", "until a cause is named, or the sign-in is over without one"),
        ("ending", "until the sign-in has completed or stopped (the default)"),
        ("ended", "until the tap itself has ended"),
    ):
        until.add_argument(f"--{word}", dest="until", action="store_const", const=word, help=help)
    command.add_argument("--timeout", type=seconds, default=60.0, metavar="S", help="at most S seconds (default 60)")
    state_flags(command, "wait")


def stop_flags(command: ArgumentParser) -> None:
    command.add_argument(
        "--timeout", type=seconds, default=15.0, metavar="S", help="wait at most S seconds for its end (default 15)"
    )
    state_flags(command, "stop")
