"""Writes what was measured of a client into its file, and leaves everything else in it as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import oauthtap.clients
from tests.profiles.reading import Measured

FOLDER = Path(oauthtap.clients.__file__).parent
_TABLE = re.compile(r"^\[+([\w.-]+)\]+\s*$", re.M)
_BEYOND = re.compile(r"^(?:#[^\n]*\n)*\[\[?(?:drive|message|otherwise)\b", re.M)
"""Where the profile ends, and what else is known of a client begins."""
_MEMBER = re.compile(r"^(\w+) = ", re.M)
COMMAND = "python -m tests.profiles"


def write(client: str, measured: Measured, version: str, today: date) -> Path:
    """Rewrite the file of the client; make it, where there is none. Gives its path."""
    path = FOLDER / f"{client}.toml"
    text = path.read_text(encoding="utf-8") if path.exists() else f'name = "{client}"\n'
    path.write_text(merged(text, client, measured, version, today), encoding="utf-8")
    return path


def merged(text: str, client: str, measured: Measured, version: str, today: date) -> str:
    """The text of a client's file with this in it."""
    beyond = _BEYOND.search(text)
    own, rest = (text[: beyond.start()], text[beyond.start() :]) if beyond else (text, "")
    parts = _parts(own)
    head, traits = parts.pop(""), parts.get("trait", "")
    for member, value in _identity(client, version, today).items():
        head = _set(head, member, f"{member} = {value}")
    for member, (value, where) in measured.traits.items():
        head = _set(head, member, None)
        told = {"value": value, "basis": "measured", "seen": today, "source": f"target {where} of the bed"}
        if "," in where:
            told["source"] = f"targets {where} of the bed"
        traits = _set(traits, member, f"{member} = {toml(told)}")
    open_ = [name for name in tomllib.loads(head).get("unknown", ()) if name not in measured.traits]
    head = _set(head, "unknown", f"unknown = {toml(open_)}" if open_ else None)
    parts["trait"] = traits
    for name in [name for name in parts if name.partition(".")[0] == "measured"]:
        del parts[name]
    parts["measured"] = f"version = {toml(version)}\ndate = {today}\n"
    parts["measured.sends"] = _lines(measured.sends)
    parts["measured.bed"] = _lines(measured.bed)
    tables = "".join(f"\n[{name}]\n{body.strip()}\n" for name, body in parts.items())
    made = head.strip() + "\n" + tables + (f"\n{rest}" if rest else "")
    tomllib.loads(made)
    return made


def _identity(client: str, version: str, today: date) -> Mapping[str, str]:
    return {"versions": toml(version), "seen": str(today), "evidence": '"measured"',
            "source": toml(f"{COMMAND} {client}")}  # fmt: skip


def _parts(text: str) -> dict[str, str]:
    """Name of a table → what stands below its head; what stands above all of them under the empty name."""
    cut = _TABLE.split(text)
    return {"": cut[0]} | dict(zip(cut[1::2], cut[2::2], strict=True))


def _set(text: str, member: str, line: str | None) -> str:
    """The text with this line for the member; with None, without it."""
    lines = text.splitlines()
    lines = [one for one in lines if one.strip()] if line else lines
    at = next((n for n, one in enumerate(lines) if (found := _MEMBER.match(one)) and found[1] == member), None)
    if at is not None:
        lines[at : at + 1] = [] if line is None else [line]
    elif line is not None:
        lines.append(line)
    return "\n".join(lines) + "\n"


def _lines(members: Mapping[str, Any]) -> str:
    return "".join(f"{_key(name)} = {toml(value)}\n" for name, value in members.items())


def toml(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {toml(one)}" for name, one in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value) if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else json.dumps(name)
