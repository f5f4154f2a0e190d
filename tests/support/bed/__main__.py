"""Starts the bed in the foreground and says how to reach it; Ctrl-C ends it."""

from __future__ import annotations

import argparse
import signal
import time

from tests.support.bed import EVERY_TARGET, Bed


def main() -> None:
    with Bed() as bed:
        for name, target in EVERY_TARGET.items():
            print(f"{name:12} {bed.url(name):36} {(target.__doc__ or '').splitlines()[0]}")
        print(f"\nCA     {bed.ca_file}")
        print("flags  " + " ".join(f"--connect-to {value}" for value in bed.connect_to) + f" --ca {bed.ca_file}")
        print(f"proxy  {bed.proxy} (HTTPS_PROXY, for clients without --connect-to)")
        print(f"try    curl --cacert {bed.ca_file} --connect-to {bed.connect_to[0]} -i {bed.url('good')}\n", flush=True)
        shown = 0
        while True:
            for entry in bed.log[shown:]:
                print(entry, flush=True)
                shown += 1
            time.sleep(0.2)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.support.bed", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print()
