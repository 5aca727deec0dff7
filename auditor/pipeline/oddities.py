"""What else is wrong: facts of the pictures before detection, and after it every kind of oddity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from auditor.data.feature_cache import cache_folder
from auditor.data.inputs import Inputs
from auditor.data.near_pairs import NearPairs
from auditor.data.picture_facts import picture_facts
from auditor.detection import Detection
from auditor.oddities import Audited, Oddity, look
from auditor.oddities.look import documents, pictured, with_columns
from auditor.pipeline.job import Job
from auditor.result.documents import OddityDocument
from auditor.result.nouns import noun_of
from auditor.sources.beside import grouping


def with_facts(inputs: Inputs, job: Job) -> Inputs:
    """The inputs with what the picture files show. The study looks at none."""
    data = inputs.data
    if job.settings.preset == "study" or data.table.kind not in ("image", "features"):
        return inputs
    with job.stage("pictures", "Looking at the picture files") as update:
        facts = picture_facts(
            data.table, data.paths, data.hashes, job.settings.max_pixels, cache_folder(job.run), update
        )
    return replace(inputs, facts=facts)


@dataclass(frozen=True)
class Odd:
    """What every kind found, ready for the result. Nothing where nobody looked."""

    audited: Audited | None
    found: Mapping[str, Oddity]

    @property
    def documents(self) -> list[OddityDocument]:
        """As `audit.json` has it."""
        if self.audited is None:
            return []
        return documents(self.audited, self.found, noun_of(self.audited.data.table.kind))

    @property
    def paths(self) -> list[str]:
        """Items that are named, which people want to see."""
        return [] if self.audited is None else pictured(self.audited.data, self.found)

    def columns_in(self, ranking: pd.DataFrame) -> pd.DataFrame:
        """The ranking with the columns of the kinds, behind all others."""
        return ranking if self.audited is None else with_columns(ranking, self.audited.data, self.found)


def find(inputs: Inputs, job: Job, detection: Detection | None) -> Odd:
    """Ask every kind. The study knows none."""
    if detection is None:
        return Odd(None, {})
    data = inputs.data
    families = np.arange(len(data.paths)) if inputs.groups is None else inputs.groups
    near = NearPairs.none() if inputs.near is None else inputs.near
    groups = grouping(data.table, job.settings.group_columns).of(data.table, data.paths)
    audited = Audited(data, families, inputs.facts, detection, job.settings.seed, groups, near)
    with job.stage("oddities", "Looking for what else is wrong"):
        found = job.kept.once("oddities", lambda: look(audited))
    return Odd(audited, found)
