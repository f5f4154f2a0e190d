"""argparse with errors that end in what to type: a misspelled flag or command gets the right one."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from typing import Any

from oauthtap.cli.errors import nearest

_CHOICE = re.compile(
    r"argument (?P<what>[^:]+): invalid choice: '(?P<word>[^']*)' "
    r"\(choose from (?P<known>'?[\w.-]+'?(?:, '?[\w.-]+'?)*)\)$"
)
_FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][a-zA-Z-]*")
COMMAND = "COMMAND"
_OTHER_TOOLS = {
    "analyze": "check", "convert": "check SESSION --format har", "doctor": "probe",
    "export": "check SESSION --format har",
    "history": "sessions", "list": "sessions", "ls": "sessions", "mock": "replay", "open": "check", "proxy": "run",
    "report": "check SESSION --format html", "scan": "probe", "show": "check", "start": "URL --background",
    "test": "probe", "view": "check", "watch": "URL",
}  # fmt: skip
"""What the commands of other tools are called that do the same, and what does it here."""


class ArgumentParser(argparse.ArgumentParser):
    """Help as it was written, and errors that end in what to type next."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **keywords})
        self.set_defaults(parser=self)
        self._words: Sequence[str] = ()

    @property
    def places(self) -> list[argparse.Action]:
        """The arguments without a flag."""
        return self._get_positional_actions()

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The command line; of what no command knows, the one that was named complains. Exits where it is wrong."""
        self._words = words
        found, rest = self.parse_known_args(words)
        if rest:
            found.parser.refuse(rest)
        return found

    def refuse(self, rest: Sequence[str]) -> None:
        """Complain of arguments that this command does not know, and exit."""
        self._complain(f"unknown argument: {' '.join(rest)}", self._flag_like(rest[0]))

    def error(self, message: str) -> Any:
        found = _CHOICE.match(message)
        if found is None:
            self._complain(message, [])
            return
        what, word = found["what"], found["word"]
        known = re.findall(r"'?([\w.-]+)'?", found["known"])
        flags = [one for one in self._words if one.startswith("--") and self._flag_like(one)]
        if what != COMMAND:
            self._complain(f"{what} {word!r}: choose from {', '.join(known)}", nearest(word, known))
        elif flags:  # what stands behind it was taken for the command
            self.refuse(flags)
        elif os.path.exists(word):
            self._complain(f"there is no command {word!r}, but a file", [f"oauthtap check {shlex.quote(word)}"])
        elif "://" in word:
            self._complain(f"{word!r} is no MCP URL, which begins with https:// or http://", [])
        else:
            other = _OTHER_TOOLS.get(word)
            self._complain(f"there is no command {word!r}", [f"oauthtap {other}"] if other else nearest(word, known))

    def _flag_like(self, word: str) -> list[str]:
        """The flag that a word is a misspelling of; none for one that is known."""
        name, known = word.partition("=")[0], set(_FLAG.findall(self.format_help()))
        return nearest(name, known) if name.startswith("-") and name not in known else []

    def _complain(self, words: str, near: Sequence[str]) -> None:
        hint = f". Did you mean {near[0]}?" if near else ""
        self.exit(2, f"oauthtap: {words}{hint}\nTry: {self.prog} --help\n")
