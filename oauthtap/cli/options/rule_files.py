"""Rules of the user's own: Python files named with `--rules`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from oauthtap import rules
from oauthtap.cli.errors import UsageError

_LARGEST = 10_000_000


def load_rule_files(files: Iterable[str]) -> None:
    """Import each file, so that its rules are registered. Raises Usage when one cannot be imported."""
    rules.load()
    for name in files:
        path = Path(name)
        spec = importlib.util.spec_from_file_location(f"oauthtap_own_rules_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file() or path.stat().st_size > _LARGEST:
            raise UsageError(f"{name} is not a Python file; name one like addons/house_rules.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # annotations are looked up there
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as problem:
            raise UsageError(f"{name} cannot be loaded: {type(problem).__name__}: {problem}") from problem
