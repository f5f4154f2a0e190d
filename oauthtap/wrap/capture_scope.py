"""Which hosts `oauthtap run` intercepts, and which of their exchanges it records.

Where the MCP URL is known, only its host is opened, and what judged documents name.
Where it is not, every host is opened for its first few requests; what is neither OAuth
nor MCP is never kept, and from then on its host passes unopened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.handshake.classify import classify
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange

Place = tuple[str, int]
"""Host in lower case, and port."""

_TELLING = ("mcp-", "legacy-sse", "prm-discovery", "as-discovery")
"""Stages that begin a sign-in. A token request alone may be the program's own account."""
_ENOUGH = 3
"""Requests after which a host that showed nothing of OAuth or MCP is left alone."""


def place(url: str) -> Place | None:
    """Host and port of an http(s) URL; None for anything else."""
    parts = urls.split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        return None
    return parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


class CaptureScope:
    """What to open, and what of it to keep. `named`: the MCP URLs that are known beforehand."""

    def __init__(self, named: Iterable[str] = (), *, everything: bool = False) -> None:
        self._everything = everything
        self._ours: set[Place] = set()
        self._origins: dict[str, None] = {}
        for url in named:
            self._add(url)
        self._learning = not self._ours
        self._strange: Counter[Place] = Counter()
        self.distrusted: dict[Place, None] = {}
        """Where the program did not accept our certificate, in the order it was met."""
        self.unopened: dict[Place, None] = {}
        """Where it went unseen, in the order it was met."""

    def should_intercept(self, host: str, port: int) -> bool:
        """A connection to there is opened and looked into; else it passes as it is."""
        there = (host.lower(), port)
        opened = there not in self.distrusted and (
            self._everything or there in self._ours or (self._learning and self._strange[there] < _ENOUGH)
        )
        if not opened:
            self.unopened[there] = None
        return opened

    @property
    def origins(self) -> tuple[str, ...]:
        """What belongs to the sign-in, as far as it is known by now, as origins."""
        return tuple(self._origins)

    def is_ours(self, host: str, port: int) -> bool:
        """The place is part of the sign-in, as far as it is known by now."""
        return (host.lower(), port) in self._ours

    def should_record(self, exchange: Exchange, handshakes: Sequence[Handshake]) -> bool:
        """The exchange belongs to a sign-in and is judged and written down; all others are forgotten.

        `handshakes`: one for each client so far.
        """
        there = place(exchange.request.url)
        if there is None or self._everything or there in self._ours:
            return there is not None
        if any(stage.slug.startswith(_TELLING) for known in handshakes for stage in classify(exchange, known)):
            self._add(exchange.request.url)
            return True
        self._strange[there] += 1
        return False

    def keeps_page(self, exchange: Exchange, handshakes: Sequence[Handshake]) -> bool:
        """The same for a page that the program opens in a browser: only a sign-in is any of our business."""
        slugs = {stage.slug for known in handshakes for stage in classify(exchange, known)}
        return self._everything or "authorization-request" in slugs

    def learn(self, step: AnalyzedExchange) -> None:
        """Where this exchange sends the program next: what its documents name, its challenge, its redirect."""
        named = [*step.sends_to, *(learned.value for learned in step.handshake.metadata_urls.values())]
        answer = step.exchange.response
        if answer and 300 <= answer.status < 400 and step.exchange.actor == "client":
            named.append(answer.header("location") or "")
        for url in named:
            self._add(url)

    def _add(self, url: str) -> None:
        if there := place(url):
            self._ours.add(there)
            self._origins[urls.origin(url)] = None

    def mark_untrusting(self, host: str, port: int) -> None:
        """The program did not accept our certificate there: from now on it goes through unopened."""
        self.distrusted[host.lower(), port] = None
