"""The command line: reads arguments, picks a command, gives its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.overrides import validate_overrides
from oauthtap.cli.parser import parser
from oauthtap.cli.terminal import escaped_output


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Gives 0; 1 when findings reach `--fail-on`; 2 for wrong usage."""
    with escaped_output():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    arguments = parser().parse_args(argv)
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    try:
        validate_overrides(arguments)
        return int(arguments.command(arguments))
    except UsageError as problem:
        print(f"oauthtap: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `oauthtap check … | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
