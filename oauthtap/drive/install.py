"""Where a driven client comes from: the PATH, our cache, or npm and PyPI when asked to.

Nothing is fetched but with `--install`. The cache is the user's cache folder `oauthtap/clients`, or what
OAUTHTAP_CLIENTS names; a folder in it is one version of one client.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from oauthtap.drive.driver import Driver, DriverError
from oauthtap.model.sanitize import escape_controls

_LIMIT = 300.0
"""Seconds that an installer may take."""
_NUMBER = re.compile(r"\d+(?:\.\d+)+(?:[-.\w]*\w)?")
_VERSIONS = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


@dataclass(frozen=True)
class InstalledClient:
    """A client that can be run."""

    program: Path
    """Its command; for a library, the Python that has it."""
    version: str | None
    source: str
    """Where it was found, in words."""
    path: tuple[Path, ...] = ()
    """Folders that come first on its PATH."""
    modules: Path | None = None
    """Its `node_modules`, where it came from npm."""


def locate_client(driver: Driver, version: str | None, *, install: bool, say: Callable[[str], None]) -> InstalledClient:
    """Find it, or with `install` fetch it. Raises Usage, in words that end in what to type next.

    With `version` exactly that one (`latest`, with `install`: whatever the registry has now). Without: with
    `install` the newest in the cache; else the one on the PATH, else the newest in the cache.
    """
    if not (driver.npm or driver.pypi):
        return _own(driver)
    kept = None if version == "latest" else _in_cache(driver, version)
    if install:
        return kept or _fetched(driver, version, say)
    return _on_path(driver, version) or kept or _missing(driver, version)


def cache() -> Path:
    """The folder everything is installed under."""
    return Path(os.environ.get("OAUTHTAP_CLIENTS") or platformdirs.user_cache_path("oauthtap") / "clients")


def _missing(driver: Driver, version: str | None) -> InstalledClient:
    wanted = f" {escape_controls(version)}" if version else ""
    command = f"oauthtap drive {driver.name} --upstream URL --install" + (
        f" --client-version {escape_controls(version)}" if version else ""
    )
    where = "neither on the PATH nor in oauthtap's cache" if driver.command else "not in oauthtap's cache"
    registry = "npm" if driver.npm else "PyPI"
    raise DriverError(f"{driver.title}{wanted} is {where}. --install takes it from {registry}. Try: {command}")


def _own(driver: Driver) -> InstalledClient:
    """A client of somebody's own file: on the PATH, or run by what its command lines name."""
    if not driver.command:
        return InstalledClient(Path(sys.executable), None, f"{driver.name}.toml")
    if found := _on_path(driver, None):
        return found
    raise DriverError(f"{escape_controls(driver.command)} is not on the PATH. Install it, and try again")


def _on_path(driver: Driver, version: str | None) -> InstalledClient | None:
    found = shutil.which(driver.command) if driver.command else None
    if found is None:
        return None
    known = _says_version(found, driver.version)
    if version is not None and known != version:
        return None
    _check_node(driver, _node_of(os.environ["PATH"]))
    return InstalledClient(Path(found), known, f"{found}, from the PATH")


def _says_version(program: str, words: Sequence[str]) -> str | None:
    """What it says when asked, in a home of its own: asking alone may write files."""
    if not words:
        return None
    with tempfile.TemporaryDirectory(prefix="oauthtap-version-", ignore_cleanup_errors=True) as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "NO_COLOR": "1"}
        try:
            ran = subprocess.run([program, *words], env=env, cwd=home, capture_output=True, text=True, timeout=20,
                                 check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
    number = _NUMBER.search(ran.stdout)
    return number[0] if number and ran.returncode == 0 else None


# --- the cache


def _in_cache(driver: Driver, version: str | None) -> InstalledClient | None:
    places = [place for place in (cache() / driver.name).glob("[0-9]*") if (place / "installed.json").is_file()]
    if version is not None:
        places = [place for place in places if place.name == version]
    if not places:
        return None
    newest = max(places, key=lambda place: [int(n) for n in re.findall(r"\d+", place.name)])
    return _kept(driver, newest)


def _kept(driver: Driver, place: Path) -> InstalledClient:
    if driver.pypi:
        return InstalledClient(place / "bin" / "python", place.name, f"{driver.pypi} from PyPI, in {place}")
    own = place / "node_modules" / "node" / "bin"
    path = (own,) if own.is_dir() else ()
    if not path:
        _check_node(driver, _node_of(os.environ["PATH"]))
    modules = place / "node_modules"
    program = modules / ".bin" / driver.command if driver.command else Path(_node(path))
    return InstalledClient(program, place.name, f"{driver.npm} from npm, in {place}", path, modules)


def _node(path: Sequence[Path]) -> str:
    """The Node that a library is run by."""
    found = shutil.which("node", path=os.pathsep.join([*map(str, path), os.environ["PATH"]]))
    if found is None:
        raise DriverError("Node is needed to run it. Try again when node is on the PATH")
    return found


def _check_node(driver: Driver, node: int) -> None:
    if node < driver.node:
        has = f"this one is {node}" if node else "there is none on the PATH"
        raise DriverError(
            f"{driver.title} needs Node {driver.node}, and {has}. Try: oauthtap drive {driver.name} --install "
            "--client-version latest  (it brings a Node of its own)"
        )


def _node_of(path: str) -> int:
    """The major version of Node on this PATH; 0 where there is none."""
    found = shutil.which("node", path=path)
    said = _says_version(found, ["--version"]) if found else None
    return int(said.partition(".")[0]) if said else 0


# --- npm and PyPI


def _fetched(driver: Driver, version: str | None, say: Callable[[str], None]) -> InstalledClient:
    above = cache() / driver.name
    try:
        above.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".new-", dir=above))
    except OSError as problem:
        raise DriverError(
            f"cannot install to {above}: {problem.strerror}. Try: OAUTHTAP_CLIENTS=DIR oauthtap drive …"
        ) from None
    try:
        got = _from_npm(driver, version, place, say) if driver.npm else _from_pypi(driver, version, place, say)
        (place / "installed.json").write_text(json.dumps({"version": got}) + "\n")
        if not (above / got).exists():
            place.rename(above / got)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return _kept(driver, above / got)


def _from_npm(driver: Driver, version: str | None, place: Path, say: Callable[[str], None]) -> str:
    wanted = driver.range or "latest" if version in (None, "latest") else version
    packages = [f"{driver.npm}@{wanted}"]
    if driver.node and _node_of(os.environ["PATH"]) < driver.node:
        packages.append(f"node@{driver.node}")  # npm carries Node itself, under that name
    say(f"Installing {' and '.join(packages)} from npm into {place.parent} …")
    _install(["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", *packages])
    described = json.loads((place / "node_modules" / str(driver.npm) / "package.json").read_text())
    return str(described["version"])


def _from_pypi(driver: Driver, version: str | None, place: Path, say: Callable[[str], None]) -> str:
    wanted = f"{driver.pypi}{driver.range if version in (None, 'latest') else f'=={version}'}"
    say(f"Installing {wanted} from PyPI into {place.parent} …")
    python = place / "bin" / "python"
    if uv := shutil.which("uv"):
        _install([uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)])
        _install([uv, "pip", "install", "-q", "--python", str(python), wanted])
    else:
        _install([sys.executable, "-m", "venv", "--clear", str(place)])
        _install([str(python), "-m", "pip", "install", "-q", wanted])
    return subprocess.check_output([python, "-c", _VERSIONS, str(driver.pypi)], text=True, timeout=60).strip()


def _install(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except FileNotFoundError:
        raise DriverError(f"{command[0]} is needed to install it. Try again when it is on the PATH") from None
    except subprocess.TimeoutExpired:
        raise DriverError(f"installing took longer than {_LIMIT:.0f} s: is the network there?") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-5:]
        words = "\n  ".join(escape_controls(line, limit=300) for line in lines)
        raise DriverError(f"it could not be installed. Try by hand: {' '.join(command)}\n  {words}")
