"""Where rule files of users find it until the next release; import from `oauthtap.api`."""

from oauthtap.handshake.stages import (
    STAGES as STAGES,
)
from oauthtap.handshake.stages import (
    AuthorizationRequest as AuthorizationRequest,
)
from oauthtap.handshake.stages import (
    AuthorizationResponse as AuthorizationResponse,
)
from oauthtap.handshake.stages import (
    Certainty as Certainty,
)
from oauthtap.handshake.stages import (
    Challenge as Challenge,
)
from oauthtap.handshake.stages import (
    ClientMetadata as ClientMetadata,
)
from oauthtap.handshake.stages import (
    DeviceAuthorization as DeviceAuthorization,
)
from oauthtap.handshake.stages import (
    Discover as Discover,
)
from oauthtap.handshake.stages import (
    Document as Document,
)
from oauthtap.handshake.stages import (
    Initialize as Initialize,
)
from oauthtap.handshake.stages import (
    Initiator as Initiator,
)
from oauthtap.handshake.stages import (
    Interaction as Interaction,
)
from oauthtap.handshake.stages import (
    KeySet as KeySet,
)
from oauthtap.handshake.stages import (
    LegacySse as LegacySse,
)
from oauthtap.handshake.stages import (
    Mcp as Mcp,
)
from oauthtap.handshake.stages import (
    McpRequest as McpRequest,
)
from oauthtap.handshake.stages import (
    McpStream as McpStream,
)
from oauthtap.handshake.stages import (
    Preflight as Preflight,
)
from oauthtap.handshake.stages import (
    PushedAuthorization as PushedAuthorization,
)
from oauthtap.handshake.stages import (
    Registration as Registration,
)
from oauthtap.handshake.stages import (
    ResourceMetadata as ResourceMetadata,
)
from oauthtap.handshake.stages import (
    ServerMetadata as ServerMetadata,
)
from oauthtap.handshake.stages import (
    SessionEnd as SessionEnd,
)
from oauthtap.handshake.stages import (
    Stage as Stage,
)
from oauthtap.handshake.stages import (
    StepUp as StepUp,
)
from oauthtap.handshake.stages import (
    TokenEndpoint as TokenEndpoint,
)
from oauthtap.handshake.stages import (
    TokenMaintenance as TokenMaintenance,
)
from oauthtap.handshake.stages import (
    TokenOther as TokenOther,
)
from oauthtap.handshake.stages import (
    TokenRefresh as TokenRefresh,
)
from oauthtap.handshake.stages import (
    TokenRejected as TokenRejected,
)
from oauthtap.handshake.stages import (
    TokenRequest as TokenRequest,
)
from oauthtap.handshake.stages import (
    scopes as scopes,
)
from oauthtap.handshake.stages import (
    text as text,
)
from oauthtap.handshake.stages import (
    texts as texts,
)
