"""A person's review of the suspects: the decisions come in, a cleaned data set and a baseline go out.

`apply` brings decisions back into the data. `compare` says what changed between two audits. The gate reads a baseline
through `Baseline` and a reviewer's decisions through `read_decisions`. `documents` types the files.
"""

from __future__ import annotations

from auditor.review.apply import Applied, apply
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.compare import compare
from auditor.review.decisions import Decision, load_decisions, read_decisions

__all__ = [
    "Applied",
    "Baseline",
    "BaselineEntry",
    "Decision",
    "apply",
    "compare",
    "load_decisions",
    "read_decisions",
]
