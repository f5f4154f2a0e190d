"""Login and consent pages: their forms, their headers, and the answer to the button."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, Interaction, Stage, TokenRequest
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Request, Response, first_value
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.authorization_interaction import csp

_PEOPLE = ("client", "browser")
_ENOUGH = 100_000
"""Characters of a page: a hostile one must not cost time."""


def _is_callback(url: str, so_far: Handshake, stage: Stage) -> bool:
    """The URL is a redirect URI of this sign-in, its own request's included."""
    own = (stage.redirect_uri,) if isinstance(stage, AuthorizationRequest) else ()
    known = (*so_far.redirect_uris, *filter(None, own))
    return any(urls.redirect_matches(urls.without_query(url), urls.without_query(uri)) for uri in known)


class _Forms(HTMLParser):
    """The forms of a page: action, and the names of their fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, set[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.forms.append((found.get("action") or "", set()))
        elif tag == "input" and self.forms:
            self.forms[-1][1].add(found.get("name") or "")


def forms_of(response: Response | None) -> list[tuple[str, set[str]]]:
    """Action and field names of every form of a page; nothing if it is not HTML, or was not seen."""
    if response is None or response.media_type != "text/html" or not response.body:
        return []
    reader = _Forms()
    reader.feed(response.body[:_ENOUGH])
    return reader.forms


@rule(
    "authz-307-after-credentials",
    must(
        "OAuth 2.1 draft-13 §7.5.4; RFC 9700 §4.12",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-7.5.4",
    ),
    who="authorization-server",
    stops_at=("authorization-response", "token-request"),
)
def keeps_posting(stage: Interaction | AuthorizationRequest | AuthorizationResponse, so_far: Handshake) -> Problems:
    """A login or consent form is answered with a 307 redirect, so the browser POSTs it to the client.

    307 and 308 tell the browser to repeat the POST with the whole form, possibly including a
    password. The client's listener waits for a GET, answers 404 or 405, and the code is lost.

    Usual causes: the framework's redirect function uses 307 by default.

    Repair: Answer the form with 303 (or 302), so that the browser goes on with a GET.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 <form method="post" action="/approve"></form>
        @browser
        POST https://as.example.com/approve decision=allow
        307
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 <form method="post" action="/approve"></form>
        @browser
        POST https://as.example.com/approve decision=allow
        303
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    if stage.request.method != "POST" or stage.status not in (307, 308):
        return
    location = stage.response.header("location") or ""
    if _is_callback(location, so_far, stage) and not _is_callback(stage.url, so_far, stage):
        yield Problem(
            message=f"a POST is answered {stage.status} to {urls.without_query(location)}, "
            "so the browser posts there; it has to be 303",
            at="response.status",
            expected="303",
            actual=str(stage.status),
            patch=Patch(status=303),
        )


@rule(
    "authz-page-frameable",
    must(
        "OAuth 2.1 draft-13 §7.10; MCP Security Best Practices 'Consent UI Requirements'",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-7.10",
    ),
    who="authorization-server",
    severity="note",  # no sign-in stops at it, and big login pages defend themselves with scripts
)
def frameable(stage: Interaction | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A login or consent page has neither `X-Frame-Options` nor `frame-ancestors`.

    A hostile site can show such a page in an invisible frame, so that the user's click gives
    consent (clickjacking). Browsers prevent it when the page sends one of these headers.

    Usual causes: the security headers of the application do not cover these pages.

    Repair: Send `Content-Security-Policy: frame-ancestors 'none'` (or
    `X-Frame-Options: DENY`) with every page of the sign-in.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 <form method="post" action="/approve"></form>

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200
        Content-Type: text/html
        X-Frame-Options: DENY
          <form method="post" action="/approve"></form>
    """
    if stage.status != 200 or stage.response.media_type != "text/html":
        return
    policy = stage.response.header("content-security-policy") or ""
    if stage.response.header("x-frame-options") is None and "frame-ancestors" not in policy.lower():
        yield Problem(
            message=f"the page at {urls.without_query(stage.url)} has neither X-Frame-Options nor frame-ancestors",
            at="response.header.x-frame-options",
            expected="DENY",
            patch=Patch(headers={"X-Frame-Options": "DENY"}),
        )


@rule(
    "authz-resp-form-post",
    practice(
        "OAuth 2.1 draft-13 §4.1.2 (parameters go into the query)",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2",
    ),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-response", "token-request"),
)
def form_post(stage: Interaction | AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization response is POSTed to the client (`response_mode=form_post`).

    Some servers answer with a page whose form submits itself to the callback. MCP clients
    listen for a GET with the code in the query: a POST gets 404 or 405 from them, and the
    code is lost.

    Usual causes: `response_mode=form_post` was asked for, or is what the server does by
    default for this client.

    Repair: Answer with a redirect that carries the parameters in its query
    (`response_mode=query`).

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 <form method="post" action="http://127.0.0.1:4711/cb"><input name="code" value="made-up"></form>

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    for action, fields in forms_of(stage.exchange.response):
        target = absolute(action, stage.url)
        if fields & {"code", "error"} and action and _is_callback(target, so_far, stage):
            yield Problem(
                message=f"a form posts {', '.join(sorted(fields & {'code', 'error', 'state', 'iss'}))} to "
                f"{urls.without_query(target)}; the client waits for a GET",
                at="response.body",
                expected="a redirect with the parameters in the query",
                actual="response_mode=form_post",
            )


@rule(
    "authz-consent-skipped",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Confused Deputy Problem'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#confused-deputy-problem",
    ),
    who="authorization-server",
    severity="warning",  # grave, but it lets too much through: no sign-in ever stops at it
    stops_only_at=(),
)
def consent_skipped(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """A newly registered client gets a code without a consent page.

    This server forwards the user to another provider, always with the same client id. The user once
    consented there, to this server. A client that was registered a minute ago now uses that
    consent, and so could an attacker's client with its own callback (confused deputy).

    Usual causes: the server proxies to an identity provider and relies on the consent page
    there.

    Repair: Show your own consent page for every newly registered client, before redirecting to the
    other provider.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: https://idp.example.net/authorize?response_type=code&client_id=fixed&state=t1
        @browser
        GET https://as.example.com/idp-callback?code=made-up-upstream&state=t1
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 <form method="post" action="/approve">Allow this client?</form>
        @browser
        POST https://as.example.com/approve decision=allow
        302
        Location: https://idp.example.net/authorize?response_type=code&client_id=fixed&state=t1
        @browser
        GET https://as.example.com/idp-callback?code=made-up-upstream&state=t1
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    asked = stage.requested
    if stage.callback or stage.code is None or asked is None or stage.exchange.actor not in _PEOPLE:
        return
    client_id = asked.get("client_id") or ""
    registered = so_far.client_ids.get(client_id)
    if not registered or not any(s.slug == "client-registration" and s.ok for s in so_far.of(registered)):
        return
    own = urls.origin(asked.url)
    since = [s for s in so_far.stages if s.exchange.id >= registered and s.exchange.actor in _PEOPLE]
    here = [s for s in since if urls.origin(s.url) == own and s.slug.startswith("authorization-")]
    met = any(s.request.method == "POST" or _is_page(s) for s in here)
    onward = next((where for s in here if (where := _sent_on(s, own, client_id))), None)
    if onward and not met:
        yield Problem(
            message=f"client {client_id}, registered in exchange {registered}, got a code with no page of {own} shown; "
            f"the browser was passed on to {onward}",
            at="response.header.location",
            expected="a consent page for this client",
        )


def _is_page(stage: Stage) -> bool:
    response = stage.exchange.response
    return response is not None and response.status == 200 and response.media_type == "text/html"


def _sent_on(stage: Stage, own: str, client_id: str) -> str | None:
    """The third party to whose authorization endpoint the browser was sent on, under another client id."""
    response = stage.exchange.response
    location = response.header("location") if response and 300 <= response.status < 400 else None
    if not location or urls.origin(location) in ("", own):
        return None
    pairs = Request(method="GET", url=location).query
    theirs = first_value(pairs, "client_id")
    return (
        urls.without_query(location) if theirs and theirs != client_id and first_value(pairs, "response_type") else None
    )


@rule(
    "authz-csp-form-action",
    practice("CSP Level 3, form-action", "https://www.w3.org/TR/CSP3/#directive-form-action"),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-interaction", "authorization-response"),
)
def form_action(handshake: Handshake) -> Problems:
    """`form-action` in the page's `Content-Security-Policy` blocks the redirect to the client.

    `form-action` in a Content-Security-Policy says where the forms of a page may be sent. Chromium
    applies it to every redirect that follows the form. If the client's callback (or an app link it
    redirects to) is not in the list, the browser stops silently: the code was issued, and the
    button seems to do nothing.

    Usual causes: a policy of `form-action 'self'` from a security template; a list that has https
    but not the callback's `http://localhost` or the app's custom scheme.

    Repair: Add the redirect target of the client to `form-action` on these pages, or leave
    `form-action` out of their policy.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200
        Content-Type: text/html
        Content-Security-Policy: form-action 'self'
          <form method="post" action="/approve"></form>
        @browser
        POST https://as.example.com/approve decision=allow
        303
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200
        Content-Type: text/html
        Content-Security-Policy: form-action 'self' http://127.0.0.1:*
          <form method="post" action="/approve"></form>
        @browser
        POST https://as.example.com/approve decision=allow
        303
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    walked = [stages[0] for stages in handshake.exchanges() if stages[0].exchange.actor in _PEOPLE]
    for place, page in enumerate(walked):
        response = page.exchange.response
        if not isinstance(page, Interaction | AuthorizationRequest) or response is None or not forms_of(response):
            continue
        policies = csp.policies(response)
        posted = next((n for n, s in enumerate(walked) if n > place and _submits(s, page)), None)
        if not policies or posted is None or _redeemed(handshake, walked[posted]):
            continue
        for target in csp.hops(walked[posted:]):
            followed = any(s.url == target for s in walked[posted:])
            if followed or csp.allowed(target, policies, page.url):
                continue
            yield Problem(
                message=f"form-action allows {csp.shown(policies)}; the form leads on to {urls.without_query(target)}",
                at="response.header.content-security-policy",
                expected=csp.source_for(target),
                actual=csp.shown(policies),
                exchange=page.exchange.id,
                patch=Patch(headers={"Content-Security-Policy": csp.opened(response, target)}),
            )
            break


def _redeemed(handshake: Handshake, post: Stage) -> bool:
    """A token request came after the form, so the browser got through."""
    last = handshake.last(TokenRequest)
    return last is not None and last.exchange.id > post.exchange.id


def _submits(stage: Stage, page: Stage) -> bool:
    """A POST from that page, to its own site."""
    return (
        stage.request.method == "POST"
        and urls.origin(stage.url) == urls.origin(page.url)
        and (not isinstance(stage, AuthorizationResponse) or not re.search(r"[?&]code=", stage.url))
    )
