"""The documentation as a site with search: `python -m tools.site`, with the dependency group `docs`.

The source folder is README.md, docs/ and the pages of `tools.site_pages`. Zensical builds it, and fails at a dead link.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.site_pages import pages

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "site-source"
OTHERS = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Pages from outside of docs/, and where they go."""
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]*)(#[^)\s]*)?(?=\))")


def write(folder: Path = SOURCE) -> int:
    """Write the source folder anew; the number of pages."""
    shutil.rmtree(folder, ignore_errors=True)
    docs = ROOT / "docs"
    shutil.copytree(docs, folder, ignore=shutil.ignore_patterns("rules"))
    made = {folder / name: text for name, text in pages().items()}
    for source, name in OTHERS.items():
        made[folder / name] = linked((ROOT / source).read_text(encoding="utf-8"), source, name)
    for page in docs.rglob("*.md"):
        below = page.relative_to(docs)
        if below.parts[0] != "rules":
            made[folder / below] = linked(page.read_text(encoding="utf-8"), f"docs/{below}", str(below))
    for page, text in made.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return len(made)


def linked(text: str, source: str, name: str) -> str:
    """The page with links that hold in the site. A link to a file that is not in it becomes the file's name."""
    depth = "../" * name.count("/")

    def target(match: re.Match[str]) -> str:
        path = _normal(f"{Path(source).parent}/{match[1]}")
        there = OTHERS.get(path) or path.removeprefix("docs/")
        there = "rules/index.md" if there == "rules/README.md" else there
        return f"{depth}{there}{match[2] or ''}" if path in OTHERS or path.startswith("docs/") else "\0"

    text = _LINK.sub(target, text)
    return re.sub(r"\[([^\]]*)\]\(\0\)", r"\1", text)


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def main() -> int:
    """Write the source folder and build it into build/site. Gives Zensical's exit code."""
    print(f"{write()} pages in {SOURCE.relative_to(ROOT)}")
    return subprocess.run(["zensical", "build", "--strict", "--clean"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
