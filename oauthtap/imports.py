"""Imports without garbage collection: what a module makes when it is imported stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import here. To look for garbage among some 500,000 objects that stay would take a tenth of a start, and more
    later: from here on they are passed over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
