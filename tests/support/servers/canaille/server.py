"""Canaille with one user, and everybody may register.

PORT  where it listens   ORIGIN  where it is reached   USER, PASSWORD  of the one user
"""

from __future__ import annotations

import os

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from werkzeug.serving import run_simple

SETTINGS = {
    "SECRET_KEY": "made-up-for-a-test",
    "SERVER_NAME": os.environ["ORIGIN"].removeprefix("http://"),
    "PREFERRED_URL_SCHEME": "http",
    "CANAILLE": {"DATABASE": "memory", "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}}},
    # MCP clients register themselves, and most send no nonce.
    "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": True, "REQUIRE_NONCE": False},
}

app = create_app(config=SETTINGS, env_file=None)
with app.app_context(), Backend.instance.session():
    name = os.environ["USER"]
    person = models.User(
        user_name=name, family_name=name, emails=[f"{name}@example.com"], password=os.environ["PASSWORD"]
    )
    Backend.instance.save(person)
run_simple("127.0.0.1", int(os.environ["PORT"]), app, threaded=True)
