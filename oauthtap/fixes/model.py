"""A fix as data: what it cures, and which exchanges it touches."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from oauthtap.diagnosis.findings import Patch
from oauthtap.fixes.actions import RequestChange, ResponseChange, StrictModel
from oauthtap.model.exchange import Request, Response

PLACEHOLDER = re.compile(r"\$\{([a-z_]+)\}")


class When(StrictModel):
    """Which exchanges a fix touches. What is not named does not matter."""

    stage: tuple[str, ...] = ()
    """Stages as the report calls them; `token-*` stands for all that begin so."""
    url: str | None = None
    """The URL without query; `*` stands for anything."""
    method: str | None = None
    status: tuple[int, ...] = ()
    media_type: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    """Members that the JSON object (or form) of the answer has not got."""
    sent_token: bool | None = None
    """Whether the request carried an Authorization header."""

    @field_validator("stage", "status", "media_type", "lacks", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | int) else value

    def asks(self, stages: tuple[str, ...], request: Request) -> bool:
        """The request is one that is meant."""
        if self.stage and not any(fnmatchcase(slug, wanted) for slug in stages for wanted in self.stage):
            return False
        if self.method and request.method != self.method:
            return False
        if self.sent_token is not None and self.sent_token is not bool(request.header("authorization")):
            return False
        return self.url is None or fnmatchcase(request.bare_url, self.url)

    def answers(self, stages: tuple[str, ...], request: Request, response: Response) -> bool:
        """Request and answer are ones that are meant."""
        if not self.asks(stages, request) or (self.status and response.status not in self.status):
            return False
        if self.media_type and response.media_type not in self.media_type:
            return False
        document = response.json_object
        return not (self.lacks and any(name in document for name in self.lacks))


class Fix(StrictModel):
    """One repair, as it stands in a file: to be shown, tried on a recording, or applied live."""

    name: str
    says: str = ""
    """What it does, in one sentence."""
    cures: tuple[str, ...] = ()
    """Rules whose finding it takes away."""
    when: When = When()
    answer: ResponseChange | None = None
    request: RequestChange | None = None
    safe: bool = False
    """Right whoever the server is."""
    assumes: str | None = None
    """What has to be true for it to be right."""
    by_hand: bool = False
    """Never proposed, because it makes something up: only for who asks for it."""
    value: str = Field(default="", exclude=True)
    """What the person gave with `=`; stands for `${value}`."""

    @model_validator(mode="after")
    def _says_what_it_assumes(self) -> Self:
        if self.safe is (self.assumes is not None):
            raise ValueError('say either `safe = true` or `assumes = "…"`')
        if self.answer is None and self.request is None:
            raise ValueError("it changes nothing: give it a table [fix.answer] or [fix.request]")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """The placeholders in it: `value`, `resource`, `issuer`, …"""
        return frozenset(PLACEHOLDER.findall(json.dumps(self.model_dump(mode="json"))))

    def filled(self, values: Mapping[str, str]) -> Fix | None:
        """The same with its placeholders replaced; None when one has no value, or a secret was struck out of it."""
        known = {**values, **({"value": self.value} if self.value else {})}
        needed = self.needs
        if holds_alias(self) or any(not known.get(name) or "‹" in known[name] for name in needed):
            return None
        return Fix.model_validate(_filled(self.model_dump(), known)) if needed else self


def with_values(fix: Fix, known: Mapping[str, str]) -> Fix:
    """The same with these placeholders replaced; others stay."""
    known = {name: value for name, value in known.items() if value}
    return Fix.model_validate(_filled(fix.model_dump(), known)).model_copy(update={"value": fix.value})


def from_patch(rule: str, patch: Patch, when: When) -> Fix:
    """A patch that a rule proposed for one exchange, as a fix for that exchange."""
    answer = ResponseChange(
        status=patch.status,
        headers={name: value for name, value in patch.headers.items() if value is not None},
        drop_headers=tuple(name for name, value in patch.headers.items() if value is None),
        merge=patch.merge,
        body=patch.body,
    )
    return Fix(
        name=rule, cures=(rule,), when=when, answer=answer, safe=patch.assumes is None, assumes=patch.assumes
    )  # fmt: skip


def holds_alias(value: Any) -> bool:
    """A stand-in for a secret is somewhere in it: it must not reach a client."""
    dumped = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return "‹" in json.dumps(dumped, ensure_ascii=False)


def stages_of(request: Request) -> tuple[str, ...]:
    """Which stage a request belongs to, as far as its parameters alone tell (RFC 6749, 4 and 6; RFC 7591, 3.1)."""
    given = dict(request.form if request.method == "POST" else request.query)
    if grant := given.get("grant_type"):
        known = {"authorization_code": "token-request", "refresh_token": "token-refresh"}
        return (known.get(grant, "token-other-grant"),)
    if "client_id" in given and ("response_type" in given or "request_uri" in given):
        return ("authorization-request",)
    if request.method == "POST" and "redirect_uris" in request.json_object:
        return ("client-registration",)
    return ()


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: _filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, known) for inner in value]
    return value
