"""A document leads to an origin that cannot be reached: the Python SDK fares through the tap as it does directly.

It takes an HTTP status there for "try the next location", and then connects: a status of ours would change the outcome.
"""

from __future__ import annotations

import pytest

from tests.matrix.runs import one
from tests.matrix.sites import in_the_bed

FAST = "closed-as"


@pytest.mark.clients
@pytest.mark.parametrize(
    "target", [FAST, *(pytest.param(name, marks=pytest.mark.more_clients) for name in ("http-prm", "nosuch-as"))]
)
def test_the_python_sdk_fails_through_the_tap_as_it_fails_directly(target: str) -> None:
    with in_the_bed(target) as site:
        directly, tapped = (one("python-sdk-2", target, way, site) for way in ("direct", "tap"))
    assert directly.outcome == "gave up"
    assert tapped.compared == directly.compared
