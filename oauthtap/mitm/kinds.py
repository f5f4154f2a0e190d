"""What kind of request or answer passes, as far as the proxy has to act on it. Judging is the tap's."""

from __future__ import annotations

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.mitm.translate import Passage
from oauthtap.names.rename_answers import Kind
from oauthtap.wire import Request, Response, first

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("prm-discovery", "resource-metadata"),
    ("as-discovery", "server-metadata"),
    ("client-registration", "registration"),
    ("token-", "token"),
    ("mcp-", "mcp"),
    ("legacy-sse", "mcp"),
)


def kind_of(step: AnalyzedExchange) -> Kind:
    """Which names an answer of this step may hold."""
    for stage in step.stages:
        for beginning, kind in _KINDS:
            if stage.slug.startswith(beginning):
                return kind
    return "other"


def is_authorization(request: Request) -> bool:
    """The browser is sent to an authorization endpoint (RFC 6749, 4.1.1; RFC 9126, 4)."""
    names = {name for name, _ in (*request.query, *(request.form if request.method == "POST" else ()))}
    opens = {"client_id", "response_type"} <= names or {"client_id", "request_uri"} <= names
    return opens and "grant_type" not in names and (request.method == "GET" or not request.form)


def is_a_page(answer: Response, passage: Passage) -> bool:
    """An authorization endpoint that nobody named exists: the browser should be there, not here."""
    if answer.status >= 400:
        return False
    location = answer.header("location") or ""
    callbacks = (first(passage.meant.query, "redirect_uri") if passage.meant else None) or ""
    return not (callbacks and location.startswith(callbacks))
