"""The door of a Python server: every request that is answered is one line on its output. Knows ASGI only."""

from __future__ import annotations

import json
from typing import Any


class Door:
    """Stands before an ASGI application. `audience` tells the `aud` of a token that is no JWT."""

    def __init__(self, application: Any, audience: Any = None) -> None:
        self.application = application
        self.audience = audience

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                print("HEARD " + json.dumps(self.told(scope, message["status"])), flush=True)
            await send(message)

        await self.application(scope, receive, noting if scope["type"] == "http" else send)

    def told(self, scope: Any, status: int) -> dict[str, Any]:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        token = headers.get("authorization", "")
        line = {"method": scope["method"], "host": headers.get("host"), "target": scope["path"], "status": status}
        line |= {"agent": headers.get("user-agent"), "authorization": token}
        return line | ({"audience": self.audience(token.partition(" ")[2])} if self.audience else {})
