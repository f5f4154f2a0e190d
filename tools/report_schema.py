"""The JSON schema of the report. Written by `python -m tools.report_schema FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from oauthtap.report.model import Report

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(Report.model_json_schema(), indent=1) + "\n", encoding="utf-8")
