"""The session folder: written as the session happens, read again later.

    session.jsonl   the header, one exchange a line, and at last when it ended
    flows.mitm      the same as flows, for mitmweb; written when the session ends
    session.har     the same, for browsers
    report.json     and further reports, handed in when the session ends
    state.json      how the command that records it is doing
    SECRETS-INSIDE.txt   only where somebody asked for the secrets to be kept

Folders are 0700 and files 0600. A kill loses at most the exchange under way: every line
is handed to the system before the next exchange is looked at.
"""

from oauthtap.session.listing import Listed, sessions
from oauthtap.session.paths import FLOWS, HAR, JSONL, MARK, STATE, SessionError, default_folder, home
from oauthtap.session.reader import NOT_SWEPT, read_jsonl, read_session
from oauthtap.session.sweep import sweep_session
from oauthtap.session.writer import SessionWriter

__all__ = [
    "FLOWS",
    "HAR",
    "JSONL",
    "MARK",
    "NOT_SWEPT",
    "STATE",
    "Listed",
    "SessionError",
    "SessionWriter",
    "default_folder",
    "home",
    "read_jsonl",
    "read_session",
    "sessions",
    "sweep_session",
]
