"""The command line: reads arguments, picks a command, gives its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import program
from oauthtap.cli.options.overrides import validate_overrides
from oauthtap.cli.parser import parser, with_upstream
from oauthtap.cli.terminal import escaped_output


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Gives 0; 1 when findings reach `--fail-on`; 2 for wrong usage."""
    with escaped_output():
        try:
            return _main(sys.argv[1:] if argv is None else argv)
        finally:
            _flush()


def _main(argv: Sequence[str]) -> int:
    arguments = parser().read(with_upstream(argv))
    arguments.argv = list(argv)
    try:
        validate_overrides(arguments)
        return int(arguments.command(arguments))
    except UsageError as problem:
        words = str(problem).replace("Try: oauthtap ", f"Try: {program()} ")
        print(f"oauthtap: {words}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `oauthtap check … | head`
        return 0
    except KeyboardInterrupt:
        return 130


def _flush() -> None:
    """Write what is left to write. Where its reader has gone away, the interpreter is not to complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except ValueError:  # closed by whoever spoke on it: an MCP client has gone
            pass
