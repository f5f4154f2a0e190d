"""A person who is always signed in at the authorize page and consents, and the challenge of the MCP server."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_application_model


class AlwaysSignedIn:
    """Middleware."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, request: Any) -> Any:
        if "/authorize" in request.path:
            request.user, _ = get_user_model().objects.get_or_create(username="ada")
            request._cached_user = request.user
            asked = get_application_model().objects.filter(client_id=request.GET.get("client_id", ""))
            asked.update(skip_authorization=True)
        elif not hasattr(request, "user"):
            request.user = AnonymousUser()
        return self.answer(request)


class Bearer(OAuth2Authentication):
    """The 401 names the metadata (RFC 9728, 5.1)."""

    def authenticate_header(self, request: Any) -> str:
        origin = f"http://{request.get_host()}"
        return f'Bearer realm="mcp", resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"'
