"""Drives the walk over the network: each `Ask` is sent with httpx, each `BrowserStep` is opened in the user's browser.

Follows no redirect, keeps no cookie, waits for nobody for ever and reads no answer to its end that has none.
"""

from __future__ import annotations

import asyncio
import time
import webbrowser
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx

from oauthtap.clients.traits import WalkEnd
from oauthtap.model.exchange import Exchange, Message, Request, Response
from oauthtap.model.sse import sse_events
from oauthtap.probe.attack import AttackOutcome
from oauthtap.probe.callback_server import Callback
from oauthtap.probe.requests import BrowserStep, ProbeRequest
from oauthtap.probe.walk import Plan, run_plan
from oauthtap.upstream.options import TIMEOUT, UpstreamOptions

LARGEST = 512 * 1024
"""Bytes of an answer that are read."""
PATIENCE = 300.0
"""Seconds a person has for signing in."""
_MOST_REQUESTS = 120
_WHOLE = 3 * TIMEOUT
"""Seconds for one answer, however slowly it trickles in."""


@dataclass(frozen=True)
class Browser:
    """How a page is opened, and how long somebody may take with it."""

    open: Callable[[str], object] = webbrowser.open
    patience: float = PATIENCE
    port: int = 0
    """Of the callback; 0 for any that is free. To be set where the redirect URI was registered beforehand."""


_BROWSER = Browser()


async def probe(
    plan: Plan,
    reach: UpstreamOptions,
    browser: Browser = _BROWSER,
    tell: Callable[[WalkEnd], None] = lambda end: None,
    prepare: Callable[[Request], Request] = lambda request: request,
    tell_attack: Callable[[AttackOutcome], None] = lambda outcome: None,
) -> AsyncGenerator[Exchange, Exchange | None]:
    """Walk as planned, and give each exchange as it ends.

    Who sends one back (`asend`) has the walk go on as if that had been the answer. `tell`: told how the walk ended;
    `prepare`: makes of each request of the walk the one that is sent; `tell_attack`: told what came of each attack.
    Raises OSError when the callback's port is taken, and what `UpstreamOptions.client` raises.
    """
    async with AsyncExitStack() as stack:
        wire = _Wire(await stack.enter_async_context(reach.client()))
        stack.push_async_callback(wire.hang_up)
        callback = None
        if plan.sign_in == "person":
            callback = stack.enter_context(Callback(browser.port))
            plan = replace(plan, callback=callback.url)
        way = run_plan(plan, tell, tell_attack)
        step, interrupted = next(way, None), list[asyncio.CancelledError]()
        for _ in range(_MOST_REQUESTS):
            if isinstance(step, BrowserStep) and callback is not None:
                yield _opened(step)
                answer = await _visited(step, callback, browser)
            elif isinstance(step, ProbeRequest):
                await asyncio.sleep(step.after)
                answer = await _heard(wire.asked(replace(step, request=prepare(step.request))), step, interrupted)
            else:
                return
            shown = None
            if answer.response is not None or isinstance(step, ProbeRequest):
                shown = yield answer
            try:
                step = way.send(shown or answer)
            except StopIteration:
                return
            if interrupted:
                raise interrupted.pop()


async def _heard(
    asking: Coroutine[None, None, Exchange], step: ProbeRequest, interrupted: list[asyncio.CancelledError]
) -> Exchange:
    """The answer. Where it is needed, an interruption is noted and comes to effect behind it."""
    if not step.answer_needed:
        return await asking
    task = asyncio.ensure_future(asking)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancelled:
            interrupted.append(cancelled)
    return task.result()


# --- by httpx


class _Wire:
    """Sends requests one at a time, and keeps open what is to stay open."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open: list[tuple[AsyncIterator[bytes], httpx.Response]] = []

    async def asked(self, ask: ProbeRequest) -> Exchange:
        """Send it. Never raises for what the network does."""
        begun, asked, response, error = time.time(), ask.request, None, None
        self._http.cookies.clear()
        try:
            built = self._http.build_request(
                asked.method, asked.url, headers=asked.headers, content=(asked.body or "").encode()
            )
            asked = asked.model_copy(update={"headers": _lines(built.headers)})
            async with asyncio.timeout(_WHOLE):
                answer = await self._http.send(built, stream=True)
                response = Response(status=answer.status_code, headers=_lines(answer.headers), body=None)
                response = await self._read(answer, response, ask)
        except (TimeoutError, httpx.TimeoutException):
            error = f"timed out after {time.time() - begun:.0f} s"
        except httpx.DecodingError as failure:
            error = f"the body cannot be decoded: {failure}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
            error = str(failure) or type(failure).__name__
        return Exchange(
            request=asked,
            response=response,
            error=error,
            started_at=begun,
            duration=time.time() - begun,
            actor=ask.actor,
        )

    async def _read(self, answer: httpx.Response, head: Response, ask: ProbeRequest) -> Response:
        """The body, as far as it is of use."""
        body, truncated, stream = bytearray(), False, head.media_type == "text/event-stream"
        pieces = answer.aiter_bytes()
        try:
            async for piece in pieces:
                body += piece
                if len(body) > LARGEST or (stream and _enough(body, ask)):
                    truncated = len(body) > LARGEST or ask.opening
                    break
        finally:
            if ask.opening and stream:  # a reader that nobody holds would be closed, and the connection with it
                self._open.append((pieces, answer))
            else:
                await answer.aclose()
        text = bytes(body[:LARGEST]).decode("utf-8", "replace")
        return head.model_copy(update={"body": text, "truncated": truncated})

    async def hang_up(self) -> None:
        """Close the streams that were kept open."""
        for _, answer in self._open:
            await answer.aclose()
        self._open.clear()


def _enough(body: bytearray, ask: ProbeRequest) -> bool:
    """The stream has said what was asked: its first event, or the answer to the message."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    whole = text.rpartition("\n\n")[0]
    if ask.opening:
        return bool(whole)
    return any({"result", "error"} & set(Message(body=data).json_object) for _, data in sse_events(whole))


def _lines(headers: httpx.Headers) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in headers.raw)


# --- by the browser


def _opened(step: BrowserStep) -> Exchange:
    """What the browser asks; its answer is between server and browser."""
    return Exchange(request=Request(method="GET", url=step.url), started_at=time.time(), actor=step.actor)


async def _visited(step: BrowserStep, callback: Callback, browser: Browser) -> Exchange:
    """Wait for the person to come back; without an answer when nobody does.

    Ctrl-C ends the waiting, not the walk, which may have to tidy up.
    """
    begun = time.time()
    callback.forget()
    await asyncio.to_thread(browser.open, step.url)
    try:
        came = await asyncio.wait_for(callback.arrived(), browser.patience)
        return came.model_copy(update={"started_at": begun, "duration": time.time() - begun, "actor": step.actor})
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    return Exchange(request=Request(method="GET", url=callback.url), actor=step.actor)
