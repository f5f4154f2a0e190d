"""Debian's nginx before a server, its access log as the door. And the Python SDK below a path prefix of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from tests.support.clients.installed import from_debian, from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid
from tests.support.servers.process import Process, serving
from tests.support.servers.python_sdk import VERSIONS
from tests.support.tapped import free_port

FOLDER = "nginx"
PACKAGE = "nginx-light"
_SAID = {
    "method": "$request_method", "host": "$http_host", "target": "$request_uri", "agent": "$http_user_agent",
    "authorization": "$http_authorization",
}  # fmt: skip
CONFIGURATION = """
daemon off; master_process off; error_log stderr; pid nginx.pid;
events {{}}
http {{
  log_format heard escape=json '{heard}';
  access_log /dev/stdout heard;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 300s;
  proxy_set_header Host $http_host; proxy_set_header Connection "";
  server {{
    listen 127.0.0.1:{port}; server_name localhost;
    {locations}
  }}
}}
"""
PAGE = """location / { default_type text/html; return 200 "<!doctype html><title>Team</title>hello"; }"""
METADATA = "/.well-known/oauth-authorization-server"


@contextlib.contextmanager
def before(locations: str, port: int) -> Iterator[Process]:
    """nginx on that port, with these `location`s."""
    # The status is a number in JSON, and the door's lines begin with their mark.
    heard = "HEARD " + json.dumps(_SAID).removesuffix("}") + ', "status": $status}'
    with laid(HERE / "nginx") as folder:
        (folder / "nginx.conf").write_text(CONFIGURATION.format(heard=heard, port=port, locations=locations))
        program = from_debian(FOLDER, PACKAGE) / "usr" / "sbin" / "nginx"
        command = [program, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
        with serving(command, folder, port) as process:
            yield process


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The Python SDK's server at `/team/api`: nginx takes the prefix off, and the well-known places lead to it, too."""
    folder, requirement = VERSIONS["2"]
    python, port, front = from_pypi(folder, requirement), free_port(), free_port()
    base = f"http://localhost:{front}/team/api"
    backend = f"http://127.0.0.1:{port}"
    locations = f"""
    location /team/api/ {{ proxy_pass {backend}/; }}
    location = {METADATA}/team/api {{ proxy_pass {backend}{METADATA}; }}
    location /.well-known/ {{ proxy_pass {backend}; }}
    {PAGE}"""
    with (
        laid(HERE / "python_sdk") as place,
        serving([python, "server.py"], place, port, BASE=base),
        before(locations, front) as process,
    ):
        named = {"mcp": versions("python", folder)["mcp"], PACKAGE: versions("debian", FOLDER)[PACKAGE]}
        yield Running(f"{base}/mcp", (process,), named)


STACKS = {"nginx-prefix": Stack("Python SDK 2 with its own authorization server, below a path prefix of nginx", start)}
