"""Where rule files of users find it until the next release; import from `oauthtap.api`."""

from oauthtap.diagnosis.findings import (
    BY_LEVEL as BY_LEVEL,
)
from oauthtap.diagnosis.findings import (
    RANK as RANK,
)
from oauthtap.diagnosis.findings import (
    Finding as Finding,
)
from oauthtap.diagnosis.findings import (
    Patch as Patch,
)
from oauthtap.diagnosis.findings import (
    Problem as Problem,
)
from oauthtap.diagnosis.findings import (
    Problems as Problems,
)
from oauthtap.diagnosis.findings import (
    Severity as Severity,
)
from oauthtap.diagnosis.findings import (
    finding as finding,
)
