"""What explains a suspect: images that speak for its label or against it, and images that look like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.data.dataset import Dataset
from auditor.experiment.run import Explainer
from auditor.model.scaling import unit_rows
from auditor.pipeline.rows import explained_rows
from auditor.result.evidence import SpeakingImage, WhyDocument
from auditor.system.arrays import Array

EXPLAINED = 500
"""Suspects whose neighbours are shown: several sittings of 50 looks, and as many as have a picture by default."""

ARGUED = 100
"""Suspects that also get a row of the influence matrix. Each costs a solve, and neighbours cost next to nothing."""

EACH = 3
"""Nearest images of each of the two labels that are compared."""

SPEAKING = 3
"""Training images that are shown to speak for a label, and against it."""

_AT_ONCE = 100
"""Suspects that are explained at a time: a number for each of them and each image is held."""

_CHUNK = 4096
"""Images compared with the suspects at a time."""

ALIKE = 0.9
"""Cosine similarity of centred features from which two images count as near-duplicates.

Copies that were saved anew or brightened lie above 0.96. Cropped and mirrored copies lie between 0.71 and 0.96. None of
the 15 million pairs of 5,500 different photographs (Tiny ImageNet, ten classes) lies above 0.88.
"""


def explanations(
    data: Dataset, explainer: Explainer, suspects: Sequence[int], suggested: Array
) -> dict[str, WhyDocument]:
    """For each of the first suspects: training images that speak for its label and against it, and its nearest images.

    The nearest images are those of the given label and those of the suggested one, to be seen side by side.

    Images that speak against a label carry the suggested label, and their influence on the suspect's loss under its
    given label is the most negative. Images that speak for it carry it too, and theirs is the most positive.

    Parameters
    ----------
    suspects
        Images in the order of their suspicion.
    suggested
        int64 [N] class indices; negative where there is none.
    """
    chosen = np.array(list(suspects)[:EXPLAINED], dtype=np.int64)
    n_rows, found = explained_rows(data, ARGUED), {}
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        found.update(_explained(data, explainer, some, max(0, n_rows - start), suggested))
    return found


def _explained(
    data: Dataset, explainer: Explainer, chosen: Array, n_rows: int, suggested: Array
) -> dict[str, WhyDocument]:
    """What explains a few suspects. The first `n_rows` of them get a row of the influence matrix."""
    train = data.rows("train")
    asked = chosen[:n_rows]
    influence = explainer.rows_of(asked, data.labels[asked]) if len(asked) else np.empty((0, len(train)))
    similarity = _similarity(data.features, chosen)
    similarity[np.arange(len(chosen)), chosen] = -np.inf
    found: dict[str, WhyDocument] = {}
    for i, row in enumerate(chosen):
        near = nearest(similarity[i], data.labels, (data.labels[row], suggested[row]))
        found[data.paths[row]] = {
            "against": _against(data, train, influence[i], row, suggested[row]) if i < len(influence) else [],
            "in_favour": _in_favour(data, train, influence[i], row) if i < len(influence) else [],
            "left_out": None,
            "neighbours": [
                {"path": data.paths[k], "label": data.classes[data.labels[k]], "similarity": float(similarity[i, k])}
                for k in near
            ],
        }
    return found


def nearest(similarity: Array, labels: Array, compared: Sequence[int]) -> Array:
    """The nearest images of the given label, then those of the suggested one; without one, the nearest of all others.

    Parameters
    ----------
    similarity
        float32 [N] of the suspect to all images, minus infinity to itself.
    labels
        int64 [N].
    compared
        The suspect's label and the suggested one, which is negative where there is none.
    """
    given, suggested = compared
    others = labels == suggested if suggested not in (-1, given) else labels != given
    return np.concatenate([_highest(similarity, labels == given), _highest(similarity, others)])


def _highest(values: Array, among: Array) -> Array:
    """The rows of the `EACH` highest finite values, the highest first and ties by row. `among` is bool [N]."""
    rows = np.flatnonzero(among & np.isfinite(values))
    if len(rows) > EACH:
        rows = rows[values[rows] >= np.partition(values[rows], -EACH)[-EACH]]
    return rows[np.argsort(-values[rows], kind="stable")][:EACH]


def _against(data: Dataset, train: Array, influence: Array, row: int, suggested: int) -> list[SpeakingImage]:
    """The training images that speak most against a given label: of the suggested label, or of any other label."""
    labels = data.labels[train]
    others = labels == suggested if suggested >= 0 else labels != data.labels[row]
    return _loudest(data, train, influence, np.flatnonzero(others & (train != row) & (influence < 0)))


def _in_favour(data: Dataset, train: Array, influence: Array, row: int) -> list[SpeakingImage]:
    """The training images that speak most for a given label. They carry it too."""
    own = data.labels[train] == data.labels[row]
    return _loudest(data, train, influence, np.flatnonzero(own & (train != row) & (influence > 0)))


def _loudest(data: Dataset, train: Array, influence: Array, candidates: Array) -> list[SpeakingImage]:
    """The `SPEAKING` of the candidates, int64 positions in the training split, with the largest influence."""
    order = candidates[np.argsort(-np.abs(influence[candidates]), kind="stable")][:SPEAKING]
    return [
        {
            "path": data.paths[train[k]],
            "label": data.classes[data.labels[train[k]]],
            "influence": float(influence[k]),
            "without": None,
        }
        for k in order
    ]


def near_duplicates(data: Dataset, suspects: Sequence[int]) -> list[list[str]]:
    """Groups of suspects that look alike to the backbone. Equal files are among them."""
    chosen = np.array(list(suspects), dtype=np.int64)
    if len(chosen) < 2:
        return []
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    unit = unit_rows(data.features[chosen] - data.features.mean(axis=0))
    close = np.argwhere(np.triu(unit @ unit.T > ALIKE, 1))
    graph = coo_matrix((np.ones(len(close)), close.T), shape=(len(chosen), len(chosen)))
    _, component = connected_components(graph, directed=False)
    groups = [chosen[component == c] for c in np.unique(component)]
    return [sorted(data.paths[i] for i in group) for group in groups if len(group) > 1]


def _similarity(features: Array, chosen: Array) -> Array:
    """float32 [k, N], cosines between centred features of `chosen` [k] images and of all, some images at a time."""
    centre = features.mean(axis=0)
    unit = unit_rows(features[chosen] - centre)
    out = np.empty((len(chosen), len(features)), np.float32)
    for start in range(0, len(features), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[:, part] = unit @ unit_rows(features[part] - centre).T
    return out
