"""Where real clients and servers come from: npm, PyPI, Debian, once, into a cache folder. Knows packages only.

The folder is the user's cache folder `oauthtap-tests`, or what OAUTHTAP_TEST_CACHE names. A
package that is there is used as it is; delete its folder to get a newer one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs
import pytest

MINUTES = 60.0
LIMIT = 5 * MINUTES
RECORD = "installed.json"
_DEBIAN = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((?:\d+:)?(\S+)", re.M)
"""A line of `apt-get --simulate`: package, and version without its epoch."""


def cache() -> Path:
    """The folder everything is installed under."""
    return Path(os.environ.get("OAUTHTAP_TEST_CACHE") or platformdirs.user_cache_dir("oauthtap-tests"))


def from_npm(folder: str, *packages: str) -> Path:
    """The `node_modules` that holds these packages (`name@version` or `name@tag`)."""
    place = cache() / "npm" / folder
    with only_one(place):
        if not (place / RECORD).exists():
            command = ["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund"]
            _install([*command, *packages], packages)
            listed = json.loads((place / "package-lock.json").read_text())["packages"]
            names = [package.rpartition("@")[0] for package in packages]
            _record(place, {name: listed[f"node_modules/{name}"]["version"] for name in names})
    return place / "node_modules"


def from_pypi(folder: str, *requirements: str) -> Path:
    """The `python` of a virtual environment of its own that holds these requirements."""
    place = cache() / "python" / folder
    python = place / "bin" / "python"
    with only_one(place):
        if not (place / RECORD).exists():
            if uv := shutil.which("uv"):
                _install([uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)], requirements)
                _install(
                    [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), *requirements],
                    requirements,
                )
            else:
                _install([sys.executable, "-m", "venv", "--clear", str(place)], requirements)
                _install([str(python), "-m", "pip", "install", "-q", *requirements], requirements)
            _record(place, _versions(python))
    return python


def from_debian(folder: str, *packages: str) -> Path:
    """The folder below which these Debian packages, and what of their dependencies is not installed, are unpacked.

    Nothing is installed on the machine and no script of a package runs, so nobody has to be root.
    """
    place = cache() / "debian" / folder
    with only_one(place):
        if not (place / RECORD).exists():
            simulate = ["apt-get", "-qq", "--simulate", "--no-install-recommends", "--reinstall", "install", *packages]
            found = dict(_DEBIAN.findall(_install(simulate, packages)))
            shutil.rmtree(place)
            place.mkdir()
            _install(["apt-get", "-qq", "download", *found], packages, place)
            for package in sorted(place.glob("*.deb")):
                _install(["dpkg-deb", "--extract", str(package), str(place)], packages)
                package.unlink()
            _record(place, {name: found[name] for name in packages})
    return place


def node(major: int) -> Path:
    """The folder with a `node` of that major version; npm carries Node itself as the package `node`."""
    return from_npm(f"node{major}", f"node@{major}") / "node" / "bin"


def versions(kind: str, folder: str) -> dict[str, str]:
    """What was installed under that name: package → version."""
    found: dict[str, str] = json.loads((cache() / kind / folder / RECORD).read_text())
    return found


def _versions(python: Path) -> dict[str, str]:
    script = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found: dict[str, str] = json.loads(subprocess.check_output([python, "-c", script], text=True, timeout=MINUTES))
    return found


def _record(place: Path, found: dict[str, str]) -> None:
    (place / RECORD).write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


def _install(command: Sequence[str], packages: Sequence[str], folder: Path | None = None) -> str:
    """Run an installer, and give what it said; a client that cannot be had fails the test, it never lets it pass."""
    wanted = " ".join(packages)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=folder)
    except FileNotFoundError:
        pytest.fail(f"{command[0]} is needed to install {wanted}: put it on the PATH", pytrace=False)
    except subprocess.TimeoutExpired:
        pytest.fail(f"installing {wanted} took longer than {LIMIT:.0f} s: is the network there?", pytrace=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        pytest.fail(
            f"cannot install {wanted}; run `{' '.join(command)}` by hand and see:\n{said}\n"
            "(to run only the tests that need no real client: pytest -m 'not clients')",
            pytrace=False,
        )
    return done.stdout


@contextlib.contextmanager
def only_one(place: Path) -> Iterator[None]:
    """Two test processes may want the same client: the second waits for the first."""
    place.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f"{place.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
