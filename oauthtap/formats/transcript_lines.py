"""The lines of pasted HTTP, each without what stands around it: prompt, time stamp, line number, list mark."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from oauthtap.formats.builder import seconds

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STAMP = re.compile(
    r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d\d:\d\d:\d\d(?:\.\d+)?)\]?:?\s+(?=\S)"
)
_NUMBER = re.compile(r"^\s*\d{1,4}(?:[:|]\s?|\t|\s\|\s?)(?=\S)")
_PROMPT = re.compile(r"^(?:\S{0,60}[$#%❯➜»]|>|PS [^>]*>|\w+@[\w.-]+:?\S*[$#%])\s+(?=(?:curl|http|https|xh|xhs|wget)\b)")
_REMARK = re.compile(r"(?<=[}\]\w])\s{2,}(?:#|//|<-+|←)\s.*$")
"""What whoever pasted it wrote behind a line."""
_AGAIN = re.compile(r"^(?:\S{0,20}[$#%>]\s+)?(?:curl\s+)?(?:\.{3}|…)(?=\s+-)")
"""The command above once more, what is the same left out: `$ ... -d '{…}'`."""
COMMAND = re.compile(r"^(?:sudo\s+)?(?:curl(?:\.exe)?|https?|xhs?|wget)\s+(?=\S)")
FETCH = re.compile(r"^(?:await\s+)?fetch\(\s*([\"'`])(https?://[^\"'`]+)\1\s*(,)?")


def lines(text: str) -> Iterator[tuple[float | None, str]]:
    """Every line with its time, without what stands around it; commands that go on over several lines as one."""
    raw = [_ANSI.sub("", line).rstrip("\r ") for line in text.replace("\r\n", "\n").split("\n")]
    shown = [line for line in raw if line.strip()]
    if shown and sum(bool(_NUMBER.match(line)) for line in shown) > 0.8 * len(shown):
        raw = [_NUMBER.sub("", line, count=1) for line in raw]
    if shown and all(line.startswith(">") for line in shown):  # quoted in a mail or an issue, and not verbose output
        raw = [re.sub(r"^> ?", "", line) for line in raw]
    place, command = 0, ""
    while place < len(raw):
        line, place = raw[place], place + 1
        at = None
        if stamp := _STAMP.match(line):
            at, line = seconds(stamp[1]), line[stamp.end() :]
        bare = _PROMPT.sub("", line.strip().strip("`"))
        if command and (again := _AGAIN.match(bare)):
            bare = f"{_without_data(command)} {bare[again.end() :].strip()}"
        bare = re.sub(r"^(?:[-*]|\d{1,2}[.)])\s+(?=`?(?:curl|http|https|wget|GET|POST)\b)", "", bare).strip("`")
        if COMMAND.match(bare):
            if "://" not in bare and place < len(raw) and re.match(r"\s*https?://\S+\s*$", raw[place]):
                bare, place = f"{bare.rstrip('\\^ ')} {raw[place].strip()}", place + 1
            while place < len(raw) and _goes_on(bare):
                following, place = raw[place].strip(), place + 1
                bare = (
                    f"{bare[:-1].rstrip()} {following}" if bare.endswith(("\\", "^", "`")) else f"{bare}\n{following}"
                )
            command = bare
            yield at, bare
        elif FETCH.match(bare):
            depth = bare.count("(") - bare.count(")")
            while place < len(raw) and depth > 0:
                bare, place = f"{bare}\n{raw[place]}", place + 1
                depth = bare.count("(") - bare.count(")")
            yield at, bare
        else:
            yield at, _REMARK.sub("", line)


def _without_data(command: str) -> str:
    """A command without the body it sends, which another takes the place of."""
    return re.sub(r"\s-{1,2}(?:d|data|data-raw|json)\s+(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\S+)", "", command, flags=re.S)


def _goes_on(command: str) -> bool:
    if command.endswith(("\\", "^")):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return len(command) < 20_000
    return False
