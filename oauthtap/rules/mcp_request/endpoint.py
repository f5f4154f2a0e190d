"""The MCP URL itself: that it is the right one, and answers where it is called."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Challenge, Document, LegacySse, Mcp, Stage
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import practice
from oauthtap.rules import rule

_TRANSPORT = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http"
_BACKWARD = _TRANSPORT + "#backward-compatibility"
_OLDER = "only the transport of 2024-11-05 (HTTP+SSE) is there"
_EARLY = ("mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "mcp-stream", "legacy-sse")


@rule(
    "mcp-endpoint-redirect",
    practice(
        "RFC 9110 §15.4; MCP 2026-07-28 Streamable HTTP (single endpoint)",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4",
    ),
    who="resource-server",
    severity="warning",
    stops_at=("mcp-challenge", "mcp-initialize", "prm-discovery", "as-discovery", "client-registration"),
)
def endpoint_redirect(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP URL redirects to a variant of itself.

    With a redirect a POST may become a GET, and the token may be dropped. And then client and
    server use two different URLs for one resource, so the checks of `resource` and audience fail.

    Usual causes: a framework that adds the trailing slash; a server behind TLS that
    builds its redirects with http.

    Repair: Serve both forms without a redirect, or give clients the final URL.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        307
        Location: http://mcp.example.com/mcp/

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    if mcp.status not in (301, 302, 303, 307, 308):
        return
    target = absolute(mcp.response.header("location") or "", mcp.url)
    here, there = urls.split(mcp.url), urls.split(target)
    if here is None or there is None or here.hostname != there.hostname or target == mcp.url:
        return
    if here.path.rstrip("/").lower() == there.path.rstrip("/").lower():
        yield Problem(
            message=f"the MCP URL {mcp.request.bare_url} redirects to {target} ({mcp.status}); it has to answer itself",
            at="response.header.location",
            expected="an answer at this URL",
            actual=target,
            severity="error" if here.scheme != there.scheme else None,
        )


@rule(
    "mcp-redirect-drops-authorization",
    practice(
        "Fetch Standard, HTTP-redirect fetch (Authorization removal); RFC 9110 §15.4",
        "https://fetch.spec.whatwg.org/#http-redirect-fetch",
    ),
    who="resource-server",
    severity="error",
)
def drops_authorization(challenge: Challenge, so_far: Handshake) -> Problems:
    """A redirect to another origin drops the `Authorization` header.

    HTTP libraries remove the `Authorization` header when a redirect leaves the origin. The second
    server gets no token and answers 401, as if the token were invalid.

    Usual causes: http to https, or a bare domain to its `www.` name.

    Repair: Give clients the final URL, and publish that one in the metadata.

    Bad:
        # mcp: https://example.com/mcp
        POST https://example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        308
        Location: https://mcp.example.com/mcp
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        401
        WWW-Authenticate: Bearer
    """
    why = challenge.initiator
    if why is None or why.at != "response.header.location" or challenge.authorization or challenge.status != 401:
        return
    before = next((s for s in so_far.of(why.exchange or 0) if s.bearer is not None), None)
    if before and urls.origin(before.url) != urls.origin(challenge.url):
        yield Problem(
            message=f"exchange {before.exchange.id} redirected to {urls.origin(challenge.url)}; the token did not come along",
            at="request.header.authorization",
            expected="the token of the request before",
            actual="absent",
        )


@rule(
    "mcp-endpoint-not-found",
    practice("MCP 2026-07-28 Streamable HTTP 'Backward Compatibility'", _BACKWARD),
    who="resource-server",
    severity="warning",
    stops_at=_EARLY,
)
def not_found(handshake: Handshake) -> Problems:
    """The configured MCP URL answers 404.

    Some clients then try the HTTP+SSE transport, others start a sign-in to an endpoint that does
    not exist.

    Usual causes: `/mcp` left out or added, a missing or extra slash, `/sse` of an older server.

    Repair: Configure the URL from the vendor's documentation, or route this path to the MCP server.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        404 text/html <h1>Not Found</h1>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    streams = {s.request.bare_url for s in handshake.all(LegacySse) if s.ok}
    for url, posts in _posts(handshake).items():
        lost = [s for s in posts if s.status == 404 and not s.request.header("mcp-session-id") and not _speaks_rpc(s)]
        if lost and not any(s.ok or _speaks_rpc(s) for s in posts):  # 401 alone may come from a guard before all paths
            yield Problem(
                message=f"{url} answers 404 to a JSON-RPC request; "
                + (_OLDER if url in streams else "there has to be an MCP server"),
                at="request.url",
                expected="an MCP endpoint",
                actual="404",
                exchange=lost[0].exchange.id,
                severity="note" if url in streams else None,  # the transport of 2024-11-05 was found there
            )


@rule(
    "mcp-405-on-post",
    practice(
        "MCP 2025-11-25 Transports 'Backwards Compatibility'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility",
    ),
    who="resource-server",
    severity="warning",
    stops_at=_EARLY,
)
def no_post(handshake: Handshake) -> Problems:
    """The configured MCP URL answers POST with 405.

    MCP messages are sent with POST. A URL without it is the stream of an older server (HTTP+SSE),
    or a web page.

    Usual causes: the `/sse` URL of a server that now has `/mcp` as well.

    Repair: Configure the Streamable HTTP URL, or use a client that still supports HTTP+SSE.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        405

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    streams = {s.request.bare_url for s in handshake.all(LegacySse) if s.ok}
    for url, posts in _posts(handshake).items():
        refused = [s for s in posts if s.status == 405]
        if refused and not any(s.ok for s in posts):
            yield Problem(
                message=f"{url} answers 405 to POST; "
                + (_OLDER if url in streams else "an MCP endpoint has to take it"),
                at="response.status",
                expected="POST accepted",
                actual="405",
                exchange=refused[0].exchange.id,
                severity="note" if url in streams else None,  # the client went on with the transport of 2024-11-05
            )


@rule(
    "mcp-url-variant-differs",
    practice("Observed with load balancers, rewrites and front-end routers", _TRANSPORT),
    who="resource-server",
    severity="warning",
    stops_at=("mcp-challenge", "mcp-initialize", "prm-discovery"),
)
def variant_differs(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP URL with and without a trailing slash is served by different servers.

    One form reaches the MCP server, the other a web page or a 404. Some clients remove the slash or
    change the case, so the same configuration works in one client and fails in another.

    Usual causes: a route such as `/mcp/*` that does not match `/mcp`.

    Repair: Route both forms to the MCP server.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        404 text/html <h1>Not Found</h1>
        POST https://mcp.example.com/mcp/ {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/mcp/ {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    key = mcp.request.bare_url.rstrip("/").lower()
    if all(url == mcp.request.bare_url or url.rstrip("/").lower() != key for url in so_far.bare_urls):
        return
    for other in reversed(so_far.all(Stage)[-100:]):
        url = other.request.bare_url
        if url == mcp.request.bare_url or url.rstrip("/").lower() != key or other.request.method != mcp.request.method:
            continue
        here, there = _by_mcp_server(mcp), _by_mcp_server(other)
        if here is not None and there is not None and here != there:
            good, bad = (mcp, other) if here else (other, mcp)
            yield Problem(
                message=f"{good.request.bare_url} is the MCP server; {bad.request.bare_url} answers {bad.status} and is another server",
                at="request.url",
                expected=good.request.bare_url,
                actual=bad.request.bare_url,
            )
            return


@rule(
    "mcp-endpoint-is-web-page",
    practice("MCP 2026-07-28 Streamable HTTP", _TRANSPORT),
    who="resource-server",
    severity="error",  # nothing can be signed in to here, whatever else the web site answers along the way
    stops_at=_EARLY,
)
def web_page(handshake: Handshake) -> Problems:
    """The configured MCP URL belongs to a web site, not to an MCP server.

    Every response is a web page, and none is JSON or has a challenge. There is nothing to sign in
    to.

    Usual causes: the URL of the documentation was copied instead of the endpoint's.

    Repair: Configure the endpoint URL from the vendor's documentation.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        403 text/html <h1>Forbidden</h1>
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        403 text/html <h1>Forbidden</h1>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404
    """
    calls = [s for s in handshake.all(Mcp) if s.request.method == "POST" and s.exchange.actor == "client"]
    if not calls:
        return
    here = urls.origin(calls[0].url)
    looked = [s for s in handshake.all(Document) if urls.origin(s.url) == here]
    if looked and all(_page(s) for s in (*calls, *looked)):
        yield Problem(
            message=f"all answers of {here} are web pages; an MCP server answers in JSON",
            at="request.url",
            expected="an MCP endpoint",
            actual=calls[0].request.bare_url,
            exchange=calls[0].exchange.id,
        )


def _posts(handshake: Handshake) -> dict[str, list[Mcp]]:
    """The client's JSON-RPC requests by URL; those to a URL that a stream named, or only guessed at, left out."""
    posts: dict[str, list[Mcp]] = {}
    for mcp in handshake.all(Mcp):
        meant = mcp.request.method == "POST" and mcp.exchange.actor == "client" and mcp.certainty != "guess"
        if meant and not isinstance(mcp, LegacySse):
            posts.setdefault(mcp.request.bare_url, []).append(mcp)
    return posts


def _speaks_rpc(mcp: Mcp) -> bool:
    """The answer was not seen, or is a JSON-RPC error: `method not found` of a server that is there."""
    response = mcp.exchange.response
    return response is not None and (response.body is None or bool(mcp.rpc_error))


def _page(stage: Stage) -> bool:
    """A refusal that is an HTML page, without a challenge and without marks of a bot protection."""
    response = stage.exchange.response
    if response is None or response.status < 400 or response.media_type != "text/html":
        return False
    return not any(response.header(name) for name in ("www-authenticate", "cf-mitigated", "x-amzn-waf-action"))


def _by_mcp_server(stage: Stage) -> bool | None:
    """An MCP server gave this answer; None when that cannot be told."""
    response = stage.exchange.response
    if response is None or response.status >= 500:
        return None
    if stage.challenged.bearer or "jsonrpc" in response.json_object or response.media_type == "text/event-stream":
        return True
    html = response.media_type == "text/html"
    return False if html or response.status == 404 or (300 <= response.status < 400 and _leaves(stage)) else None


def _leaves(stage: Stage) -> bool:
    target = absolute(stage.response.header("location") or "", stage.url)
    return urls.path_of(target).rstrip("/").lower() != stage.request.path.rstrip("/").lower()
