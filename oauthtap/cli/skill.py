"""`oauthtap skill`: the skill file for coding agents, printed or installed."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from importlib.resources import files
from pathlib import Path

from oauthtap.cli.errors import UsageError


def skill(arguments: Namespace) -> int:
    """Print `SKILL.md` (or the snippet for `AGENTS.md`); with `--install`, write it where Claude Code looks."""
    name = "AGENTS.md" if arguments.agents else "SKILL.md"
    text = (files("oauthtap.skill") / name).read_text("utf-8")
    as_json = arguments.format == "json"
    if arguments.install is None:
        sys.stdout.write(json.dumps({"name": name, "text": text}) + "\n" if as_json else text)
        return 0
    if arguments.agents:
        raise UsageError("AGENTS.md is yours: add the snippet to it. Try: oauthtap skill --agents >> AGENTS.md")
    folder = Path(arguments.install).expanduser() / "skills" / "oauthtap"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {folder / name}: {problem.strerror}. Try: --install DIR") from None
    written = f"Written: {folder / name}. To undo: rm -r {folder}"
    print(json.dumps({"written": str(folder / name)}) if as_json else written)
    return 0
