"""The worked example of a user's own rule works, and is held to its docstring like the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ADDONS = Path(__file__).parents[2] / "addons"

PROGRAM = """
import sys
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.rules import RULES
load_rule_files([sys.argv[1]])
from tests.support.exchanges import found
rule = RULES["house-token-lives-too-long"]
assert rule.id in found(rule.example("Bad")), "silent on its bad example"
assert rule.id not in found(rule.example("Good")), "fires on its good example"
assert rule.group == "own"
"""


def test_the_example_keeps_its_word() -> None:
    """In a process of its own: a rule, once registered, is there for every test."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ADDONS / "house_rules.py")],
        cwd=ADDONS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_rule_file_with_the_old_paths_is_loaded(tmp_path: Path) -> None:
    text = (ADDONS / "house_rules.py").read_text(encoding="utf-8")
    old = tmp_path / "rules.py"
    taken = {"findings": "Problem", "specs": "must", "stages": "TokenEndpoint"}
    imports = "".join(f"from oauthtap.{module} import {name}\n" for module, name in taken.items())
    old.write_text(text.replace("from oauthtap.api", f"{imports}from oauthtap.api", 1), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(old)], cwd=ADDONS.parent, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
