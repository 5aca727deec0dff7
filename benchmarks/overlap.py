"""What a reference that shares images with the data set does to the estimate of wrong labels.

    python benchmarks/overlap.py             # four seeds, two and ten classes of tiny10: half an hour on one core
    python benchmarks/overlap.py --seeds 1   # a tenth of an hour

The same thousand images with known flips are judged three times: beside trusted images that are none of them (`apart`),
beside some of themselves that are settled, as an audit does it (`settled`), and beside the same ones that count as any
others (`counted twice`, as it was until 2026-11-26). Compared is the estimate for the images that no reference holds.
It needs the shared data, found through `AUDITOR_DATA`, and prints a table for `RESULTS.md`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from detection import Features, flipped, folder, markdown
from machine import describe

from auditor.detection import Labelled, detect

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
N_AUDITED, N_SPARE = 1000, 300
RATES, TRUSTED = (0.0, 0.05, 0.2), (100, 300)


def trials(features: Features, seeds: int) -> Iterator[dict[str, Any]]:
    """One record a draw and way of giving the reference."""
    x, y = folder(features, "tiny10", "train")
    for n_classes in (2, 10):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, n_classes])
            pair = rng.choice(10, 2, replace=False)
            rows = np.flatnonzero(np.isin(y, pair)) if n_classes == 2 else np.arange(len(y))
            truth = (y[rows] == pair[1]).astype(np.int64) if n_classes == 2 else y[rows]
            order = rng.permutation(len(rows))
            for rate in RATES:
                yield from _draw(x[rows][order], truth[order], n_classes, rate, seed)


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
    """Mean over seeds of how far the share of the others is off, how wide its interval is and how often it holds."""
    frame = pd.DataFrame(records).astype({"holds": float, "undecided": float})
    means = frame.groupby(["classes", "wrong", "trusted", "way"], sort=False).mean().reset_index()
    return means.round({"off": 3, "width": 3, "holds": 2, "undecided": 2}).set_index("classes")


def main() -> None:
    """Run the draws and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    options = parser.parse_args()
    found = list(trials(Features(DATA, options.cache), options.seeds))
    print(f"{describe()} {options.seeds} seeds.\n\n{markdown(table(found))}")


if __name__ == "__main__":
    main()
