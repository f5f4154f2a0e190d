"""What to deploy, in words: for a terminal and for Markdown; the page has a template for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from oauthtap.fixes.deploy_plan import Change, Deploy, Recipe
from oauthtap.model.sanitize import escape_controls

_LONGEST = 20_000


def heading(deploy: Deploy) -> str:
    """What it is worth."""
    return "What to deploy (a client connected with it)" if deploy.proved else "What to deploy (not proven by a client)"


def needs(change: Change) -> Iterator[str]:
    """What a diff cannot say of a change, in sentences."""
    if change.encoding == "json":
        yield "The same members, as JSON and no longer as a form."
    if change.repeats:
        yield f"The answer repeats what the request has for {', '.join(change.repeats)}."


def json_patch(change: Change) -> str:
    """The RFC 6902 document on one line; empty where no member changes."""
    return json.dumps(change.json_patch, ensure_ascii=False) if change.json_patch else ""


def about(recipe: Recipe) -> str:
    """For which stack, and why that one."""
    seen = f" (recognized: {'; '.join(recipe.because)})" if recipe.because else ""
    return f"{recipe.stack}{seen}"


def checked(recipe: Recipe) -> str:
    """Against what they were checked, and when."""
    return f"checked against {recipe.version} on {recipe.checked}: {recipe.how}"


# --- a terminal


def console(deploy: Deploy) -> Iterator[str]:
    """The lines for a terminal; upstream text in them is made plain."""
    yield f"{heading(deploy)}:"
    for change in deploy.changes:
        yield ""
        yield from (f"  {escape_controls(line, limit=400)}" for line in change.diff.splitlines())
        yield from (f"  {sentence}" for sentence in needs(change))
        if patch := json_patch(change):
            yield f"  as JSON Patch: {escape_controls(patch, limit=2000)}"
    yield from (f"  {escape_controls(one, limit=600)}" for one in deploy.requests)
    for stack, recipes in groupby(deploy.recipes, about):
        yield ""
        yield f"  {stack}:"
        for recipe in recipes:
            yield f"    {recipe.where}:"
            yield from (f"      {escape_controls(line, limit=400)}" for line in recipe.text.splitlines())
        yield f"    ({checked(recipe)}; {recipe.source})"
    if not deploy.recipes:
        yield ""
        yield "  No stack was recognized that oauthtap has lines for. Try: oauthtap fix --stack NAME"


# --- Markdown


def markdown(deploy: Deploy) -> Iterator[str]:
    """A section; everything the upstream said stands in fences that it cannot end."""
    yield f"## {heading(deploy)}"
    yield ""
    for change in deploy.changes:
        yield from _fenced("diff", change.diff)
        yield from (f"- {sentence}" for sentence in needs(change))
        if patch := json_patch(change):
            yield "As JSON Patch (RFC 6902):"
            yield ""
            yield from _fenced("json", patch)
    for one in deploy.requests:
        yield from _fenced("", one)
    for recipe in deploy.recipes:
        yield f"**{about(recipe)}**: {recipe.where}"
        yield ""
        yield from _fenced(recipe.language, recipe.text)
        yield f"[{recipe.source}]({recipe.source}); {checked(recipe)}."
        yield ""


def _fenced(language: str, text: str) -> Iterator[str]:
    shown = escape_controls(text, limit=_LONGEST, lines=True)
    fence = "```"
    while fence in shown:
        fence += "`"
    yield f"{fence}{language}"
    yield shown
    yield fence
    yield ""
