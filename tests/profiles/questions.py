"""Servers that each ask one thing of a client: how it reads a challenge, where it looks, what it compares and sends.

Each class is one question, its docstring, as the smallest difference from a healthy server of the bed.
"""

from __future__ import annotations

from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from tests.support.bed.authorization import Grant
from tests.support.bed.deployments import METADATA, PAGE, Prefix
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import PRM, McpServer
from tests.support.bed.origin import Origin, Routes, document, without

OIDC = "/.well-known/openid-configuration"
ELSEWHERE = "/described"
"""A place of the resource's metadata that no specification names."""


class AnyResource(Good):
    """Grants whatever `resource` it is asked for, so that only the client compares it."""

    host = "q-any.mcp.test"

    def grants(self, resource: str) -> bool:
        return True


class Other(AnyResource):
    """Another origin, with metadata of every kind of its own: where a question points away from the MCP server."""

    host = "q-other.mcp.test"
    expected_audience = False

    def routes(self) -> Routes:
        pointed = {"resource": "https://q-pointed.mcp.test/mcp", "authorization_servers": [self.origin]}
        return super().routes() | {("GET", ELSEWHERE): document(super().resource_metadata() | pointed)}

    def audience(self, grant: Grant) -> str:
        return grant.resource or self.resource


class Nobody(Origin):
    """An authorization server that answers 404 everywhere."""

    host = "q-nobody.mcp.test"


class Pointed(Good):
    """The challenge names a place on another origin; the well-known places have the document, too."""

    host = "q-pointed.mcp.test"

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="https://{Other.host}{ELSEWHERE}"'


class Named(Good):
    """Only the challenge says where the resource's metadata is."""

    host = "q-named.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {("GET", ELSEWHERE): document(self.resource_metadata())}

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="{self.origin}{ELSEWHERE}"'


class Relative(Good):
    """The challenge names a place by a relative reference; the well-known places have the document, too."""

    host = "q-relative.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return super().resource_metadata_routes() | {("GET", ELSEWHERE): document(self.resource_metadata())}

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="{ELSEWHERE}"'


class DeadPointer(Good):
    """The challenge names a place that answers 404; the well-known places have the document."""

    host = "q-dead.mcp.test"

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="{self.origin}{ELSEWHERE}"'


class NoPrm(Good):
    """No resource metadata anywhere, and a challenge without a word; the authorization server is the origin itself."""

    host = "q-noprm.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {}

    def challenge(self, token: str) -> str | None:
        return "Bearer"


class Forbidden(Good):
    """Without a token it answers 403, with the challenge that belongs to a 401."""

    host = "q-forbidden.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        answer = super().turned_away(request)
        if answer is not None and "authorization" not in request.headers:
            answer.status_code = 403
        return answer


class Open(Good):
    """It answers without a token; its metadata is there all the same."""

    host = "q-open.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None


class ResourceOrigin(AnyResource):
    """`resource` is the bare origin."""

    host = "q-res-origin.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": self.origin}


class ResourceSlash(AnyResource):
    """`resource` has a slash more than the URL."""

    host = "q-res-slash.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": f"{self.resource}/"}


class ResourceSibling(AnyResource):
    """`resource` is another path of the same origin."""

    host = "q-res-sibling.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": f"{self.origin}/api"}


class ResourceParent(Prefix):
    """`resource` is the folder above the URL, with a slash."""

    host = "q-res-parent.mcp.test"

    def grants(self, resource: str) -> bool:
        return True

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": f"{self.origin}/team/api/"}


class ResourceElsewhere(AnyResource):
    """`resource` is on another origin, and so is the authorization server; this origin has no metadata of its own."""

    host = "q-res-elsewhere.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        there = f"https://{Other.host}"
        return super().resource_metadata() | {"resource": f"{there}/mcp", "authorization_servers": [there]}

    def routes(self) -> Routes:
        return {key: handler for key, handler in super().routes().items() if key[1] != METADATA}


class NoMetadata(Good):
    """The authorization server, one with a path on another origin, has no metadata anywhere."""

    host = "q-nometa.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"authorization_servers": [f"https://{Nobody.host}/tenant"]}

    def routes(self) -> Routes:
        return {key: handler for key, handler in super().routes().items() if key[1] != METADATA}


class Page(Good):
    """The first place of the server's metadata answers 200 with a page; the second has the document."""

    host = "q-page.mcp.test"
    status = 200

    def routes(self) -> Routes:
        return super().routes() | {("GET", METADATA): self.page, ("GET", OIDC): document(self.metadata())}

    async def page(self, request: Request) -> Response:
        return HTMLResponse(PAGE, self.status)


class Broken(Page):
    """The first place of the server's metadata answers 500; the second has the document."""

    host = "q-broken.mcp.test"
    status = 500


class IssuerSlash(Good):
    """`issuer` has a slash behind the bare origin that `authorization_servers` does not have."""

    host = "q-issuer-slash.mcp.test"

    @property
    def issuer(self) -> str:
        return f"{self.origin}/"


class ListedSlash(Good):
    """`authorization_servers` has a slash behind the bare origin that `issuer` does not have."""

    host = "q-listed-slash.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"authorization_servers": [f"{self.origin}/"]}


class IssWrong(Good):
    """The redirect carries the `iss` of somebody else, and the metadata does not promise one."""

    host = "q-iss-wrong.mcp.test"

    def callback_parameters(self, code: str, state: str) -> dict[str, str]:
        return {"code": code, "state": state, "iss": "https://somebody.example.com"}


class IssMissing(Good):
    """The metadata promises `iss`, and the redirect has none."""

    host = "q-iss-missing.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"authorization_response_iss_parameter_supported": True}


class Plain(Good):
    """`code_challenge_methods_supported` lists `plain` alone; S256 is taken."""

    host = "q-plain.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"code_challenge_methods_supported": ["plain"]}


class NoResponseTypes(Good):
    """The metadata has no `response_types_supported`."""

    host = "q-noresponse.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return without(super().metadata(), "response_types_supported")


class Unnamed(Good):
    """`/register` works, and the metadata does not name it."""

    host = "q-unnamed.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return without(super().metadata(), "registration_endpoint")


class Documents(Good):
    """It takes the URL of a client's metadata document for a client id, and says so."""

    host = "q-documents.mcp.test"

    def metadata(self) -> dict[str, Any]:
        methods = {"token_endpoint_auth_methods_supported": ["none"]}
        return super().metadata() | {"client_id_metadata_document_supported": True} | methods

    async def authorize(self, request: Request) -> Response:
        client_id, uri = (request.query_params.get(name, "") for name in ("client_id", "redirect_uri"))
        if client_id.startswith("https://"):  # nobody is out there to fetch it from
            self.clients[client_id] = {"client_id": client_id, "redirect_uris": [uri]}
        return await super().authorize(request)


class DocumentsIss(Documents):
    """The same, and it promises and sends `iss`."""

    host = "q-documents-iss.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"authorization_response_iss_parameter_supported": True}

    def callback_parameters(self, code: str, state: str) -> dict[str, str]:
        return {"code": code, "state": state, "iss": self.issuer}


class Answered(Good):
    """What the registration is answered with is changed."""

    host = "q-answered.mcp.test"

    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer

    async def register(self, request: Request) -> Response:
        answer = await super().register(request)
        if not isinstance(answer, JSONResponse) or answer.status_code != 201:
            return answer
        client_id = next(reversed(self.clients))
        return JSONResponse(self.changed(self.clients[client_id]), 201)


class WithoutUris(Answered):
    """The registration answer has no `redirect_uris`."""

    host = "q-nouris.mcp.test"

    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return without(answer, "redirect_uris")


class WithNulls(Answered):
    """The registration answer has null for what the client did not say."""

    host = "q-nulls.mcp.test"

    def changed(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"client_uri": None, "logo_uri": None, "contacts": None, "tos_uri": None} | answer


class OnlySecrets(Good):
    """`token_endpoint_auth_methods_supported` lists client secrets alone."""

    host = "q-secrets.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"token_endpoint_auth_methods_supported": ["client_secret_post"]}


class Scopes(Good):
    """Challenge, resource and server each list a scope of their own."""

    host = "q-scopes.mcp.test"
    scopes = ("server", "resource", "challenge", "offline_access")
    said: str | None = "challenge"
    listed: list[str] | None = ["resource"]  # noqa: RUF012

    def challenge(self, token: str) -> str | None:
        return (super().challenge(token) or "").partition(", scope=")[0] + (
            f', scope="{self.said}"' if self.said else ""
        )

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"scopes_supported": ["server", "offline_access"]}

    def resource_metadata(self) -> dict[str, Any]:
        found = without(super().resource_metadata(), "scopes_supported")
        return found | ({"scopes_supported": self.listed} if self.listed else {})


class ScopesOfTwo(Scopes):
    """Resource and server each list a scope; the challenge says none."""

    host = "q-scopes2.mcp.test"
    said = None


class ScopesOfOne(Scopes):
    """Only the server lists scopes."""

    host = "q-scopes1.mcp.test"
    said = None
    listed = None


class Expired(Good):
    """The access token that the code brings is refused; the one that a refresh brings is taken."""

    host = "q-expired.mcp.test"
    access_token_seconds = 2

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.refreshed: set[str] = set()

    async def token(self, request: Request) -> Response:
        refreshing = b"grant_type=refresh_token" in await request.body()
        answer = await super().token(request)
        if refreshing and isinstance(answer, JSONResponse):
            self.refreshed.add(str(self.last))
        return answer

    def access_token(self, grant: Grant) -> str:
        self.last = super().access_token(grant)
        return self.last

    def accepts(self, token: str) -> bool:
        return token in self.refreshed


class StepUp(Good):
    """Listing the tools needs one scope more, and the 403 says so (`insufficient_scope`)."""

    host = "q-stepup.mcp.test"
    scopes = ("mcp:tools", "mcp:more", "offline_access")

    async def post(self, request: Request) -> Response:
        token = request.headers["authorization"].partition(" ")[2]
        scope = jwt.decode(token, options={"verify_signature": False})["scope"].split()
        if b'"tools/list"' in await request.body() and "mcp:more" not in scope:
            said = 'error="insufficient_scope", scope="mcp:tools mcp:more"'
            where = f'resource_metadata="{self.origin}{PRM}{self.path}"'
            return JSONResponse({"error": "insufficient_scope"}, 403, {"WWW-Authenticate": f"Bearer {said}, {where}"})
        return await super().post(request)


class Busy(Good):
    """The first answer to a signed-in request is 503."""

    host = "q-busy.mcp.test"

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.refused = False

    async def post(self, request: Request) -> Response:
        if not self.refused:
            self.refused = True
            return JSONResponse({"error": "busy"}, 503, {"Retry-After": "1"})
        return await super().post(request)


QUESTIONS: tuple[type[McpServer], ...] = (
    Named, Pointed, DeadPointer, Relative, NoPrm, Forbidden, Open, ResourceOrigin, ResourceSlash, ResourceSibling,
    ResourceParent, ResourceElsewhere, NoMetadata, Page, Broken, IssuerSlash, ListedSlash, IssWrong, IssMissing, Plain,
    NoResponseTypes, Unnamed, Documents, DocumentsIss, WithoutUris, WithNulls, OnlySecrets, Scopes, ScopesOfTwo,
    ScopesOfOne, Expired, StepUp, Busy,
)  # fmt: skip
BESIDE: tuple[type[Origin], ...] = (Other, Nobody)
