"""What explains a suspect: images that speak against its label, and images that look like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.data.dataset import Dataset
from auditor.experiment.run import Explainer
from auditor.model.scaling import unit_rows
from auditor.pipeline.rows import explained_rows
from auditor.result.evidence import InfluencedImage, WhyDocument
from auditor.system.arrays import Array

EXPLAINED = 100
"""Suspects whose neighbours are shown."""

EACH = 3
"""Nearest images of each of the two labels that are compared."""

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
    """For each of the first suspects: training images that argue against its label, and its nearest images.

    The nearest images are those of the given label and those of the suggested one, to be seen side by side.

    Images that argue against a label carry the suggested label, and their influence on the suspect's loss under its
    given label is the most negative.

    Parameters
    ----------
    suspects
        Images in the order of their suspicion.
    suggested
        int64 [N] class indices; negative where there is none.
    """
    chosen = np.array(list(suspects)[:EXPLAINED], dtype=np.int64)
    if not len(chosen):
        return {}
    train = data.rows("train")
    n_rows = explained_rows(data, EXPLAINED)
    influence = explainer.rows_of(chosen[:n_rows], data.labels[chosen[:n_rows]])
    similarity = _similarity(data.features, chosen)
    similarity[np.arange(len(chosen)), chosen] = -np.inf
    found: dict[str, WhyDocument] = {}
    for i, row in enumerate(chosen):
        near = nearest(similarity[i], data.labels, (data.labels[row], suggested[row]))
        found[data.paths[row]] = {
            "against": _against(data, train, influence[i], row, suggested[row]) if i < len(influence) else [],
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
    order = np.argsort(-similarity, kind="stable")
    order = order[np.isfinite(similarity[order])]
    others = labels[order] == suggested if suggested not in (-1, given) else labels[order] != given
    return np.concatenate([order[labels[order] == given][:EACH], order[others][:EACH]])


def _against(data: Dataset, train: Array, influence: Array, row: int, suggested: int) -> list[InfluencedImage]:
    """The training images that argue most against a given label: of the suggested label, or of any other label."""
    labels = data.labels[train]
    others = labels == suggested if suggested >= 0 else labels != data.labels[row]
    candidates = np.flatnonzero(others & (train != row) & (influence < 0))
    order = candidates[np.argsort(influence[candidates], kind="stable")][:3]
    return [
        {"path": data.paths[train[k]], "label": data.classes[labels[k]], "influence": float(influence[k])}
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
