"""What clients' own error messages mean: the `[[message]]`s of its file (`files.py`).

`any.toml` holds what many programs say (Node, browsers, HTTP statuses).
`oauthtap.diagnosis.meanings` ranks them, together with the phrases of `oauthtap.vendors`.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oauthtap import vendors
from oauthtap.clients import files

Topic = Literal[
    "redirect_uri",
    "client",
    "registration",
    "discovery",
    "scope",
    "resource/audience",
    "pkce",
    "grant",
    "code",
    "token",
    "session",
    "origin/csrf",
    "media type",
    "policy/consent",
    "configuration",
    "network",
    "edge",
    "server fault",
]
"""What a message is about, in the words that its reader knows."""

TOPICS: tuple[str, ...] = get_args(Topic)

PartyOrPerson = Literal["resource-server", "authorization-server", "client", "config", "network", "person"]
"""Whose it is. `person`: nobody has to change anything but sign in, agree, or do one thing at a time."""


Step = Literal[
    "mcp-request",  # any request to the MCP server
    "prm-discovery",
    "as-discovery",
    "client-registration",
    "authorization-request",
    "authorization-response",  # the browser's return to the callback
    "token-request",
    "token-refresh",
]
"""The request that the client had sent, or the response that it had received, when it says something."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Meaning(_Data):
    """One thing that a message can mean."""

    subject: Topic
    who: PartyOrPerson
    why: str
    look: str
    """What to look at first."""
    rule: str | None = None


class Message(_Data):
    """One wording, and what it can mean, the most likely first."""

    match: str
    """As `oauthtap.vendors.Phrase.match`."""
    example: str
    not_example: str | None = None
    source: str
    versions: str | None = None
    """The versions of the client that were seen to say so."""
    wraps: bool = False
    """It only carries on what the server said: that counts first, where it is understood."""
    vague: bool = False
    """It says too little: it counts behind everything else that is understood of the text."""
    weight: int = 0
    step: Step | None = None
    """The one step at which the client's code says this; None where there are several, or it is not known."""
    status: int | None = Field(default=None, ge=100, le=599)
    """The HTTP status that the answer must have had for the client to say this."""
    sent: bool = True
    """False where the client says so instead of sending the request of the step."""
    meaning: tuple[Meaning, ...]

    @field_validator("match")
    @classmethod
    def _fits(cls, match: str) -> str:
        return vendors.fit(match)

    @field_validator("meaning")
    @classmethod
    def _has_one(cls, meaning: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
        if not meaning:
            raise ValueError("a message needs a meaning")
        return meaning

    @model_validator(mode="after")
    def _names_its_step(self) -> Message:
        if self.step is None and (self.status is not None or not self.sent):
            raise ValueError("`status` and `sent` are about a `step`")
        if self.status is not None and not self.sent:
            raise ValueError("what was not sent has no `status`")
        return self


class ClientMessages(_Data):
    """One client's messages."""

    name: str
    slug: str
    record: str | None = None
    """The command that records what this client does."""
    message: tuple[Message, ...] = ()


@cache
def messages() -> tuple[ClientMessages, ...]:
    """Every client's messages, by slug. Raises pydantic's ValidationError for an unknown key or an unfit pattern."""
    keys = ("record", "message", "otherwise")
    return tuple(
        ClientMessages(
            slug=slug, name=said.get("said_by", said["name"]), **{key: said[key] for key in keys if key in said}
        )
        for slug, said in files.whole().items()
        if "message" in said
    )
