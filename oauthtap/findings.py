"""Where rule files of users found it; `oauthtap.api` has it all. Goes with the next release."""

from oauthtap.api import *  # noqa: F403
