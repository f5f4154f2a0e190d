"""Modules that are imported when they are first used, and what they cost when they are. Knows none of them."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType


def later(name: str) -> ModuleType:
    """The module of that name; what it takes to import it is spent when a member of it is first asked for.

    Raises ModuleNotFoundError when it is not installed.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """A block that imports much. The garbage collector rests meanwhile, and never looks at what came of it.

    Nothing of it is garbage, and to look at it again and again takes a twelfth of the time that a start takes.
    """
    resting, known = not gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) != known:
            gc.freeze()
        if not resting:
            gc.enable()
