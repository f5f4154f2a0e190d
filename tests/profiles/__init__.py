"""Profiles of clients, measured: `python -m tests.profiles CLIENT` runs it at servers that each ask one thing of it.

What comes out stands in the client's own file (`oauthtap/clients/CLIENT.toml`): every member with the server that shows
it, below `[measured]` the version, the date, what it sends, and how each server of the bed ended for it.
"""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.profiles.observation import Observation, observe
from tests.profiles.questions import BESIDE, QUESTIONS
from tests.support.bed import TARGETS, Bed

OF_THE_BED = (*TARGETS, "closed-as", "nosuch-as")
"""The servers whose ending stands in the file."""


ONE_CALLBACK = ("opencode", "gemini-cli", "qwen-code", "mcp-use", "mcp-use-python", "mcp-inspector")
"""Their callback has one port, so that they run one after the other."""


def observed(client: str, kept: Path | None = None) -> dict[str, Observation]:
    """One run at each server, each in a bed of its own. The client is installed on first use.

    `kept`: a file with the runs so far, which are not made again.
    """
    seen: dict[str, Observation] = pickle.loads(kept.read_bytes()) if kept and kept.exists() else {}
    names = [*OF_THE_BED, "prefix-root", *(kind.host.partition(".")[0] for kind in QUESTIONS)]

    def observe_one(name: str) -> None:
        with Bed(*QUESTIONS, *BESIDE) as bed:
            seen[name] = observe(bed, client, name)
            if seen[name].late:  # on a busy machine; who waits for ever does so again
                seen[name] = observe(bed, client, name, patience=2)
        print(f"{client} {name}: {seen[name].ending}", file=sys.stderr, flush=True)
        if kept:
            kept.write_bytes(pickle.dumps(dict(seen)))

    with ThreadPoolExecutor(1 if client in ONE_CALLBACK else 3) as pool:
        for done in [pool.submit(observe_one, name) for name in names if name not in seen]:
            done.result()
    return seen
