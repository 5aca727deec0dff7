"""What else is wrong: strangers and near copies that were planted, beside cleanlab on the same features.

    python benchmarks/oddities.py strangers     # three minutes on one core
    python benchmarks/oddities.py copies        # one minute
    python benchmarks/oddities.py               # all parts

It needs the shared data (`AUDITOR_DATA`) and the extra `bench` (cleanlab). imagededup is measured where it is
installed. Every part measures all methods in one run. The table goes to `results/oddities.csv`, a row for each part,
set, unit and method.

`strangers`: some classes are kept, and a few items of the others are planted under random labels. The sets are
scikit-learn's digits, ten classes of Tiny ImageNet and CIFAR-10. Ten per cent of the kept labels are flipped in half of
the rows. In `CIFAR-10N, people's` nothing is planted: people gave these images one of the kept labels, and they show
another class.

`copies`: pictures are saved anew, made smaller, cropped, brightened or mirrored. A pair of a picture and its copy is
right; every other pair is wrong, though some pictures of CIFAR-10 are near copies of each other already.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import rows
from PIL import Image, ImageEnhance, ImageOps
from shared import DATA, class_folders, features, need
from sklearn.metrics import average_precision_score

Record = dict[str, Any]

KEPT, EACH, PLANTED = (2, 5, 9), 250, 10
"""Classes that are kept, items of each, and strangers for each."""

ORIGINALS, COPIES = 2500, 25
"""Pictures of a set of copies, and copies of each kind."""


# Strangers


def strangers(cache: Path, seeds: int) -> Iterator[Record]:
    """Average precision of the outlier scores, for each set, draw and share of flipped labels."""
    for seed in range(seeds):
        for name, x, labels, strange in _stranger_sets(cache, seed):
            for rate in (0.0, 0.1):
                given = _flipped(labels, strange, rate, seed)
                scores = {"auditor": _ours(x, given), **_outliers(x, given, seed)}
                for method, score in scores.items():
                    yield {
                        "part": "strangers",
                        "set": f"{name}, {rate:.0%} flipped",
                        "unit": seed,
                        "method": method,
                        "n": len(x),
                        "n_planted": int(strange.sum()),
                        "average_precision": average_precision_score(strange, score),
                    }
                if "people's" in name:
                    break


def _stranger_sets(cache: Path, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, features [N, D], labels [N] and which are strangers [N]."""
    rng = np.random.default_rng([seed, 11])
    x, y = _digits(cache)
    zeros = rng.permutation(np.flatnonzero(y == 0))[:8]
    rows_ = np.r_[np.flatnonzero(np.isin(y, (3, 8))), zeros]
    labels = np.where(y[rows_] == 0, rng.integers(2, size=len(rows_)), (y[rows_] == 8).astype(np.int64))
    yield "digits, eight zeros among 3 and 8", x[rows_], labels, y[rows_] == 0
    sets = {"digits": (x, y), "tiny10": class_folders("tiny10", "train", cache), "CIFAR-10": _cifar(cache)[:2]}
    for name, (x, y) in sets.items():
        for n_kept in KEPT:
            yield (f"{name}, {n_kept} classes", *_planted(x, y, n_kept, rng))
    x, y, given = _cifar(cache)
    for n_kept in KEPT:
        kept = rng.permutation(10)[:n_kept]
        rows_ = rng.permutation(np.flatnonzero(np.isin(given, kept)))[: n_kept * EACH]
        labels = np.searchsorted(np.sort(kept), given[rows_])
        yield f"CIFAR-10N, people's, {n_kept} classes", x[rows_], labels, ~np.isin(y[rows_], kept)


def _planted(x: np.ndarray, y: np.ndarray, n_kept: int, rng: np.random.Generator) -> Any:
    kept = np.sort(rng.permutation(10)[:n_kept])
    inside = rng.permutation(np.flatnonzero(np.isin(y, kept)))[: n_kept * EACH]
    outside = rng.permutation(np.flatnonzero(~np.isin(y, kept)))[: n_kept * PLANTED]
    rows_ = np.r_[inside, outside]
    strange = np.r_[np.zeros(len(inside), bool), np.ones(len(outside), bool)]
    random = rng.integers(n_kept, size=len(rows_))
    return x[rows_], np.where(strange, random, np.searchsorted(kept, y[rows_])), strange


def _flipped(labels: np.ndarray, strange: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """The labels, with flips among those that are no strangers."""
    rng, n_classes = np.random.default_rng([seed, 12]), int(labels.max()) + 1
    moved = (rng.random(len(labels)) < rate) & ~strange
    return np.where(moved, (labels + rng.integers(1, n_classes, len(labels))) % n_classes, labels)


def _ours(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The column `strangeness`, as an audit that has no estimate of wrong labels computes it."""
    from auditor.oddities import strangers as kind

    names = [str(label) for label in range(int(labels.max()) + 1)]
    data = SimpleNamespace(features=x, labels=labels.astype(np.int64), n_classes=len(names), classes=names)
    detection = SimpleNamespace(p_mislabelled=None)
    seen: Any = SimpleNamespace(data=data, families=np.arange(len(x)), detection=detection, seed=0)
    return cast(np.ndarray, kind.find(seen).values)


def _outliers(x: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """cleanlab's scores: of features as Datalab's `outlier` issue has them, and of out-of-sample probabilities."""
    from cleanlab.outlier import OutOfDistribution
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=200))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    p = cross_val_predict(model, x, labels, cv=folds, method="predict_proba")
    return {
        "cleanlab, features": -OutOfDistribution().fit_score(features=x, verbose=False),
        "cleanlab, probabilities": -OutOfDistribution().fit_score(pred_probs=p, labels=labels, verbose=False),
    }


def _digits(cache: Path) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = [_saved(Image.fromarray((15.9 * image).astype(np.uint8)), "PNG") for image in found.images]
    paths = [str(number) for number in range(len(pictures))]
    return features("digits", paths, cache, read=lambda path: pictures[int(path)]), found.target


def _cifar(cache: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, what the images show, and what people said together."""
    table = pd.read_csv(DATA / "cifar10n" / "labels.csv")
    index = {name: number for number, name in enumerate(sorted(table["clean_label"].unique()))}
    shown, given = (table[column].map(index).to_numpy() for column in ("clean_label", "aggregate_label"))
    return features("cifar10n", table["path"], cache), shown, given


# Near copies


def _saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _cropped(image: Image.Image, part: int) -> Image.Image:
    left, top = image.width // part, image.height // part
    return image.crop((left, top, image.width - left, image.height - top)).resize(image.size, Image.Resampling.BICUBIC)


ALTERED: dict[str, Callable[[Image.Image], bytes]] = {
    "quality 50": lambda image: _saved(image, quality=50),
    "quality 20": lambda image: _saved(image, quality=20),
    "three quarters of the size": lambda image: _saved(image.resize((image.width * 3 // 4,) * 2), quality=90),
    "cropped by an eighth": lambda image: _saved(_cropped(image, 16), quality=90),
    "brighter by 30%": lambda image: _saved(ImageEnhance.Brightness(image).enhance(1.3), quality=90),
    "mirrored": lambda image: _saved(ImageOps.mirror(image), quality=90),
}


def copies(cache: Path, seeds: int) -> Iterator[Record]:
    """Average precision, precision and recall of pairs, for each set and draw."""
    for seed in range(seeds):
        for name in ("tiny10", "cifar10n"):
            yield from _copies_of(name, seed, cache)


def _copies_of(name: str, seed: int, cache: Path) -> Iterator[Record]:
    rng = np.random.default_rng([seed, 13])
    root = DATA / name
    listed = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.*") if p.suffix.lower() in (".jpeg", ".jpg"))
    originals = [listed[place] for place in np.sort(rng.permutation(len(listed))[:ORIGINALS])]
    store = {path: (root / path).read_bytes() for path in originals}
    truth: dict[tuple[int, int], str] = {}
    paths = list(originals)
    for place, row in enumerate(rng.permutation(len(originals))[: COPIES * len(ALTERED)].tolist()):
        kind = list(ALTERED)[place // COPIES]
        image = Image.open(io.BytesIO(store[originals[row]])).convert("RGB")
        store[f"copy-{place}"] = ALTERED[kind](image)
        truth[(row, len(paths))] = kind
        paths.append(f"copy-{place}")
    x = features(name, paths, cache, read=store.__getitem__)
    for method, found in _methods(x, paths, store).items():
        yield {"part": "copies", "set": name, "unit": seed, "method": method, "n": len(x), **_figures(found, truth)}


Found = tuple[dict[tuple[int, int], float], float]
"""Pairs with a score, and the score from which they count as copies."""


def _methods(x: np.ndarray, paths: list[str], store: dict[str, bytes]) -> dict[str, Found]:
    found = {"auditor": _our_pairs(x, paths, store), "Datalab near_duplicate": _datalab(x)}
    if importlib.util.find_spec("imagededup") is not None:
        found["imagededup PHash"] = _imagededup(paths, store)
    return found


def _our_pairs(x: np.ndarray, paths: list[str], store: dict[str, bytes]) -> Found:
    """Pairs as an audit finds them. All candidates are scored, for the average precision."""
    from auditor.data import near_pairs
    from auditor.data.picture_facts import picture_facts
    from auditor.sources.base import ImageTable

    table = ImageTable("copies", "", pd.DataFrame({"path": paths, "label": "", "split": ""}), store.__getitem__)
    with tempfile.TemporaryDirectory() as folder:
        facts = picture_facts(table, paths, paths, 10**8, Path(folder), lambda done, total: None)
    assert facts is not None
    limit, near_pairs.BY_CHANCE = near_pairs.BY_CHANCE, float(len(x))  # every candidate
    try:
        pairs = near_pairs.near_pairs(x, facts.layout, np.arange(len(x)))
    finally:
        near_pairs.BY_CHANCE = limit
    scores = -np.log(np.maximum(pairs.chance, 1e-300))
    order = np.argsort(-pairs.chance, kind="stable")  # ties of the surest pairs keep their order
    ranked = np.empty(len(scores))
    ranked[order] = np.arange(len(scores))
    least = int((pairs.chance > limit / len(x)).sum())
    return {(int(a), int(b)): float(r) for (a, b), r in zip(pairs.pairs, ranked, strict=True)}, float(least)


def _datalab(x: np.ndarray) -> Found:
    """Datalab's near duplicates: nearest neighbours by cosine, within 0.13 of the median nearest distance."""
    from cleanlab.datalab.internal.issue_manager.duplicate import NearDuplicateIssueManager
    from sklearn.neighbors import NearestNeighbors

    within = NearDuplicateIssueManager._neighbors_within_radius

    neighbours = NearestNeighbors(n_neighbors=10, metric="cosine").fit(x)
    graph = neighbours.kneighbors_graph(mode="distance")
    distance, index = graph.data.reshape(len(x), 10), graph.indices.reshape(len(x), 10)
    median = float(np.median(distance[:, 0]))
    pairs: dict[tuple[int, int], float] = {}
    for row in range(len(x)):
        for other, apart in zip(index[row].tolist(), distance[row].tolist(), strict=True):
            pairs[(min(row, other), max(row, other))] = -apart
    told = {(min(row, o), max(row, o)) for row, near in enumerate(within(graph, 0.13, median)) for o in near.tolist()}
    assert told == {pair for pair, value in pairs.items() if value > -0.13 * median}
    return pairs, float(np.nextafter(-0.13 * median, 1))


def _imagededup(paths: list[str], store: dict[str, bytes]) -> Found:
    """imagededup's PHash: pairs within ten bits of 64, its default."""
    from auditor.model import vision

    vision.models()  # torchvision's operators are declared where its library does not fit
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    codes = [
        np.array(list(f"{int(method.encode_image(image_array=_array(store[p])), 16):064b}"), dtype=np.int16)
        for p in paths
    ]
    bits = np.stack(codes)
    apart = bits @ (1 - bits).T
    apart = apart + apart.T
    one, other = np.nonzero(np.triu(apart <= 24, 1))
    return {(int(a), int(b)): -float(apart[a, b]) for a, b in zip(one, other, strict=True)}, -10.0


def _array(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _figures(found: Found, truth: dict[tuple[int, int], str]) -> Record:
    """Average precision over all scored pairs (a copy without a score comes last), and those that count."""
    scores, least = found
    lost = [pair for pair in truth if pair not in scores]
    right = np.array([pair in truth for pair in scores] + [True] * len(lost))
    score = np.array([*scores.values(), *([min(scores.values()) - 1] * len(lost))])
    counted = {pair for pair, value in scores.items() if value >= least}
    hits = counted & set(truth)
    by_kind = {
        f"recall, {kind}": np.mean([pair in hits for pair, own in truth.items() if own == kind]) for kind in ALTERED
    }
    return {
        "n_planted": len(truth),
        "average_precision": average_precision_score(right, score),
        "precision": len(hits) / max(1, len(counted)),
        "recall": len(hits) / len(truth),
        **by_kind,
    }


PARTS = {
    "strangers": rows.Part(strangers, "oddities", ("set", "method")),
    "copies": rows.Part(copies, "oddities", ("set", "method")),
}
"""The parts of this benchmark. Each gives records with `part`, `set`, `unit`, `method` and figures."""

if __name__ == "__main__":
    rows.run_parts(__doc__, PARTS, lambda: need("tiny10"))
