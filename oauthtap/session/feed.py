"""What a running command tells other programs: events as JSON lines, and its state in the session folder."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.report import events
from oauthtap.report.brief import brief
from oauthtap.report.build import exchange_row
from oauthtap.report.model import Report
from oauthtap.session.paths import STATE, replace
from oauthtap.session.state import SessionState, own_process

_OFTEN = 1.0
"""Seconds between two writes of the state, where no more than the number of exchanges is new."""


class Feed:
    """Writes events to `out` (None: nobody wants them) and the state to `folder`. Never raises for a full disk or a
    reader that is gone: the traffic goes on.

    `clean` takes the secrets known by now out of a text.
    """

    def __init__(
        self,
        command: str,
        folder: Path,
        upstream: str | None,
        *,
        out: TextIO | None = None,
        clean: Callable[[str], str] = str,
        reach: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self._out, self._clean = folder.expanduser(), out, clean
        began = time.time()
        self._state = SessionState(
            command=command,
            folder=str(self.folder.absolute()),
            upstream=upstream,
            reach=dict(reach or {}),
            started=began,
            updated=began,
            **own_process(),
        )
        self._written = 0.0
        self._cause: tuple[str, int | None] | None = None
        self._ending = ""
        self._save()

    @property
    def ports(self) -> Mapping[str, str]:
        """Local origin to upstream origin, as told so far."""
        return self._state.ports

    def ready(self, url: str | None, ports: Mapping[str, str], web: str | None = None) -> None:
        """The proxy stands. `ports`: local origin to upstream origin; `web`: mitmweb's address, which is not kept."""
        self._put(url=url, ports=dict(ports))
        state = self._state
        told = {"url": url, "upstream": state.upstream, "ports": state.ports, "session": state.session}
        self._emit({"event": "ready", **told, "pid": state.pid, **({"web": web} if web else {})})

    def listener(self, local: str, upstream: str) -> None:
        """A further upstream origin is at a local port."""
        self._put(ports={**self._state.ports, local: upstream})
        self._emit({"event": "listener", "local": local, "upstream": upstream})

    def step(self, step: AnalyzedExchange) -> None:
        """An exchange was judged."""
        self._state = self._state.model_copy(update={"exchanges": self._state.exchanges + 1, "over": False})
        if time.monotonic() - self._written > _OFTEN:
            self._save()
        if self._out is not None:
            self._emit(events.of_exchange(exchange_row(step.stages), step.client))
            self.findings(step.findings)

    def findings(self, found: Iterable[Finding]) -> None:
        """Findings, with their exchange or later."""
        for event in events.of_findings(found) if self._out else ():
            self._emit(event)

    def fixes(self, names: Iterable[str]) -> None:
        """Which fixes are on, where that is new."""
        names = tuple(names)
        if names != self._state.fixes:
            self._put(fixes=names)
            self._emit({"event": "fix", "on": list(names)})

    def note(self, sentence: str) -> None:
        """Something the person should know."""
        self._emit({"event": "note", "message": sentence})

    def look(self, report: Report, *, over: bool) -> None:
        """How it stands now. `over`: nothing more is expected."""
        self._judged(report, over=over)
        self._put(over=over, report=_shown(report))

    def end(self, report: Report, code: int) -> None:
        """The command ends with this exit code."""
        self._judged(report, over=True, code=code)
        self._put(over=True, report=_shown(report), ended=time.time(), exit=code)

    def _judged(self, report: Report, *, over: bool, code: int | None = None) -> None:
        cause = report.causes[0] if report.causes else None
        named = (cause.rule, cause.exchange) if cause else None
        if named != self._cause:
            self._cause = named
            self._emit(events.of_cause(cause))
        ending = events.of_ending(report, over=over, code=code)
        if (mark := json.dumps(ending)) != self._ending:
            self._ending = mark
            self._emit(ending)

    def _put(self, **members: Any) -> None:
        self._state = self._state.model_copy(update=members)
        self._save()

    def _save(self) -> None:
        self._written = time.monotonic()
        self._state = self._state.model_copy(update={"updated": time.time()})
        with contextlib.suppress(OSError):
            replace(self.folder / STATE, self._clean(self._state.model_dump_json(indent=1) + "\n").encode())

    def _emit(self, event: Mapping[str, Any]) -> None:
        if self._out is None:
            return
        with contextlib.suppress(OSError, ValueError):  # its reader is gone
            self._out.write(
                self._clean(json.dumps({**event, "time": round(time.time(), 3)}, ensure_ascii=False)) + "\n"
            )
            self._out.flush()


def _shown(report: Report) -> dict[str, Any]:
    return brief(report).model_dump(mode="json")
