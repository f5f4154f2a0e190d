"""What happened: what each exchange was for, why it was sent, and what it taught."""

# Rule files of users find it here until the next release; they import from `oauthtap.api`.
from oauthtap.handshake.state import Handshake as Handshake
