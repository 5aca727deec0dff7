"""A person's review: items are drawn and looked at, decisions come in; cleaned data and what the looks prove go out.

`draw` draws items to look at. `apply` brings decisions back into the data, with a baseline for the gate and a ledger of
all looks. `certify` says how many labels were wrong and how many are left, as the looks prove it. `compare` says what
changed between two audits. The gate reads a baseline through `Baseline`, a reviewer's decisions through
`read_decisions`, and a certificate through `read_certificate`. `documents` types the files.
"""

from __future__ import annotations

from auditor.review.apply import Applied, apply
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.certify import certify, read_certificate, write_certificate
from auditor.review.compare import compare
from auditor.review.decisions import Decision, load_decisions, read_decisions
from auditor.review.exporting import Exported, Wanted, export
from auditor.review.imported import Imported, import_answers
from auditor.review.ledger import Ledger
from auditor.review.looks import Look, Standing, settle
from auditor.review.sample_file import read_sample, write_sample
from auditor.review.sampling import Wish, draw_sample, plan_for
from auditor.review.steps import Certified, certify_files, draw

__all__ = [
    "Applied",
    "Baseline",
    "BaselineEntry",
    "Certified",
    "Decision",
    "Exported",
    "Imported",
    "Ledger",
    "Look",
    "Standing",
    "Wanted",
    "Wish",
    "apply",
    "certify",
    "certify_files",
    "compare",
    "draw",
    "draw_sample",
    "export",
    "import_answers",
    "load_decisions",
    "plan_for",
    "read_certificate",
    "read_decisions",
    "read_sample",
    "settle",
    "write_certificate",
    "write_sample",
]
