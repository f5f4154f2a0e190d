"""What is sent to the MCP server: requests, streams, the end of a session; and which refusal answers them."""

from __future__ import annotations

from oauthtap.handshake.initiator import stage_of
from oauthtap.handshake.mcp_refusal import is_refusal, is_token_rejection, lacks_scope
from oauthtap.handshake.stages import (
    Certainty,
    Challenge,
    Discover,
    Initialize,
    LegacySse,
    Mcp,
    McpRequest,
    McpStream,
    SessionEnd,
    Stage,
    StepUp,
    TokenRejected,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.model.sse import sse_events


def mcp_by_url(exchange: Exchange, so_far: Handshake) -> Stage | None:
    """A request to the MCP server's URL, or to the message URL of a legacy stream."""
    request = exchange.request
    if urls.endpoint(request.url) in so_far.message_urls:
        return stage_of(LegacySse, exchange, "certain", so_far)
    if not so_far.is_mcp(request.url):
        return None
    if {"response_type", "grant_type"} & {name for name, _ in (*request.query, *request.form)}:
        return None
    return mcp_stage(exchange, so_far, "certain")


def mcp_stage(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> Mcp:
    """What a request to the MCP server is, by HTTP method and JSON-RPC method."""
    request = exchange.request
    method = request.json_object.get("method")
    kind: type[Mcp] = McpRequest
    if request.method in ("GET", "HEAD"):
        kind = LegacySse if _is_legacy_stream(exchange) else McpStream
    elif request.method == "DELETE":
        kind = SessionEnd
    elif method in ("initialize", "notifications/initialized"):
        kind = Initialize
    elif method == "server/discover":
        kind = Discover
    return stage_of(kind, exchange, certainty, so_far)


def _is_legacy_stream(exchange: Exchange) -> bool:
    response = exchange.response
    if response and response.media_type == "text/event-stream":
        events = sse_events(response.body or "")
        if events:
            return events[0][0] == "endpoint"
    return exchange.request.path.rstrip("/").endswith("/sse")


def with_refusal(stage: Mcp, so_far: Handshake) -> tuple[Stage, ...]:
    """Put the refusal, where there is one, in front of the base stage."""
    exchange = stage.exchange
    front: type[Mcp] | None = None
    unseen = exchange.request.unseen("authorization")
    if not exchange.request.carries_token or (unseen and so_far.token is None and so_far.authorized is None):
        front = Challenge if is_refusal(exchange) else None
    elif lacks_scope(stage):
        front = StepUp
    elif is_token_rejection(exchange):
        front = TokenRejected
    return (front(exchange, stage.certainty, stage.initiator), stage) if front else (stage,)
