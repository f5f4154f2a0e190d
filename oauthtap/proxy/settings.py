"""What the person asked for on the command line, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from oauthtap.faults.injector import FaultInjector
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.grants.grant_file import GrantFile
from oauthtap.rewriting.callback_relay import Callback
from oauthtap.rewriting.origins import FIRST_PORT, WEB_PORT


class StartupError(Exception):
    """The tap cannot start. The text is one sentence for a person, and ends in what to do."""


@dataclass(frozen=True)
class Settings:
    """All flags of the tap that the proxy has to know."""

    upstream: str
    """The MCP URL, in upstream names."""
    port: int = FIRST_PORT
    """The first local port: that of the upstream itself. Further origins take the next free ones."""
    web: bool = True
    web_port: int = WEB_PORT
    ca: str | None = None
    """A PEM file with a further CA to trust."""
    insecure: bool = False
    connect_to: tuple[str, ...] = ()
    """As curl's: `HOST1:PORT1:HOST2:PORT2`."""
    callback: Callback | str = "auto"
    """A word, or `relay` also to this redirect URI, which is not on this machine."""
    fix: tuple[str, ...] = ()
    """Rules whose patches are applied to answers before the client gets them."""
    fixes: ActiveFixes | None = None
    """All that is switched on; `fix` alone when None. May change while the tap runs."""
    public: Mapping[int, str] = field(default_factory=dict)
    """Local port to the public origin from which a tunnel leads to it."""
    injecting: FaultInjector | None = None
    """Faults to make, each once; empties itself while the tap runs."""
    grant: GrantFile | None = None
    """Stands in the place of consent."""
    allow_private: bool = False
    """Documents of a public upstream may name private addresses."""
    state: Path = field(default_factory=lambda: user_state_path("oauthtap"))
    """Where ports are remembered and mitmproxy keeps its files."""
    verbose: bool = False
