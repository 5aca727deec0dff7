"""What else is wrong: classes that overlap, beside cleanlab on the same probabilities, and classes that hold two.

    python benchmarks/classes.py overlap    # three minutes on one core
    python benchmarks/classes.py split      # two minutes
    python benchmarks/classes.py            # both

It needs the shared data (`AUDITOR_DATA`); cleanlab (extra `bench`) is measured where it is installed. The tables go to
`results/oddities_overlap.csv` and `results/oddities_split.csv`.

`overlap`: two classes of ten are cut in two at random, so two pairs of twelve classes are one class each. In `half
mixed` the labels of half the images of two real classes are drawn anew between both, and in `flips` a tenth of one
class gets the name of another one: these are wrong labels, and no pair is one class. Average precision ranks all pairs.
cleanlab (`find_overlapping_classes`) gets the same held-out probabilities; it names no pairs.

`split`: ten classes become eight, as two of them hold two real ones. The others are as they are.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import rows
from shared import class_folders, need
from sklearn.metrics import average_precision_score

Record = dict[str, Any]
Pairs = dict[tuple[int, int], float]

CASES = {250: ("cut in two", "half mixed", "flips", "none"), 500: ("cut in two",)}
"""Images of a class in `overlap` -> what is planted. Of digits there are about 180, so they are not asked again."""


def _sets(cache: Path, each: int, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, features [N, D] and true labels [N] of ten classes."""
    import oddities

    rng = np.random.default_rng([seed, 41])
    sets = {"digits": oddities._digits(cache), "tiny10": class_folders("tiny10", "train", cache)}
    for name, (x, y) in {**sets, "CIFAR-10": oddities._cifar(cache)[:2]}.items():
        chosen = np.sort(np.concatenate([rng.permutation(np.flatnonzero(y == c))[:each] for c in range(10)]))
        yield name, x[chosen], y[chosen]


def overlap(cache: Path, seeds: int) -> Iterator[Record]:
    """Where the planted pairs stand in each method's list, and which pairs it names."""
    from auditor.detection.rivals import rivals
    from auditor.oddities.classes import compared

    for seed, each in ((seed, each) for seed in range(seeds) for each in CASES):
        for name, x, y in _sets(cache, each, seed):
            for case in CASES[each] if each == min(CASES) or name != "digits" else ():
                labels, truth = _overlapping(y, case, seed)
                losses = _losses(x, labels, seed)
                pairs = compared(rivals(losses, labels, np.arange(len(labels))))
                named = {(pair.one, pair.other) for pair in pairs if pair.overlaps}
                scores: dict[str, Pairs] = {"auditor": {(pair.one, pair.other): -pair.told for pair in pairs}}
                if importlib.util.find_spec("cleanlab") is not None:
                    scores["cleanlab"] = _cleanlab(labels, losses)
                for method, found in scores.items():
                    ours = method == "auditor"
                    yield {
                        "set": name,
                        "case": case,
                        "images of a class": len(y) // 10,
                        "unit": seed,
                        "method": method,
                        "average_precision": _precision(found, truth, int(labels.max()) + 1),
                        "found": len(named & truth) / len(truth) if ours and truth else np.nan,
                        "named_wrongly": len(named - truth) if ours else np.nan,
                    }


def _overlapping(y: np.ndarray, case: str, seed: int) -> tuple[np.ndarray, set[tuple[int, int]]]:
    """Labels [N] with a planted fault, and the pairs that overlap."""
    rng, labels = np.random.default_rng([seed, 43]), y.astype(np.int64).copy()
    one, other = (int(c) for c in rng.permutation(10)[:2])
    if case == "cut in two":
        for new, old in ((10, one), (11, other)):
            labels[(y == old) & (rng.random(len(y)) < 0.5)] = new
        return labels, {(one, 10), (other, 11)}
    if case == "half mixed":
        mixed = np.isin(y, (one, other)) & (rng.random(len(y)) < 0.5)
        labels[mixed] = np.where(rng.random(mixed.sum()) < 0.5, one, other)
        return labels, set()
    if case == "flips":
        labels[(y == one) & (rng.random(len(y)) < 0.1)] = other
    return labels, set()


def _losses(x: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Losses [N, C] of the held-out heads, as detection has them."""
    from auditor.detection import DetectionSettings, Labelled
    from auditor.detection.bench import Bench

    images = Labelled(x, labels, int(labels.max()) + 1, None).checked()
    bench = Bench.set_up(images, DetectionSettings(damping=10.0), seed, "cpu")
    return np.asarray(bench.views.heads(labels).stacked_loss)


def _cleanlab(labels: np.ndarray, losses: np.ndarray) -> Pairs:
    from cleanlab.dataset import find_overlapping_classes

    p = np.exp(-losses.astype(np.float64))
    found = find_overlapping_classes(labels=labels, pred_probs=p / p.sum(axis=1, keepdims=True))
    columns = (found["Class Index A"], found["Class Index B"], found["Joint Probability"])
    return {(min(a, b), max(a, b)): float(joint) for a, b, joint in zip(*columns, strict=True)}


def _precision(scores: Pairs, truth: set[tuple[int, int]], n_classes: int) -> float:
    """Average precision of the planted pairs among all. Pairs without a score come last."""
    if not truth:
        return float("nan")
    pairs, last = list(combinations(range(n_classes), 2)), min(scores.values()) - 1
    return float(average_precision_score([p in truth for p in pairs], [scores.get(p, last) for p in pairs]))


def split(cache: Path, seeds: int) -> Iterator[Record]:
    """Which classes are said to fall into two groups: those that hold two real ones, and the others."""
    from auditor.oddities.modes import modes

    for seed in range(seeds):
        for name, x, y in _sets(cache, 500, seed):
            of = np.empty(10, np.int64)
            of[np.random.default_rng([seed, 47]).permutation(10)] = np.r_[0, 0, 1, 1, 2:8]
            labels, everything = of[y], np.arange(len(y))
            found = modes(x, labels, np.ones(len(y), bool), everything, seed, 0.05)
            two = {one.label for one in found if one.high < 1}
            yield {
                "set": name,
                "unit": seed,
                "method": "auditor",
                "found": len(two & {0, 1}) / 2,
                "named_wrongly": len(two - {0, 1}) / 6,
                "valley_planted": float(np.mean([one.valley for one in found if one.label < 2])),
                "valley_others": float(np.mean([one.valley for one in found if one.label >= 2])),
                "right_side": float(np.mean([_agrees(one, y) for one in found if one.label < 2])),
            }


def _agrees(one: Any, y: np.ndarray) -> float:
    """The part of a class that holds two whose side of the line is that of its real class."""
    right, real = one.place >= 0, y[one.rows] == y[one.rows].max()
    return float(max((right == real).mean(), (right != real).mean()))


PARTS = {
    "overlap": rows.Part(overlap, "oddities_overlap", ("set", "case", "images of a class", "method")),
    "split": rows.Part(split, "oddities_split", ("set", "method")),
}
"""The parts of this benchmark."""

if __name__ == "__main__":
    rows.run_parts(__doc__, PARTS, lambda: need("tiny10"))
