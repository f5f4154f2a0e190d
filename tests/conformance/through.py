"""Puts a tap of its own before the URL that ends a command, and runs the command with the tap's URL in its place.

`python -m tests.conformance.through COMMAND… URL`: what the suite is given as its client, so that the tap
follows wherever the suite puts its servers. Exit code and output are the command's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.running import started


def main(words: list[str]) -> int:
    """`words` is the command, its last word the URL."""
    *command, url = words
    with (
        tempfile.TemporaryDirectory(prefix="oauthtap-through-", ignore_cleanup_errors=True) as home,
        # The suite counts every request as the client's, so we send none.
        started(url, "--no-preflight", home=Path(home), path=urlsplit(url).path) as tap,
    ):
        code = subprocess.run([*command, tap.url], check=False).returncode
        tap.end()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
