"""Detection: which labels are wrong, how many, and how far the list can be trusted.

`detect` judges the given labels of a data set. `Scorer` gives the suspicion of many labellings of the same images, for
the controlled experiment. Both take `Labelled`: the features of a frozen backbone, labels and a trusted reference.
`register_signal` adds a signal from outside this package.
"""

from __future__ import annotations

from auditor.detection.bench import Scorer
from auditor.detection.detect import detect
from auditor.detection.labelled import Labelled
from auditor.detection.registry import register_signal, remove_signal
from auditor.detection.results import Damping, DampingTrial, Detection, DetectionSettings, Share
from auditor.detection.signals import HeadOutputs, Signal

__all__ = [
    "Damping",
    "DampingTrial",
    "Detection",
    "DetectionSettings",
    "HeadOutputs",
    "Labelled",
    "Scorer",
    "Share",
    "Signal",
    "detect",
    "register_signal",
    "remove_signal",
]
