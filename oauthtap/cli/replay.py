"""`oauthtap replay SESSION`: be the recorded server once more, here or in a file for somebody else's desk."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.newest import newest_session
from oauthtap.cli.options.summary import session_word
from oauthtap.formats import loader
from oauthtap.replay import server
from oauthtap.replay.script import build_script

_EMPTY = "SCRIPT: Any = None\n"


def replay(arguments: Namespace) -> int:
    """Play a recording until Ctrl-C; or, with `--as-file`, write it as one Python file."""
    session = arguments.session or newest_session()
    tap, _ = analyze_recording(session)
    try:
        played = build_script(tap.handshake, loader.read(session).streams)
    except ValueError as problem:
        word = session_word(session)
        raise UsageError(f"{session}: {problem}. Try: oauthtap check {word}") from None
    if arguments.as_file is not None:
        code = _write(as_file(played), arguments.as_file)
        if arguments.format == "json" and arguments.as_file != "-":
            print(json.dumps({"written": arguments.as_file}))
        return code
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return server.serve(played, arguments.port, as_json=arguments.format == "json")
    except OSError as problem:
        raise UsageError(f"cannot listen: {problem.strerror or problem}. Try: --port {arguments.port + 100}") from None


def _write(text: str, path: str) -> int:
    if path == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {path}: {problem.strerror or problem}") from None
    print(f"Written: {path}. Run it with: python {path}", file=sys.stderr)
    return 0


def as_file(played: dict[str, Any]) -> str:
    """The server and its script as one Python file that needs nothing but Python 3.10."""
    source = Path(server.__file__).read_text("utf-8")
    # In a raw string: JSON escapes everything that could end it.
    text = json.dumps(played, indent=1).replace("'", "\\u0027")
    return source.replace(_EMPTY, f"SCRIPT: Any = json.loads(r'''\n{text}\n''')\n", 1)
