"""The flags about the summary on a terminal, `-v`, `--clients` and `--brief`; and what the terminal itself can show."""

from __future__ import annotations

import os
import shlex
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any, TextIO

from oauthtap.cli.options.again import invocation
from oauthtap.cli.terminal import mark_of
from oauthtap.render.display import Display, Ink
from oauthtap.session import home

_WITHOUT_TERMINAL = (100, 40)
"""Columns and lines where nobody says how many there are (COLUMNS and LINES do)."""


def summary_flags(group: Any) -> None:
    """Put the flags into a group."""
    group.add_argument("-v", "--verbose", action="store_true", help="show every exchange and every finding")
    group.add_argument("--clients", action="store_true", help="list what every other client would do, with the reason")
    group.add_argument(
        "--brief",
        action="store_true",
        help="show the verdict alone, in at most 15 lines; in JSON, the cause and its evidence",
    )


def display(
    stream: TextIO, arguments: Namespace, session: str = "", *, folder: str = "", live: bool = False, of: str = ""
) -> Display:
    """How the summary of a command is shown on a stream.

    `session`, `folder`: as in `Display`. `live`: its exchanges were printed there as they came. `of`: the recording
    that is shown, where that is one.
    """
    columns, lines = shutil.get_terminal_size(_WITHOUT_TERMINAL)
    return Display(
        ink=ink(stream), columns=columns, height=lines, verbose=arguments.verbose, clients=arguments.clients,
        brief=arguments.brief, session=session, folder=folder, live=live, here=invocation(arguments, of),
    )  # fmt: skip


def ink(stream: TextIO) -> Ink:
    """Colours on a terminal that has them; FORCE_COLOR asks for them anywhere, NO_COLOR for none at all."""
    forced = os.environ.get("FORCE_COLOR", "")
    wanted = forced not in ("0", "false") if forced else stream.isatty() and os.environ.get("TERM") != "dumb"
    return Ink(wanted and not os.environ.get("NO_COLOR"), mark_of(stream))


def session_word(path: str | Path) -> str:
    """What is typed for a recording: the name alone of a session that lies where sessions lie, else the path, quoted.

    Empty for standard input.
    """
    folder = Path(path)
    return "" if str(path) == "-" else shlex.quote(folder.name if folder.parent == home() else str(path))
