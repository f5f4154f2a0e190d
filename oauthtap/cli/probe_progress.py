"""What a probe says on the way: a line that changes on a terminal, a line for each exchange elsewhere."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterable
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.model.sanitize import escape_controls, escaped


class Progress:
    """Writes to stderr alone (or to `stream`), so that stdout is the report and nothing else."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.narrator = ConsoleReporter(stream or sys.stderr)
        self._console = LiveConsole(stream)
        self._status = self._console.status("asking …")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def step(self, step: AnalyzedExchange) -> None:
        """One more exchange."""
        if not self._console.is_terminal:
            self.narrator.steps([step])
            return
        words = f"{step.exchange.id}  {step.stage}  {escape_controls(step.exchange.request.url, limit=80)}"
        self._status.update(Text(words))

    def open(self, url: str) -> None:
        """Open the user's browser, and say where to go in case none comes up."""
        self._status.stop()
        self.narrator.say(
            "", "  Sign in with your browser. If none opens, go to:", f"  {escape_controls(url, limit=4000)}", ""
        )
        webbrowser.open(url)


class LiveConsole(Console):
    """rich on stderr: its own cursor movements pass, and the text of every segment is escaped."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(file=stream or getattr(sys.stderr, "below", sys.stderr))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is to be shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)
