"""Fields of an HTML form and `meta` of a page, elements of XML and their attributes, by their names, in any text."""

from __future__ import annotations

import re
from collections.abc import Callable

from oauthtap.redaction import secret_locations, secret_names

Edit = Callable[[str, str, str, bool], str]
"""What to write in place of a value: of its name, the kind of secret of that name, the value as it is written, and
whether a name of a protocol is enough to take it for a secret."""


def edited(text: str, edit: Edit) -> str:
    """The text with every value edited that stands behind the name of a secret."""

    def edit_tag(tag: re.Match[str]) -> str:
        named = secret_locations.TAG_NAME.search(tag[0])
        name = "password" if secret_locations.TAG_PASSWORD.search(tag[0]) else named["name"] if named else ""
        kind = secret_names.kind_of(name) if name else None
        if kind is None:
            return tag[0]
        return secret_locations.TAG_VALUE.sub(lambda m: m["open"] + edit(name, kind, m["value"], True), tag[0])

    def edit_element(match: re.Match[str]) -> str:
        kind = secret_names.kind_of(match["name"].rpartition(":")[2])
        if kind is None:
            return match[0]
        return match[0][: -len(match["value"])] + edit(match["name"], kind, match["value"], False)

    if "value" in text or "content" in text or "VALUE" in text:
        text = secret_locations.TAG.sub(edit_tag, text)
    if "</" in text:
        text = secret_locations.ELEMENT.sub(edit_element, text)
        text = secret_locations.KEY_ELEMENT.sub(edit_element, text)
        text = secret_locations.NAMED_ELEMENT.sub(edit_element, text)
    return text
