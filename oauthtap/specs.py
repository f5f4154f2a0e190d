"""Where rule files of users find it until the next release; import from `oauthtap.api`."""

from oauthtap.model.requirements import (
    NEWEST as NEWEST,
)
from oauthtap.model.requirements import (
    REVISIONS as REVISIONS,
)
from oauthtap.model.requirements import (
    Level as Level,
)
from oauthtap.model.requirements import (
    Requirement as Requirement,
)
from oauthtap.model.requirements import (
    may as may,
)
from oauthtap.model.requirements import (
    must as must,
)
from oauthtap.model.requirements import (
    practice as practice,
)
from oauthtap.model.requirements import (
    should as should,
)
