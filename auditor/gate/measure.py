"""What several rules measure with: the audit's estimate, bootstrap intervals, rows of evidence.

Estimated figures come with the audit's own 95% intervals. Exact figures, such as counts of files, have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Decider, Facts
from auditor.result.documents import CopyGroup, QualityDocument
from auditor.result.wording import CANNOT_TELL
from auditor.system.arrays import Floats
from auditor.system.text import plain

Ends = tuple[float, float]
"""Both ends of an interval, the lower one first."""

EVIDENCE_ROWS = 20
"""Rows of evidence that a rule shows. The verdict lists all new suspects elsewhere."""

RESAMPLES = 500
"""Bootstrap samples behind an interval of F1."""

_FARTHEST = 100
"""So many times the test images, and no number of them is named."""

RIGHT_DECISIONS = frozenset({"keep", "relabel"})
"""A person said that this label is right for this image. After `relabel` it is the label they chose."""

WRONG_DECISIONS = frozenset({"drop"})
"""A person said that the label is wrong. The image is still there under it."""


def unsolved(facts: Facts) -> str:
    """Why influence cannot be trusted, or nothing. A solve that stopped before its tolerance is a reason."""
    solves = facts.summary["influence"]["solves"]
    failed = [solve for solve in solves if not solve["converged"]]
    if not failed:
        return ""
    worst = max((s["relative_residual"] for s in failed if s["relative_residual"] is not None), default=None)
    residual = "" if worst is None else f" (relative residual up to {worst:.1g})"
    return f"{len(failed)} of {len(solves)} influence solves did not converge{residual}"


def uncalibrated(facts: Facts) -> str:
    """Why the audit's estimate of wrong labels cannot be used, or nothing."""
    calibration = facts.summary["calibration"]
    if calibration is None:
        return "the audit could not estimate how many labels are wrong"
    if calibration["decided"] is True:
        return ""
    return plain(str(calibration["reason"] or "the audit's estimate is undecided"), 300).rstrip(".")


def cannot_tell(facts: Facts) -> str:
    """Why the audit's estimate cannot make a rule pass, or nothing. Audits of earlier versions do not say it."""
    calibration = facts.summary["calibration"]
    if calibration is None or not calibration.get("cannot_tell", False):
        return ""
    return f"the model {CANNOT_TELL} how many labels are wrong"


def with_settled(share: float, ends: Sequence[float], rows: pd.DataFrame) -> tuple[float, list[float]]:
    """A share of wrong labels among images that nobody looked at, as the share among all of them.

    Images that people settled before the audit count as what they are. Earlier audits know none.

    Parameters
    ----------
    share, ends
        The estimate and its interval.
    rows
        The rows of `Facts.rows` that the share is to count.
    """
    counted = rows[rows["p_mislabelled"].notna()]
    if "looked" not in counted or counted.empty:
        return share, list(ends)
    wrong, right = (int((counted["looked"] == word).sum()) for word in ("wrong", "right"))
    open_, total = len(counted) - wrong - right, len(counted)
    value, *moved = ((x * open_ + wrong) / total for x in (share, *ends))
    return value, moved


def more_images(value: float, interval: Ends, n: int) -> Callable[[float], Decider]:
    """What decides a figure that was measured on n test images: about so many that the interval ends at the level."""

    def decided(level: float) -> Decider:
        half = (interval[1] - value) if level > value else (value - interval[0])
        needed = n * (half / (level - value)) ** 2 if level != value else np.inf
        if not needed <= _FARTHEST * n:
            return Decider("the figure lies too near the level for any number of test images")
        return Decider(f"a test split of about {max(n + 1, round(needed)):,} images would decide it")

    return decided


def reviewed(share: float, ends: Sequence[float] | None, rows: pd.DataFrame) -> tuple[float, Ends | None]:
    """A share of wrong labels, corrected by what people said of its images.

    The estimate is a sum of probabilities. For a reviewed image the truth replaces its probability: 0 where the label
    was confirmed, 1 where it was found wrong and the image is still there. The share and both ends of its interval
    move by the same amount. The interval so stays as wide as before the review, which is the cautious side.

    Parameters
    ----------
    share, ends
        The estimate and its 95% interval.
    rows
        The rows of `Facts.rows` that the share counts.
    """
    counted = rows[rows["p_mislabelled"].notna()]
    if counted.empty:
        return share, (ends[0], ends[1]) if ends else None
    p, decision = counted["p_mislabelled"], counted["decision"]
    change = (1 - p[decision.isin(WRONG_DECISIONS)]).sum() - p[decision.isin(RIGHT_DECISIONS)].sum()
    moved = [min(1.0, max(0.0, float(x + change / len(counted)))) for x in (share, *(ends or ()))]
    return moved[0], (moved[1], moved[2]) if ends else None


def suspect_evidence(rows: pd.DataFrame) -> tuple[EvidenceRow, ...]:
    """The most probable suspects among `rows` that no person has confirmed."""
    rows = rows[rows["p_mislabelled"].notna() & ~rows["decision"].isin(RIGHT_DECISIONS)]
    first = rows.sort_values(["p_mislabelled", "path"], ascending=[False, True]).head(EVIDENCE_ROWS)
    columns = ["path", "label", "suggested_label", "p_mislabelled"]
    return tuple(
        {"path": path, "label": label, "suggested_label": suggested, "p_mislabelled": float(p)}
        for path, label, suggested, p in first[columns].itertuples(index=False)
    )


def copy_evidence(groups: Iterable[CopyGroup]) -> tuple[EvidenceRow, ...]:
    """The first groups of identical files, one row for each file."""
    return tuple(
        {"path": entry["path"], "label": entry["label"], "split": entry["split"], "hash": group["hash"]}
        for group in list(groups)[:EVIDENCE_ROWS]
        for entry in group["entries"][:EVIDENCE_ROWS]
    )


def f1_draws(quality: QualityDocument, seed: int) -> Floats:
    """Weighted F1 of `RESAMPLES` bootstrap samples of the test images [RESAMPLES].

    The images are drawn from the cells of the confusion matrix [given class x predicted class].
    """
    cells = np.asarray(quality["confusion"], dtype=float)
    given, predicted = np.nonzero(cells)
    counts = cells[given, predicted]
    rng, size, n = np.random.default_rng(seed), len(cells), int(counts.sum())
    right = given == predicted
    scores = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = rng.multinomial(n, counts / counts.sum())
        rows = np.bincount(given, drawn, size)
        columns = np.bincount(predicted, drawn, size)
        hits = np.bincount(given[right], drawn[right], size)
        scores[i] = (rows * 2 * hits / np.maximum(rows + columns, 1)).sum() / n
    return scores


def percentile_interval(draws: Floats, value: float) -> Ends:
    """The central 95% of bootstrap draws, widened to hold the figure itself."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return min(float(low), value), max(float(high), value)
