"""Who may import whom: inward only, and each outside library in its one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import oauthtap

ROOT = Path(oauthtap.__file__).parent

MODEL = ("oauthtap.model.exchange", "oauthtap.model.urls", "oauthtap.model.json_edit", "oauthtap.model.sanitize")
"""What went over the wire, and how its text is read."""

EDGES = (
    "oauthtap.cli",
    "oauthtap.proxy",
    "oauthtap.proxy",
    "oauthtap.render",
    "oauthtap.session",
    "oauthtap.formats.har",
    "oauthtap.formats.logs.client_logs",
    "oauthtap.formats",
    "oauthtap.formats.loader",
    "oauthtap.upstream.preflight",
    "oauthtap.probe.runner",
    "oauthtap.probe.callback_server",
    "oauthtap.drive.drivers",
    "oauthtap.formats.untrusted_file",
)
"""Everything else is the core: no I/O, and no import of any of these."""

PLACES = {
    "mitmproxy": ("oauthtap.proxy", "oauthtap.proxy"),
    "httpx": ("oauthtap.upstream.preflight", "oauthtap.probe.runner"),
    "rich": ("oauthtap.cli", "oauthtap.render"),
    "platformdirs": ("oauthtap.session", "oauthtap.proxy", "oauthtap.drive.install"),
}

IO = {
    "socket",
    "asyncio",
    "subprocess",
    "pathlib",
    "shutil",
    "tempfile",
    "os",
    "logging",
    "threading",
    "http",
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def below(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


each_module = pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())


@each_module
def test_outside_libraries_stay_in_their_place(name: str, path: Path) -> None:
    for library, places in PLACES.items():
        used = {imported for imported in imports(path) if imported.split(".")[0] == library}
        assert not used or below(name, places), f"{path.name} imports {library}"


@each_module
def test_the_core_imports_no_edge_and_does_no_io(name: str, path: Path) -> None:
    if below(name, (*EDGES, "oauthtap.__main__")) or name == "oauthtap":
        return
    used = imports(path)
    assert not {imported for imported in used if below(imported, EDGES)}
    assert not {imported.split(".")[0] for imported in used} & IO


@each_module
def test_edges_do_not_reach_into_the_proxy(name: str, path: Path) -> None:
    if below(name, ("oauthtap.proxy", "oauthtap.cli", "oauthtap.formats.loader", "oauthtap.__main__")):
        return
    assert not {imported for imported in imports(path) if below(imported, ("oauthtap.proxy", "oauthtap.cli"))}


@each_module
def test_redaction_imports_nothing_but_the_message_model(name: str, path: Path) -> None:
    if below(name, ("oauthtap.redaction",)):
        own = {imported for imported in imports(path) if below(imported, ("oauthtap",))}
        assert not {one for one in own - {"oauthtap"} if not below(one, ("oauthtap.redaction", *MODEL))}


def test_the_engine_loads_no_report_and_nothing_that_only_fixes_need() -> None:
    program = "import sys, oauthtap.diagnosis.session_analyzer as engine; engine.SessionAnalyzer(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = ran.stdout.split()
    assert "oauthtap.diagnosis.rule_engine" in loaded
    idle = ("oauthtap.report", "oauthtap.clients", "oauthtap.fixes.presets", "oauthtap.fixes.stacks",
            "oauthtap.fixes.deploy_plan", "oauthtap.fixes.toml_io", "oauthtap.render")  # fmt: skip
    assert not [name for name in loaded if below(name, idle)]
