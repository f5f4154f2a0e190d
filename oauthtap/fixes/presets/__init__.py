"""The fixes that come with oauthtap, and where vendors keep their issuers: data only."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from oauthtap.fixes.model import Fix


class Vendor(BaseModel):
    """Where an authorization server's issuer is, for those who copied another of its URLs."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    name: str
    hosts: tuple[str, ...]
    """Host names; `*` stands for one or more labels."""
    issuer: str
    """What its issuers look like, in words for a person."""
    path_labels: int = 0
    """How many segments of the path belong to the issuer."""
    ask: str
    """Where its owner can look the issuer up."""


@cache
def presets() -> tuple[Fix, ...]:
    """Every preset, in the order of the file. Raises pydantic's ValidationError for an unknown key."""
    text = (files(__name__) / "presets.toml").read_text(encoding="utf-8")
    return tuple(Fix.model_validate(table) for table in tomllib.loads(text)["fix"])


@cache
def vendors() -> tuple[Vendor, ...]:
    """Every vendor we know the issuers of."""
    text = (files(__name__) / "vendors.toml").read_text(encoding="utf-8")
    return tuple(Vendor.model_validate(table) for table in tomllib.loads(text)["vendor"])
