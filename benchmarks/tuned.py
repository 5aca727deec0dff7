"""What features that learn are worth: detection with networks tuned on other folds, beside the frozen network alone.

    python benchmarks/tuned.py --rows rows.jsonl --only CIFAR-10N --images 2000
    python benchmarks/tuned.py --rows rows.jsonl --table      # writes the rows there are

Rows are parts of CIFAR-10N with the labels that people gave, and Tiny ImageNet's ten classes with planted flips. The
honest rival is cleanlab on the tuned networks' own left-out probabilities. A fold that was tuned is kept in
`--cache`, so a run that stops goes on. The truth serves only to compute the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
import shared
import torch
from detection import figures
from peers import cleanlab_scores, out_of_sample
from sets import Row, flipped

LAYERS = "layers:layer3,layer4,fc"


@dataclass(frozen=True)
class Pictures:
    """Images by path, with their labels as given and the truth."""

    name: str
    unit: int
    paths: tuple[Path, ...]
    labels: np.ndarray
    truth: np.ndarray


def every_set(n_images: int, units: int, wanted: str, cache: Path) -> Iterator[tuple[Pictures, np.ndarray]]:
    """The sets whose name begins with `wanted`, with frozen features."""
    base = shared.DATA / "cifar10n"
    table = pd.read_csv(base / "labels.csv")
    names = {name: i for i, name in enumerate(sorted(table["clean_label"].unique()))}
    order = np.random.default_rng(5).permutation(len(table))
    for column in ("aggregate_label", "random_label_1", "worst_label"):
        for unit in range(units):
            name = f"CIFAR-10N, human {column.split('_')[0]}"
            if name.startswith(wanted):
                part = table.iloc[np.sort(order[unit * n_images : (unit + 1) * n_images])]
                labels, truth = (part[c].map(names).to_numpy() for c in (column, "clean_label"))
                paths = tuple(base / path for path in part["path"])
                yield Pictures(name, unit, paths, labels, truth), shared.features("cifar10n", part["path"], cache)
    if "tiny10, uniform 10%".startswith(wanted):
        folders = sorted(path for path in (shared.DATA / "tiny10" / "train").iterdir() if path.is_dir())
        paths = tuple(path for folder in folders for path in sorted(folder.iterdir()))
        x, y = shared.class_folders("tiny10", "train", cache)
        for unit in range(units):
            chosen = np.sort(np.random.default_rng(unit).permutation(len(y))[:n_images])
            noisy = flipped(x[chosen], y[chosen], 10, 0.1, "uniform", unit)
            some = tuple(paths[row] for row in chosen)
            yield Pictures("tiny10, uniform 10%", unit, some, noisy, y[chosen]), x[chosen]


def pixels(paths: tuple[Path, ...]) -> np.ndarray:
    """uint8 [N, S, S, 3]."""
    from auditor.data import images

    size = shared.SIZE
    return np.stack(
        [images.resize_rgb(images.decode(p.read_bytes(), max_pixels=10**7, target=size), size) for p in paths]
    )


def told(pictures: Pictures, layers: str, folds: int, cache: Path) -> tuple[Any, float]:
    """What tuned networks say of images that they have not seen (`Tuned`), and processor seconds."""
    from auditor.detection.influence import folds_of
    from auditor.model.backbone import Transform
    from auditor.model.halves import Halves
    from auditor.model.tuning import Maps, Recipe, answers, tuned
    from auditor.pipeline.tuned_features import Said, Tuned

    eyes = shared.stand_in()
    mean, std = eyes.kind.normalisation("default", eyes.weights)
    transform, n = Transform(shared.SIZE, mean, std), len(pictures.labels)
    halves = Halves(eyes.kind, eyes.kind.build(eyes.weights, 10, shared.SIZE, 0), layers)
    fold, recipe = folds_of(None, n, folds, pictures.unit), Recipe()
    words = repr((pictures.name, pictures.unit, n, layers, folds, recipe)).encode() + pictures.labels.tobytes()
    place, maps = cache / "tuned" / hashlib.sha256(words).hexdigest()[:16], None
    place.mkdir(parents=True, exist_ok=True)
    features, likely, seconds = [np.empty((n, width), np.float32) for width in (512, 10)] + [0.0]
    for number in range(folds):
        held, file = np.flatnonzero(fold == number), place / f"{number}.npz"
        if not file.exists():
            start = time.process_time()
            if maps is None:
                seen = pixels(pictures.paths)
                maps = Maps(lambda index, seen=seen: transform.normalise(seen[np.asarray(index)]), n, halves)
            upper = tuned(halves, maps, pictures.labels, np.flatnonzero(fold != number), recipe, pictures.unit)
            found = answers(upper, halves.classifier, maps, held)
            spent = time.process_time() - start
            np.savez(file, features=found.features, likely=found.log_probabilities, seconds=spent)
        kept = np.load(file)
        features[held], likely[held], seconds = kept["features"], kept["likely"], seconds + float(kept["seconds"])
    return Tuned(Said(features, likely), None), seconds


def measured(pictures: Pictures, x: np.ndarray, layers: str, folds: int, cache: Path) -> dict[str, Any]:
    """Records of all contenders on one set."""
    from auditor.detection import Labelled, detect

    y, wrong, n = pictures.labels, pictures.labels != pictures.truth, len(pictures.labels)
    say, seconds = told(pictures, layers, folds, cache)
    likely = np.exp(say.audited.log_probabilities.astype(np.float64))
    frozen_p = out_of_sample(Row(pictures.name, pictures.unit, x, y, wrong, 10, None), pictures.unit)
    contenders: dict[str, np.ndarray] = {}
    plain = Labelled(x, y, 10, None)
    for name, images in (("frozen", plain), ("tuned", say.joined(plain))):
        found = detect(images, seed=pictures.unit)
        contenders[f"our suspicion, {name}"] = found.suspicion
        contenders[f"our influence, {name}"] = -found.signals["average_influence"].to_numpy(float)
    for name, p in (("frozen", frozen_p), ("tuned", likely / likely.sum(axis=1, keepdims=True))):
        contenders |= {f"{key}, {name}": value for key, value in cleanlab_scores(y, p).items()}
    right = {
        "frozen": (frozen_p.argmax(1) == pictures.truth).mean(),
        "tuned": (likely.argmax(1) == pictures.truth).mean(),
    }
    named = {"row": pictures.name, "unit": pictures.unit, "images": n, "layers": layers, "folds": folds}
    extra = {"seconds of tuning": seconds} | {f"accuracy, {key}": float(value) for key, value in right.items()}
    return {"records": [named | {"contender": k} | figures(v, wrong) | extra for k, v in contenders.items()]}


def table_of(kept: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard error over units, one line a row and contender."""
    frame = pd.DataFrame([record for one in kept for record in one["records"]])
    grouped = frame.groupby(["row", "contender", "layers", "folds", "images"], sort=False)
    table = grouped.agg(units=("unit", "count"))
    for name in ("AP", "AUROC", "seconds of tuning", "accuracy, frozen", "accuracy, tuned"):
        table[name] = grouped[name].mean().round(3)
    table["AP, standard error"] = grouped["AP"].sem().round(3)
    return table.reset_index()


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--units", type=int, default=1)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--layers", default=LAYERS)
    parser.add_argument("--only", default="", help="the beginning of a row's name (all without it)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    shared.need()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    kept = rows.kept(options.rows)
    done = {tuple(one["records"][0][k] for k in ("row", "unit", "images", "layers", "folds")) for one in kept}
    sets = () if options.table else every_set(options.images, options.units, options.only, options.cache)
    for pictures, x in sets:
        if (pictures.name, pictures.unit, options.images, options.layers, options.folds) not in done:
            found = measured(pictures, x, options.layers, options.folds, options.cache)
            kept.append(rows.keep(options.rows, found))
            print(pictures.name, {r["contender"]: round(r["AP"], 3) for r in found["records"]}, flush=True)
    table = table_of(kept)
    rows.append("tuned", table, options.results, of=kept)
    print(rows.markdown(table[["row", "contender", "units", "AP", "AP, standard error", "seconds of tuning"]]))


if __name__ == "__main__":
    main()
