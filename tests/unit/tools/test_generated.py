"""What is generated and committed says what the code says today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oauthtap.report.model import Report
from tools import client_docs
from tools.rule_docs import pages
from tools.schemas import schemas

DOCS = Path(__file__).parents[3] / "docs"
PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_rule_pages_are_fresh(name: str) -> None:
    page = DOCS / "rules" / name
    assert page.read_text(encoding="utf-8") == PAGES[name], "run: uv run python -m tools.rule_docs docs/rules"


def test_no_page_is_left_over() -> None:
    assert {page.name for page in (DOCS / "rules").iterdir()} == set(PAGES)


def test_the_report_schema_is_fresh() -> None:
    committed = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    assert committed == Report.model_json_schema(), "run: uv run python -m tools.report_schema docs/report.schema.json"


def test_the_page_of_clients_is_fresh() -> None:
    committed = (DOCS / "client-traits.md").read_text(encoding="utf-8")
    assert committed == client_docs.page(), "run: uv run python -m tools.client_docs > docs/client-traits.md"


def test_the_other_schemas_are_fresh() -> None:
    committed = {file.name: json.loads(file.read_text("utf-8")) for file in (DOCS / "schemas").iterdir()}
    assert committed == schemas(), "run: uv run python -m tools.schemas docs/schemas"
