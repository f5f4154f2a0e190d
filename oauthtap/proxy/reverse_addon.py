"""The addon of the reverse proxy: it observes, repairs and renames each exchange, in this order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from mitmproxy import http
from mitmproxy.net.http.status_codes import RESPONSES

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.grants.grant_file import GrantError
from oauthtap.model import urls
from oauthtap.model.exchange import Pairs, Request, Response, first_value
from oauthtap.model.sanitize import escape_controls
from oauthtap.proxy import flow_convert, grant_consent
from oauthtap.proxy.admission import admit
from oauthtap.proxy.error_layer import end_like_upstream, failure_answer, pass_reset_on, words_for
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.grant_consent import GrantConsent
from oauthtap.proxy.observer import TOO_LARGE, Observer
from oauthtap.proxy.origin_discovery import OriginDiscovery
from oauthtap.proxy.refusal import refused
from oauthtap.proxy.streaming import Held, should_stream, start
from oauthtap.proxy.upstream_connections import UpstreamConnections
from oauthtap.rewriting import limits, requests, responses
from oauthtap.rewriting.callback_relay import Relay, meant, restored
from oauthtap.rewriting.limits import Limitation
from oauthtap.rewriting.origins import PUBLIC, Origins, local_origin
from oauthtap.rewriting.responses import DocumentKind

_STRAY = "Not forwarded: nothing in this session advertised this path."
_UNCHECKED = "Not forwarded: oauthtap failed to check this request."
_MISDIRECTED = failure_answer("misdirected", _UNCHECKED, 421)
_UNREAD = failure_answer("unchecked", _UNCHECKED, 500)
_LEFT = ("client disconnect", "killed")


class TapAddon:
    """One upstream MCP server, the origins it leads to, and the client in front."""

    name = "oauthtap"

    def __init__(
        self, observer: Observer, opening: OriginDiscovery, relay: Relay, hops: UpstreamConnections, *,
        remember: Callable[[set[str]], None] = lambda marks: None, consent: GrantConsent | None = None,
    ) -> None:  # fmt: skip
        self._observer, self._opening, self.relay, self.hops = observer, opening, relay, hops
        self._remember, self._consent = remember, consent
        self._passages: dict[str, tuple[RequestContext, http.HTTPFlow]] = {}
        self._authorize: set[str] = set()
        """Authorization endpoints that metadata named, in comparable form."""

    @property
    def origins(self) -> Origins:
        """The map as it is now."""
        return self._opening.origins

    def sent(self, flow: http.HTTPFlow) -> None:
        """The request of this flow has left, or its response."""
        self._observer.sent(flow)

    # --- the request

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Is it for us, and who is it for?"""
        if flow.is_replay or not flow.client_conn.sockname:
            return
        with refused(flow, _MISDIRECTED):
            port = flow.client_conn.sockname[1]
            passage = admit(flow, port, self.origins, self.relay.port, self._observer)
            if passage is not None:
                self._passages[flow.id] = passage, flow
                flow.request.stream = Held(partial(self._let_go_request, flow))  # type: ignore[assignment]

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Put the whole request into upstream names, or answer it where the browser only passes through.

        Waits only where it needs a stored grant that another run has.
        """
        if self._consent is not None and self._consent.is_due(flow.request.raw_content):
            return self._in_turn(self._consent, flow)
        self._request(flow)
        return None

    async def _in_turn(self, consent: GrantConsent, flow: http.HTTPFlow) -> None:
        async with consent.turn():
            self._request(flow)

    def _request(self, flow: http.HTTPFlow) -> None:
        if flow.id not in self._passages or self._passages[flow.id][0].client_request is not None:
            return
        passage, _ = self._passages.pop(flow.id)
        with refused(flow, _UNREAD):
            if self._lead_on(flow, passage):
                self._passages[flow.id] = passage, flow

    def _lead_on(self, flow: http.HTTPFlow, passage: RequestContext) -> bool:
        """The request is answered, or is what the upstream gets. False: it is none of this sign-in's."""
        port = flow.client_conn.sockname[1]
        came = flow_convert.request_from_flow(flow, self.origins.local_name(port, passage.host) or local_origin(port))
        if passage.host == PUBLIC and not self._observer.is_in_scope(self.origins.upstream(came.url)):
            flow.response = failure_answer("not-of-this-sign-in", _STRAY, 404)
            self._observer.note(
                f"{escape_controls(flow.request.path, limit=100)} came by the tunnel. {_STRAY}", kind="stray"
            )
            return False
        if not passage.upstream:
            return self._callback(flow, passage, came)
        passage.client_request = self._opening.strip_redirected_token(
            requests.request(came, self.origins, passage.upstream)
        )
        self.relay.note_revision(passage.client_request)
        fixed = self._observer.fixed_request(flow, passage.client_request, passage)
        sent, passage.swap = (fixed, {}) if _is_rpc(fixed) else self.relay.with_our_callback(fixed, passage.host)
        passage.sent = sent.url
        if (answer := self._observer.injected_response(flow, passage)) is not None:
            kind = kind_of(passage.step)
            flow.response = flow_convert.made(self._renamed(kind, passage, answer))
            return True
        self._observer.tell(limits.in_request(passage.client_request))
        authorization = not _is_rpc(passage.client_request) and requests.is_authorization(passage.client_request)
        if authorization and (sentence := self.relay.notice_for(passage.client_request.parts.query)):
            self._observer.note(sentence)
        if self._consent is not None and self._stand_in(self._consent, flow, passage, sent, authorization):
            return True
        if authorization and urls.endpoint(passage.client_request.url) in self._authorize:
            self._redirect_to_authorization(flow, passage, sent)
            return True
        passage.guessed = authorization
        sent = passage.redeemed or sent
        flow_convert.put_request(flow, came, sent, passage.upstream)
        if "text/event-stream" in (sent.header("accept") or ""):
            # A compressed stream could neither be read nor be renamed while it passes.
            flow_convert.request_identity_encoding(flow.request)
        return True

    def _redirect_to_authorization(self, flow: http.HTTPFlow, passage: RequestContext, sent: Request) -> None:
        """Send the browser to the real authorization endpoint: a login page keeps its own origin."""
        flow.response = _redirect(sent.url)
        passage.made = True
        self._observer.judge(flow, passage)

    def _stand_in(
        self, consent: GrantConsent, flow: http.HTTPFlow, passage: RequestContext, sent: Request, authorization: bool
    ) -> bool:
        """The stored grant in the place of consent. True: the request is answered."""
        if authorization and (back := consent.answer_to(sent)):
            if not self.relay.receives(back):  # it does not come by us again
                back = self.relay.with_local_issuer(back, passage.host, self.origins)
            flow.response = _redirect(back)
            passage.made = True
            self._observer.tell([grant_consent.TOLD])
            self._observer.judge(flow, passage)
            return True
        if authorization and consent.is_unpushed(sent):
            self._observer.tell([grant_consent.NOT_PUSHED])
        try:
            passage.redeemed = consent.redeemed(sent)
        except GrantError as problem:
            self._observer.tell([Limitation("grant-refused", str(problem))])
            flow.response = failure_answer("grant", str(problem), 503)
            passage.made = True
            self._observer.judge(flow, passage)
            return True
        return False

    def _keep_grant(self, passage: RequestContext, came: Response | None) -> None:
        if passage.redeemed is not None and self._consent is not None:
            passage.redeemed = None
            try:
                self._consent.answered(came)
            except GrantError as problem:
                self._observer.tell([Limitation("grant-lost", str(problem))])

    def _callback(self, flow: http.HTTPFlow, passage: RequestContext, came: Request) -> bool:
        """The browser comes back: note what it brings, and send it on to the client. False: nobody waits for it."""
        waiting = self.relay.match_callback(came)
        passage.made = True
        if waiting is None:
            flow.response = failure_answer("no-sign-in", "No sign-in that oauthtap knows of is waiting here.", 404)
            return False
        query = came.parts.query
        client = urls.split(waiting.client_uri) or came.parts
        authority = client.netloc
        # mitmweb shows where the browser is sent on to, not our own port.
        flow.request.host, flow.request.port = client.hostname or flow.request.host, client.port or 80
        headers = requests.headers(came.headers, self.origins, f"http://{authority}")
        passage.client_request = Request(method=came.method, url=meant(waiting, query), headers=headers, body=came.body)
        asked = Request(method="GET", url=f"http://{authority}/?{query}")
        brought = self._observer.fixed_request(
            flow, asked, passage, stages=("authorization-response",), state=waiting.state
        )
        if passage.changed is not None:
            url = meant(waiting, brought.parts.query)
            passage.changed = Request(method=came.method, url=url, headers=headers, body=came.body)
        onward = self.relay.client_callback_url(waiting, brought.parts.query, self.origins)
        onward = self._observer.faults.alter_callback(passage, onward)
        flow.response = _redirect(onward, 302 if came.method == "GET" else 307)
        self._observer.judge(flow, passage)
        return True

    # --- the answer

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Let a stream pass as it comes; everything else waits to be read and renamed."""
        if flow.id not in self._passages or flow.response is None:
            return None
        passage, _ = self._passages[flow.id]
        if passage.made:
            return None
        passage.answered = lines = flow_convert.lines(flow.response)
        if passage.swap:
            passage.answered = tuple((name, restored(value, passage.swap)) for name, value in lines)
        if flow.response.is_http2 and not flow.response.reason:
            flow.response.reason = RESPONSES.get(flow.response.status_code, "")
        if should_stream(flow, repairing=self._observer.repairing):
            head = Response(status=flow.response.status_code, headers=passage.answered)
            if origins := self._opening.new_origins("mcp", head, passage):
                return self._open_then(origins, partial(self._pass_on, flow, passage, head), passage)
            self._pass_on(flow, passage, head)
        else:
            flow.response.stream = Held(partial(self._let_go, flow, passage))  # type: ignore[assignment]
        return None

    def _let_go(self, flow: http.HTTPFlow, passage: RequestContext) -> bool:
        """An answer that was held back turns out to be too large for that."""
        assert flow.response is not None
        self._observer.note(TOO_LARGE, kind="too-large")
        head = Response(status=flow.response.status_code, headers=passage.answered or ())
        self._pass_on(flow, passage, head)
        return True

    def _let_go_request(self, flow: http.HTTPFlow) -> bool:
        """A request turns out to be too large to be read: what can be decided without its body is decided now.

        False when it may not go on.
        """
        if flow.response is not None:
            return False
        self._observer.note(TOO_LARGE, kind="too-large")
        self._request(flow)
        passage, _ = self._passages.get(flow.id, (None, flow))
        if flow.response is not None or passage is None or passage.client_request is None:
            return False
        passage.client_request = passage.client_request.model_copy(update={"body": None, "truncated": True})
        flow.request.data.content = None
        return True

    async def _open_then(self, origins: list[str], go_on: Callable[[], None], passage: RequestContext) -> None:
        """An origin has to be there before the client hears of it; and an answer may be held back on purpose."""
        await self._opening.open(origins)
        await self._observer.faults.delay(passage)
        go_on()

    def _pass_on(self, flow: http.HTTPFlow, passage: RequestContext, head: Response) -> None:
        assert flow.response is not None
        flow_convert.put_headers(flow.response, self._renamed_headers(passage, head))
        at_endpoint = partial(self._observer.judge_stream, flow, passage, ended=False)
        start(
            flow,
            passage,
            lambda: self.origins,
            at_endpoint,
            self._observer.without_secrets,
            partial(self._observer.sent, flow),
        )
        self._observer.faults.cut(flow, passage, head)

    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Observe, repair, rename. Waits only where an origin is named for the first time."""
        passage, _ = self._passages.pop(flow.id, (None, flow))
        if passage is None or flow.response is None:
            return None
        if passage.copy is not None:
            self._observer.judge_stream(flow, passage, ended=True)
        elif not passage.made:
            came = flow_convert.response_from_flow(flow, passage.answered or ())
            return self._answer(flow, passage, came)
        self._observer.finished(flow, passage)
        self._observer.faults.ended(flow, passage)
        return None

    def _answer(self, flow: http.HTTPFlow, passage: RequestContext, came: Response) -> Awaitable[None] | None:
        assert flow.response is not None
        by_grant = passage.redeemed is not None
        self._keep_grant(passage, came)
        original = flow_convert.with_body(came, restored(came.body or "", passage.swap)) if passage.swap else came
        error = flow_convert.unreadable(flow.response)
        repaired = self._observer.judge(flow, passage, original, error=error) or original
        if by_grant:
            repaired = grant_consent.without_refresh_token(repaired)
        kind = kind_of(passage.step)
        if passage.fault is not None:
            self._learn(kind, passage, original)
        give = partial(self._deliver, flow, passage, came, kind, repaired)
        origins = self._opening.new_origins(kind, repaired, passage)
        if origins or self._observer.faults.holds(passage):
            return self._open_then(origins, give, passage)
        give()
        return None

    def _deliver(
        self, flow: http.HTTPFlow, passage: RequestContext, came: Response, kind: DocumentKind, repaired: Response
    ) -> None:
        assert flow.response is not None
        self._observer.tell(limits.in_answer(kind, came, passage.swap))
        self._learn(kind, passage, repaired)
        if (
            passage.guessed
            and passage.client_request
            and responses.is_a_page(repaired, first_value(passage.client_request.query, "redirect_uri"))
        ):
            flow.response = _redirect(passage.sent)
        else:
            now = Response.model_construct(
                status=came.status, headers=flow_convert.lines(flow.response), body=came.body
            )
            flow_convert.put_response(flow, now, self._renamed(kind, passage, repaired))
        self._observer.finished(flow, passage)

    def _renamed(self, kind: DocumentKind, passage: RequestContext, answer: Response) -> Response:
        """The answer in local names. On its way back to our own callback a redirect keeps our URI."""
        body = responses.body(answer.body, kind, self.origins, passage.host) if answer.body else answer.body
        headers = self._renamed_headers(passage, answer)
        metadata = kind.endswith("metadata") and answer.status == 200
        if body != answer.body or metadata:
            headers = responses.drop_validators(headers, metadata=metadata)
        return Response.model_construct(status=answer.status, headers=headers, body=body)

    def _renamed_headers(self, passage: RequestContext, answer: Response) -> Pairs:
        headers = responses.headers(answer.headers, self.origins, passage.host)
        back = {theirs: ours for ours, theirs in passage.swap.items()}
        return tuple((n, restored(v, back) if n.lower() == "location" else v) for n, v in headers)

    def _learn(self, kind: DocumentKind, passage: RequestContext, answer: Response) -> None:
        """What later requests are told apart by."""
        if kind == "server-metadata" and answer.status == 200:
            document = answer.json_object
            if isinstance(endpoint := document.get("authorization_endpoint"), str):
                self._authorize.add(urls.endpoint(endpoint))
            sends = document.get("authorization_response_iss_parameter_supported") is True
            self.relay.issuer_is_sent = self.relay.issuer_is_sent or sends
            if self._consent is not None:
                self._consent.learn(document)
        elif kind == "registration" and answer.status in (200, 201):
            self.relay.granted(str(answer.json_object.get("client_id", "")), passage.swap)
            if passage.swap:
                self._remember(self.relay.registered)
        if self._consent is not None and passage.step is not None and passage.step.stage == "pushed-authorization":
            asked = passage.client_request.form if passage.client_request else ()
            self._consent.keep_pushed(asked, answer, passage.swap)

    # --- what went wrong, and what is left

    def error(self, flow: http.HTTPFlow) -> None:
        """No answer, or one that broke off."""
        passage, _ = self._passages.pop(flow.id, (None, flow))
        if passage is None or passage.made:
            return
        self._keep_grant(passage, None)
        words = words_for(flow)
        left = words.lower().startswith(_LEFT)
        if not left and (difference := pass_reset_on(flow)):
            self._observer.tell([difference])
        if passage.copy is not None and flow.response is not None:
            self._observer.judge_stream(flow, passage, ended=False, error=None if left else words)
        elif passage.client_request is not None:
            words = self.hops.refused.pop(flow.server_conn.id, words)
            words = "client disconnected before an answer came" if left else words
            self._observer.judge(flow, passage, error=words)
            if not left and (difference := end_like_upstream(flow, words)):
                self._observer.tell([difference])
        self._observer.finished(flow, passage)
        self._observer.sent(flow)

    def done(self) -> None:
        """The tap stops: streams that are still open are recorded as far as they came."""
        for passage, flow in list(self._passages.values()):
            if passage.copy is not None:
                self._observer.judge_stream(flow, passage, ended=False)
                self._observer.finished(flow, passage)
            self._keep_grant(passage, None)
        self._passages.clear()


def kind_of(step: AnalyzedExchange | None) -> DocumentKind:
    """Which URLs the answer of a judged exchange holds."""
    return responses.kind_of(stage.slug for stage in step.stages) if step else "other"


def _is_rpc(asked: Request) -> bool:
    """A message of MCP itself: nothing of a sign-in stands in it."""
    return asked.method == "POST" and "jsonrpc" in asked.json_object


def _redirect(url: str, status: int = 302) -> http.Response:
    return http.Response.make(status, b"", {"Location": url, "Cache-Control": "no-store"})
