"""The command: quiet on Ctrl-C from its first lines on, while it still imports and when it ends."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def _report(kind: type[BaseException], problem: BaseException, trace: "TracebackType | None") -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, problem, trace)


sys.excepthook = _report  # before anything is imported that takes time

import signal  # noqa: E402


def main() -> None:
    """Run one command and exit with its code. Until the command line is read, Ctrl-C ends the process at once."""
    interactive = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell has it ignored
    if interactive:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from oauthtap.cli import main as run

    if interactive:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run()
    if interactive:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the interpreter's own end says nothing either
    sys.exit(code)


if __name__ == "__main__":
    main()
