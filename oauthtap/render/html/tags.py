"""HTML elements from Python: every text is escaped, and what would steer a reader is written out."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from oauthtap.model.sanitize import escape_controls

Child = str | Markup | None | Iterable["Child"]
_VOID = {"meta", "link", "br", "hr"}


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """One element. Text children become text nodes whatever they hold.

    Attribute names: `class_` is `class`, `aria_label` is `aria-label`; False and None leave one out.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{join(children)}</{name}>")


def join(children: Child) -> Markup:
    """Children one after the other, without an element around them."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return escape(escape_controls(children, lines=True))
    return Markup("").join(join(child) for child in children)


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(escape_controls(str(value)))}"'


def words(text: str) -> Markup:
    """A sentence of ours that quotes in backticks: what stands between two of them becomes code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["`".join(pieces[-2:])]
    return join(tag("code", piece) if number % 2 else piece for number, piece in enumerate(pieces))


def external_link(url: str, text: str) -> Markup:
    """A link to a document on the web; only its text where the URL is no https one."""
    return tag("a", text, href=url, rel="noreferrer") if url.startswith("https://") else join(text)
