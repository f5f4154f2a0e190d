"""The changes that oauthtap says to deploy, made on the server itself: no tap, and nothing of oauthtap in between.

with deployed(bed, report["deploy"]["changes"]):
    run("claude-code", bed.url("f08"), env=bed.direct_env())
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonpatch
from starlette.requests import Request
from starlette.responses import Response

from tests.support.bed import Bed
from tests.support.bed.origin import Handler


@contextlib.contextmanager
def deployed(bed: Bed, changes: Sequence[dict[str, Any]]) -> Iterator[None]:
    """For as long as the block lasts, every answer that a change is about is the changed one."""
    hosts = {str(urlsplit(change["url"]).hostname) for change in changes}
    before: dict[str, Handler] = {host: bed.origins[host].answer for host in hosts}
    for host, answer in before.items():
        bed.origins[host].answer = _changed(answer, changes, f"https://{host}")  # type: ignore[method-assign]
    try:
        yield
    finally:
        for host in hosts:
            del bed.origins[host].answer


def _changed(answer: Handler, changes: Sequence[dict[str, Any]], origin: str) -> Handler:
    async def new(request: Request) -> Response:
        response = await answer(request)
        asked = await request.body()
        for change in changes:
            about = (change["method"], change["url"], change["was"])
            if about == (request.method, f"{origin}{request.url.path}", response.status_code):
                return applied(change, asked, response)
        return response

    return new


def applied(change: dict[str, Any], asked: bytes, response: Response) -> Response:
    """The answer with one change: status, headers, JSON Patch (RFC 6902), and what it repeats of the request."""
    data = bytes(response.body)
    headers = dict(response.headers)
    if change["json_patch"] or change["encoding"] or change["repeats"]:
        document = _document(data)
        document = jsonpatch.apply_patch(document, change["json_patch"])
        repeated = json.loads(asked) if change["repeats"] else {}
        document |= {name: repeated[name] for name in change["repeats"]}
        data = json.dumps(document).encode()
        headers["content-type"] = "application/json"
    for name, value in change["headers"].items():
        headers.pop(name.lower(), None)
        if value is not None:
            headers[name.lower()] = value
    headers.pop("content-length", None)
    return Response(data, change["status"] or change["was"], headers)


def _document(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return dict(parse_qsl(data.decode()))
