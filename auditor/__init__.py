"""auditor: which labels in this image data set are wrong, and how far can the list be trusted?

>>> import auditor
>>> result = auditor.audit("photos/", weights="none", train="full")   # doctest: +SKIP
>>> result.ranking.head()                                             # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor._version import __version__
from auditor.errors import AuditorError, ExitCode

if TYPE_CHECKING:
    from auditor.result import AuditResult


__all__ = ["AuditorError", "ExitCode", "__version__", "audit"]


def audit(source: str | Path, *, out: str | Path | None = None, download: bool = False, **settings: Any) -> AuditResult:
    """Audit a data set; the same thing as the command `auditor audit`.

    Parameters
    ----------
    source
        A folder, a manifest or whatever else an installed source accepts.
    out
        Write the audit's files and the report there.
    download
        Allow fetching ImageNet's weights.
    **settings
        The command's options with underscores, such as `noise_rate=0.1`, `weights="none"`, `quiet=True`.

    Returns
    -------
    AuditResult
        With the data frames `ranking` and `planted`, and the summary that becomes `audit.json`.

    Raises
    ------
    AuditorError
        Whose message says what was wrong, where, and what to do next.
    """
    # Of use where torch is not loaded yet: on a busy machine threads that spin for each other cost ten times as much.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch and pyDVL take seconds to import. Those who only read a result never need them.
    from auditor.config import settings_from
    from auditor.session import Order, carry_out

    audit_settings, run_settings = settings_from({"quiet": True, **settings})
    return carry_out(Order(source, out, audit_settings, run_settings, download)).result
