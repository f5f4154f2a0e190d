"""Both packages at the root."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("", include("mcp_server.urls")),
]
