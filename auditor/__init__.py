"""auditor: which labels in this image data set are wrong, and how far can the list be trusted?

>>> import auditor
>>> result = auditor.audit("photos/", weights="none", train="full")   # doctest: +SKIP
>>> result.ranking.head()                                             # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
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
    # Torch and pyDVL take seconds to import; those who only read a result never need them.
    from auditor import config
    from auditor.data import feature_cache
    from auditor.pipeline import stages
    from auditor.report import page
    from auditor.system.checkpoint import Checkpoints
    from auditor.system.lock import output_folder
    from auditor.system.progress import Progress

    audit_settings, run_settings = config.settings_from({"quiet": True, **settings})
    with contextlib.nullcontext() if out is None else output_folder(out, source):
        progress = Progress(run_settings.quiet, run_settings.log_file)
        kept = Checkpoints(feature_cache.cache_folder(run_settings), progress.resumed)
        result = stages.audit(source, audit_settings, run_settings, download=download, progress=progress, kept=kept)
        if out is not None:
            result.save(out)
            page.write_report(result, Path(out))
        kept.clear()
    return result
