"""One audit as it was asked for: settings, and what serves the work. Every stage gets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditor.config import AuditSettings, RunSettings
from auditor.system import memory
from auditor.system.checkpoint import Checkpoints
from auditor.system.progress import Progress, Update


@dataclass(frozen=True)
class Job:
    """What was asked, and what serves it.

    Attributes
    ----------
    download
        Whether ImageNet's weights may be fetched.
    kept
        Where finished stages are kept, and those of an interrupted audit are found.
    client
        Of a Dask cluster that shares the work, or None.
    """

    settings: AuditSettings
    run: RunSettings
    progress: Progress
    kept: Checkpoints
    download: bool = False
    client: Any = None

    @contextlib.contextmanager
    def stage(self, name: str, title: str) -> Iterator[Update]:
        """A stage with its progress. The system has its freed memory back when the next one begins."""
        with self.progress.stage(name, title) as update:
            yield update
        memory.give_back()
