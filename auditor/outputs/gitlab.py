"""`--output gitlab`: a GitLab code quality report, one entry a new suspect, at its file.

GitLab compares reports of two branches by fingerprint, so a finding is named by content and label (and the path, for
copies of one file): what was there before a merge request does not show up in it.
"""

from __future__ import annotations

import json
from typing import Any

from auditor.gate.text import plain
from auditor.gate.verdict import Verdict, records
from auditor.outputs.places import fingerprint, locator
from auditor.result import AuditResult

name = "gitlab"
_CERTAIN = 0.95
"""From this probability on an entry is 'major'."""


def render(verdict: Verdict, result: AuditResult) -> str:
    """A JSON array, most suspicious first."""
    locate = locator(result)
    entries = [_entry(row, locate(row["path"])) for row in records(verdict.new_suspects)]
    return json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _entry(row: dict[str, Any], file: str) -> dict[str, Any]:
    suggestion = f"; it looks like '{plain(str(row['suggested_label']))}'" if row["suggested_label"] else ""
    p = float(row["p_mislabelled"])
    return {
        "description": f"The label '{plain(row['label'])}' is wrong with a probability of {p:.2f}{suggestion}.",
        "check_name": "auditor/wrong-label",
        "fingerprint": fingerprint(row["hash"], f"{row['label']}\n{row['path']}"),
        "severity": "major" if p >= _CERTAIN else "minor",
        "location": {"path": file, "lines": {"begin": 1}},
    }
