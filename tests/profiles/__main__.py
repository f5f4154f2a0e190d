"""The command `python -m tests.profiles CLIENT`: run it, and write what it does into its file."""

from __future__ import annotations

import argparse
from datetime import date, datetime
from pathlib import Path

from tests.profiles import OF_THE_BED, observed
from tests.profiles.file import write
from tests.profiles.reading import read
from tests.support.clients import drivers, versions_of


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.profiles", description=__doc__)
    parser.add_argument("client", choices=list(drivers()))
    parser.add_argument("--kept", type=Path, metavar="FILE", help="keep the runs here; what it has is not run again")
    arguments = parser.parse_args()
    seen = observed(arguments.client, arguments.kept)
    day = datetime.fromtimestamp(arguments.kept.stat().st_mtime).date() if arguments.kept else date.today()
    version = next(iter(versions_of(arguments.client).values()))
    print(write(arguments.client, read(seen, OF_THE_BED), version, day))


if __name__ == "__main__":
    main()
