"""What the readers of all logs do alike: requests noted down, and answered when a log says how they ended."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from oauthtap.recording import Recording
from oauthtap.wire import Exchange, Pairs, Request, Response

JSON = (("Content-Type", "application/json"),)
TOKEN = ("Authorization", "Bearer ‹token 1›")
NOT_RECORDED = "not recorded in the client's log"
_BLANKED = {"code_challenge": "unseen-unseen-unseen-unseen-unseen-unseen-u", "state": "unseen-unseen-unseen-unseen"}
"""Claude Code blanks these two in the URLs it logs: in their place stands a value of the right shape."""


@dataclass(frozen=True)
class Event:
    """One line of a log."""

    at: float | None
    text: str
    server: str = ""

    def after(self, start: str) -> str | None:
        """What follows these words; None when the line begins with others."""
        return self.text.removeprefix(start) if self.text.startswith(start) else None


def object_in(text: str) -> dict[str, Any]:
    """The JSON object a text is; an empty one when it is anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def changed(exchange: Exchange, **changes: Any) -> Exchange:
    """The exchange with some members replaced."""
    return Exchange(**{**{name: getattr(exchange, name) for name in Exchange.model_fields}, **changes})


@dataclass
class Story:
    """What both readers do: begin a request, and answer it when the log says how it ended."""

    client: str
    mcp_url: str | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_token: bool = False

    def add(
        self,
        event: Event,
        method: str,
        url: str,
        *,
        headers: Pairs = (),
        sent: str | None = "",
        response: Response | None = None,
        error: str | None = NOT_RECORDED,
        actor: str = "client",
        began: float | None = None,
    ) -> None:
        self.exchanges.append(
            Exchange(
                request=Request(method=method, url=url, headers=headers, body=sent),
                response=response,
                error=None if response else error,
                at=event.at if began is None else began,
                took=event.at - began if began is not None and event.at is not None else None,
                actor=actor,  # type: ignore[arg-type]  # written out at every call
            )
        )

    def recording(self, last: Event | None) -> Recording:
        # A request is written down when its end is known; what counts is when it began.
        self.exchanges.sort(key=lambda exchange: exchange.at or 0.0)
        exchanges = tuple(changed(exchange, id=number) for number, exchange in enumerate(self.exchanges, 1))
        notes = (
            f"read from a log of {self.client}: headers and bodies that it leaves out are not judged",
            *dict.fromkeys(self.notes),
        )
        header = {"upstream": self.mcp_url, "client": self.client}
        return Recording(exchanges, header, last.at if last else None, notes)

    def opened(self, event: Event, url: str) -> None:
        """The browser was sent to the authorization endpoint."""
        shown = url
        for name, stand_in in _BLANKED.items():
            shown = re.sub(rf"\b{name}=(?:%5BREDACTED%5D|\[REDACTED\])", f"{name}={stand_in}", shown)
        if shown != url:
            self.notes.append("the log blanks code_challenge and state; stand-ins of the right shape are put there")
        if not (self.exchanges and self.exchanges[-1].request.url == shown):
            self.add(event, "GET", shown, actor="browser", error=f"the browser's side is {NOT_RECORDED}")
