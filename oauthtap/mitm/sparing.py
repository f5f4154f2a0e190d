"""What of mitmproxy is imported when. Knows which of its addons a tap without web interface needs; changes none.

The package `mitmproxy.addons` imports all of them and with them Flask, LDAP and Werkzeug: half of the time that a
start takes. Here it stands for its folder alone, and becomes whole when somebody asks for all its addons.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from types import ModuleType
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
LEFT_OUT = (f"{_ADDONS}.onboardingapp",)
"""What nobody behind us needs: the pages themselves."""


def spare() -> None:
    """From now on, importing one of mitmproxy's addons imports none of the others."""
    _put_off(_ADDONS, "default_addons")
    _leave_out_pages()
    _put_off("ldap3")  # for `proxyauth=ldap…`
    _put_off("ruamel.yaml")  # for a configuration file


def _put_off(name: str, wanted: str | None = None) -> None:
    """Let a package stand for its folder alone until `wanted`, or any member, is asked for. Not when it is there."""
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None or spec.loader is None:
        return
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def missing(member: str) -> Any:
        if member.startswith("__") or member != (wanted or member):
            raise AttributeError(f"module {name!r} has no attribute {member!r}")
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, member)

    package.__dict__["__getattr__"] = missing
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


class NoPages:
    """In place of the pages (Flask) that explain how to install mitmproxy's CA, which nobody behind us needs."""

    name = "onboarding"


def _leave_out_pages() -> None:
    """Where mitmproxy's addons are there already, it runs by itself, and keeps its pages."""
    if (place := f"{_ADDONS}.onboarding") not in sys.modules:
        pages = ModuleType(place)
        pages.__dict__["Onboarding"] = NoPages
        sys.modules[place] = pages
        vars(sys.modules[_ADDONS])["onboarding"] = pages


def needed() -> list[Any]:
    """Those addons, new."""
    return [getattr(import_module(f"{_ADDONS}.{module}"), name)() for module, name in _NEEDED]
