"""The report: one self-contained page made from a finished audit, and nothing else.

Neither torch nor pyDVL is imported here.
"""

from __future__ import annotations

from auditor.report.headline import headline
from auditor.report.page import render, write_report

__all__ = ["headline", "render", "write_report"]
