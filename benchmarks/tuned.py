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
"""What is tuned of the stand-in; of another backbone, its late layers."""


EVERY = slice(None)


@dataclass(frozen=True)
class Pictures:
    """Images by path, with their labels as given and the truth. What is found counts among the `judged` ones alone."""

    name: str
    unit: int
    paths: tuple[Path, ...]
    labels: np.ndarray
    wrong: np.ndarray
    judged: slice


def every_set(
    n_images: int, units: int, wanted: str, cache: Path, by: shared.Eyes
) -> Iterator[tuple[Pictures, np.ndarray]]:
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
                yield (
                    Pictures(name, unit, paths, labels, labels != truth, EVERY),
                    shared.features("cifar10n", part["path"], cache, seen_by=by),
                )
    if "cifar10-test".startswith(wanted):
        yield published(table, names, 0, cache, by)
    if "tiny10, uniform 10%".startswith(wanted):
        folders = sorted(path for path in (shared.DATA / "tiny10" / "train").iterdir() if path.is_dir())
        paths = tuple(path for folder in folders for path in sorted(folder.iterdir()))
        x, y = shared.class_folders("tiny10", "train", cache, by)
        for unit in range(units):
            chosen = np.sort(np.random.default_rng(unit).permutation(len(y))[:n_images])
            noisy = flipped(x[chosen], y[chosen], 10, 0.1, "uniform", unit)
            some = tuple(paths[row] for row in chosen)
            yield Pictures("tiny10, uniform 10%", unit, some, noisy, noisy != y[chosen], EVERY), x[chosen]


def published(
    train: pd.DataFrame, names: dict[str, int], unit: int, cache: Path, by: shared.Eyes
) -> tuple[Pictures, np.ndarray]:
    """CIFAR-10 as a user audits it: 5,000 test images and 10,000 training images with their published labels.

    Wrong are test labels that fewer than three of five people chose; only flagged ones were shown to people.
    """
    base = shared.DATA / "cifar10-test"
    frame = pd.read_parquet(base / "test-00000-of-00001.parquet")
    folder = cache / "cifar10-test"
    folder.mkdir(parents=True, exist_ok=True)
    paths = list[Path]()
    for image in frame["img"]:
        paths.append(folder / Path(image["path"]).name)
        paths[-1].write_bytes(image["bytes"])
    votes = pd.read_csv(base / "votes.csv")
    bad = {Path(path).stem for path in votes.loc[votes["given"] < 3, "path"]}
    n = len(paths)
    test = shared.features(
        "cifar10-test", [p.name for p in paths], cache, read=lambda p: (folder / p).read_bytes(), seen_by=by
    )
    more = shared.features("cifar10n", train["path"], cache, seen_by=by)
    labels = np.concatenate([frame["label"].to_numpy(), train["clean_label"].map(names).to_numpy()])
    wrong = np.concatenate([np.array([path.stem in bad for path in paths]), np.zeros(len(train), bool)])
    every = (*paths, *(shared.DATA / "cifar10n" / path for path in train["path"]))
    return Pictures("cifar10-test", unit, every, labels, wrong, slice(0, n)), np.vstack([test, more])


def first_among(suspicion: np.ndarray, wrong: np.ndarray) -> dict[str, int]:
    """Known errors among the first 54, 160 and 500."""
    found = np.cumsum(wrong[np.argsort(-suspicion, kind="stable")])
    return {f"among the first {k}": int(found[k - 1]) for k in (54, 160, 500) if k <= len(found)}


def pixels(paths: tuple[Path, ...], size: int) -> np.ndarray:
    """uint8 [N, S, S, 3]."""
    from auditor.data import images

    return np.stack(
        [images.resize_rgb(images.decode(p.read_bytes(), max_pixels=10**7, target=size), size) for p in paths]
    )


def told(pictures: Pictures, eyes: shared.Eyes, layers: str, folds: int, cache: Path) -> tuple[Any, float]:
    """What tuned networks say of images that they have not seen (`Tuned`), and processor seconds."""
    from auditor.detection.influence import folds_of
    from auditor.model.backbone import Transform
    from auditor.model.halves import Halves
    from auditor.model.tuning import Maps, Recipe, answers, tuned
    from auditor.pipeline.tuned_features import Said, Tuned

    mean, std = eyes.kind.normalisation("default", eyes.weights)
    transform, n = Transform(eyes.size, mean, std), len(pictures.labels)
    halves = Halves(eyes.kind, eyes.kind.build(eyes.weights, 10, eyes.size, 0), layers, eyes.size)
    fold, recipe = folds_of(None, n, folds, pictures.unit), Recipe()
    words = (
        repr((eyes.kind.name, eyes.size, pictures.name, pictures.unit, n, layers, folds, recipe)).encode()
        + pictures.labels.tobytes()
    )
    place, maps = cache / "tuned" / hashlib.sha256(words).hexdigest()[:16], None
    place.mkdir(parents=True, exist_ok=True)
    features, likely, seconds = [np.empty((n, width), np.float32) for width in (eyes.kind.n_features, 10)] + [0.0]
    for number in range(folds):
        held, file = np.flatnonzero(fold == number), place / f"{number}.npz"
        if not file.exists():
            start = time.process_time()
            if maps is None:
                seen = pixels(pictures.paths, eyes.size)
                maps = Maps(lambda index, seen=seen: transform.normalise(seen[np.asarray(index)]), n, halves)
            upper = tuned(halves, maps, pictures.labels, np.flatnonzero(fold != number), recipe, pictures.unit)
            found = answers(upper, halves.classifier, maps, held)
            spent = time.process_time() - start
            np.savez(file, features=found.features, likely=found.log_probabilities, seconds=spent)
        kept = np.load(file)
        features[held], likely[held], seconds = kept["features"], kept["likely"], seconds + float(kept["seconds"])
    return Tuned(Said(features, likely), None), seconds


def measured(
    pictures: Pictures, x: np.ndarray, eyes: shared.Eyes, layers: str, folds: int, cache: Path
) -> dict[str, Any]:
    """Records of all contenders on one set."""
    from auditor.detection import Labelled, detect

    y, wrong, n = pictures.labels, pictures.wrong, len(pictures.labels)
    at = pictures.judged
    say, seconds = told(pictures, eyes, layers, folds, cache)
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
        "frozen": (frozen_p.argmax(1) == y)[at].mean(),
        "tuned": (likely.argmax(1) == y)[at].mean(),
    }
    named = {"row": pictures.name, "unit": pictures.unit, "images": n, "layers": layers, "folds": folds}
    named |= {"backbone": eyes.kind.name, "pixels": eyes.size}
    extra = {"seconds of tuning": seconds} | {f"labels given, {key}": float(value) for key, value in right.items()}
    return {
        "records": [
            named | {"contender": k} | figures(v[at], wrong[at]) | first_among(v[at], wrong[at]) | extra
            for k, v in contenders.items()
        ]
    }


def table_of(kept: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard error over units, one line a row and contender."""
    frame = pd.DataFrame([record for one in kept for record in one["records"]])
    grouped = frame.groupby(["row", "contender", "backbone", "pixels", "layers", "folds", "images"], sort=False)
    table = grouped.agg(units=("unit", "count"))
    firsts = [name for name in frame if str(name).startswith("among the first")]
    for name in ("AP", "AUROC", *firsts, "seconds of tuning", "labels given, frozen", "labels given, tuned"):
        table[name] = grouped[name].mean().round(3)
    table["AP, standard error"] = grouped["AP"].sem().round(3)
    return table.reset_index()


def late(eyes: shared.Eyes) -> str:
    """The late layers of a backbone, as `--train auto` chooses them."""
    from auditor.model.halves import late_layers

    return late_layers(eyes.kind.build(eyes.weights, 10, eyes.size, 0), eyes.kind.classifier)


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--units", type=int, default=1)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--backbone", default="", help="what --backbone takes (the stand-in ResNet18 without it)")
    parser.add_argument("--size", default="auto", help="edge in pixels, for --backbone")
    parser.add_argument("--layers", default="")
    parser.add_argument("--only", default="", help="the beginning of a row's name (all without it)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    shared.need()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    eyes = shared.eyes(options.backbone, options.size) if options.backbone else shared.stand_in()
    layers = options.layers or (late(eyes) if options.backbone else LAYERS)
    kept = rows.kept(options.rows)
    keys = ("row", "unit", "images", "backbone", "pixels", "layers", "folds")
    done = {tuple(one["records"][0][k] for k in keys) for one in kept}
    sets = () if options.table else every_set(options.images, options.units, options.only, options.cache, eyes)
    for pictures, x in sets:
        now = (pictures.name, pictures.unit, options.images, eyes.kind.name, eyes.size, layers, options.folds)
        if now not in done:
            found = measured(pictures, x, eyes, layers, options.folds, options.cache)
            kept.append(rows.keep(options.rows, found))
            print(pictures.name, {r["contender"]: round(r["AP"], 3) for r in found["records"]}, flush=True)
    table = table_of(kept)
    rows.append("tuned", table, options.results, of=kept)
    print(rows.markdown(table[["row", "contender", "units", "AP", "AP, standard error", "seconds of tuning"]]))


if __name__ == "__main__":
    main()
