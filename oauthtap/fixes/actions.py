"""What a fix makes of an answer or of a request's parameters."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote_plus

import jsonpatch
from json_merge_patch import merge as merge_patch
from pydantic import BaseModel, ConfigDict, field_validator

from oauthtap.diagnosis.findings import Patch
from oauthtap.model import urls, www_authenticate
from oauthtap.model.exchange import Request, Response


class StrictModel(BaseModel):
    """A table of a file: no key that is not known."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")


class ResponseChange(StrictModel):
    """What is made of an answer. Parts work from top to bottom."""

    status: int | None = None
    form_to_json: bool = False
    """A form-encoded body becomes the JSON object it should have been (RFC 6749, 5.1)."""
    body: str | None = None
    echo: tuple[str, ...] = ()
    """Members of the request's JSON that are repeated (RFC 7591, 3.2.1)."""
    merge: dict[str, Any] | None = None
    """Merged into the JSON body as in RFC 7396. In TOML a table, or JSON text where a member is to go (`null`)."""
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
        document: Any = Response(status=0, body=body).json_value if self.body else response.json_value
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
        parsed = www_authenticate.parse(response.header_lines("www-authenticate"))
        bearer = parsed.bearer or www_authenticate.Challenge("Bearer")
        changes: dict[str, str | None] = {**dict.fromkeys(self.drop_challenge), **self.challenge}
        new = www_authenticate.with_params(bearer, **changes)
        others = [new if one is bearer else one for one in parsed.challenges]
        return www_authenticate.format_challenges(others if parsed.bearer else [new, *others])


class RequestChange(StrictModel):
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


def _patched(document: Any, operations: tuple[dict[str, Any], ...]) -> Any:
    try:
        return jsonpatch.apply_patch(document, list(operations))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
        return document


def _secured(text: str, host: str) -> str:
    if urls.is_loopback(f"http://{host}"):
        return text
    return re.sub(rf"http:(\\?/\\?/){re.escape(host)}(?![\w.:-])", rf"https:\1{host}", text)
