"""Exchanges that were seen before: held back while the tap runs, and told together on one line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from oauthtap.model.sanitize import escape_controls
from oauthtap.render.display import Ink
from oauthtap.render.exchange_lines import kind, line, status_word
from oauthtap.report.model import ExchangeRow

_QUIET, _LONGEST = 2.0, 15.0
"""Seconds after the last one, and after the first one, after which those held back are told."""


class Repeats:
    """Holds the exchanges that say nothing new. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: set[object] = set()
        self._held: list[tuple[ExchangeRow, str]] = []
        self._since = self._last = 0.0

    def holds(self, row: ExchangeRow, letter: str, *, news: bool) -> bool:
        """Whether it is held back: the same was told before, and there are no `news` about it."""
        same = kind(row, letter)
        if news or same not in self._seen:
            self._seen.add(same)
            return False
        self._last = self._clock()
        self._since = self._since if self._held else self._last
        self._held.append((row, letter))
        return True

    @property
    def due(self) -> bool:
        """Those held back are to be told now."""
        now = self._clock()
        return bool(self._held) and (now - self._last > _QUIET or now - self._since > _LONGEST)

    def release(self, ink: Ink) -> Iterator[str]:
        """The line of those that were held back; nothing where there are none."""
        held, self._held = self._held, []
        if len(held) < 2:
            yield from (line(row, ink, letter) for row, letter in held)
            return
        kinds = {kind(row, letter) for row, letter in held}
        (first, letter), last = held[0], held[-1][0]
        if len(kinds) == 1:
            url = escape_controls(first.url.partition("?")[0], limit=110)
            what = f"{len(held)} × {first.method} {url} {status_word(first)}, as before"
        else:
            counts = Counter(f"{row.stage} {status_word(row)}" for row, _ in held)
            what = f"as before ({', '.join(f'{count} × {told}' for told, count in counts.items())})"
        yield f"      {ink('note', f'exchanges {first.id}-{last.id}{letter}: {what}')}"
