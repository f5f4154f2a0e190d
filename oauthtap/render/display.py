"""How a text is shown on a terminal: colours, width, height, and how much of it. Upstream text is escaped elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich.cells import cell_len

from oauthtap.model.sanitize import escape_controls
from oauthtap.render.commands import BY_NAME, Invocation

_COLOURS = {
    "error": "[31m",
    "warning": "[33m",
    "note": "[2m",
    "good": "[32m",
    "bold": "[1m",
}
_OFF = "[0m"
NARROWEST, WIDEST = 60, 120
LABEL = 11
"""The column in which what stands behind a label begins."""


@dataclass(frozen=True)
class Ink:
    """Colours, or none of them."""

    on: bool = False
    mark: str = ""
    """Stands behind every ESC, for a stream that lets pass no other."""

    def __call__(self, style: str, text: str) -> str:
        escape = f"\x1b{self.mark}"
        return f"{escape}{_COLOURS[style]}{text}{escape}{_OFF}" if self.on and style in _COLOURS and text else text


PLAIN = Ink()


@dataclass(frozen=True)
class Display:
    """Where a summary is shown, and how much of it."""

    ink: Ink = PLAIN
    columns: int = 100
    """The terminal's; `width` is what is used of it."""
    height: int = 40
    """Lines that are seen at once."""
    verbose: bool = False
    """Everything: all exchanges, all findings."""
    clients: bool = False
    """Every other client by name."""
    brief: bool = False
    """The verdict alone, in at most 15 lines."""
    session: str = ""
    """What stands behind `oauthtap check` to read the recording again, quoted for a shell; empty for standard input."""
    folder: str = ""
    """The folder in which this was recorded just now."""
    live: bool = False
    """The exchanges were printed as they came, and are not printed again."""
    warned: bool = False
    """Warnings of the recording stand above: they come before anything else."""
    here: Invocation = BY_NAME
    """How oauthtap was started, for the commands that are printed."""

    @property
    def width(self) -> int:
        return max(NARROWEST, min(self.columns, WIDEST))

    def field(self, label: str, text: str, *, right: str = "", most: int = 0, style: str = "") -> list[str]:
        """A label and the text behind it, wrapped in its column; `right` stands at the right margin of the first line.

        `most`: not more lines than these, unless everything is to be shown. `style`: of the text.
        """
        most = min(most or 2, 2) if self.brief else most
        head = f"  {label:<{LABEL - 3}} " if label else " " * LABEL
        room = self.width - LABEL
        first = _wrap(text, self.width - len(head) - (len(right) + 2 if right else 0))[:1]
        rest = _wrap(text[len(first[0]) :].lstrip(), room) if first else []
        if most and len(rest) >= most and not self.verbose:
            kept = [*first, *rest][:most]
            first, rest = kept[:1], kept[1:]
            rest[-1:], first = ([cut(f"{rest[-1]} …", room)], first) if rest else ([], [cut(f"{first[0]} …", room)])
        if not first:
            return []
        margin = self.ink("note", right.rjust(self.width - len(head) - cell_len(first[0]))) if right else ""
        shown = [f"{self.ink('bold', head) if label else head}{self.ink(style, first[0])}{margin}"]
        return shown + [f"{' ' * LABEL}{self.ink(style, line)}" for line in rest]

    def quote(self, label: str, text: str, *, right: str, most: int) -> list[str]:
        """The same for somebody's own words: `right` stands at the margin behind their end, so that they stay whole."""
        *before, last = self.field(label, text, most=most) or [""]
        room = self.width - cell_len(self._bare(last))
        if room < len(right) + 2:
            return [*before, last, self.ink("note", right.rjust(self.width))]
        return [*before, last + self.ink("note", right.rjust(room))]

    def command(self, label: str, command: str) -> str:
        """A command line: never broken, so that it can be copied."""
        head = self.ink("bold", f"  {label:<{LABEL - 3}} ") if label else " " * LABEL
        return f"{head}{escape_controls(command)}"

    def rows(self, line: str) -> int:
        """How many lines of the terminal a printed line takes."""
        return max(1, -(-cell_len(self._bare(line)) // max(self.columns, 1)))

    def _bare(self, line: str) -> str:
        """A line without its colours."""
        for style in (*_COLOURS.values(), _OFF):
            line = line.replace(f"\x1b{self.ink.mark}{style}", "")
        return line


def _wrap(text: str, width: int) -> list[str]:
    return wrap(text, width, break_on_hyphens=False)


def cut(text: str, width: int) -> str:
    """The text, with an ellipsis in place of what does not fit."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


@dataclass(frozen=True)
class Section:
    """Lines that belong together."""

    lines: tuple[str, ...]
    rank: int = 0
    """The higher, the sooner it is left out where there is no room; 0 is never left out."""
    apart: int = 3
    """A blank line stands before it where there is room, the lower the number the sooner; 0: none."""


def fit(sections: Sequence[Section], most: int, display: Display, *, airy: int | None = None) -> Iterator[str]:
    """The lines of the sections, at most so many: where there is no room, without those that rank last.

    `airy`: blank lines are put in as long as there are no more lines than these; `most` when None.
    """
    shown = [one for one in sections if one.lines]
    height = sum(display.rows(line) for one in shown for line in one.lines)
    while height > most and any(one.rank for one in shown):
        last = max(range(len(shown)), key=lambda place: (shown[place].rank, place))
        height -= sum(map(display.rows, shown.pop(last).lines))
    gaps = sorted((one.apart, place) for place, one in enumerate(shown) if place and one.apart)
    chosen = {place for _, place in gaps[: max((most if airy is None else airy) - height, 0)]}
    for place, one in enumerate(shown):
        if place in chosen:
            yield ""
        yield from one.lines
