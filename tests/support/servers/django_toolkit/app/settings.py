"""A Django project as django-oauth-toolkit's and django-mcp-server's documentation shows, with open registration."""

from __future__ import annotations

import os

RESOURCE = f"http://localhost:{os.environ['PORT']}/mcp"
DEBUG = True
SECRET_KEY = "the secret of one run and no other"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "app.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "oauth2_provider",
    "mcp_server",
    "app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "app.person.AlwaysSignedIn",
    "oauth2_provider.middleware.OAuth2TokenMiddleware",
]
_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": _PROCESSORS},
    }
]
OAUTH2_PROVIDER = {
    "SCOPES": {"mcp": "MCP"},
    "DEFAULT_SCOPES": ["mcp"],
    "DCR_ENABLED": True,
    "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
    "PKCE_REQUIRED": True,
    "REQUEST_APPROVAL_PROMPT": "auto",
    "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
    "OAUTH2_PROTECTED_RESOURCE_IDENTIFIER": RESOURCE,
    "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["client_secret_post", "client_secret_basic", "none"],
}
DJANGO_MCP_ENDPOINT = "mcp"
DJANGO_MCP_AUTHENTICATION_CLASSES = ["app.person.Bearer"]
DJANGO_MCP_GLOBAL_SERVER_CONFIG = {"name": "django", "stateless": True}
LOGIN_URL = "/login"
