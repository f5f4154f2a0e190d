"""mitmproxy by its public API: what reaches inside it stands in one module, and is there in this version."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from mitmproxy import addonmanager, connection, flow
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import layer, server
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _base, _events, _http1

import oauthtap
from oauthtap.proxy import _mitmproxy_internals as internals

ROOT = Path(oauthtap.__file__).parent
INSIDE = "_mitmproxy_internals.py"
VERSION = version("mitmproxy")
UNDOCUMENTED = {"chain", "connections", "transports", "default_addons"}
"""Members of mitmproxy's without an underscore that no page of its documentation names."""
EXPECTED = {
    "HttpStream.handle_protocol_error": (http.HttpStream.handle_protocol_error, ["self", "event"]),
    "HttpStream.state_consume_request_body": (http.HttpStream.state_consume_request_body, ["self", "event"]),
    "HttpStream.flow_done": (http.HttpStream.flow_done, ["self"]),
    "HttpStream.check_killed": (http.HttpStream.check_killed, ["self", "emit_error_hook"]),
    "HttpStream.check_body_size": (http.HttpStream.check_body_size, ["self", "request"]),
    "HttpStream.start_request_stream": (http.HttpStream.start_request_stream, ["self"]),
    "HttpStream.start_response_stream": (http.HttpStream.start_response_stream, ["self"]),
    "HttpStream.state_stream_request_body": (http.HttpStream.state_stream_request_body, ["self", "event"]),
    "HttpStream()": (http.HttpStream.__init__, ["self", "context", "stream_id"]),
    "HttpLayer()": (http.HttpLayer.__init__, ["self", "context", "mode"]),
    "HttpLayer.make_stream": (http.HttpLayer.make_stream, ["self", "stream_id"]),
    "HttpLayer.event_to_child": (http.HttpLayer.event_to_child, ["self", "child", "event"]),
    "RequestProtocolError()": (_events.RequestProtocolError, ["stream_id", "message", "code"]),
    "ResponseProtocolError()": (_events.ResponseProtocolError, ["stream_id", "message", "code"]),
    "RequestData()": (_events.RequestData, ["stream_id", "data"]),
    "ResponseData()": (_events.ResponseData, ["stream_id", "data"]),
    "Http1Client.read_headers": (internals._read_headers, ["self", "event"]),
    "Http1Server.read_headers": (internals._read_requests, ["self", "event"]),
    "ReceiveHttp()": (_base.ReceiveHttp, ["event"]),
    "make_error_response": (_http1.make_error_response, ["status_code", "message"]),
    "AddonManager.register": (addonmanager.AddonManager.register, ["self", "addon"]),
}
"""What is called or overridden, with its parameters."""


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_called_or_overridden_is_there(name: str) -> None:
    member, parameters = EXPECTED[name]
    assert list(inspect.signature(member).parameters) == parameters, f"mitmproxy {VERSION} has another {name}"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (layer.Layer, "_paused_event_queue"),
        (http.HttpStream, "client_state"),
        (http.HttpStream, "server_state"),
        (http.HttpLayer, "self.streams"),
        (_http1.Http1Client, "self.buf"),
        (_http1.Http1Connection, "self.request"),
        (addonmanager.AddonManager, "self.chain"),
        (proxyserver.Proxyserver, "connections"),
        (server.ConnectionHandler, "transports"),
        (server.ConnectionIO, "reader"),
        (server.ConnectionIO, "writer"),
        (server.ConnectionIO, "handler"),
        (flow.Flow, "_backup"),
        (connection.Server, "def __setattr__(self, name, value)"),
    ],
)
def test_what_is_read_is_there(kind: type, name: str) -> None:
    sources = "\n".join(inspect.getsource(one) for one in kind.__mro__ if one.__module__.startswith("mitmproxy"))
    assert name in sources, f"mitmproxy {VERSION}: {kind.__name__} has no {name}"


def test_the_module_stays_small() -> None:
    assert len((ROOT / "proxy" / INSIDE).read_text().splitlines()) <= 200


# --- and nothing else reaches inside


def reaches(path: Path) -> Iterator[str]:
    """Where a module names a private or undocumented member of mitmproxy's, or sets a member of what it imports."""
    tree = ast.parse(path.read_text())
    imported = {
        (alias.asname or alias.name).split(".")[0]: f"{node.module or ''}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mitmproxy"
        for alias in node.names
    }
    theirs = any("mitmproxy" in ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import))
    if not imported and not theirs:
        return
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if node.attr in UNDOCUMENTED or (private and owner not in ("self", "cls") and node.attr not in own):
                yield f"{path.name}:{node.lineno} {ast.unparse(node)}"
            if node.attr in ("__class__", "__dict__") and isinstance(node.value, ast.Name) and owner != "self":
                yield f"{path.name}:{node.lineno} {ast.unparse(node)}"
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(node.ctx, ast.Store) and isinstance(root, ast.Name) and root.id in imported:
                yield f"{path.name}:{node.lineno} sets {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "object.__setattr__", "vars"):
            yield f"{path.name}:{node.lineno} {ast.unparse(node)}"
    for place in imported.values():
        if any(part.startswith("_") for part in place.split(".")):
            yield f"{path.name} imports {place}"


def test_nothing_else_reaches_inside_mitmproxy() -> None:
    assert [one for path in ROOT.rglob("*.py") if path.name != INSIDE for one in reaches(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "http.Headers.get = None",
        "flow._backup = None",
        "master.addons.chain.insert(0, None)",
        "from mitmproxy.proxy.layers.http._http1 import Http1Client",
        "master.__class__ = None",
        "setattr(http, 'x', 1)",
    ],
)
def test_the_search_finds(line: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"from mitmproxy import flow, http\nfrom mitmproxy import ctx\nmaster = ctx.master\n{line}\n")
    assert list(reaches(module))
