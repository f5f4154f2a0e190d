"""The steps of `Containerfile`, run by hand in a clean clone and below another root: no container engine is needed.

What it says as a whole, only an engine shows: `buildah bud --isolation chroot .`, with images for its `FROM` lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clients.installed import from_npm, node

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


def stage(name: str) -> str:
    """The lines of one stage, without the one that begins it."""
    lines = (ROOT / "Containerfile").read_text().replace("\\\n", "")
    return lines.partition(f" AS {name}\n")[2].partition("\nFROM")[0]


def test_whoever_runs_it_has_a_home_that_can_be_written_to_and_its_command_on_the_path(tmp_path: Path) -> None:
    base = stage("base")
    (made,) = re.findall(r"^RUN (.+)$", base, re.M)
    subprocess.run(made.replace(" /home", f" {tmp_path}/home").split(), check=True)
    env = dict(word.split("=", 1) for word in re.findall(r"^ENV (.+)$", base, re.M)[0].split())
    assert env["HOME"] == made.split()[-1]
    assert (tmp_path / env["HOME"].lstrip("/")).stat().st_mode & 0o7777 == 0o1777
    (copied,) = re.findall(r"^COPY --from=build (\S+) (\S+)$", base, re.M)
    assert copied == ("/opt/oauthtap", "/opt/oauthtap")
    assert env["PATH"].split(":")[0] == f"{copied[1]}/bin"
    assert re.findall(r"^(?:USER|ENTRYPOINT|CMD) (.+)$", base, re.M) == ["1000", '["oauthtap"]', '["--help"]']


def test_the_one_with_node_has_npm_and_npx_as_its_image_lays_them(tmp_path: Path) -> None:
    drive = stage("drive")
    modules = tmp_path / "usr" / "local" / "lib" / "node_modules"
    modules.mkdir(parents=True)
    (modules.parents[1] / "bin").mkdir()
    shutil.copytree(from_npm("npm10", "npm@10") / "npm", modules / "npm")
    shutil.copy(node(22) / "node", modules.parents[1] / "bin" / "node")
    copied = [path for pair in re.findall(r"^COPY --from=node (\S+) (\S+)$", drive, re.M) for path in pair]
    assert {path.strip("/") for path in copied} == {"usr/local/bin/node", "usr/local/lib/node_modules"}
    assert re.findall(r"^USER (.+)$", drive, re.M) == ["0", "1000"]
    (linked,) = re.findall(r"^RUN (.+)$", drive, re.M)
    subprocess.run(linked.replace(" /usr/", f" {tmp_path}/usr/"), shell=True, check=True)
    env = {"PATH": f"{modules.parents[1] / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for name in ("npm", "npx"):
        told = subprocess.run([name, "--version"], env=env, capture_output=True, text=True, check=False)
        assert (told.returncode, told.stdout[:3]) == (0, "10."), told.stderr
