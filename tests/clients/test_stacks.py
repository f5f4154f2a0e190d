"""The names in the lines to deploy are in the packages that they were checked against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oauthtap.fixes.stacks import Stack, stacks
from tests.support.clients import installed

pytestmark = pytest.mark.clients

VERSIONS = {"entra": "4.2.3"}
"""Of the package, where the stack itself is no package."""
BESIDE = {
    "better-auth": (
        "better-auth@1.7.5",
        "@better-auth/core@1.7.5",
        "better-call@1.4.0",
        "@better-fetch/fetch@1.3.2",
        "@better-auth/utils@0.4.2",
    )
}
"""What npm has to be told to install with it."""
PACKAGED = {name: stack for name, stack in stacks().items() if stack.package}


def folder(name: str, stack: Stack) -> Path:
    """The package, installed."""
    kind, _, package = stack.package.partition(":")
    version = VERSIONS.get(name, stack.version)
    if kind == "npm":
        return installed.from_npm(f"stack-{name}", f"{package}@{version}", *BESIDE.get(name, ())) / package
    python = installed.from_pypi(f"stack-{package}", f"{package}=={version}")
    (place,) = python.parent.parent.glob(f"lib/python*/site-packages/{package.removesuffix('-slim')}")
    return place


@pytest.mark.parametrize(("name", "stack"), PACKAGED.items(), ids=PACKAGED)
def test_every_name_is_in_the_package(name: str, stack: Stack) -> None:
    place = folder(name, stack)
    files = [file for file in place.rglob("*") if file.suffix in (".py", ".ts", ".mts", ".js", ".mjs")]
    words = {word for file in files for word in re.findall(r"\w+", file.read_text("utf-8", "replace"))}
    assert set(stack.names) <= words, set(stack.names) - words
