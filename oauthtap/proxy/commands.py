"""Commands that mitmweb and mitmproxy offer while the tap runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mitmproxy import command


class Commands:
    """`oauthtap.fix`, in the command bar of mitmweb or with `console.command`."""

    name = "oauthtap_commands"

    def __init__(self, fix: Callable[[Sequence[str]], list[str]]) -> None:
        self._fix = fix

    @command.command("oauthtap.fix")  # type: ignore[untyped-decorator]
    def fix(self, *words: str) -> Sequence[str]:
        """List fixes for the sign-in; a number or RULE=VALUE turns one on, `off` turns all off."""
        return self._fix(words)
