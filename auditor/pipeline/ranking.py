"""The rankings: the tables that become `ranking.csv` and `planted.csv`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.data.looked import Looked
from auditor.data.settled import Settled
from auditor.detection import Detection
from auditor.detection.detect import influence_order
from auditor.experiment.recovery import ranks_of
from auditor.experiment.run import Run
from auditor.experiment.trials import Trial
from auditor.result import PLANTED_COLUMNS, RANKING_COLUMNS
from auditor.system.arrays import Array, Ints


def given(data: Dataset, clean: Run, detection: Detection | None, *, conditioned: bool, by: str) -> pd.DataFrame:
    """Every labelled image once, by rank.

    With detection every image has a suspicion, unless a reference settles its label as right. The reference study has
    no detection. There suspicion is the negative average influence, and the training split alone is ranked. Images
    that a reference settles as wrong come first.

    Labels that people found wrong come first of all, with the label they named. Labels that people found right have no
    rank: they are not listed again.

    `by` says what orders: `suspicion` or `influence`. Where influence does, known wrong labels still come
    first, and images without an influence come last.

    With `conditioned` the influence head is the detection's own, and average influence is cross-fitted over all images.
    Otherwise it is known for the training split alone.
    """
    n, train = len(data.paths), data.rows("train")
    names = np.array(data.classes, dtype=object)
    influence = np.full(n, np.nan)
    if detection is not None and conditioned:
        influence = np.asarray(detection.signals["average_influence"], dtype=np.float64)
    else:
        influence[train] = clean.average_influence
    suspicion = -influence if detection is None else detection.suspicion
    p_mislabelled = np.full(n, np.nan)
    if detection is None:
        suggested = np.full(n, "", dtype=object)
        predicted = clean.probabilities.argmax(axis=1)
        differs = predicted != data.labels[train]
        suggested[train[differs]] = names[predicted[differs]]
        known = Settled.of(data.labels, data.trusted_labels).wrong
        suspicion = np.where(known, np.nanmax(suspicion) + 1, suspicion)
        suggested[known] = names[data.trusted_labels[known]]
    else:
        suggested = np.where(detection.suggested_label >= 0, names[detection.suggested_label], "")
        if detection.p_mislabelled is not None:
            p_mislabelled = detection.p_mislabelled
    frame = pd.DataFrame(
        {
            "path": data.paths,
            "split": data.splits,
            "label": names[data.labels],
            "suggested_label": suggested,
            "average_influence": influence,
            "suspicion": suspicion,
            "p_mislabelled": p_mislabelled,
            "looked": "",
        }
    )
    if data.looked is not None:
        _settle(frame, data.looked, data.labels, names)
    suspicion = frame["suspicion"].to_numpy(np.float64)
    order = suspicion
    if detection is not None and by == "influence":
        certain = Settled.of(data.labels, data.trusted_labels).wrong
        if data.looked is not None:
            certain = certain | data.looked.wrong(data.labels)
        order = influence_order(suspicion, influence, certain)
    frame["rank"], frame["influence_rank"] = _ranks(order), _ranks(-influence)
    return frame.sort_values("rank", kind="stable", na_position="last", ignore_index=True)[list(RANKING_COLUMNS)]


def _settle(frame: pd.DataFrame, looked: Looked, labels: Ints, names: Array) -> None:
    """Write into `frame` what people found. It is certain: a probability of 0 or 1, unless no label has one."""
    right, wrong = looked.right(labels), looked.wrong(labels)
    highest = frame["suspicion"].max()
    frame.loc[right, "suspicion"] = np.nan
    frame.loc[wrong, "suspicion"] = (highest if np.isfinite(highest) else 0.0) + 1
    frame.loc[right, "suggested_label"] = ""
    found = looked.found[wrong]
    frame.loc[wrong, "suggested_label"] = np.where(found >= 0, names[found], "")
    if frame["p_mislabelled"].notna().any():
        frame.loc[right, "p_mislabelled"], frame.loc[wrong, "p_mislabelled"] = 0.0, 1.0
    frame["looked"] = looked.words(labels)


def _ranks(suspicion: Array) -> pd.Series:
    """Ranks of the finite values; 1 is the most suspicious, ties go by path. Other values have no rank."""
    ranks = pd.Series(pd.NA, index=range(len(suspicion)), dtype="Int64")
    known = np.flatnonzero(np.isfinite(suspicion))
    ranks.iloc[known] = ranks_of(suspicion[known])
    return ranks


def planted(data: Dataset, trial: Trial, *, by: str) -> pd.DataFrame:
    """The controlled experiment's training points, by rank: of `suspicion` or of `influence`."""
    train = data.rows("train")
    names = np.array(data.classes, dtype=object)
    influence = trial.run.average_influence
    frame = pd.DataFrame(
        {
            "rank": ranks_of(trial.suspicion if by == "suspicion" else -influence),
            "path": np.array(data.paths, dtype=object)[train],
            "label": names[data.labels[train]],
            "trained_label": names[trial.planting.labels],
            "planted": trial.planting.planted,
            "average_influence": influence,
            "influence_rank": ranks_of(-influence),
            "suspicion": trial.suspicion,
        }
    )
    return frame.sort_values("rank", kind="stable", ignore_index=True)[list(PLANTED_COLUMNS)]
