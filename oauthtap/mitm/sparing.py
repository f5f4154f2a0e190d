"""mitmproxy's own addons one by one. Knows which of them a tap without web interface needs; changes none.

The package `mitmproxy.addons` imports all of them and with them Flask, LDAP and Werkzeug: half of the time that a
start takes. Here it stands for its folder alone, and becomes whole when somebody asks for all its addons.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from typing import Any

_ADDONS = "mitmproxy.addons"
_NEEDED = (
    ("core", "Core"),
    ("block", "Block"),
    ("disable_h2c", "DisableH2C"),
    ("proxyserver", "Proxyserver"),
    ("script", "ScriptLoader"),
    ("next_layer", "NextLayer"),
    ("tlsconfig", "TlsConfig"),
    ("update_alt_svc", "UpdateAltSvc"),
)
"""Module and class, in mitmproxy's order. The others wait for options and commands that are given in mitmweb only."""


def spare() -> None:
    """From now on, importing one of mitmproxy's addons imports none of the others. Does nothing when they are there."""
    if _ADDONS in sys.modules:
        return
    spec = importlib.util.find_spec(_ADDONS)
    assert spec is not None
    assert spec.loader is not None
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def missing(name: str) -> Any:
        if name != "default_addons":
            raise AttributeError(f"module {_ADDONS!r} has no attribute {name!r}")
        loader.exec_module(package)
        return package.__dict__[name]

    package.__dict__["__getattr__"] = missing
    sys.modules[_ADDONS] = package
    sys.modules["mitmproxy"].__dict__["addons"] = package


def needed() -> list[Any]:
    """Those addons, new."""
    return [getattr(import_module(f"{_ADDONS}.{module}"), name)() for module, name in _NEEDED]
