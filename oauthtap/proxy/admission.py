"""Which requests are let in: those that name us, at a port of ours. Their Host gets the upstream's name."""

from __future__ import annotations

from functools import lru_cache

from mitmproxy import http

from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.proxy import flow_convert
from oauthtap.proxy.error_layer import failure_answer
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.observer import Observer
from oauthtap.rewriting import public_url, requests
from oauthtap.rewriting.callback_relay import PUBLIC_PATH
from oauthtap.rewriting.origins import PUBLIC, Origins, local_origin, matched_host

_OWN_COOKIE = b"mitmproxy-auth-"


def admit(
    flow: http.HTTPFlow, port: int, origins: Origins, callback: int | None, observer: Observer
) -> RequestContext | None:
    """What is known of a request that came to that port; None where it goes no further: it is answered then, or none of
    ours. `callback`: the port of our own redirect URI."""
    upstream = "" if port == callback else origins.upstream_of(port)
    if upstream is None:
        return None
    public = origins.public.get(port)
    host = matched_host(flow_convert.header(flow.request, "host"), port, public)
    if public and host is not None and flow.request.path == public_url.CHECK_PATH:
        flow.response = failure_answer(public_url.CHECK_ANSWER, "The tunnel leads to this tap.", 200)
        return None
    if host == PUBLIC and urls.path_of(f"{public}{flow.request.path}") == PUBLIC_PATH:
        upstream = ""
    if host is None:
        said = _misdirected(flow, public or local_origin(port))
        flow.response = failure_answer("misdirected", said, 421)
        if public:
            words = f"A request was answered 421. {escape_controls(said)} If the tunnel wrote that name into Host: "
            observer.note(f"{words}configure it to keep the public name there.", kind="host")
        return None
    for name in [name for name in flow.request.headers if public_url.is_tunnel_header(name)] if host == PUBLIC else ():
        del flow.request.headers[name]
    if upstream:
        sent = flow.request.data
        sent.authority = b""
        sent.scheme, sent.host, sent.port = _split_origin(upstream)
        # Also of a request that goes no further, mitmweb shows the name that Host has.
        renamed = requests.headers(flow_convert.lines(flow.request), origins, upstream)
        flow_convert.put_headers(flow.request, renamed)
    else:
        flow.request.data.port = port
    _drop_own_cookie(flow.request)
    return RequestContext(upstream, host)


@lru_cache
def _split_origin(origin: str) -> tuple[bytes, str, int]:
    """Scheme, host and port of an origin."""
    parts = urls.split(origin)
    assert parts is not None
    return parts.scheme.encode(), parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _misdirected(flow: http.HTTPFlow, own: str) -> str:
    asked = flow.request.headers.get("host", "nobody")[:100]
    return f"This is oauthtap; it answers to {own} and not to {asked}."


def _drop_own_cookie(request: http.Request) -> None:
    """Cookies know no ports: a browser sends mitmweb's to whatever else is on this host."""
    if any(_OWN_COOKIE in value for name, value in request.headers.fields if name.lower() == b"cookie"):
        kept: list[tuple[bytes, bytes]] = []
        for name, value in request.headers.fields:
            if name.lower() == b"cookie":
                value = b";".join(one for one in value.split(b";") if not one.strip().startswith(_OWN_COOKIE)).strip()
            if value or name.lower() != b"cookie":
                kept.append((name, value))
        request.headers = http.Headers(kept)
