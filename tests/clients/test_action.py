"""The steps of `action.yml`, run as a workflow runs them, in a clean clone with an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.bed import Bed
from tests.support.clients.installed import cache

ROOT = Path(__file__).parents[2]
RUNNER = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

pytestmark = pytest.mark.more_clients  # it installs oauthtap anew


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("action") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def steps(clone: Path, work: Path, **given: str) -> tuple[int, str, str]:
    """Exit code and output of the steps that are ours, and the summary of the workflow."""
    action: dict[str, Any] = YAML(typ="safe").load((clone / "action.yml").read_text())
    inputs = {name: str(told.get("default", "")) for name, told in action["inputs"].items()} | given
    summary, code, said = work / "summary.md", 0, ""
    summary.touch()

    def filled(value: str) -> str:
        known = {f"inputs.{name}": text for name, text in inputs.items()} | {"github.action_path": str(clone)}
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: known[found[1]], value)

    for step in action["runs"]["steps"]:
        if "run" not in step:
            continue
        env = RUNNER | {name: filled(value) for name, value in step["env"].items()}
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        ran = subprocess.run(
            bash, cwd=work, env=env | {"GITHUB_STEP_SUMMARY": str(summary)}, capture_output=True, text=True, check=False
        )
        code, said = code or ran.returncode, said + ran.stdout + ran.stderr
    return code, said, summary.read_text()


def reaching(bed: Bed, *more: str) -> str:
    return " ".join(
        ["--ca", str(bed.ca_file), *(word for one in bed.connect_to for word in ("--connect-to", one)), *more]
    )


def test_a_healthy_server_passes_and_the_summary_says_so(clone: Path, bed: Bed, tmp_path: Path) -> None:
    code, said, summary = steps(clone, tmp_path, url=bed.url("good"), arguments=reaching(bed, "--headless"))
    assert code == 0, said
    assert "connected" in summary.lower()
    assert (tmp_path / "oauthtap-session" / "report.html").exists()


def test_a_fault_fails_and_is_named_in_the_summary(clone: Path, bed: Bed, tmp_path: Path) -> None:
    code, said, summary = steps(clone, tmp_path, url=bed.url("f03"), arguments=reaching(bed))
    assert code == 1, said
    assert "as-issuer-mismatch" in summary


def test_wrong_usage_is_2(clone: Path, bed: Bed, tmp_path: Path) -> None:
    code, said, summary = steps(clone, tmp_path, url=bed.url("good"), arguments=reaching(bed, "--attack"))
    assert code == 2, said
    assert "--login --attack" in said
    assert not summary


def test_what_is_known_of_each_client_passes_and_what_is_new_fails(
    clone: Path, bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RUNNER, "OAUTHTAP_CLIENTS", str(cache() / "drive"))
    given = {"url": bed.url("f02"), "clients": "python-sdk claude-ai@emulated", "baseline": "baseline.json"}
    code, said, summary = steps(clone, tmp_path, **given, arguments=reaching(bed, "--update-baseline"), session="first")
    assert code == 0, said
    assert sorted(json.loads((tmp_path / "baseline.json").read_text())["clients"])[0] == "claude-ai@emulated"
    code, said, summary = steps(clone, tmp_path, **given, arguments=reaching(bed), session="second")
    assert code == 0, said
    assert summary.startswith("### MCP sign-ins at `https://f02.mcp.test/mcp`")
    assert [row.split("|")[3].strip() for row in summary.splitlines() if row.startswith("| `")][:2] == ["-", "-"]
    known = json.loads((tmp_path / "baseline.json").read_text())
    known["clients"].pop("claude-ai@emulated")
    (tmp_path / "baseline.json").write_text(json.dumps(known))
    code, said, summary = steps(clone, tmp_path, **given, arguments=reaching(bed), session="third")
    assert code == 1, said
    assert "not in the baseline" in summary
    assert "**`claude-ai@emulated`: " in summary


def test_what_differs_from_the_lock_fails(clone: Path, bed: Bed, tmp_path: Path) -> None:
    steps(clone, tmp_path, url=bed.url("good"), arguments=reaching(bed), session="first")
    lock = ["uv", "run", "--quiet", "--project", str(clone), "oauthtap", "lock", "first", "-o", "mcp.lock"]
    subprocess.run(lock, cwd=tmp_path, check=True, env=RUNNER)
    given = {"url": bed.url("good"), "arguments": reaching(bed), "against": "mcp.lock"}
    code, said, _ = steps(clone, tmp_path, **given, session="second")
    assert code == 0, said
    locked = (tmp_path / "mcp.lock").read_text()
    (tmp_path / "mcp.lock").write_text(locked.replace("/authorize", "/oauth2/authorize"))
    code, said, _ = steps(clone, tmp_path, **given, session="third")
    assert code == 1, said
