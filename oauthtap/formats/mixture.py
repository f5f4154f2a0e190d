"""What several readers find in one text, put together: nothing twice, and nothing in place of what one shows better."""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from oauthtap.formats import told_steps
from oauthtap.formats.builder import recording
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Response
from oauthtap.model.recording import Recording

_STEPS = (
    (
        "client-registration",
        re.compile(r"/(?:register|registration(?:-endpoint-not-shown)?|clients-registrations/\S*)/?$"),
    ),
    ("token-request", re.compile(r"/(?:token|access_token|token-endpoint-not-shown)/?$")),
    ("authorization-request", re.compile(r"/(?:authorize|authorization-endpoint-not-shown)/?$")),
)


def step_of(exchange: Exchange) -> str:
    """A name for what was asked: a step where role or path tell it, else the path."""
    path = exchange.request.path
    if urls.PRM in path:
        return "prm-discovery"
    if urls.OAUTH in path or urls.OIDC in path:
        return "as-discovery"
    if exchange.role:
        return "token-request" if exchange.role == "token-refresh" else exchange.role
    if {"response_type", "client_id"} & {name for name, _ in exchange.request.query}:
        return "authorization-request"
    own = next((step for step, pattern in _STEPS if pattern.search(path)), None)
    return own or ("mcp with a token" if exchange.request.header("authorization") else "mcp")


def with_rest(best: Recording, others: Iterable[Recording], *, later: bool = False) -> Recording:
    """A reading, with the exchanges of steps that only another reader found. Documents and challenges stand in front,
    where the others did not happen `later`."""
    known = {step_of(one) for one in best.exchanges}
    bodies = {one.response.body for one in best.exchanges if one.response is not None and one.response.body}
    front: list[Exchange] = []
    behind: list[Exchange] = []
    notes: list[str] = []
    for other in others:
        new = [one for one in other.exchanges if step_of(one) not in known and _is_told(one, best, other)]
        new = [one for one in new if one.response is None or one.response.body not in bodies]
        known |= {step_of(one) for one in new}
        front += [one for one in new if not later and ("/.well-known/" in one.request.path or one.status == 401)]
        behind += [one for one in new if one not in front]
        notes += (
            [note for note in other.notes if not note.startswith(("the status of", "the host", "read from"))]
            if new
            else []
        )
    return _together(best, front, behind, notes) if front or behind else best


def _is_told(one: Exchange, best: Recording, other: Recording) -> bool:
    """A document, an answer such as nothing else had, or an authorization URL that no answer named."""
    if one.status is None:
        shown = " ".join(value for known in best.exchanges if known.response for _, value in known.response.headers)
        return step_of(one) == "authorization-request" and one.request.bare_url not in shown
    if "/.well-known/" in one.request.path and one.status == 200 and one.response and one.response.body:
        return True
    presumed = any(note.startswith(f"the status of exchange {one.id} ") for note in other.notes)
    return not presumed and one.status not in {known.status for known in best.exchanges}


def with_bodies(found: list[Recording]) -> list[Recording]:
    """What blocks show, in their order; a refusal in a block of its own is the body of the answer above it, where that
    has the same status and none."""
    whole: list[Recording] = []
    for one in found:
        above = whole[-1].exchanges[-1] if whole else None
        if above is None or not _is_body_of(one, above):
            whole.append(one)
            continue
        shown = one.exchanges[0].response
        assert shown is not None
        assert above.response is not None
        answer = above.response.model_copy(update={"body": shown.body, "truncated": shown.truncated})
        whole[-1] = replace(whole[-1], exchanges=(*whole[-1].exchanges[:-1], above.replace(response=answer)))
    return whole


def _is_body_of(one: Recording, above: Exchange) -> bool:
    alone = one.exchanges[0]
    without = above.response is not None and above.response.body is None
    placeless = len(one.exchanges) == 1 and alone.request.url.endswith("-not-shown")
    return without and placeless and alone.response is not None and alone.status == above.status


def with_told(found: Recording | None, prose: str) -> Recording | None:
    """A reading, with the answers that its sentences tell of: of a step whose answer is not shown, it is that one's."""
    drafts = told_steps.answers_in(prose)
    if not drafts:
        return found
    told = recording(drafts, prose, client=found.client if found else None, what="what the text says in words")
    if found is None:
        return told
    exchanges = list(found.exchanges)
    more: list[Exchange] = []
    statuses = {known.status for known in exchanges}
    for one in told.exchanges:
        same = [at for at, known in enumerate(exchanges) if step_of(known) == step_of(one)]
        unanswered = [at for at in same if exchanges[at].status is None]
        if len(unanswered) == 1 and one.status is not None:
            answer = Response(status=one.status, headers=(), body=None, partial=True)
            exchanges[unanswered[0]] = exchanges[unanswered[0]].replace(response=answer, error=None)
        elif not same and (one.status not in statuses or _is_another(one, exchanges)):
            more.append(one)
    found = replace(found, exchanges=tuple(exchanges))
    front = [one for one in more if "/.well-known/" in one.request.path or step_of(one) == "mcp"]
    return _together(found, front, [one for one in more if one not in front], [])


def _is_another(one: Exchange, known: list[Exchange]) -> bool:
    """It carried a token, and the answers that are shown are challenges of requests that did not."""
    return one.request.header("authorization") is not None and all(
        each.response is not None and each.response.header("www-authenticate") is not None for each in known
    )


def _together(best: Recording, front: list[Exchange], behind: list[Exchange], notes: list[str]) -> Recording:
    every = [one.replace(id=number) for number, one in enumerate([*front, *best.exchanges, *behind], 1)]
    shifted = tuple(
        re.sub(r"(?<=status of exchange )\d+", lambda number: str(int(number[0]) + len(front)), note)
        for note in best.notes
    )
    return replace(best, exchanges=tuple(every), notes=(*shifted, *notes))


_REFRESHED = re.compile(r"\brefresh(?:ing|es|ed)?[ _-](?:the |an |its |access )*tokens?\b|\btoken refresh\b", re.I)
_REDEEMED = re.compile(
    r"authorization[ _]code|code exchange|exchang\w+ (?:the |a )?code|\bredeem|\bsign(?:s|ed)? in\b|\blog(?:s|ged)? in\b",
    re.I,
)
_INITIALIZED = re.compile(r"\b`?initialize`? (?:request|call|message)\b|\b(?:on|at|for|to|sends?) `?initialize\b", re.I)


def as_told(found: Recording, text: str) -> Recording:
    """The exchanges as the step that the sentences of a report say they are: a refresh, the `initialize` request."""
    refreshed = _REFRESHED.search(text) and not _REDEEMED.search(text)
    spoke = [one for one in found.exchanges if step_of(one).startswith("mcp") and one.request.method == "POST"]
    begun = spoke[0].id if len(spoke) == 1 and _INITIALIZED.search(text) and not spoke[0].request.body else None

    def told(one: Exchange) -> Exchange:
        refused = one.status is not None and one.status >= 400 and one.request.body is None
        if refreshed and refused and step_of(one) == "token-request":
            return one.replace(role="token-refresh")
        return one.replace(role="mcp-initialize") if one.id == begun and one.role is None else one

    return replace(found, exchanges=tuple(map(told, found.exchanges)))
