"""Fixes while the tap runs: fixes by number, switched on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from oauthtap.cli.options.fixes import FixOptions
from oauthtap.cli.options.summary import session_word
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.issuer_candidates import WANT_AN_ISSUER, vendor_of
from oauthtap.fixes.model import Fix
from oauthtap.fixes.offers import Offer, Offers, UnknownOffer
from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.commands import BY_NAME, Invocation
from oauthtap.solve.proposal import Proposal, checked, latest_attempt_steps, offline
from oauthtap.upstream.options import UpstreamOptions

_MOST = 9
"""As many as there are keys."""


class LiveFixController:
    """What is proposed for the newest sign-in, and what is on.

    `say`: told what came of a key or command that needed time. `here`: how oauthtap was started.
    """

    def __init__(
        self,
        tap: SessionAnalyzer,
        fixing: FixOptions,
        folder: Path,
        reach: UpstreamOptions,
        say: Callable[[Sequence[str]], None],
        here: Invocation = BY_NAME,
    ) -> None:
        self._here = here
        self._tap, self._fixing, self._folder, self._reach, self._say = tap, fixing, folder, reach, say
        self._listed: list[Fix] = []
        self._found: Proposal | None = None
        self._looking = False

    async def look(self) -> None:
        """Propose fixes, and say them. Issuers are checked over the network: somebody asked for it."""
        if self._looking:
            return
        self._looking = True
        try:
            found = await self._work_out(check=True)
            self._say(["", *self.lines(), *self._missing(found)])
        except Exception as problem:  # the debugger must never be the bug
            self._say([f"No fix could be proposed: {type(problem).__name__}."])
        finally:
            self._looking = False

    async def _work_out(self, *, check: bool) -> Proposal:
        steps = latest_attempt_steps(self._tap)
        found = await asyncio.to_thread(offline, self._tap, steps, self._fixing.fixes.fixes)
        if check:
            found = await checked(self._tap, steps, found, self._reach)
        self._take(found)
        return found

    # --- for the live page

    async def propose(self, *, check: bool = False) -> None:
        """Propose fixes, and say nothing. `check`: ask servers which issuer is right."""
        if self._looking:
            return
        self._looking = True
        try:
            await self._work_out(check=check)
        except Exception as problem:  # the debugger must never be the bug
            self._say([f"No fix could be proposed: {type(problem).__name__}."])
        finally:
            self._looking = False

    def offers(self) -> Offers:
        """The list, as `lines` says it."""
        on = self._fixing.fixes.fixes
        known = {"resource": self._tap.handshake.resource or "the server"}
        rows = [
            Offer(title(fix), fix.says, spoken(fix.assumes or "", {**known, "value": fix.value}), fix in on)
            for fix in self._listed
        ]
        stuck = self._found.unresolved if self._found else None
        wants = stuck.rule if stuck is not None and stuck.rule in WANT_AN_ISSUER else ""
        vendor = vendor_of(stuck.actual or "") if stuck is not None and wants else None
        advice = (f"{vendor.name} has issuers like {vendor.issuer}: look up {vendor.ask}.",) if vendor else ()
        return Offers(tuple(rows), wants, advice, vendor.issuer if vendor else "", self._found is not None)

    def switch(self, name: str, *, on: bool) -> None:
        """Switch the fix of that name, as its number does on the keyboard. Raises UnknownOffer."""
        fix = next((one for one in self._listed if title(one) == name), None)
        if fix is None:
            raise UnknownOffer("There is no such fix any more. Reload the page.")
        self._say(self._turn(fix, on=on))

    def give(self, rule: str, value: str) -> None:
        """Switch on the fix of that rule with this value. Raises UnknownOffer."""
        if not value.startswith(("https://", "http://")) or not urls.origin(value):
            raise UnknownOffer(f"{escape_controls(value, limit=200)} is no URL. Type an issuer: https://…")
        try:
            chosen = toml_io.presets_for(rule, value)
        except toml_io.FixError as problem:
            raise UnknownOffer(str(problem)) from None
        self._say([line for fix in chosen for line in self._turn(fix, on=True)])

    # --- for keys and commands

    def command(self, words: Sequence[str]) -> list[str]:
        """For the command of mitmweb: no word lists, `off` switches all off, a number or `RULE=VALUE` one on."""
        if list(words) == ["off"]:
            for fix in self._fixing.fixes.fixes:
                self._fixing.switch(fix, on=False)
            return ["Every fix is off."]
        said = [line for word in words for line in self._one(word)]
        if not words:
            self._take(offline(self._tap, latest_attempt_steps(self._tap), self._fixing.fixes.fixes))
        return [*said, *self.lines()]

    def _one(self, word: str) -> list[str]:
        if word.isdecimal():
            return self.toggle(int(word))
        name, _, value = word.partition("=")
        try:
            chosen = toml_io.presets_for(name, value)
        except toml_io.FixError as problem:
            return [str(problem)]
        return [line for fix in chosen for line in self._turn(fix, on=True)]

    def toggle(self, number: int) -> list[str]:
        """Turn the fix of that number on, or off again. Gives what to say."""
        if not 0 < number <= len(self._listed):
            return [f"There is no number {number}. Press f for the list."]
        fix = self._listed[number - 1]
        return self._turn(fix, on=fix not in self._fixing.fixes.fixes)

    def _turn(self, fix: Fix, *, on: bool) -> list[str]:
        self._fixing.switch(fix, on=on)
        if fix not in self._listed:
            self._listed = [*self._listed, fix][-_MOST:]
        if not on:
            return [f"Off: {title(fix)}."]
        return [f"On: {title(fix)}. Let the client sign in once more."]

    def _take(self, found: Proposal) -> None:
        """List what is on, what is proposed, and each issuer where there is more than one."""
        self._found = found
        stuck = found.unresolved
        several = [
            fix
            for one in (found.issuers if stuck and len(found.issuers) > 1 else ())
            for fix in toml_io.presets_for(stuck.rule if stuck else "", one.issuer)
        ]
        kept = [fix for fix in self._listed if fix in self._fixing.fixes.fixes]
        every = (*kept, *self._fixing.fixes.fixes, *found.trial.fixes, *several)
        listed: list[Fix] = []
        listed += (fix for number, fix in enumerate(every) if fix not in every[:number])
        self._listed = listed[:_MOST]

    def lines(self) -> list[str]:
        """The list as it is now."""
        if not self._listed:
            return ["Nothing is proposed, and nothing is on."]
        rows = ["Fixes. Press a number to turn one on, and again to turn it off:"]
        for number, fix in enumerate(self._listed, 1):
            state = "on " if fix in self._fixing.fixes.fixes else "off"
            rows.append(f"  {number}  {state}  {title(fix)}: {fix.says or 'what the rule proposes for this answer'}")
            if fix.assumes:
                known = {"value": fix.value, "resource": self._tap.handshake.resource or "the server"}
                rows.append(f"          assumes that {spoken(fix.assumes, known)}")
        return rows

    def _missing(self, found: Proposal) -> list[str]:
        if found.unresolved is None or len(found.issuers) > 1:
            return []
        return wanting(found.unresolved, self._here.command(f"oauthtap fix --apply {session_word(self._folder)}"))


def title(fix: Fix) -> str:
    """A fix by its name, with its value."""
    return escape_controls(f"{fix.name}={fix.value}" if fix.value else fix.name, limit=200)


def spoken(words: str, known: dict[str, str]) -> str:
    """What a fix assumes, in words for a person."""
    for name, value in known.items():
        words = words.replace(f"${{{name}}}", value)
    return escape_controls(words, limit=300)


def wanting(stuck: Finding, command: str) -> list[str]:
    """What a person has to say where oauthtap found nothing for a finding."""
    if stuck.rule not in WANT_AN_ISSUER:
        return [f"For {stuck.rule} there is no fix that needs nothing more. More: {command}"]
    rows = [f"{stuck.rule}: only you can tell which issuer is right; oauthtap does not guess."]
    if vendor := vendor_of(stuck.actual or ""):
        rows.append(f"{vendor.name} has issuers like {vendor.issuer}: look up {vendor.ask}.")
    return [*rows, f"Say it from another terminal: {command} --fix {stuck.rule}=https://ISSUER"]
