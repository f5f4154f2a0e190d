"""Tests lie where what they test lies, and what the documentation names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "oauthtap"
TESTS = ROOT / "tests"
DOCUMENTS = [
    path for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "tests/recordings/README.md")
    for path in ROOT.glob(pattern) if path.name != "CHANGELOG.md"
]  # fmt: skip
WHOLE = {"unit", "proxy", "cli", "clients"}
"""Folders of tests/ with tests in them: of one module, through a proxy, by the command line, with real clients."""
BESIDE = {"tools", "benchmarks", "support"}
"""Folders of tests/unit that test something else than the package."""
_PATH = re.compile(r"(?<![\w/.-])(?:oauthtap|tests|docs|benchmarks|tools|addons)/[\w./-]*[\w/]")
_SYMBOL = re.compile(r"`((?:oauthtap|tests)/[\w/]+\.py)::([\w.]+)`")
_MODULE = re.compile(r"python -m ([\w.]+)")
_MADE_UP = re.compile(r"NAME|tools/(?:list|call)|prm_discovery/names")
"""A placeholder, a method of MCP, the module of the recipe for a rule."""
_TEST = re.compile(r"(?<![\w/])test_\w+\.py")


def test_every_test_lies_in_the_mirror() -> None:
    strays = [path for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] not in WHOLE]
    assert strays == []


def test_every_folder_of_unit_tests_is_one_of_the_package() -> None:
    folders = {path.parent.relative_to(TESTS / "unit") for path in (TESTS / "unit").rglob("test_*.py")}
    assert [one for one in folders if not (PACKAGE / one).is_dir() and one.parts[0] not in BESIDE] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    modules = [name for name in _MODULE.findall(text) if (ROOT / name.split(".")[0]).is_dir()]
    named = [path for path in _PATH.findall(text) if not _MADE_UP.search(path)]
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [name for name in modules if not _is_module(ROOT.joinpath(*name.split(".")))]
    missing += [name for name in _TEST.findall(text) if not list(TESTS.rglob(name))]
    assert missing == []


def test_what_contributing_answers_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = _SYMBOL.findall(text)
    assert len(named) >= 12
    assert [f"{path}::{name}" for path, name in named if name not in _defined(ROOT / path)] == []


def _defined(path: Path) -> set[str]:
    """Functions and classes of a module, and methods as `Class.method`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    top = [node for node in tree.body if isinstance(node, kinds)]
    inner = {f"{one.name}.{node.name}" for one in top if isinstance(one, ast.ClassDef)
             for node in one.body if isinstance(node, kinds)}  # fmt: skip
    return {node.name for node in top} | inner


def test_the_map_names_every_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in packages if not re.search(rf"^ .*\b{name}/", text, re.M)} == set()


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
