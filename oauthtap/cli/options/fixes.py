"""`--fix` and its sisters: from words on the command line, and files, to what is switched on."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from oauthtap import rules
from oauthtap.cli.errors import UsageError, nearest
from oauthtap.fixes import toml_io
from oauthtap.fixes.actions import ResponseChange
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.model import Fix
from oauthtap.fixes.presets import presets
from oauthtap.fixes.toml_io import FixError
from oauthtap.formats.untrusted_file import read_bytes
from oauthtap.model.recording import SourceError

_LARGEST = 10_000_000
LIVE_FIX_FILE = "fixes.live.toml"
"""The file in a session's folder that another terminal puts fixes into while the tap runs."""
SECRET = "OAUTHTAP_CLIENT_SECRET"
"""The variable that the secret of `--client-id` comes from: a command line is no place for it."""


class FixOptions:
    """What the flags ask for. Raises Usage for what cannot be."""

    def __init__(self, arguments: Namespace) -> None:
        self._rules: set[str] = set()
        self._fixed: list[Fix] = []
        self._files: dict[Path, tuple[int, int] | None] = {}
        """To when it was changed and how long it is; None for one that is not there yet."""
        self._read: dict[Path, tuple[Fix, ...]] = {}
        self._switched: list[Fix] = []
        self._off: list[Fix] = []
        self._safe = "safe" in arguments.fix
        self._door: Path | None = None
        client_id = getattr(arguments, "client_id", None)
        secret = os.environ.get(SECRET, "") if client_id else ""
        for word in arguments.fix:
            self._word(word)
        for line in getattr(arguments, "fix_header", ()):
            self._fixed.append(_header(line))
        if client_id:
            names = ("client-id-endpoint", "client-id", *(["client-secret"] if secret else []))
            self._fixed += [fix for name in names for fix in toml_io.presets_for(name)]
        self.fixes = ActiveFixes(values={"client_id": client_id or "", "client_secret": secret})
        """The same object for good; it changes when a file does."""
        self._put()

    def _word(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if word == "safe":
            self._fixed += [fix for fix in presets() if fix.safe]
        elif not equals and (word.endswith(".toml") or "/" in word):
            self._load(Path(word))
        elif not _is_known(name):
            near = nearest(name, [*rules.RULES, *(fix.name for fix in presets())])
            try_this = f"--fix {near[0]}" if near else "oauthtap explain, which lists the rules"
            raise UsageError(f"--fix {name}: there is no such rule, preset or file. Try: {try_this}")
        else:
            self._by_rule(name, value, given=bool(equals))

    def _by_rule(self, name: str, value: str, *, given: bool) -> None:
        if given and not value:
            raise UsageError(f"--fix {name}= has no value. Try: --fix {name}=https://…")
        if name in rules.RULES and not given:
            self._rules.add(name)
        try:
            self._fixed += toml_io.presets_for(name, value)
        except FixError as problem:
            if name not in rules.RULES or given or "needs a value" in str(problem):
                raise UsageError(f"--fix {name}: {problem}") from None

    def _load(self, path: Path) -> None:
        try:
            stamp, text = _stamp(path), read_bytes(path, largest=_LARGEST, advice="oauthtap fix").decode()
        except SourceError as problem:
            raise UsageError(f"--fix {problem}") from None
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or "no UTF-8 text"
            raise UsageError(f"--fix {path}: {reason}. Try: oauthtap fix") from None
        self._files[path] = stamp
        try:
            self._read[path] = toml_io.read(text)
        except FixError as problem:
            raise UsageError(f"--fix {path}, {problem}") from None

    def reload_changed_files(self) -> Iterator[str]:
        """Look at the files once more, and say what changed. A file that does not read leaves all as it was."""
        for path, stamp in list(self._files.items()):
            try:
                now = _stamp(path)
            except OSError:
                if path == self._door and stamp is not None:
                    self._files[path] = None
                    self._read.pop(path)
                    self._put()
                    yield "What was applied from another terminal is off again."
                continue
            if now == stamp:
                continue
            try:
                self._load(path)
            except UsageError as problem:
                yield f"{problem} (the fixes of before stay on)"
                continue
            self._off = [fix for fix in self._off if fix not in self._read[path]]
            self._put()
            yield f"{path} was read again: {_counted(len(self._read[path]))} on."

    # --- while it runs

    def watch_live_file(self, path: Path) -> None:
        """A file that need not be there yet: another terminal puts fixes into it."""
        self._door = path
        self._files[path] = None

    def switch(self, fix: Fix, *, on: bool) -> None:
        """Switch one on, or off wherever it came from. Another value of the same fix gives way to it."""
        self._switched = [one for one in self._switched if one.name != fix.name]
        self._off = [one for one in self._off if one != fix]
        if on:
            self._off += [one for one in self.fixes.fixes if one.name == fix.name and one != fix]
            self._switched.append(fix)
        else:
            self._off.append(fix)
        self._put()

    def _put(self) -> None:
        self.fixes.rules, self.fixes.every_safe = frozenset(self._rules), self._safe
        asked = (*self._fixed, *(fix for read in self._read.values() for fix in read))
        once = [*asked, *(fix for fix in self._switched if fix not in asked)]
        self.fixes.fixes = tuple(fix for fix in once if fix not in self._off)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _counted(number: int) -> str:
    return "1 fix is" if number == 1 else f"{number} fixes are"


def _is_known(name: str) -> bool:
    return name in rules.load() or any(fix.name == name for fix in presets())


def _header(line: str) -> Fix:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--fix-header {line!r} is no header. Try: --fix-header 'Cache-Control: no-store'")
    value = value.strip()
    if not name.strip().isascii() or any(sign in line for sign in "\r\n\0"):
        raise UsageError(f"--fix-header {line!r} cannot be sent")
    answer = ResponseChange(headers={name.strip(): value}) if value else ResponseChange(drop_headers=(name.strip(),))
    return Fix(name=f"header {name.strip()}", answer=answer, assumes="it was asked for on the command line")
