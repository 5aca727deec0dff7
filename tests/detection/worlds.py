"""Small synthetic data sets, and settings with which detection is quick on them."""

from __future__ import annotations

import numpy as np

from auditor.detection import DetectionSettings

QUICK = DetectionSettings(landmarks=300, plantings=1, dampings=(0.3, 3.0), folds=2, influence_folds=3)


def blobs(n: int, classes: int, *, d: int = 12, gap: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [n, d] of normal clouds, one a class, and their labels."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d))
    y = np.arange(n) % classes
    return (rng.normal(size=(n, d)) + gap * centres[y]).astype(np.float32), y


def flip(y: np.ndarray, classes: int, rate: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share `rate` is another class at random, and which of them are."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(y))[: round(rate * len(y))]
    out = y.copy()
    out[chosen] = (y[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return out, out != y
