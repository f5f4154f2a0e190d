"""The table of all twenty targets, by the name used in the fault table."""

from __future__ import annotations

from tests.support.bed.faults import FAULTS
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import McpServer
from tests.support.bed.origin import Origin
from tests.support.bed.seeds import Seed1, Seed1Fix, Seed2, SeedTwoAuthorization, SeedTwoTenant

ALL: tuple[type[McpServer], ...] = (Good, Seed1, Seed1Fix, Seed2, *FAULTS)

TARGETS: dict[str, type[McpServer]] = {target.host.partition(".")[0]: target for target in ALL}
"""What a user can connect to."""

ORIGINS: tuple[type[Origin], ...] = (*TARGETS.values(), SeedTwoAuthorization, SeedTwoTenant)
"""Every server there is: the targets, and the authorization servers one of them names and means."""
