"""What two runs at a server are compared by, of each request that it heard."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from tests.support.servers.heard import MARK, REGISTERED, heard


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ("http://localhost:1/mcp", ("http://localhost:1/mcp",)),
        (["http://localhost:1/mcp", "1ca4a2f9-59e0-491b-9392-74296377769e"], ("http://localhost:1/mcp", REGISTERED)),
        (None, ()),
    ],
)
def test_an_audience_that_is_new_at_each_registration_does_not_tell_two_runs_apart(claim: Any, told: Any) -> None:
    token = jwt.encode({"aud": claim} if claim else {}, "a-key-made-up-for-a-test-of-32-bytes", algorithm="HS256")
    said = {"method": "POST", "target": "/mcp", "status": 200, "authorization": f"Bearer {token}"}
    request = heard(MARK + json.dumps(said))
    assert request
    assert request.audience == told
