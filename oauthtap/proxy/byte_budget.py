"""How much of a session's messages is kept: by bytes, because a count bounds no memory."""

from __future__ import annotations

from oauthtap.model.exchange import Exchange, Message

WHOLE = 4 << 20
"""Bytes of messages that are kept whole; no sign-in comes near."""
BEYOND = 16 << 10
"""Characters that are kept of a body from there on: every document of a sign-in still fits."""
SPENT = (
    f"More than {WHOLE >> 20} MB came in this session: from here on, of each body only the first {BEYOND >> 10} kB are "
    "judged and kept. All of it passes on. A new session keeps whole bodies again."
)


class ByteBudget:
    """Cuts what comes once there has been much of it."""

    def __init__(self) -> None:
        self._spent = 0

    @property
    def is_spent(self) -> bool:
        """From now on bodies are cut."""
        return self._spent > WHOLE

    def within(self, exchange: Exchange) -> Exchange:
        """The exchange as it is judged and kept."""
        messages = {
            "request": exchange.request,
            "response": exchange.response,
            "forwarded_request": exchange.forwarded_request,
        }
        if self._spent <= WHOLE:
            self._spent += sum(map(_size, messages.values()))
        if not self.is_spent:
            return exchange
        cut = {name: new for name, message in messages.items() if (new := _cut(message)) is not message}
        return exchange.replace(**cut) if cut else exchange


def _size(message: Message | None) -> int:
    if message is None:
        return 0
    return len(message.body or "") + sum(len(name) + len(value) for name, value in message.headers)


def _cut[M: Message](message: M | None) -> M | None:
    if message is None or len(message.body or "") <= BEYOND:
        return message
    return message.model_copy(update={"body": (message.body or "")[:BEYOND], "truncated": True})
