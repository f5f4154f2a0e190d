"""An authorization response that is no redirect: its URL stands in the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, Interaction
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule


@rule(
    "authz-resp-in-body",
    must("OAuth 2.1 draft-13 §4.1.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"),
    who="authorization-server",
    stops_at=("authorization-request", "authorization-interaction"),
)
def in_body(stage: AuthorizationRequest | Interaction, so_far: Handshake) -> Problems:
    """The authorization response is a JSON body with the redirect's URL, not a redirect.

    A browser follows a `Location` header. It shows a JSON body as text and stays where it is, so
    the code never reaches the client's callback.

    Usual causes: the endpoint is made for calls by `fetch` from the server's own login page, and
    the browser is sent to it directly.

    Repair: Answer 302 with this URL in `Location` when the request is a navigation
    (`Accept: text/html`, `Sec-Fetch-Mode: navigate`).

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://127.0.0.1:7777/cb
        200 {"redirect": true, "url": "http://127.0.0.1:7777/cb?code=made-up-code-1"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1
    """
    asked = stage if isinstance(stage, AuthorizationRequest) else so_far.authorization
    back = asked.redirect_uri if asked is not None else None
    response = stage.exchange.response
    if back is None or response is None or response.status != 200 or stage.exchange.actor != "browser":
        return
    for member, value in _strings(response.json_object):
        if urls.endpoint(value) == urls.endpoint(back) and "code=" in value:
            yield Problem(
                message=f"`{member}` of the JSON body is the redirect to {back}; it has to be the `Location` of a 302",
                at=f"response.json.{member}",
                expected="302 with Location",
                actual="200 with a JSON body",
                patch=Patch(
                    status=302, headers={"Location": value}, body="", assumes="the URL is the client's callback"
                ),
            )
            return


def _strings(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Members with a string, and those of an object one level below."""
    for name, value in document.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{inner}", text) for inner, text in value.items() if isinstance(text, str))
