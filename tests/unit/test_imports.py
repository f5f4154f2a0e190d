"""What is imported before a tap listens, and how."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

from oauthtap.imports import uncollected

TAP = """
import json, sys
import oauthtap.cli.watch, oauthtap.proxy.reverse
from oauthtap.cli.parser import parser
parser().read(["--upstream", "https://mcp.example.com/mcp"])
print(json.dumps(sorted(sys.modules)))
"""
LATER = ("oauthtap.formats", "oauthtap.compare.diff", "oauthtap.drive", "oauthtap.mcp", "oauthtap.replay", "tornado")
"""What no tap without mitmweb needs before its end."""


def test_a_tap_listens_before_it_imports_what_it_does_not_need() -> None:
    ran = subprocess.run([sys.executable, "-c", TAP], capture_output=True, text=True, check=True)
    names = json.loads(ran.stdout)
    assert "oauthtap.proxy.reverse_addon" in names
    assert [name for name in names if name.startswith(LATER)] == []


def test_what_is_imported_is_passed_over_by_later_collections() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
            made = [[number] for number in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
        gc.disable()
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
