"""An authorization server on Authlib and Flask: registration, PKCE, RFC 9068 tokens for one resource; consents at once.

PORT: where it listens.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import uvicorn
from a2wsgi import WSGIMiddleware
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from door import Door
from flask import Flask, jsonify

PORT = int(os.environ["PORT"])
ISSUER = f"http://localhost:{PORT}"
KEY = JsonWebKey.generate_key("RSA", 2048, {"kid": "k1"}, is_private=True)
METHODS = ["none", "client_secret_basic", "client_secret_post"]
SCOPES = ["mcp", "offline_access"]
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth/authorize",
    "token_endpoint": f"{ISSUER}/oauth/token",
    "registration_endpoint": f"{ISSUER}/oauth/register",
    "jwks_uri": f"{ISSUER}/jwks",
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_methods_supported": METHODS,
    "code_challenge_methods_supported": ["S256"],
    "scopes_supported": SCOPES,
}


class Person:
    def get_user_id(self) -> str:
        return "ada"


class Client(ClientMixin):
    def __init__(self, info: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.client_info, self.client_metadata = info, metadata
        self.client_id = info["client_id"]

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.client_metadata["redirect_uris"][0]

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(one for one in (scope or "").split() if one in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.client_metadata["redirect_uris"]

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_info.get("client_secret", ""), client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.client_metadata.get("token_endpoint_auth_method", "client_secret_basic")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in METADATA["grant_types_supported"]


class Code:
    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class Refresh:
    def __init__(self, client: Client, scope: str) -> None:
        self.client, self.scope = client, scope

    def check_client(self, client: Client) -> bool:
        return client is self.client

    def get_scope(self) -> str:
        return self.scope


clients: dict[str, Client] = {}
codes: dict[str, Code] = {}
refreshing: dict[str, Any] = {}
resources: dict[str, str] = {}
"""Client → the resource it last asked for (RFC 8707, which Authlib leaves to its user)."""


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code: str, request: Any) -> None:
        asked = request.payload.data
        resources[request.client.client_id] = asked.get("resource", "")
        codes[code] = Code(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope,
            code_challenge=asked.get("code_challenge"),
            code_challenge_method=asked.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> Person:
        return Person()


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        return refreshing.pop(refresh_token, None)

    def authenticate_user(self, refresh_token: Any) -> Person:
        return Person()

    def revoke_old_credential(self, refresh_token: Any) -> None:
        """It is gone already."""


class Registration(ClientRegistrationEndpoint):
    software_statement_alg_values_supported = None

    def create_registration_response(self, request: Any) -> Any:
        status, body, headers = super().create_registration_response(request)
        if isinstance(body, dict) and body.get("token_endpoint_auth_method") == "none":
            # As it comes, Authlib gives a public client a secret, and clients then use it.
            body = {name: value for name, value in body.items() if not name.startswith("client_secret")}
        return status, body, headers

    def authenticate_token(self, request: Any) -> bool:
        return True

    def get_server_metadata(self) -> dict[str, Any]:
        return METADATA

    def save_client(self, client_info: dict[str, Any], client_metadata: Any, request: Any) -> Client:
        client = Client(client_info, dict(client_metadata))
        clients[client.client_id] = client
        return client


def issue(grant_type: str, client: Client, scope: str = "", **others: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "ada", "aud": resources.get(client.client_id), "client_id": client.client_id}
    claims |= {"exp": now + 3600, "iat": now, "jti": secrets.token_hex(8), "scope": scope or ""}
    token = jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": "k1"}, claims, KEY).decode()
    refresh = secrets.token_urlsafe(24)
    refreshing[refresh] = Refresh(client, scope)
    named = {"token_type": "Bearer", "expires_in": 3600, "scope": scope or ""}
    return named | {"access_token": token, "refresh_token": refresh}


app = Flask("authlib")
server = AuthorizationServer(app, query_client=clients.get, save_token=lambda token, request: None)
server.register_token_generator("default", issue)
server.register_grant(CodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshGrant)
server.register_endpoint(Registration)


@app.get("/.well-known/oauth-authorization-server")
def metadata() -> Any:
    return jsonify(METADATA)


@app.get("/jwks")
def jwks() -> Any:
    return jsonify({"keys": [KEY.as_dict(is_private=False, kid="k1", use="sig", alg="RS256")]})


@app.get("/oauth/authorize")
def authorize() -> Any:
    return server.create_authorization_response(grant_user=Person(), grant=server.get_consent_grant(end_user=Person()))


@app.post("/oauth/token")
def token() -> Any:
    return server.create_token_response()


@app.post("/oauth/register")
def register() -> Any:
    return server.create_endpoint_response("client_registration")


if __name__ == "__main__":
    uvicorn.run(Door(WSGIMiddleware(app)), host="127.0.0.1", port=PORT, lifespan="off", log_level="error")
