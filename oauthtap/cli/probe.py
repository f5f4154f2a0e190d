"""`oauthtap probe URL`: walk to a server without a client. Puts walk, session, progress and report together."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from oauthtap import __version__
from oauthtap.cli.check import exit_code
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.summary import display, session_word
from oauthtap.cli.options.telling import bounded, written
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.cli.probe_progress import Progress
from oauthtap.clients import profiles
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.probe.discovery import CALLBACK_PORT, Plan
from oauthtap.probe.runner import Browser, probe
from oauthtap.render.console import console
from oauthtap.report.model import Report
from oauthtap.rules import plugins
from oauthtap.session import SessionError, default_folder
from oauthtap.session.recorder import SessionRecorder, redacting
from oauthtap.upstream.options import UpstreamOptions

_FURTHER = "To go on from here: --register tries registration, --login signs you in with your browser."


def run(arguments: Namespace) -> int:
    """Print the report on what a server answers. Gives `exit_code`, or 130 after Ctrl-C."""
    plan, way = _plan(arguments), parse_upstream_options(arguments)
    plugins.load_rule_files(arguments.rules)
    try:
        kept, report, whole, warned = _walked(plan, way, arguments)
    except SessionError as problem:
        raise UsageError(str(problem)) from None
    except ssl.SSLError as problem:
        raise UsageError(f"--ca {arguments.ca}: no certificate in it that can be read ({problem.reason})") from None
    except OSError as problem:
        raise UsageError(f"--callback-port {arguments.callback_port}: {problem.strerror}. Try: another port") from None
    exchanges = tuple(step.exchange for step in kept.tap.steps)
    if arguments.format == "console":
        shown = display(sys.stdout, arguments, session_word(kept.folder), folder=str(kept.folder))
        text = console(bounded(report, arguments), exchanges, display=shown, warnings=warned)
    else:
        text = written(report, exchanges, arguments)
        further = report.complete and not arguments.register
        print(*([_FURTHER] if further else []), f"Session: {kept.folder}", sep="\n", file=sys.stderr)
    sys.stdout.write(kept.tap.redactor.redact_known(text))
    return exit_code(report, arguments.fail_on) if whole else 130


def _plan(arguments: Namespace) -> Plan:
    if arguments.client_id and not (arguments.login or arguments.headless):
        raise UsageError("--client-id is for signing in. Try: --login --client-id ID")
    return Plan(
        url=parse_mcp_url(arguments.url, "oauthtap probe"),
        version=__version__,
        register=arguments.register,
        sign_in="person" if arguments.login else "headless" if arguments.headless else "no",
        callback=f"http://127.0.0.1:{arguments.callback_port or CALLBACK_PORT}/callback",
        client_id=arguments.client_id,
    )


def _walked(plan: Plan, way: UpstreamOptions, arguments: Namespace) -> tuple[SessionRecorder, Report, bool, list[str]]:
    """The session, its report, whether the walk came to its end by itself, and what it warned of."""
    whole = True
    folder = Path(arguments.session) if arguments.session else default_folder(plan.url)
    tap = SessionAnalyzer(plan.url, arguments.revision, arguments.client, profiles(), plan.goal, **redacting(arguments))
    with Progress() as progress:
        if way.insecure:
            progress.narrator.warn("--insecure: nobody checks that this is the real server. Tokens may go astray.")
        kept = SessionRecorder(tap, folder, plan.url, arguments, progress.narrator.warn)

        def told(step: AnalyzedExchange) -> None:
            kept.add(step)
            progress.step(step)

        try:
            asyncio.run(_walk(plan, way, kept, told, Browser(progress.open, port=arguments.callback_port)))
        except KeyboardInterrupt:
            whole = False
        finally:
            report = kept.end(time.time())
    return kept, report, whole, progress.narrator.warned


async def _walk(
    plan: Plan, way: UpstreamOptions, kept: SessionRecorder, told: Callable[[AnalyzedExchange], None], browser: Browser
) -> None:
    async with contextlib.aclosing(probe(plan, way, browser)) as exchanges:
        async for exchange in exchanges:
            kept.record_own_request(exchange, told)
