"""The steps of `Containerfile` that need no container engine, run by hand in a clean clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.more_clients  # it installs oauthtap anew


def test_what_the_build_copies_is_enough_to_run_without_the_source(tmp_path: Path) -> None:
    clone, source, target = tmp_path / "clone", tmp_path / "src", tmp_path / "opt"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    build = (clone / "Containerfile").read_text().partition("\nFROM docker.io/library/node")[0]
    source.mkdir()
    for words in re.findall(r"^COPY (.+)$", build, re.M):
        *files, place = words.split()
        for file in files:
            if (clone / file).is_dir():
                shutil.copytree(clone / file, source / place)
            else:
                shutil.copy(clone / file, source / place)
    (setting,) = re.findall(r"^ENV (.+)$", build, re.M)
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env |= dict(one.split("=") for one in setting.split()) | {"UV_PROJECT_ENVIRONMENT": str(target)}
    (sync,) = re.findall(r"^RUN (uv .+)$", build, re.M)
    subprocess.run(sync.split(), cwd=source, env=env, check=True)
    shutil.rmtree(source)
    bare = {"PATH": str(target / "bin"), "HOME": str(tmp_path)}
    told = subprocess.run(
        ["oauthtap", "explain", "prm-resource-missing"],
        cwd=tmp_path, env=bare, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, "`resource`" in told.stdout) == (0, True), told.stderr
