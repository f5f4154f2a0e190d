"""django-oauth-toolkit as authorization server and django-mcp-server as MCP server, in one Django project."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from tests.support.clients.installed import from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-django"
PACKAGES = ("django-oauth-toolkit>=3.4", "django-mcp-server", "mcp<2", "uvicorn")


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The one project, with a database of its own."""
    python, port = from_pypi(FOLDER, *PACKAGES), free_port()
    with laid(HERE / "django_toolkit") as folder:
        migrate = [python, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=folder, env={"PORT": str(port)}, check=True, timeout=120, capture_output=True)
        with serving([python, "manage.py", "serve"], folder, port) as process:
            found = versions("python", FOLDER)
            named = {name: found[name] for name in ("django-oauth-toolkit", "django-mcp-server")}
            yield Running(f"http://localhost:{port}/mcp", (process,), named)


STACKS = {"django": Stack("django-oauth-toolkit with django-mcp-server", start)}
