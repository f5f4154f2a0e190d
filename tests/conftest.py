"""Fixtures that several test files share, and how long a test may take."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.bed import Bed

settings.register_profile("no clock", deadline=None)  # a busy machine is no failing test
settings.load_profile("no clock")

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and sentences would break where they do not without it

TIMEOUTS = {"matrix": 0, "more_clients": 3600, "clients": 1200, "browser": 600}
"""Seconds by marker, where a client or a browser is installed first; the first that fits. 0: no limit."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        seconds = next((TIMEOUTS[name] for name in TIMEOUTS if item.get_closest_marker(name)), None)
        if seconds is not None and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The fault bed, started once. Its log grows: look at it through `bed.watching()`."""
    with Bed() as started:
        yield started
