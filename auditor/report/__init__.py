"""The report: one self-contained HTML page about a finished audit.

Nothing but the audit's result is read. Neither torch, nor pyDVL, nor scikit-learn is loaded.
"""

from __future__ import annotations

from auditor.report.headline import headline
from auditor.report.looks import Looks, looks_in
from auditor.report.page import render, write_report

__all__ = ["Looks", "headline", "looks_in", "render", "write_report"]
