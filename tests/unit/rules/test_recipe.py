"""The recipe for a new rule in CONTRIBUTING, followed to the letter in a copy of the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COPIED = (
    "oauthtap", "tools", "docs/rules", "docs/report.schema.json", "docs/schemas", "docs/client-traits.md",
    "pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/support", "tests/unit/__init__.py",
    "tests/unit/rules", "tests/unit/tools",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    module: str
    source: str
    id: str
    commands: tuple[str, ...]

    @classmethod
    def read(cls) -> Recipe:
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        section = text[text.index("## 1. Add a rule") : text.index("## 2.")]
        (block,) = re.findall(r"^ *```python\n(.*?)^ *```", section, re.M | re.S)
        (module,) = re.findall(r"As `(oauthtap/rules/\S+\.py)`", section)
        source = textwrap.dedent(block)
        (id,) = re.findall(r'@rule\(\s*"([\w-]+)"', source)
        return cls(module, source, id, tuple(re.findall(r"`uv run ((?:pytest|python -m tools)[^`]+)`", section)))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.read()


@pytest.fixture(scope="module")
def copy(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of one's own, with the rule of the recipe in it."""
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, target)
    (root / recipe.module).write_text(recipe.source, encoding="utf-8")
    return root


def ran(command: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """A command of the recipe, by this interpreter: `python -m` puts the checkout before what is installed."""
    words = command.removeprefix("python ").split()
    words = words if words[0] == "-m" else ["-m", *words]
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True, timeout=150, check=False
    )


def test_the_recipe_names_its_commands(recipe: Recipe) -> None:
    kinds = [command.split()[0] for command in recipe.commands]
    assert kinds == ["pytest", "python", "pytest"]
    assert recipe.id in recipe.commands[0]


def test_a_rule_by_the_recipe_passes_and_its_page_is_written(recipe: Recipe, copy: Path) -> None:
    examples, page, generated = recipe.commands
    done = ran(examples, copy)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b4 passed", done.stdout), done.stdout  # fires, keeps quiet, looks at it, its page is complete
    assert ran(generated, copy).returncode == 1, "a page that is not written yet is found"
    assert ran(page, copy).returncode == 0
    assert f"{recipe.id}\t" in (copy / "docs/rules/ids.tsv").read_text(encoding="utf-8")
    done = ran(generated, copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("broken", "falls"),
    [("if False:", "test_fires_on_its_bad_example"), ("if name is not None:", "test_keeps_quiet_on_its_good_example")],
)
def test_a_check_that_is_broken_fails(broken: str, falls: str, recipe: Recipe, copy: Path) -> None:
    module = copy / recipe.module
    module.write_text(re.sub(r"if name is not None and .*:", broken, recipe.source), encoding="utf-8")
    try:
        done = ran(recipe.commands[0], copy)
    finally:
        module.write_text(recipe.source, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert f"FAILED tests/unit/rules/test_examples.py::{falls}[{recipe.id}]" in done.stdout
