"""Hooks that decide whether a request may go on, and fail closed.

mitmproxy logs what a hook raises and lets the flow go on. A check that breaks would so be a check that was passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mitmproxy import http


@contextmanager
def refused(flow: http.HTTPFlow, answer: http.Response) -> Iterator[None]:
    """Answer the flow as `answer` says unless the block ends without an exception.

    The block may set another answer. Whatever it raises goes on, and the flow has a copy of `answer`.
    """
    flow.response = answer
    try:
        yield
    except BaseException:
        if flow.response is answer:  # many flows are refused with the same one
            flow.response = answer.copy()
        raise
    if flow.response is answer:
        flow.response = None
