"""The JSON schemas of what commands print beside the report. Written by `python -m tools.schemas docs/schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from oauthtap.cli.fix import FixResult
from oauthtap.compare.baseline import Baseline
from oauthtap.compare.lockfile import Lock
from oauthtap.session.state import SessionState
from oauthtap.solve.model import Solution

MODELS: dict[str, type[BaseModel]] = {
    "baseline": Baseline, "fix": FixResult, "lock": Lock, "solution": Solution, "state": SessionState,
}  # fmt: skip


def schemas() -> dict[str, dict[str, Any]]:
    """The name of each file to what it holds."""
    return {f"{name}.schema.json": model.model_json_schema(mode="serialization") for name, model in MODELS.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
