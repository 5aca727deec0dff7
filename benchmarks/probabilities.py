"""Probabilities alone: what the audit makes of another model's predictions, beside cleanlab on the very same.

    python benchmarks/probabilities.py --rows rows.jsonl            # goes on where it stopped
    python benchmarks/probabilities.py --rows rows.jsonl --table    # writes the rows there are

It needs the extra `bench` (cleanlab) and the shared data: MNIST and 20news with a classifier's cross-validated
probabilities and people's votes. Ten per cent of the labels are flipped, three times. The probabilities are not made
again: no contender is misled by the flips. A last row has no flips, and counts the labels that most voters reject among
the first of each list. The table goes to `results/probabilities.csv`.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import rows
import shared
from detection import figures
from peers import cleanlab_scores
from sets import flipped

from auditor.pipeline.given_reader import SMALLEST_PROBABILITY

RATE, SEEDS, KINDS, NONE = 0.1, (0, 1, 2), ("uniform", "confusion"), "none"

SETS = ("mnist", "20news")

FIRST = (50, 100, 200)
"""Lengths of the list in which rejected labels are counted."""


def read(name: str, images: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels int64 [N], probabilities float64 [N, C], and the votes with `row` counted in these.

    Parameters
    ----------
    images
        How many items are drawn where there are more; those with votes are among them.
    """
    folder = shared.DATA / "label-errors" / name
    labels = np.load(folder / "labels.npy").astype(np.int64)
    p = np.maximum(np.load(folder / "probabilities.npy").astype(np.float64), SMALLEST_PROBABILITY)
    votes = pd.read_csv(folder / "votes.csv")
    others = np.setdiff1d(np.arange(len(labels)), votes["row"])
    drawn = np.random.default_rng(0).permutation(others)[: max(0, images - len(votes))]
    kept = np.sort(np.concatenate([votes["row"].to_numpy(), drawn]))
    place = {row: at for at, row in enumerate(kept.tolist())}
    return labels[kept], p[kept] / p[kept].sum(axis=1, keepdims=True), votes.assign(row=votes["row"].map(place))


def contenders(labels: np.ndarray, p: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Every contender's suspicion of each label."""
    from auditor.detection import Labelled, detect

    logs = np.log(p)
    features = (logs - logs.mean(axis=1, keepdims=True)).astype(np.float32)
    ours = detect(Labelled(features, labels, p.shape[1], probabilities=p.astype(np.float32)), seed=seed)
    return {"our suspicion": ours.suspicion, **cleanlab_scores(labels, p)}


def measured(name: str, kind: str, seed: int, images: int) -> Iterator[dict[str, Any]]:
    """The figures of every contender on one row of the table."""
    labels, p, votes = read(name, images)
    what = {"set": name, "flips": kind, "seed": seed, "n": len(labels)}
    if kind != NONE:
        wrong = flipped(np.log(p).astype(np.float32), labels, p.shape[1], RATE, kind, seed)
        scores = contenders(wrong, p, seed)
        yield from ({**what, "contender": n, "AP": figures(s, wrong != labels)["AP"]} for n, s in scores.items())
        return
    against = votes.drop(columns=["row", "given"]).sum(axis=1) > votes["given"]
    rejected = np.zeros(len(labels), bool)
    rejected[votes.loc[against, "row"]] = True
    for n, s in contenders(labels, p, seed).items():
        order = np.argsort(-s, kind="stable")
        counts = {f"first {k}": int(rejected[order[:k]].sum()) for k in FIRST}
        yield {**what, "contender": n, "rejected": int(rejected.sum()), **counts}


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10**6, help="rows to run now; go on later with --rows")
    parser.add_argument("--images", type=int, default=10_000, help="items of a set at most")
    rows.add_going_on(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = rows.kept(options.rows)
    known = {(r["set"], r["flips"], r["seed"]) for r in records}
    wanted = [(name, kind, seed) for name in SETS for kind in KINDS for seed in SEEDS]
    wanted += [(name, NONE, 0) for name in SETS]
    missing = [] if options.table else [key for key in wanted if key not in known]
    for key in missing[: options.most]:
        for found in measured(*key, options.images):
            records.append(rows.keep(options.rows, found))
        print(key, {r["contender"]: round(r.get("AP", r.get("first 100")), 3) for r in records[-4:]}, flush=True)
    if len(missing) > options.most:
        return
    frame = pd.DataFrame(records).drop(columns=list(rows.STAMP))
    means = frame.groupby(["set", "flips", "contender"], sort=False).mean(numeric_only=True).reset_index()
    print(rows.markdown(means.drop(columns=["seed", "n"])))
    rows.append("probabilities", frame, options.results, of=records)


if __name__ == "__main__":
    main()
