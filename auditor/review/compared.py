"""The last comparison with an earlier audit, kept beside the audit so that every later page shows it.

Nothing depends on it. Where it cannot be written nothing fails. Where it does not fit the audit it is ignored.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

from auditor.errors import ResultError
from auditor.result import AuditResult
from auditor.result.comparison import Comparison
from auditor.system import files
from auditor.system.documents import read_document
from auditor.system.ownership import COMPARISON_MARK, is_ours

NAME = "comparison.json"

_KIND, _VERSION = "auditor-comparison", 1


def keep(comparison: Comparison, folder: str | Path) -> None:
    """Write the comparison into the audit's folder, if that can be written to and nobody else's file is there."""
    path = Path(folder) / NAME
    if is_ours(path, COMPARISON_MARK):
        with contextlib.suppress(OSError):
            files.write_json(path, {"schema_version": _VERSION, "kind": _KIND, **comparison})


def kept(folder: str | Path, result: AuditResult) -> Comparison | None:
    """The comparison that lies in the folder of `result`; None where none fits that audit."""
    path = Path(folder) / NAME
    try:
        document = read_document(path, kind=_KIND, version=_VERSION, error=ResultError, what="comparison")
    except ResultError:
        return None
    said = document.get("sentences")
    fits = document.get("audit_id") == result.audit_id and isinstance(said, list)
    return cast(Comparison, document) if fits and all(isinstance(text, str) for text in said or ()) else None


def forget(folder: str | Path) -> None:
    """Remove the comparison of an audit that has been run again."""
    path = Path(folder) / NAME
    if is_ours(path, COMPARISON_MARK):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
