"""The other methods: each takes a row and gives name -> suspicion [N]; higher is more suspicious."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sets import Row

STUDY = "study's ranking"


def logistic(row: Row, seed: int) -> dict[str, np.ndarray]:
    """cleanlab on cross-validated logistic regression."""
    return cleanlab_scores(row.labels, out_of_sample(row, seed))


def out_of_sample(row: Row, seed: int) -> np.ndarray:
    """Probabilities [N, C] of cross-validated logistic regression. C is tuned by likelihood, and folds are shuffled."""
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
    return best[1]


def cleanlab_scores(labels: np.ndarray, p: np.ndarray) -> dict[str, np.ndarray]:
    """cleanlab's scores of labels [N] by out-of-sample probabilities [N, C]."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    issues = find_label_issues(labels, p, n_jobs=1)
    confidence = 1 - get_label_quality_scores(labels, p, method="self_confidence")
    return {
        "cleanlab self-confidence": confidence,
        "cleanlab normalised margin": 1 - get_label_quality_scores(labels, p, method="normalized_margin"),
        "cleanlab find_label_issues": issues + confidence / 2,
    }


def neighbours(row: Row, seed: int) -> dict[str, np.ndarray]:
    """Share of the ten nearest images (by cosine) that carry another label."""
    x = row.features - row.features.mean(0)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    similarity = x @ x.T
    np.fill_diagonal(similarity, -2)
    near = np.argpartition(-similarity, 10, axis=1)[:, :10]
    return {"nearest neighbours": (row.labels[near] != row.labels[:, None]).mean(1)}


def margins(row: Row, seed: int) -> dict[str, np.ndarray]:
    """AUM (Pleiss et al., 2020): the margin of the label, averaged over the epochs of a linear head's training."""
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
    """The reference study: a head of 50 Adam steps, damping 1e-3; and the self-influence of the same head."""
    from auditor import influence
    from auditor.model import training

    schedule = training.Schedule(epochs=50, learning_rate=1e-3, batch_size=len(row.labels), seed=seed)
    fold = np.random.default_rng(seed).permutation(len(row.labels)) % 5
    average, own = np.full(len(row.labels), np.nan), np.full(len(row.labels), np.nan)
    for part in (0, 1):
        train = np.flatnonzero(fold != part) if row.reference is None else np.arange(len(row.labels))
        held = row.reference or (row.features[fold == part], row.labels[fold == part])
        head, _ = training.train_head(row.features[train], row.labels[train], row.n_classes, schedule)
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
    """pyDVL's KNN-Shapley and Data-OOB. They take too long above 1,200 images and are left out there."""
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
"""These have no use for a reference set. They run once for a row with a reference and the same row without."""
SEEING: tuple[Contender, ...] = (study, valuation)


class Peers:
    """Every peer's (name, suspicion, seconds) on a row. Peers that need no reference are not run twice in a row."""

    def __init__(self) -> None:
        self._labels: np.ndarray | None = None
        self._blind: list[tuple[str, np.ndarray, float]] = []

    def __call__(self, row: Row) -> list[tuple[str, np.ndarray, float]]:
        """All peers, in the order of the table."""
        if self._labels is not row.labels:
            self._labels, self._blind = row.labels, _timed(BLIND, row)
        return self._blind + _timed(SEEING, row)


def _timed(contenders: tuple[Contender, ...], row: Row) -> list[tuple[str, np.ndarray, float]]:
    found = []
    for contender in contenders:
        start = time.perf_counter()
        found += [(k, v, time.perf_counter() - start) for k, v in contender(row, row.unit).items()]
    return found
