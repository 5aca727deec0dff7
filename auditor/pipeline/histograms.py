"""Average influence as the report draws it: histograms by label, and the images at both ends."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.data.dataset import Dataset
from auditor.experiment.run import Run
from auditor.result.evidence import (
    ExtremeImage,
    ExtremesOfClass,
    HistogramDocument,
    HistogramsDocument,
)
from auditor.system.arrays import Array

SHOWN = 5
"""Images shown at each end of an order."""

BINS = 40
"""Bars of a histogram."""


def histogram(values: Array, groups: dict[str, Array], edges: Array | None = None) -> HistogramDocument:
    """Counts of `values` by group on common edges. Groups are boolean masks. No value is left out."""
    if edges is None:
        edges = _edges(values)
    clipped = np.clip(values, edges[0], edges[-1])
    return {
        "edges": [float(e) for e in edges],
        "counts": {name: np.histogram(clipped[mask], edges)[0].tolist() for name, mask in groups.items()},
    }


def _edges(values: Array) -> Array:
    """Bin edges over the central 99% of the values. A few extremes would flatten the picture."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    if not high > low:
        pad = max(abs(low), 1.0) * 1e-3
        low, high = low - pad, high + pad
    return np.asarray(np.linspace(low, high, BINS + 1))


def influence_histograms(data: Dataset, clean: Run, planted: pd.DataFrame) -> HistogramsDocument:
    """Average influence by label in the clean run; in the corrupted run, planted and clean points apart."""
    labels = data.labels[data.rows("train")]
    by_label = {name: labels == i for i, name in enumerate(data.classes)}
    values = planted["average_influence"].to_numpy()
    flags, trained = planted["planted"].to_numpy(bool), planted["trained_label"].to_numpy()
    edges = _edges(values)

    def counts(mask: Array) -> dict[str, list[int]]:
        return histogram(values, {c: mask & (trained == c) for c in data.classes}, edges)["counts"]

    return {
        "clean": histogram(clean.average_influence, by_label),
        "corrupted": {
            "edges": [float(e) for e in edges],
            "planted": counts(flags),
            "clean": counts(~flags),
        },
    }


def extremes(data: Dataset, clean: Run) -> list[ExtremesOfClass]:
    """The training images of highest and lowest average influence, by class."""
    train = data.rows("train")
    labels, values = data.labels[train], clean.average_influence

    def listed(positions: Array) -> list[ExtremeImage]:
        return [{"path": data.paths[train[i]], "average_influence": float(values[i])} for i in positions]

    found: list[ExtremesOfClass] = []
    for index, name in enumerate(data.classes):
        rows = np.flatnonzero(labels == index)
        order = rows[np.argsort(-values[rows], kind="stable")]
        found.append({"label": name, "highest": listed(order[:SHOWN]), "lowest": listed(order[::-1][:SHOWN])})
    return found
