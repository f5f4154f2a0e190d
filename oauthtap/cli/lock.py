"""`oauthtap lock SESSION`: freeze what a server promised; and read such a file again."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.newest import newest_session
from oauthtap.cli.options.summary import session_word
from oauthtap.compare import lockfile
from oauthtap.compare.lockfile import Lock
from oauthtap.formats.untrusted_file import parse_json, read_bytes
from oauthtap.model.recording import SourceError

_LARGEST = 20_000_000


def write_lock(arguments: Namespace) -> int:
    """Print the contract of a recorded handshake as JSON, or write it to `-o FILE`."""
    session = arguments.session or newest_session()
    tap, report = analyze_recording(session, revision=arguments.revision)
    frozen = lockfile.lock(tap.handshake)
    if not frozen.contract:
        word = session_word(session)
        raise UsageError(f"{session}: nothing of a handshake in it. Try: oauthtap check {word}")
    if not report.connected:
        print("oauthtap: this handshake did not connect; what is frozen is what it came to", file=sys.stderr)
    text = frozen.model_dump_json(indent=1) + "\n"
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {arguments.output}: {problem.strerror or problem}") from None
    return 0


def read_lock(path: str) -> Lock:
    """A file that `oauthtap lock` wrote. Raises Usage when it is none."""
    advice = f"oauthtap lock SESSION -o {shlex.quote(path)}"
    try:
        data = read_bytes(Path(path), largest=_LARGEST, advice=advice)
        return Lock.model_validate(parse_json(data.decode()))
    except SourceError as problem:
        raise UsageError(str(problem)) from None
    except json.JSONDecodeError as problem:
        place = f"{path}, line {problem.lineno}, column {problem.colno}"
        raise UsageError(f"{place}: no JSON from here on ({problem.msg}). Try: {advice}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is no lock of oauthtap. Try: {advice}") from None
