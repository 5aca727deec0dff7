"""`gate --update-baseline`: accept what is there today, so that from now on only what is new counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from auditor.gate.evaluate import gather
from auditor.gate.rules import Rules
from auditor.result import AuditResult

if TYPE_CHECKING:
    from auditor.baseline import Baseline

ACCEPTED = "accepted"
"""The decision of an entry that nobody has looked at: known, not confirmed. It leaves the estimated share alone."""
MARGIN = 0.5
"""Accept suspects from this part of the rule's probability on: the next audit of nearly the same data gives nearly the
same probabilities, and an image just under the line today must not be news tomorrow."""


def updated(baseline: Baseline | None, result: AuditResult, rules: Rules, date: str) -> tuple[Baseline, int]:
    """The baseline with today's suspects and conflicting duplicates added, and how many entries are new.

    Entries that are there already keep their decision and date; stale ones stay, for only a person knows whether
    an image is gone for good.
    """
    from auditor.baseline import Baseline, BaselineEntry

    rows = gather(result, baseline).rows
    probability = rules["new_suspects"].probability or 1.0
    conflicting = {
        (group["hash"], entry["label"])
        for group in result.summary["dataset"]["duplicates"]["conflicting"]
        for entry in group["entries"]
    }
    in_conflict = pd.Series([pair in conflicting for pair in zip(rows["hash"], rows["label"], strict=True)], rows.index)
    chosen = rows[rows["decision"].isna() & ((rows["p_mislabelled"] >= MARGIN * probability) | in_conflict)]
    first = chosen.sort_values("path").drop_duplicates(["hash", "label"])
    new = tuple(
        BaselineEntry(hash=hash, label=label, decision=ACCEPTED, path=path, date=date)
        for hash, label, path in first[["hash", "label", "path"]].itertuples(index=False)
    )
    return Baseline((*(baseline.entries if baseline else ()), *new)), len(new)
