"""What the readers of all logs do alike: requests noted down, and answered when a log says how they ended."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from oauthtap.formats.logs.node_inspect import read_object
from oauthtap.formats.logs.outcome import Outcome
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Pairs, Request, Response, first_value
from oauthtap.model.recording import Recording

JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
NOT_RECORDED = "not recorded in the client's log"
UNSEEN_HOST = "https://host-not-shown.invalid"
_BLANKED = {"code_challenge": "unseen-unseen-unseen-unseen-unseen-unseen-u", "state": "unseen-unseen-unseen-unseen"}
"""Claude Code blanks these two in the URLs it logs: in their place stands a value of the right shape."""
_PLACES = {
    "token-request": "token-endpoint-not-shown",
    "token-refresh": "token-endpoint-not-shown",
    "client-registration": "registration-endpoint-not-shown",
}
_MEMBERS = {
    "token-request": "token_endpoint",
    "token-refresh": "token_endpoint",
    "client-registration": "registration_endpoint",
}


@dataclass(frozen=True)
class Event:
    """One line of a log, with those that belong to it."""

    at: float | None
    text: str
    server: str = ""

    def after(self, start: str) -> str | None:
        """What follows these words; None when the line begins with others."""
        return self.text.removeprefix(start) if self.text.startswith(start) else None


def object_in(text: str) -> dict[str, Any]:
    """The object a text is, in JSON or as Node prints it; an empty one when it is anything else."""
    return read_object(text)


def changed(exchange: Exchange, **changes: Any) -> Exchange:
    """The exchange with some members replaced."""
    return Exchange(**{**{name: getattr(exchange, name) for name in Exchange.model_fields}, **changes})


@dataclass
class RecordingBuilder:
    """Begin a request, and answer it when the log says how it ended. What the log leaves out stays unseen."""

    client: str
    mcp_url: str | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_token: bool = False
    tokens: int = 1
    """How many access tokens the log tells of: each has a name of its own."""
    issuer: str | None = None
    """The authorization server, where the log names it."""
    metadata: dict[str, Any] = field(default_factory=dict)
    presumed: list[Request] = field(default_factory=list)
    """Requests whose answer's status is only what its words imply."""
    authorize: str | None = None
    callback: str | None = None
    """Where the client waits to be called back, for a log without the authorization URL."""
    """The authorization URL that the browser was sent to last."""

    def add(
        self,
        event: Event,
        method: str,
        url: str,
        *,
        headers: Pairs = (),
        sent: str | None = "",
        response: Response | None = None,
        error: str | None = None,
        actor: str = "client",
        began: float | None = None,
        role: str | None = None,
        all_headers: bool = False,
    ) -> None:
        """Note an exchange down. `all_headers`: the log shows every header line of the answer that matters."""
        if response is not None and not all_headers:
            response = response.model_copy(update={"partial": True})
        self.exchanges.append(
            Exchange(
                request=Request(method=method, url=url, headers=headers, body=sent, partial=True),
                response=response,
                error=None if response else error,
                started_at=event.at if began is None else began,
                duration=event.at - began if began is not None and event.at is not None else None,
                actor=actor,  # type: ignore[arg-type]  # written out at every call
                excerpt=True,
                role=role,
            )
        )

    @property
    def bearer(self) -> tuple[str, str]:
        """The header line with the newest token, which the log never shows."""
        return ("Authorization", f"Bearer ‹token {self.tokens}›")

    def saved_tokens(self, event: Event, step: str) -> None:
        """A token request that succeeded: an access token was in its answer, and it is used from now on."""
        self.tokens += 1
        self.step(event, step, json.dumps({"access_token": f"‹token {self.tokens}›"}, ensure_ascii=False))
        self.has_token = True

    def recording(self, last: Event | None) -> Recording:
        """Everything noted down, in the order in which it began."""
        # A request is written down when its end is known; what counts is when it began.
        if all(exchange.started_at is not None for exchange in self.exchanges):
            self.exchanges.sort(key=lambda exchange: exchange.started_at or 0.0)
        presumed = [
            f"the status of exchange {number} is not shown; {exchange.status} is what the answer implies"
            for number, exchange in enumerate(self.exchanges, 1)
            if any(exchange.request is one for one in self.presumed)
        ]
        exchanges = tuple(self._placed(exchange, number) for number, exchange in enumerate(self.exchanges, 1))
        notes = (
            f"read from a log of {self.client}: headers and bodies that it leaves out are not judged",
            *presumed,
            *dict.fromkeys(self.notes),
        )
        header = {"upstream": self.mcp_url, "client": self.client}
        return Recording(exchanges, header, last.at if last else None, notes)

    def _placed(self, exchange: Exchange, number: int) -> Exchange:
        """Numbered, and at the endpoint that the metadata names, where the log shows it somewhere."""
        url = exchange.request.url
        member = _MEMBERS.get(exchange.role or "")
        known = self.metadata.get(member) if member else None
        if isinstance(known, str) and url.endswith("-endpoint-not-shown"):
            exchange = changed(exchange, request=exchange.request.model_copy(update={"url": known}))
        return changed(exchange, id=number)

    # --- steps that a log tells the outcome of

    def endpoint(self, step: str) -> str:
        """Where a step went: the endpoint as far as the log shows it."""
        home = self.issuer or (self.authorize and urls.origin(self.authorize)) or UNSEEN_HOST
        return f"{home.rstrip('/')}/{_PLACES[step]}"

    def step(self, event: Event, step: str, body: str | None = None, status: int | None = None) -> None:
        """A registration or a token request that succeeded."""
        made = step == "client-registration"
        answer = Response(status=status or (201 if made else 200), headers=JSON, body=body, truncated=body is not None)
        self.add(
            event, "POST", self.endpoint(step), headers=JSON if made else FORM, sent=None, response=answer, role=step
        )

    def refused(self, event: Event, outcome: Outcome, step: str | None = None) -> None:
        """A step that was refused, in the words of whoever refused it."""
        step = outcome.step if outcome.step in _PLACES else step or outcome.step
        answer = Response(
            status=outcome.status, headers=JSON if (outcome.body or "").startswith("{") else (), body=outcome.body,
            truncated=outcome.presumed,
        )  # fmt: skip
        if step in _PLACES:
            made = step == "client-registration"
            self.add(
                event,
                "POST",
                self.endpoint(step),
                headers=JSON if made else FORM,
                sent=None,
                response=answer,
                role=step,
            )
        elif url := outcome.url or self.mcp_url:
            headers = (*JSON, self.bearer) if self.has_token else JSON
            self.add(event, "POST", url, headers=headers, sent=None, response=answer)
        if outcome.presumed and self.exchanges:
            self.presumed.append(self.exchanges[-1].request)

    def called_back(self, event: Event, **said: str) -> None:
        """The browser came back to the client, with a code or with an error."""
        query = dict(Request(method="GET", url=self.authorize or "").query)
        place = query.get("redirect_uri") or self.callback
        if not place:
            return
        if state := query.get("state"):
            said["state"] = state
        joint = "&" if "?" in place else "?"
        self.add(
            event, "GET", f"{place}{joint}{urlencode(said)}", actor="browser", role="authorization-response",
            response=Response(status=200, body=None),
        )  # fmt: skip

    def opened(self, event: Event, url: str) -> None:
        """The browser was sent to the authorization endpoint."""
        shown = url
        for name, stand_in in _BLANKED.items():
            shown = re.sub(
                rf"\b{name}=(?:%5BREDACTED%5D|\[REDACTED\]|\*+|X{{2,}}|x{{3,}}|…|\.{{3,}})(?=&|$)",
                f"{name}={stand_in}",
                shown,
            )
        shown = re.sub(r"\bcode_challenge=[^&#]{0,7}(?=&|$)", f"code_challenge={_BLANKED['code_challenge']}", shown)
        if shown != url:
            self.notes.append("the log blanks code_challenge and state; stand-ins of the right shape are put there")
        if not (self.exchanges and self.exchanges[-1].request.url == shown):
            self.add(event, "GET", shown, actor="browser")
        self.authorize = shown
        if self.mcp_url is None and (resource := first_value(self.exchanges[-1].request.query, "resource")):
            self.mcp_url = resource
