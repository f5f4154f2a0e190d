"""The documentation site: a page for each rule, client, vendor and table of messages, and no dead link between them."""

from __future__ import annotations

import posixpath
import re

from oauthtap import rules
from oauthtap.clients import messages, profiles
from oauthtap.vendors import vendors
from tools.site import linked
from tools.site_pages import pages

PAGES = pages()


def test_everything_has_its_page() -> None:
    wanted = {f"rules/{rule.id}.md" for rule in rules.load().values() if rule.group != "own"}
    wanted |= {f"clients/{one.slug}.md" for one in profiles()}
    wanted |= {f"vendors/{one.slug}.md" for one in vendors()}
    wanted |= {f"messages/{one.slug}.md" for one in messages.messages()}
    assert wanted - set(PAGES) == set()


def test_generated_pages_link_to_pages() -> None:
    dead = {
        (page, link)
        for page, text in PAGES.items()
        for link in re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", text)
        if (there := posixpath.normpath(f"{posixpath.dirname(page)}/{link}")) not in PAGES
        and there not in ("glossary.md", "tunnel.md")
    }
    assert dead == set()


def test_links_hold_where_a_page_goes() -> None:
    assert linked("[a](docs/fixes.md#x) [b](LICENSE) [c](https://h/)", "README.md", "index.md") == (
        "[a](fixes.md#x) b [c](https://h/)"
    )
    assert linked("[a](../benchmarks/README.md)", "docs/what-changes.md", "what-changes.md") == "[a](benchmarks.md)"
    assert linked("[a](../docs/rules/README.md)", "benchmarks/README.md", "benchmarks.md") == "[a](rules/index.md)"
    assert linked("[a](../fidelity.md)", "docs/conformance/README.md", "conformance/README.md") == "[a](../fidelity.md)"
