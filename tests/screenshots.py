"""The pictures of the README: `python -m tests.screenshots docs` makes terminal, live, report and mitmweb anew.

`--screens FOLDER` writes what is on the first screens of pages (`tests/data/screens/*.page.txt`), and pictures of them.

Claude Code signs in through the tap at the target `seed2` of the bed; a headless Chromium takes the pictures.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from threading import Thread

import pexpect
from rich.console import Console
from rich.text import Text

from tests.support.bed import Bed
from tests.support.clients import installed, run
from tests.support.running import COMMAND, environment, to_the_bed
from tests.unit.render.test_console import SCREENS
from tests.unit.render.test_html import as_text, chromium, first_screens

ROWS, COLUMNS = 40, 128
HEAD = 25
"""Lines of the beginning that are shown; behind them only the summary is."""
_TOKEN = re.compile(r"(token=\w{4})\w+")
_TO_THE_BED = re.compile(r" --(?:ca|connect-to) \S+")
"""What only the bed needs, in the commands that are printed."""


def main(docs: Path) -> None:
    """Make the pictures in the folder `docs`."""
    with tempfile.TemporaryDirectory() as pages:
        screens(Path(pages))
    with Bed() as bed, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {name: value for name, value in environment(home).items() if name != "NO_COLOR"}
        words = ["--upstream", bed.url("seed2"), "--session", str(home / "session"), *to_the_bed(bed)]
        env |= {"TERM": "xterm-256color"}
        tap = pexpect.spawn(str(COMMAND), words, env=env, dimensions=(ROWS, COLUMNS), encoding="utf-8", timeout=90)
        tap.expect("Ctrl-C ends it")
        said = tap.before + tap.after
        url, web = (re.search(rf"http://{host}:\d+/\S+", _plain(said)) for host in ("localhost", r"127\.0\.0\.1"))
        assert url is not None
        assert web is not None
        client = Thread(target=run, args=("claude-code", url[0]), kwargs={"env": bed.browser_env()})
        client.start()
        while client.is_alive():  # a terminal that nobody reads would hold the tap up
            tap.expect(["$^", pexpect.TIMEOUT], timeout=0.5)
        _pictures(docs, "live", web[0].partition("#")[0])
        tap.sendintr()
        tap.expect(pexpect.EOF)
        _pictures(docs, "report", (home / "session" / "report.html").as_uri())
        _terminal(docs, home, f"{said}{tap.before}")


def _plain(said: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", said)


def _pictures(docs: Path, what: str, url: str) -> None:
    """Let `browser/pictures.mjs` take them."""
    program = Path(__file__).parent / "support" / "browser" / "pictures.mjs"
    modules = installed.from_npm("page", "playwright-core@1", "axe-core@4")
    subprocess.run(["node", str(program), str(modules), chromium(), str(docs), what, url], check=True, timeout=120)


def _terminal(docs: Path, home: Path, said: str) -> None:
    """What stood on the terminal, as a picture of one."""
    shown = _TO_THE_BED.sub("", said.replace(str(home), "~").replace("\r\n", "\n"))
    lines = _TOKEN.sub(r"\1…", shown).strip("\n").split("\n")
    end = next(place for place, line in enumerate(lines) if "could not sign in" in line)
    shown = "\n".join([*lines[:HEAD], "        …", "", *lines[end:]])
    screen = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    screen.print(Text("$ oauthtap --upstream https://seed2.mcp.test/mcp"))
    screen.print(Text.from_ansi(shown))
    file = home / "terminal.svg"
    file.write_text(screen.export_svg(title="oauthtap"), encoding="utf-8")
    _pictures(docs, "terminal", file.as_uri())


def screens(folder: Path) -> None:
    """Write down what is on the first screens; pictures of them are left in the folder."""
    for name, views in first_screens(folder).items():
        (SCREENS / f"{name}.page.txt").write_text(as_text(views), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--screens":
        screens(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
