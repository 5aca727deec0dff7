"""Which labels are wrong and how far the list can be trusted: signals, suspicion, calibration.

`detect` takes the features of a frozen backbone and the given labels, and nothing else; `score` gives suspicion and
average influence of any labelling, and `Scorer` the suspicion of many, such as the controlled experiment's.
"""

from __future__ import annotations

from auditor.detection.bench import Scorer
from auditor.detection.detect import detect, score
from auditor.detection.results import Damping, DampingTrial, Detection, DetectionSettings, Recovery, Scores, Share

__all__ = [
    "Damping",
    "DampingTrial",
    "Detection",
    "DetectionSettings",
    "Recovery",
    "Scorer",
    "Scores",
    "Share",
    "detect",
    "score",
]
