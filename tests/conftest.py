"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.bed import Bed

settings.register_profile("no clock", deadline=None)  # a busy machine is no failing test
settings.load_profile("no clock")


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The fault bed, started once. Its log grows: look at it through `bed.watching()`."""
    with Bed() as started:
        yield started
