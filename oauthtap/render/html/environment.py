"""Where the templates are, and how they are filled: every text is escaped, and what would steer a reader is shown."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from oauthtap.model.sanitize import escape_controls
from oauthtap.render import advice, deploy_plan, labels, verdict
from oauthtap.render.consequence import consequence
from oauthtap.render.html.curl import curl
from oauthtap.render.html.findings import alike
from oauthtap.render.marks import mark
from oauthtap.render.stepper import steps
from oauthtap.report.model import SECRETS_KEPT


def render(template: str, **values: Any) -> str:
    """The whole text of a template (`report.html.j2`)."""
    return environment().get_template(template).render(**values)


def part(template: str, macro: str, *values: Any) -> Markup:
    """What one macro of a template makes of these values."""
    made: Markup = getattr(environment().get_template(template).module, macro)(*values)
    return made


def asset(name: str) -> str:
    """The text of a style sheet or script of the page."""
    return files(__package__).joinpath(name).read_text("utf-8")


@cache
def environment() -> Environment:
    """The templates in the folder `templates` beside this module."""
    made = Environment(
        loader=PackageLoader(__package__ or ""), autoescape=True, finalize=_final, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters.update(words=words, sentence=sentence, alike=alike)
    made.globals.update(
        labels=labels, deploy_plan=deploy_plan, advice=advice, verdict=verdict, steps=steps, consequence=consequence,
        mark=mark, curl=curl, secrets_kept=SECRETS_KEPT,
    )  # fmt: skip
    return made


def _final(value: Any) -> Any:
    """Each value that a template prints, before Jinja2 escapes it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape_controls(value, lines=True)
    return "" if value is None else value


def sentence(text: str) -> str:
    """A text that begins with a capital letter, where it begins with a word."""
    return f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0].isalpha() else text


def words(text: str) -> Markup:
    """A sentence of ours that quotes in backticks: what stands between two of them becomes code."""
    pieces = escape_controls(text, lines=True).split("`")
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["`".join(pieces[-2:])]
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    )
