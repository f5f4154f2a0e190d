"""A fix as data: what it cures, which exchanges it touches, and what it makes of them. Knows no file and no proxy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Self
from urllib.parse import quote, unquote_plus

import jsonpatch
from json_merge_patch import merge as merge_patch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oauthtap import challenges, urls
from oauthtap.findings import Patch
from oauthtap.wire import Request, Response

_PLACEHOLDER = re.compile(r"\$\{([a-z_]+)\}")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Table):
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


class Answer(_Table):
    """What is made of an answer. Parts work from top to bottom."""

    status: int | None = None
    form_to_json: bool = False
    """A form-encoded body becomes the JSON object it should have been (RFC 6749, 5.1)."""
    body: str | None = None
    echo: tuple[str, ...] = ()
    """Members of the request's JSON that are repeated (RFC 7591, 3.2.1)."""
    merge: dict[str, Any] | None = None
    """Laid over the JSON body as in RFC 7396. In TOML a table, or JSON text where a member is to go (`null`)."""
    patch: tuple[dict[str, Any], ...] = ()
    """Operations of RFC 6902. A patch that does not fit leaves the body alone."""
    without_nulls: bool = False
    https: bool = False
    """Every `http://` of this host in header and body becomes `https://`."""
    headers: dict[str, str] = {}
    drop_headers: tuple[str, ...] = ()
    challenge: dict[str, str] = {}
    """Parameters set in the Bearer challenge; a challenge is made where there is none (RFC 6750, 3)."""
    drop_challenge: tuple[str, ...] = ()

    @field_validator("merge", mode="before")
    @classmethod
    def _merge_as_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("patch", mode="before")
    @classmethod
    def _patch_as_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def __call__(self, request: Request, response: Response) -> Response:
        """The answer as the client is to get it. Both given messages are left alone."""
        made = self._body(request, response)
        host = request.parts.netloc
        headers: dict[str, str | None] = {**self.headers, **dict.fromkeys(self.drop_headers)}
        if self.challenge or self.drop_challenge:
            headers["WWW-Authenticate"] = self._challenge(response)
        done = Patch(status=self.status, headers=headers)(made)
        if not self.https or not host:
            return done
        secured = tuple((name, _secured(value, host)) for name, value in done.headers)
        body = None if done.body is None else _secured(done.body, host)
        return Response(status=done.status, headers=secured, body=body)

    def _body(self, request: Request, response: Response) -> Response:
        body = response.body if self.body is None else self.body
        document: Any = json.loads(body) if self.body and body else response.json_value
        if self.form_to_json and response.form:
            document = {k: int(v) if k == "expires_in" and v.isdecimal() else v for k, v in response.form}
        changed = document
        if self.merge is not None or self.echo:
            echoed = {name: request.json_object[name] for name in self.echo if name in request.json_object}
            base = {**(changed if isinstance(changed, dict) else {}), **echoed}
            changed = merge_patch(base, dict(self.merge or {}))
        if self.patch and changed is not None:
            changed = _patched(changed, self.patch)
        if self.without_nulls and isinstance(changed, dict):
            changed = {name: value for name, value in changed.items() if value is not None}
        if changed == response.json_value and self.body is None:
            return response
        if changed is None:
            return Response(status=response.status, headers=response.headers, body=body)
        headers = [line for line in response.headers if line[0].lower() not in ("content-type", "location")]
        kept = response.header("content-type") or "" if "json" in response.media_type else ""
        headers.append(("Content-Type", kept or "application/json"))
        return Response(status=response.status, headers=tuple(headers), body=json.dumps(changed))

    def _challenge(self, response: Response) -> str:
        parsed = challenges.parse(response.header_lines("www-authenticate"))
        bearer = parsed.bearer or challenges.Challenge("Bearer")
        changes: dict[str, str | None] = {**dict.fromkeys(self.drop_challenge), **self.challenge}
        new = challenges.with_params(bearer, **changes)
        others = [new if one is bearer else one for one in parsed.challenges]
        return challenges.write(others if parsed.bearer else [new, *others])


class Asked(_Table):
    """What is made of a request's parameters, in query, form or JSON: wherever they are sent."""

    set: dict[str, str] = {}
    """Put in, whatever is there."""
    add: dict[str, str] = {}
    """Put in where it is missing."""
    drop: tuple[str, ...] = ()
    drop_headers: tuple[str, ...] = ()

    def __call__(self, request: Request) -> Request:
        """The request as the upstream is to get it; the same object when nothing changes."""
        headers = tuple(
            line for line in request.headers if line[0].lower() not in {n.lower() for n in self.drop_headers}
        )
        url, body = request.url, request.body
        if request.json_object and request.method == "POST":
            document = {k: v for k, v in request.json_object.items() if k not in self.drop}
            changed = {**self.add, **document, **self.set}
            body = body if changed == request.json_object else json.dumps(changed)
        elif request.method == "POST" and body:
            body = self._pairs(body)
        else:
            before, _, query = url.partition("?")
            query = self._pairs(query)
            url = f"{before}?{query}" if query else before
        if (url, headers, body) == (request.url, request.headers, request.body):
            return request
        return Request(method=request.method, url=url, headers=headers, body=body, truncated=request.truncated)

    def _pairs(self, text: str) -> str:
        kept, seen = [], set[str]()
        for piece in text.split("&") if text else ():
            name = unquote_plus(piece.partition("=")[0])
            if name in self.drop or (name in self.set and name in seen):
                continue
            kept.append(f"{quote(name, safe='')}={quote(self.set[name], safe='')}" if name in self.set else piece)
            seen.add(name)
        wanted = {**self.add, **self.set}
        return "&".join(
            [*kept, *(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in wanted.items() if n not in seen)]
        )


class Fix(_Table):
    """One repair, as it stands in a file: to be shown, tried on a recording, or applied live."""

    name: str
    says: str = ""
    """What it does, in one sentence."""
    cures: tuple[str, ...] = ()
    """Rules whose finding it takes away."""
    when: When = When()
    answer: Answer | None = None
    request: Asked | None = None
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
        return frozenset(_PLACEHOLDER.findall(json.dumps(self.model_dump(mode="json"))))

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


def of_patch(rule: str, patch: Patch, when: When) -> Fix:
    """A patch that a rule proposed for one exchange, as a fix for that exchange."""
    answer = Answer(
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


def _patched(document: Any, operations: tuple[dict[str, Any], ...]) -> Any:
    try:
        return jsonpatch.apply_patch(document, list(operations))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
        return document


def _secured(text: str, host: str) -> str:
    if urls.is_loopback(f"http://{host}"):
        return text
    return re.sub(rf"http:(\\?/\\?/){re.escape(host)}(?![\w.:-])", rf"https:\1{host}", text)


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: _filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, known) for inner in value]
    return value
