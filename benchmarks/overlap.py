"""A reference set that shares images with the data set, and what it does to the estimate of wrong labels.

    python benchmarks/overlap.py                                 # four seeds, two and ten classes of tiny10
    python benchmarks/overlap.py --seeds 1 --results bench-out   # a quarter of it

Four seeds take half an hour on one core. The same thousand images with known flips are judged three times. In `apart`
the trusted images are other images. In `settled` they are some of the thousand, and those are settled, as in an audit.
In `counted twice` they are the same ones but not settled, as it was until 2026-11-26. The figures are about the images
that no reference holds. It needs the shared data (`AUDITOR_DATA`). The table goes to `results/overlap.csv`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from sets import flipped
from shared import class_folders, need

from auditor.detection import Labelled, detect

N_AUDITED, N_SPARE = 1000, 300
RATES, TRUSTED = (0.0, 0.05, 0.2), (100, 300)


def trials(cache: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """One record for each draw and each way to give the reference."""
    x, y = class_folders("tiny10", "train", cache)
    for n_classes in (2, 10):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, n_classes])
            pair = rng.choice(10, 2, replace=False)
            drawn = np.flatnonzero(np.isin(y, pair)) if n_classes == 2 else np.arange(len(y))
            truth = (y[drawn] == pair[1]).astype(np.int64) if n_classes == 2 else y[drawn]
            order = rng.permutation(len(drawn))
            for rate in RATES:
                yield from _draw(x[drawn][order], truth[order], n_classes, rate, seed)


def _draw(x: Any, y: Any, n_classes: int, rate: float, seed: int) -> Iterator[dict[str, Any]]:
    n = min(N_AUDITED, len(y) - N_SPARE)
    images, truth, spare = x[:n], y[:n], slice(n, n + N_SPARE)
    given = flipped(images, truth, n_classes, rate, "uniform", seed) if rate else truth.copy()
    for n_trusted in TRUSTED:
        held = np.arange(n) < n_trusted
        themselves = images[held], truth[held]
        ways = {
            "apart": ((x[spare][:n_trusted], y[spare][:n_trusted]), None),
            "settled": (themselves, np.where(held, truth, -1)),
            "counted twice": (themselves, None),
        }
        for way, (reference, settled) in ways.items():
            found = detect(Labelled(images, given, n_classes, reference), seed=seed, settled=settled)
            p = found.p_mislabelled
            share, wrong = found.share, given != truth
            yield {
                "classes": n_classes,
                "wrong": rate,
                "trusted": n_trusted,
                "way": way,
                "off": np.nan if p is None else p[~held].mean() - wrong[~held].mean(),
                "width": np.nan if share is None else share.high - share.low,
                "holds": np.nan if share is None else share.low <= wrong.mean() <= share.high,
                "undecided": p is None,
            }


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Means over seeds: error of the share of the other images, width of its interval, how often it holds."""
    frame = pd.DataFrame(records).astype({"holds": float, "undecided": float})
    means = frame.groupby(["classes", "wrong", "trusted", "way"], sort=False).mean().reset_index()
    return means.round({"off": 3, "width": 3, "holds": 2, "undecided": 2})


def main() -> None:
    """Run the draws, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_options(parser)
    options = parser.parse_args()
    need()
    found = table(list(trials(options.cache, options.seeds))).assign(seeds=options.seeds)
    rows.append("overlap", found, options.results)
    print(rows.markdown(found))


if __name__ == "__main__":
    main()
