"""Where one JSON value departs from another, whatever the order.

A document is a promise: what was promised has to be there still, in any order, and more
than was promised does no harm. Each departure is told once, at the member it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from jsonpointer import escape


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = _Nothing()
"""Stands for a member that is not there; `None` is JSON's null."""


@dataclass(frozen=True)
class Deviation:
    """One departure: where (RFC 6901, in the expected value), what was expected, what is there."""

    pointer: str
    expected: Any
    actual: Any


def deviations(expected: Any, actual: Any, *, both: bool = False, pointer: str = "") -> Iterator[Deviation]:
    """Every departure of `actual` from `expected`, outermost first; nothing for equal values.

    Members and items may come in any order, and further ones are welcome. `both`: further
    ones count too, with NOTHING expected; those of a list at the list's own pointer.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            yield from deviations(value, actual.get(name, NOTHING), both=both, pointer=f"{pointer}/{escape(name)}")
        if both:
            for name in actual.keys() - expected.keys():
                yield Deviation(f"{pointer}/{escape(name)}", NOTHING, actual[name])
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _items(expected, actual, both, pointer)
    elif not same(expected, actual):
        yield Deviation(pointer, expected, actual)


def _items(expected: list[Any], actual: list[Any], both: bool, pointer: str) -> Iterator[Deviation]:
    """Items are paired where they agree; what is left over is paired in the order it stands."""
    left = list(actual)
    unmet: list[tuple[int, Any]] = []
    for number, value in enumerate(expected):
        met = next((place for place, there in enumerate(left) if same(value, there)), None)
        if met is None:
            unmet.append((number, value))
        else:
            del left[met]
    for number, value in unmet:
        there = left.pop(0) if left else NOTHING
        yield from deviations(value, there, both=both, pointer=f"{pointer}/{number}")
    if both:
        yield from (Deviation(f"{pointer}/-", NOTHING, value) for value in left)


def same(one: Any, other: Any) -> bool:
    """The same JSON value: members in any order, `1` and `1.0` alike, `1` and `true` not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and not any(_items(one, other, True, ""))
    return (type(one) is type(other) and one == other) or (_are_numbers(one, other) and one == other)


def _are_numbers(one: Any, other: Any) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float)
