"""The measure of disorder: a run of characters that nobody would write."""

from __future__ import annotations

import re

from oauthtap.redaction import leak_names as names

_OF_OKTA = re.compile(r"aus[A-Za-z0-9]{17}")


def is_in_disorder(run: str, public: set[str], examples: str) -> bool:
    """A string that nobody would write: letters and digits in no order, of more bits than words have."""
    if run.startswith(("sha256-", "sha384-", "sha512-", "X-", "x-")):  # digests of scripts; names of header lines
        return False
    if "/" in run.strip("/"):
        parts = run.split("/")
        known = {part for part in parts if part in public}
        if known or max(map(len, parts)) >= 20 or run.startswith("/"):
            return any(is_in_disorder(part, public, examples) for part in parts if part not in known)
    run = run.strip("/")
    if run.startswith("AAAA") or _OF_OKTA.fullmatch(run):  # a public key of SSH; an authorization server
        return False
    if run in public or run in examples or "‹" in run or names.UUID.search(run):
        return False
    plain = run.rstrip("=")
    longest = max(re.split(r"[/_.~+-]", plain), key=len)
    if len(longest) < 16:
        longest = plain if len(re.findall(r"\d", plain)) >= 5 and plain.count("/") <= 1 and len(plain) >= 24 else ""
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", longest))
    if turns < 4 or any(run in known or known in run for known in public if len(known) >= 12):
        return False
    return names.entropy(longest) >= (3.0 if re.fullmatch(r"[0-9a-f-]+", longest) else 3.5)
