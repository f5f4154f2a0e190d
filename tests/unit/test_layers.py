"""Who may import whom: each package only those above it in one table, and each outside library in its one place."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import oauthtap

ROOT = Path(oauthtap.__file__).parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("model",),
    ("redaction",),
    ("handshake",),
    ("diagnosis.findings",),
    ("rules", "vendors"),
    ("clients.files",),
    ("clients.profile", "clients.messages"),
    ("clients.traits",),
    ("clients.walk_report",),
    ("diagnosis",),
    ("clients", "rewriting"),
    ("fixes",),
    ("faults",),
    ("report",),
    ("compare",),
    ("formats", "upstream", "grants"),
    ("render",),
    ("session",),
    ("probe", "replay", "wrap", "mcp", "skill"),
    ("proxy", "drive"),
    ("formats.loader", "session.recorder"),
    ("solve",),
    ("cli",),
)
"""A package may import those above it and itself; not those beside it, and none below. Redaction stands first, because
whatever is analyzed is redacted before; what rules yield (`findings`) stands above the rules, and what is known of
clients above the diagnosis that asks it. What reads any recording (`loader`) and writes a proxy's session (`recorder`)
knows flows of mitmproxy. A folder may have more than one layer."""

CORE = ("model", "handshake", "rules", "diagnosis", "clients", "redaction", "rewriting", "vendors",
        "fixes", "faults", "compare", "report")  # fmt: skip
"""They touch no network and no file, but for the data that comes with the package."""

OUTSIDE = {"oauthtap", "oauthtap.__main__", "oauthtap.api", "oauthtap.findings", "oauthtap.specs", "oauthtap.stages"}
"""Doors, not rooms: the command, and what rule files import, by its old paths too."""

IO = {"socket", "asyncio", "subprocess", "pathlib", "shutil", "tempfile", "os", "logging", "threading", "http"}

PLACES = {
    "mitmproxy": ("oauthtap.proxy",),
    "httpx": ("oauthtap.drive", "oauthtap.probe", "oauthtap.upstream"),
    "jinja2": ("oauthtap.render.html",),
    "rich": ("oauthtap.cli", "oauthtap.render"),
    "cryptography": ("oauthtap.grants",),
    "platformdirs": ("oauthtap.session", "oauthtap.proxy", "oauthtap.drive"),
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if "programs" not in parts:  # they run in a client's own environment
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def below(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def package(name: str) -> str:
    """The package below oauthtap, or the one module of it that has a layer of its own; empty for anything else."""
    own, _, rest = name.partition(".")
    alone = [one for layer in LAYERS for one in layer if "." in one and below(rest, (one,))]
    return "" if own != "oauthtap" else alone[0] if alone else rest.partition(".")[0]


def layer(name: str) -> int:
    """The place of a package in the table; raises StopIteration where it is in none."""
    return next(place for place, layer in enumerate(LAYERS) if name in layer)


def against_the_direction() -> set[tuple[str, str]]:
    found = set()
    for name, path in modules().items():
        if name in OUTSIDE:
            continue
        own = package(name)
        for other in {package(imported) for imported in imports(path)} - {"", own, "__version__"}:
            if f"oauthtap.{other}" in OUTSIDE or own.partition(".")[0] == other:
                continue
            if layer(other) >= layer(own):
                found.add((name, other))
    return found


each_module = pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())


def test_every_package_has_its_layer() -> None:
    known = {name for layer in LAYERS for name in layer}
    assert len(known) == sum(map(len, LAYERS))
    assert {package(name) for name in modules() if name not in OUTSIDE} <= known


def test_imports_point_one_way() -> None:
    assert against_the_direction() == set(), "module, and the package below it that it imports"


def test_the_core_does_no_io() -> None:
    found = {name for name, path in modules().items() if name not in OUTSIDE and package(name).partition(".")[0] in CORE
             and {imported.split(".")[0] for imported in imports(path)} & IO}  # fmt: skip
    assert found == set(), "I/O in the core"


@each_module
def test_outside_libraries_stay_in_their_place(name: str, path: Path) -> None:
    for library, places in PLACES.items():
        used = {imported for imported in imports(path) if imported.split(".")[0] == library}
        assert not used or below(name, places), f"{path.name} imports {library}"
