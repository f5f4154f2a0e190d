"""The targets of the bed: the twenty of the fault table by their names there, and the further deployments."""

from __future__ import annotations

from tests.support.bed.deployments import DEPLOYMENTS
from tests.support.bed.faults import FAULTS
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import McpServer
from tests.support.bed.origin import Origin
from tests.support.bed.seeds import Seed1, Seed1Fix, Seed2, SeedTwoAuthorization, SeedTwoTenant

ALL: tuple[type[McpServer], ...] = (Good, Seed1, Seed1Fix, Seed2, *FAULTS)

TARGETS: dict[str, type[McpServer]] = {target.host.partition(".")[0]: target for target in ALL}
"""What a user can connect to: the fault table."""

EVERY_TARGET: dict[str, type[McpServer]] = TARGETS | {target.host.partition(".")[0]: target for target in DEPLOYMENTS}
"""The same, with the deployments."""

ORIGINS: tuple[type[Origin], ...] = (*EVERY_TARGET.values(), SeedTwoAuthorization, SeedTwoTenant)
"""Every server there is: the targets, and the authorization servers one of them names and means."""
