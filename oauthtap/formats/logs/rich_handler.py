"""Logs that rich's RichHandler wrote (fastmcp, many Python servers): columns, with long values broken into lines.

[11/29/26 17:29:04] INFO     OAuth authorization URL:               oauth.py:455
                             http://localhost:8488/authorize?respon
                             se_type=code&client_id=client-7
"""

from __future__ import annotations

import re

_LEVEL = "(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)"
_HEAD = re.compile(rf"^(?:\[\d\d/\d\d/\d\d \d\d:\d\d:\d\d\]| {{19}}) {_LEVEL} +(?P<text>\S.*)$")
_PLACE = re.compile(r"(?<!\s)\s+\w+\.py:\d+\s*$")
_CONTINUED = re.compile(r" {20,}(?P<text>\S.*)")


def unwrap(text: str) -> str:
    """The text with every message on one line; other texts as they are."""
    lines: list[str] = []
    within = False
    for line in text.splitlines():
        if head := _HEAD.match(line):
            lines.append(_PLACE.sub("", head["text"]).rstrip())
            within = True
        elif within and (more := _CONTINUED.match(line)):
            chunk, last = _PLACE.sub("", more["text"]).rstrip(), lines[-1].rpartition(" ")[2]
            broken = " " not in chunk and any(sign in last for sign in ("http://", "https://", "%"))
            lines[-1] += chunk if broken else f" {chunk}"
        else:
            lines.append(line)
            within = False
    return "\n".join(lines)
