"""What an exchange was for: one class per stage, with a typed, lenient view of it.

Recognizing is done in `classify.py`, remembering in `state.py`; here is only
what each stage holds. The documents under test are wrong by nature, so nothing is
parsed into a strict model: members are read one by one, and whatever is not of the
expected type reads as absent.

A property whose source nobody has seen (a body the recorder left out) raises
`Unseen`; the engine then counts the rule as not checked. So a rule never has to ask
whether it may look.

`base`: what all have; `mcp`: at the MCP server; `documents`: discovery; `endpoints`: at the authorization server.
"""

from __future__ import annotations

from oauthtap.handshake.stages.base import Certainty, Initiator, Stage, scopes, text, texts
from oauthtap.handshake.stages.documents import ClientMetadata, Document, KeySet, ResourceMetadata, ServerMetadata
from oauthtap.handshake.stages.endpoints import (
    AuthorizationRequest,
    AuthorizationResponse,
    DeviceAuthorization,
    Interaction,
    PushedAuthorization,
    Registration,
    TokenEndpoint,
    TokenMaintenance,
    TokenOther,
    TokenRefresh,
    TokenRequest,
)
from oauthtap.handshake.stages.mcp import (
    Challenge,
    Discover,
    Initialize,
    LegacySse,
    Mcp,
    McpRequest,
    McpStream,
    Preflight,
    SessionEnd,
    StepUp,
    TokenRejected,
)
from oauthtap.model.exchange import Unseen

__all__ = [
    "STAGES",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "Certainty",
    "Challenge",
    "ClientMetadata",
    "DeviceAuthorization",
    "Discover",
    "Document",
    "Initialize",
    "Initiator",
    "Interaction",
    "KeySet",
    "LegacySse",
    "Mcp",
    "McpRequest",
    "McpStream",
    "Preflight",
    "PushedAuthorization",
    "Registration",
    "ResourceMetadata",
    "ServerMetadata",
    "SessionEnd",
    "Stage",
    "StepUp",
    "TokenEndpoint",
    "TokenMaintenance",
    "TokenOther",
    "TokenRefresh",
    "TokenRejected",
    "TokenRequest",
    "Unseen",
    "scopes",
    "text",
    "texts",
]

STAGES: tuple[type[Stage], ...] = (
    Preflight,
    Challenge,
    ResourceMetadata,
    ServerMetadata,
    KeySet,
    ClientMetadata,
    Registration,
    PushedAuthorization,
    AuthorizationRequest,
    Interaction,
    AuthorizationResponse,
    TokenRequest,
    TokenRefresh,
    TokenOther,
    DeviceAuthorization,
    TokenMaintenance,
    Initialize,
    Discover,
    McpRequest,
    McpStream,
    SessionEnd,
    LegacySse,
    TokenRejected,
    StepUp,
    Stage,
)
"""In the order of the walk."""
