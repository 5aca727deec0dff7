"""Detection against its peers on the same features: average precision and more, with standard errors.

`python benchmarks/detection.py --quick` takes a few minutes, without `--quick` hours on two cores. It needs the extra
`bench` (cleanlab) and the shared data, found through `AUDITOR_DATA` (default `../shared/data`). Flips are made by
`auditor.noise`; ground truth is used for nothing but the figures. Results go to `RESULTS.md` and `detection.png`. With
`--rows FILE` an interrupted run goes on where it stopped, and `--table` writes up what there is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
ROOT = Path(__file__).parents[1]
HEADING = "## Detection"
OURS = ("our suspicion", "our influence")
STUDY, RANDOM = "study's ranking", "random"


@dataclass(frozen=True)
class Row:
    """One data set with wrong labels: `reference` is trusted and None where the row is without."""

    name: str
    unit: int
    features: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    n_classes: int
    reference: tuple[np.ndarray, np.ndarray] | None

    @property
    def planted(self) -> bool:
        """False for human labels."""
        return "human" not in self.name


class Features:
    """Features of the shared images by an audit's own pass and cache, three layers of them, the same for everybody."""

    def __init__(self, data: Path, cache: Path) -> None:
        self.data, self.cache = data, cache

    def __call__(self, name: str, paths: list[str]) -> np.ndarray:
        """[N, D] of the images at `paths` in the data set `name`."""
        import backbone

        return np.asarray(backbone.features(self.data, name, paths, self.cache))


def folder(features: Features, name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of `name/split/<class>/*`."""
    base = features.data / name / split
    classes = sorted(p.name for p in base.iterdir())
    files = [(p, i) for i, c in enumerate(classes) for p in sorted((base / c).iterdir())]
    paths = [p.relative_to(features.data / name).as_posix() for p, _ in files]
    return features(name, paths), np.array([i for _, i in files])


def flipped(x: np.ndarray, y: np.ndarray, n_classes: int, rate: float, kind: str, seed: int) -> np.ndarray:
    """`y` with planted flips; confusion and influence are those of a head on the clean labels."""
    from auditor.detection.influence import InfluenceStudy
    from auditor.experiment import noise
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    probabilities = influence = None
    if kind == "confusion":
        scaled = Scaling.of(x)(x)
        half = np.random.default_rng(seed).permutation(len(y)) % 2
        probabilities = np.zeros((len(y), n_classes))
        for part in (0, 1):
            head = SoftmaxHead.train(scaled[half != part], y[half != part], n_classes, 0.3)
            logits = head.logits(scaled[half == part])
            p = np.exp(logits - logits.max(1, keepdims=True))
            probabilities[half == part] = p / p.sum(1, keepdims=True)
    if kind == "influential":
        influence = (
            InfluenceStudy(Scaling.of(x)(x), n_classes, reference=None, folds=2, seed=seed).measure(y, 1.0).average
        )
    return noise.plant(
        y, n_classes, rate, kind, (seed,), average_influence=influence, probabilities=probabilities
    ).labels


def rows(features: Features, quick: bool, seeds: int, n_pairs: int) -> Iterator[Row]:
    """Every row of the table; units are class pairs or seeds."""
    rates = (0.1, 0.4) if quick else (0.05, 0.1, 0.2, 0.4)
    kinds = ("uniform",) if quick else ("uniform", "confusion", "influential")
    tiny, tiny_test = folder(features, "tiny10", "train"), folder(features, "tiny10", "test")
    boats, boats_test = folder(features, "tables-boats", "train"), folder(features, "tables-boats", "test")
    pairs = list(itertools.combinations(range(10), 2))
    pairs = [pairs[i] for i in np.random.default_rng(7).permutation(len(pairs))[:n_pairs]]
    sets: list[tuple[str, int, Any, Any, int]] = []
    for unit, (a, b) in enumerate(pairs):
        sets.append(("pairs", unit, _pair(*tiny, a, b), _pair(*tiny_test, a, b), 2))
    for seed in range(1 if quick else seeds):
        sets.append(("tables-boats", seed, boats, boats_test, 2))
        sets.append(("tiny10", seed, _some(*tiny, 2000, seed) if quick else tiny, tiny_test, 10))
    for name, unit, (x, y), trusted, n_classes in sets:
        for rate, kind in itertools.product(rates, kinds):
            if n_classes == 2 and kind == "confusion":
                continue  # the same as uniform: there is one other class
            z = flipped(x, y, n_classes, rate, kind, unit)
            for reference in (None, trusted):
                title = f"{name}, {kind} {rate:.0%}" + (", reference" if reference else "")
                yield Row(title, unit, x, z, z != y, n_classes, reference)
    yield from human(features, quick, seeds)


def _pair(x: np.ndarray, y: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    keep = (y == a) | (y == b)
    return x[keep], (y[keep] == b).astype(np.int64)


def _some(x: np.ndarray, y: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:n])
    return x[chosen], y[chosen]


def human(features: Features, quick: bool, seeds: int) -> Iterator[Row]:
    """CIFAR-10N. Human labels come once; units are disjoint parts of the images."""
    base = features.data / "cifar10n"
    table, trusted = pd.read_csv(base / "labels.csv"), pd.read_csv(base / "reference.csv")
    classes = {name: i for i, name in enumerate(sorted(trusted["label"].unique()))}
    x = features("cifar10n", list(table["path"]))
    reference = features("cifar10n", list(trusted["path"])), trusted["label"].map(classes)
    truth = table["clean_label"].map(classes).to_numpy()
    parts = np.random.default_rng(3).permutation(len(x)) % 5 if quick else np.arange(len(x)) % seeds
    for column in ("aggregate_label", "random_label_1", "worst_label"):
        y = table[column].map(classes).to_numpy()
        for unit in range(1 if quick else seeds):
            rows_ = parts == unit
            features_, labels = x[rows_], y[rows_]
            for ref in (None, (reference[0], reference[1].to_numpy())):
                title = f"CIFAR-10N, human {column.split('_')[0]}" + (", reference" if ref else "")
                yield Row(title, unit, features_, labels, labels != truth[rows_], 10, ref)


# Contenders: each gives name -> suspicion, higher is more suspicious


def logistic(row: Row, seed: int) -> dict[str, np.ndarray]:
    """cleanlab over cross-validated logistic regression, C tuned by cross-validated likelihood."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best: tuple[float, np.ndarray] | None = None
    for c in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        p = cross_val_predict(model, row.features, row.labels, cv=folds, method="predict_proba")
        loss = log_loss(row.labels, p)
        if best is None or loss < best[0]:
            best = loss, p
    assert best is not None
    p = best[1]
    issues = find_label_issues(row.labels, p, n_jobs=1)
    confidence = 1 - get_label_quality_scores(row.labels, p, method="self_confidence")
    return {
        "cleanlab self-confidence": confidence,
        "cleanlab normalised margin": 1 - get_label_quality_scores(row.labels, p, method="normalized_margin"),
        "cleanlab find_label_issues": issues + confidence / 2,
    }


def neighbours(row: Row, seed: int) -> dict[str, np.ndarray]:
    """Share of the ten nearest by cosine that carry another label."""
    x = row.features - row.features.mean(0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = x @ x.T
    np.fill_diagonal(similarity, -2)
    near = np.argpartition(-similarity, 10, axis=1)[:, :10]
    return {"nearest neighbours": (row.labels[near] != row.labels[:, None]).mean(1)}


def margins(row: Row, seed: int) -> dict[str, np.ndarray]:
    """AUM (Pleiss et al., 2020): margin of the label averaged over the epochs of a linear head's training."""
    import torch

    from auditor.model.scaling import Scaling

    torch.manual_seed(seed)
    x, y = torch.as_tensor(Scaling.of(row.features)(row.features)), torch.as_tensor(row.labels)
    head = torch.nn.Linear(x.shape[1], row.n_classes)
    optimiser = torch.optim.SGD(head.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    total, index = torch.zeros(len(y)), torch.arange(len(y))
    for _ in range(30):
        for part in torch.randperm(len(y)).split(128):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(head(x[part]), y[part]).backward()
            optimiser.step()
        with torch.no_grad():
            z = head(x)
            own = z[index, y].clone()
            z[index, y] = -torch.inf
            total += own - z.max(1).values
    return {"AUM": -total.numpy()}


def study(row: Row, seed: int) -> dict[str, np.ndarray]:
    """The reference study: head of 50 Adam steps, damping 1e-3, and the same head's self-influence."""
    from auditor import influence
    from auditor.model import training

    schedule = training.Schedule(epochs=50, learning_rate=1e-3, batch_size=len(row.labels), seed=seed)
    fold = np.random.default_rng(seed).permutation(len(row.labels)) % 5
    average, own = np.full(len(row.labels), np.nan), np.full(len(row.labels), np.nan)
    for part in (0, 1):
        train = np.flatnonzero(fold != part) if row.reference is None else np.arange(len(row.labels))
        held = row.reference or (row.features[fold == part], row.labels[fold == part])
        head = training.train_head(row.features[train], row.labels[train], row.n_classes, schedule)
        engine = influence.engine(
            influence.HeadProblem(row.features[train], row.labels[train], head.weight, head.bias), "auto", 1e-3
        )
        missing = np.isnan(average[train])
        average[train[missing]] = engine.average(*held)[missing]
        own[train[missing]] = engine.self_influence()[missing]
        if row.reference is not None:
            break
    return {STUDY: -average, "self-influence": own}


def valuation(row: Row, seed: int) -> dict[str, np.ndarray]:
    """pyDVL's KNN-Shapley and Data-OOB; only up to 1,200 images, beyond which they take too long."""
    if len(row.labels) > 1200:
        return {}
    from joblib import parallel_config
    from pydvl.valuation import DataOOBValuation, Dataset, KNNShapleyValuation
    from sklearn.ensemble import BaggingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from auditor.model.scaling import Scaling

    x = Scaling.of(row.features)(row.features)
    half = np.random.default_rng(seed).permutation(len(x)) % 2
    shapley = np.zeros(len(x))
    with parallel_config(n_jobs=1):
        for part in (0, 1):
            train, test = half == part, half != part
            held = (x[test], row.labels[test])
            if row.reference is not None:
                held = (Scaling.of(row.features)(row.reference[0]), row.reference[1])
            method = KNNShapleyValuation(KNeighborsClassifier(10), Dataset(*held), progress=False)
            shapley[train] = method.fit(Dataset(x[train], row.labels[train])).result.values
        bag = BaggingClassifier(
            LogisticRegression(C=1e-3, max_iter=100), n_estimators=30, max_samples=0.7, random_state=seed
        )
        bag.fit(x, row.labels)
        out_of_bag = DataOOBValuation(bag).fit(Dataset(x, row.labels)).result.values
    return {"KNN-Shapley": -shapley, "Data-OOB": -np.asarray(out_of_bag)}


Contender = Callable[[Row, int], dict[str, np.ndarray]]
BLIND: tuple[Contender, ...] = (logistic, neighbours, margins)
"""Have no use for a trusted reference: run once for a row with one and the same row without."""
SEEING: tuple[Contender, ...] = (study, valuation)


class Peers:
    """Every peer's (name, suspicion, seconds) on a row; what the row before already told is not run again."""

    def __init__(self) -> None:
        self._labels: np.ndarray | None = None
        self._blind: list[tuple[str, np.ndarray, float]] = []

    def __call__(self, row: Row) -> list[tuple[str, np.ndarray, float]]:
        """In the order of the table."""
        if self._labels is not row.labels:
            self._labels, self._blind = row.labels, _timed(BLIND, row)
        return self._blind + _timed(SEEING, row)


def _timed(contenders: tuple[Contender, ...], row: Row) -> list[tuple[str, np.ndarray, float]]:
    found = []
    for contender in contenders:
        start = time.perf_counter()
        found += [(k, v, time.perf_counter() - start) for k, v in contender(row, row.unit).items()]
    return found


def figures(suspicion: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """What a ranking is worth; ties in it are broken at random, once."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    order = np.lexsort((np.random.default_rng(0).random(len(wrong)), -suspicion))
    found, total = np.cumsum(wrong[order]), int(wrong.sum())
    return {
        "AP": float(average_precision_score(wrong, suspicion)),
        "AUROC": float(roc_auc_score(wrong, suspicion)),
        "precision at true number": float(found[total - 1] / total),
        "found in first 10%": float(found[len(wrong) // 10 - 1] / total),
        "found in first 20%": float(found[len(wrong) // 5 - 1] / total),
    }


def _listed(row: Row, results: list[tuple[str, np.ndarray, float]]) -> list[dict[str, Any]]:
    return [
        {"row": row.name, "unit": row.unit, "contender": n, "seconds": s, **figures(v, row.wrong)}
        for n, v, s in results
    ]


def run(
    row: Row, peers: Peers, fast: bool, known: list[dict[str, Any]] | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every contender's figures on a row, and what calibration said of it; peers that are `known` are not run again."""
    from auditor.detection import DetectionSettings, Labelled, detect

    settings = DetectionSettings()  # as an audit
    if fast:
        settings = replace(settings, landmarks=700, plantings=1, dampings=(0.1, 1.0, 10.0), tuning=1, folds=2)
    images = Labelled(row.features, row.labels, row.n_classes, row.reference)
    start = time.perf_counter()
    found = detect(images, seed=row.unit, settings=settings)
    seconds = time.perf_counter() - start
    average = found.signals["average_influence"].to_numpy()
    ours = [("our suspicion", found.suspicion, seconds), ("our influence", -average, seconds)]
    chance = (RANDOM, np.random.default_rng(row.unit).random(len(row.labels)), 0.0)
    listed = _listed(row, ours) + (known or _listed(row, peers(row))) + _listed(row, [chance])
    said: dict[str, Any] = {"row": row.name, "unit": row.unit, "n": len(row.labels), "truth": float(row.wrong.mean())}
    said["decided"] = found.share is not None
    if found.share is not None:
        order = np.argsort(-found.suspicion, kind="stable")
        review = found.review[found.review["k"] >= 20]
        true = np.cumsum(row.wrong[order])[review["k"] - 1] / review["k"]
        share = found.share
        said |= {"estimate": share.value, "low": share.low, "high": share.high}
        said["covered"] = share.low <= said["truth"] <= share.high
        said["precision error"] = float(np.abs(review["precision"] - true).mean())
    return listed, said


def variants() -> dict[str, dict[str, tuple[str, ...]]]:
    """What the combination may use: everything, all but one signal, one signal alone, one kind of planting."""
    from auditor.detection import DetectionSettings
    from auditor.detection.signals import SIGNALS

    names = tuple(signal.name for signal in SIGNALS)
    whole = {"use": names, "kinds": DetectionSettings().kinds}
    found = {"everything": whole}
    found |= {f"without {s}": whole | {"use": tuple(k for k in names if k != s)} for s in names}
    found |= {f"{s} alone": whole | {"use": (s,)} for s in names}
    return found | {f"{k} plantings only": whole | {"kinds": (k,)} for k in whole["kinds"]}


def ablated(row: Row) -> list[dict[str, Any]]:
    """Average precision of every variant on a row; signals are made once, only the combination is fitted anew."""
    from auditor.detection import DetectionSettings
    from auditor.detection.suspicion import fit_combination
    from auditor.detection.views import Views
    from auditor.model.scaling import Scaling

    settings, scaling = DetectionSettings(), Scaling.of(row.features)
    x, trusted = row.reference or (row.features[:0], row.labels[:0])
    views = Views(
        np.concatenate([scaling(row.features), scaling(x)]),
        trusted,
        row.n_classes,
        settings=settings,
        seed=row.unit,
    )
    n, counted = len(row.labels), len(trusted) if views.vouched else 0
    signals = views.signals(row.labels)
    audited = signals.select(np.arange(n)).of(row.labels)
    both, records = signals.select(np.arange(n + counted)), []
    for name, variant in variants().items():
        fitted = fit_combination(both, n_trusted=counted, plantings=settings.plantings, seed=row.unit, **variant)
        suspicion = fitted.suspicion(audited)
        records.append({"variant": name, "row": row.name, "AP": figures(suspicion, row.wrong)["AP"]})
    return records


def ablation(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean average precision of each variant over groups of rows."""
    frame = pd.DataFrame(records)
    name = frame["row"].str
    kind = np.where(name.contains("human"), "human", np.where(name.startswith("tiny10"), "ten classes", "two classes"))
    frame["group"] = pd.Series(kind) + name.contains("reference").map({True: ", reference", False: ""})
    table = frame.pivot_table(index="variant", columns="group", values="AP", sort=False)
    table["mean"] = frame.groupby("variant")["AP"].mean()
    return table.round(3)


def summary(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean and standard error over units, a row a data set, a column a contender."""
    grouped = frame.groupby(["row", "contender"], sort=False)[column]
    mean, error = grouped.mean(), grouped.sem()
    text = [f"{m:.3f}" if np.isnan(e) else f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
    return _wide(pd.Series(text, index=mean.index)).fillna("-")


def _wide(values: pd.Series) -> pd.DataFrame:
    """A row a data set, a column a contender, both in order of appearance."""
    return values.unstack("contender", sort=False)  # noqa: PD010  (there is nothing to aggregate)


def against_peers(frame: pd.DataFrame) -> pd.DataFrame:
    """Our suspicion beside the best peer of each row, and the share of the peer's missing area it removes."""
    mean = _wide(frame.groupby(["row", "contender"], sort=False)["AP"].mean())
    peers = mean.drop(columns=[*OURS, RANDOM])
    best = peers.max(axis=1)
    out = pd.DataFrame(
        {
            "our suspicion": mean["our suspicion"].round(3),
            "best peer": best.round(3),
            "which": peers.idxmax(axis=1),
            "missing area removed": ((mean["our suspicion"] - best) / (1 - best)).round(3),
        }
    )
    pivot = frame.pivot_table(index=["row", "unit"], columns="contender", values="AP", sort=False)
    difference = pd.Series(
        {name: (part["our suspicion"] - part[out.loc[name, "which"]]).sem() for name, part in pivot.groupby("row")}
    )
    out["standard error of the difference"] = difference.reindex(out.index).round(3)
    return out


def estimates(said: pd.DataFrame) -> pd.DataFrame:
    """Estimated shares and their intervals by row: means over decided units, and how many intervals hold the truth."""
    grouped = said.groupby("row", sort=False)
    out = grouped.agg({"n": "max", "unit": "count", "decided": "sum", "covered": "sum"}).astype(int)
    means = grouped[["truth", "estimate", "low", "high", "precision error"]].mean().astype(float).round(3)
    return out.rename(columns={"unit": "units"}).join(means)


def plot(frame: pd.DataFrame, path: Path) -> None:
    """Average precision by row for the contenders worth looking at."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mean = _wide(frame.groupby(["row", "contender"], sort=False)["AP"].mean())
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(mean) + 1.5))
    for name in mean.columns:
        if name != RANDOM:
            axes.plot(mean[name], range(len(mean)), "o", ms=8 if name in OURS else 4, label=name, alpha=0.8)
    axes.set_yticks(range(len(mean)), list(mean.index))
    axes.invert_yaxis()
    axes.set_xlabel("average precision")
    axes.legend(fontsize=7, loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table."""
    table = table.reset_index()
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(str(v) for v in values) + " |" for values in table.to_numpy(dtype=object)]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Put `text` under our heading, leaving every other section as it is."""
    old = path.read_text(encoding="utf-8") if path.exists() else "# Measured results\n"
    before, _, rest = old.partition(f"\n{HEADING}\n")
    after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
    path.write_text(f"{before.rstrip()}\n\n{HEADING}\n\n{text.strip()}\n{after}", encoding="utf-8")


def report(frame: pd.DataFrame, said: pd.DataFrame, dropped: pd.DataFrame, how: str) -> str:
    """The section of `RESULTS.md`."""
    import machine

    decided = said[said["decided"]]
    with_reference = decided[decided["row"].str.contains("reference")]
    versus = against_peers(frame)
    planted = versus[~versus.index.str.contains("human|reference|influential")]
    recovered = _wide(frame.groupby(["row", "contender"], sort=False)["AP"].mean())
    uniform = recovered[recovered.index.str.contains("uniform.*reference")]
    lines = [
        machine.describe(),
        how,
        f"- Planted rows without a reference: suspicion removes {planted['missing area removed'].mean():.0%} of the "
        "best peer's missing area on average (target: at least 10%, aim 20%).",
        f"- Rows in which suspicion is behind the best peer: {int((versus['missing area removed'] < 0).sum())} of "
        f"{len(versus)}.",
        "- Influence ranking over the study's, uniform flips with a reference: "
        f"{(uniform['our influence'] / uniform[STUDY]).mean():.2f} times (target 1.5).",
        f"- 95% interval of the share holds the truth in {decided['covered'].mean():.0%} of {len(decided)} decided "
        f"runs (undecided: {int((~said['decided']).sum())}); mean error with a reference "
        f"{(with_reference['estimate'] - with_reference['truth']).abs().mean():.3f}, without "
        f"{(decided.drop(with_reference.index).eval('estimate - truth')).abs().mean():.3f}.",
        f"- Expected against true precision of the first k: {decided['precision error'].mean():.3f} apart on average "
        "(target 0.05).",
    ]
    parts = ["\n\n".join(lines[:2]), "\n".join(lines[2:])]
    parts += ["Against the best peer, average precision:", markdown(versus)]
    for column in ("AP", "AUROC", "precision at true number", "found in first 10%", "found in first 20%", "seconds"):
        parts += [f"### Detection: {column}", markdown(summary(frame, column))]
    parts += ["### Detection: share of wrong labels", "Means over the decided units.", markdown(estimates(said))]
    parts += ["### Detection: ablation, average precision", markdown(dropped)]
    return "\n\n".join(parts)


class Stored:
    """Finished rows, in memory and, where `path` is given, as JSON lines on disk."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
        found = [json.loads(line) for line in lines]
        self.records = [record for one in found for record in one["records"]]
        self.said = [one["said"] for one in found]
        self.ablated = [record for one in found for record in one.get("ablated", [])]

    @property
    def done(self) -> set[tuple[str, int]]:
        """Names and units of the rows there are."""
        return {(said["row"], said["unit"]) for said in self.said}

    def peers(self, row: Row) -> list[dict[str, Any]]:
        """What the peers did on this row, if it was run."""
        mine = [r for r in self.records if (r["row"], r["unit"]) == (row.name, row.unit)]
        return [r for r in mine if r["contender"] not in (*OURS, RANDOM)]

    def add(self, records: list[dict[str, Any]], said: dict[str, Any], dropped: list[dict[str, Any]]) -> None:
        """Keep another row."""
        self.records += records
        self.said.append(said)
        self.ablated += dropped
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                print(json.dumps({"records": records, "said": said, "ablated": dropped}, default=_plain), file=file)


def _plain(value: Any) -> Any:
    return value.item()


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three pairs, parts of the larger sets, one seed")
    parser.add_argument("--fast", action="store_true", help="detection's fast settings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, help="class pairs (default 10, with --quick 3)")
    parser.add_argument("--rows", type=Path, help="JSON lines: rows are appended, finished ones are not repeated")
    parser.add_argument("--peers", type=Path, help="an earlier --rows file: peers are not run again on its rows")
    parser.add_argument("--table", action="store_true", help="run no row, write up the rows there are")
    parser.add_argument("--measure", action="store_true", help="only measure; write nothing up")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "auditor-bench")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    options.pairs = options.pairs or (3 if options.quick else 10)
    data = Path(os.environ.get("AUDITOR_DATA", ROOT.parent / "shared" / "data"))
    if not data.exists():
        sys.exit(f"the shared data are not at {data}; set AUDITOR_DATA")
    warnings.filterwarnings("ignore")
    stored, peers, earlier = Stored(options.rows), Peers(), Stored(options.peers)
    for row in rows(Features(data, options.cache), options.quick, options.seeds, options.pairs):
        if options.only not in row.name:
            continue
        if (row.name, row.unit) in stored.done or options.table:
            continue
        listed, share = run(row, peers, options.fast, earlier.peers(row))
        stored.add(listed, share, ablated(row) if row.unit == 0 else [])
        best = sorted(listed, key=lambda r: -r["AP"])[:3]
        print(row.name, row.unit, [(r["contender"], round(r["AP"], 3)) for r in listed[:2] + best], share, flush=True)
    if options.measure:
        return
    records, said = stored.records, stored.said
    frame = pd.DataFrame(records)
    how = f"Command: `python benchmarks/detection.py {' '.join(sys.argv[1:])}`. Figures are means ± standard errors."
    text = report(frame, pd.DataFrame(said), ablation(stored.ablated), how)
    write(options.output / "RESULTS.md", text)
    plot(frame, options.output / "detection.png")
    print(text)


if __name__ == "__main__":
    main()
