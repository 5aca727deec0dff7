"""How much of the planted noise a ranking found, with intervals, and what a random order finds.

All figures come from one list: the planted flags in the ranking's order, the most suspicious first. Intervals are
percentile bootstraps over training points (Efron 1979), averaged over the plantings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.config import PICKED_NOISE
from auditor.experiment.noise import Planting
from auditor.result.ceiling import Struck, at_random
from auditor.result.figures import Figure, RankingDocument, RecoveryOfClass
from auditor.system.arrays import Array

SHARES = (0.05, 0.1, 0.2)

GRID = np.linspace(0.0, 1.0, 101)

RESAMPLES = 200

_BLOCK = 2_000_000
"""Weights held in memory at once."""


def order_of(suspicion: Array) -> Array:
    """Positions from the most to the least suspicious. Ties keep their order, which is by path."""
    return np.argsort(-suspicion, kind="stable")


def ranks_of(suspicion: Array) -> Array:
    """int64 [N], 1 for the most suspicious."""
    ranks = np.empty(len(suspicion), dtype=np.int64)
    ranks[order_of(suspicion)] = np.arange(1, len(suspicion) + 1)
    return ranks


def figures(planted: Array, weights: Array) -> dict[str, Array]:
    """Recovery figures of one ranking under several weightings of its points.

    Parameters
    ----------
    planted
        bool [N] in the ranking's order.
    weights
        float64 [B, N], how often each point counts.

    Returns
    -------
    `precision_at_k`, `recall_at_k`, `average_precision`, `auroc`: [B]; `found`: [B, len(SHARES)]; `curve`: [B, 101],
    the share of planted points among the first 0%, 1%, ..., 100% inspected.
    """
    hits = weights * planted
    true, seen = np.cumsum(hits, axis=1), np.cumsum(weights, axis=1)
    n_planted, total = true[:, -1], seen[:, -1]
    n_clean = total - n_planted
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, true / seen, 0.0)
        average = (hits * precision).sum(axis=1) / n_planted
        behind = n_clean[:, None] - (seen - true)
        auroc = (hits * behind).sum(axis=1) / (n_planted * n_clean)
        at_k = _at(true, seen, n_planted[:, None])[:, 0] / n_planted
        curve = _at(true, seen, total[:, None] * GRID) / n_planted[:, None]
        found = _at(true, seen, total[:, None] * np.array(SHARES)) / n_planted[:, None]
    return {
        # With k the number planted, precision and recall are the same number.
        "precision_at_k": at_k,
        "recall_at_k": at_k,
        "average_precision": average,
        "auroc": auroc,
        "found": found,
        "curve": curve,
    }


def _at(true: Array, seen: Array, inspected: Array) -> Array:
    """Planted weight among the first `inspected` points, [B, n]. A point counts once it is inspected whole."""
    rows = []
    wanted = np.broadcast_to(inspected, (len(true), inspected.shape[1]))
    for row_true, row_seen, row_wanted in zip(true, seen, wanted, strict=True):
        index = np.searchsorted(row_seen, row_wanted + 1e-9, side="right")
        rows.append(np.where(index > 0, row_true[np.maximum(index - 1, 0)], 0.0))
    return np.array(rows)


def measure(rankings: Sequence[Array], seed: int) -> RankingDocument:
    """A ranking's recovery, averaged over plantings, as `audit.json` keeps it.

    Parameters
    ----------
    rankings
        For each planting, bool [N] planted flags in the ranking's order.
    """
    rng = np.random.default_rng([seed, 0xB007])
    point = _mean([figures(p, np.ones((1, len(p)))) for p in rankings])
    spread = _mean([_resampled(p, rng) for p in rankings])
    return _document(point, spread)


def measure_random(n: int, n_planted: int, seed: int) -> RankingDocument:
    """What a random order finds of `n_planted` labels among `n`: mean and 95% range over shuffles."""
    rng = np.random.default_rng([seed, 0x7A7D])
    flags = np.arange(n) < n_planted
    one = np.ones((1, n))
    draws = [figures(rng.permutation(flags), one) for _ in range(RESAMPLES)]
    spread = {key: np.concatenate([draw[key] for draw in draws]) for key in draws[0]}
    return _document({key: values.mean(axis=0, keepdims=True) for key, values in spread.items()}, spread)


def _resampled(planted: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Figures under bootstrap weights. Planted and clean points are resampled apart, since planting fixed both."""
    n = len(planted)
    parts = []
    block = max(1, min(RESAMPLES, _BLOCK // n))
    for start in range(0, RESAMPLES, block):
        weights = np.zeros((min(block, RESAMPLES - start), n))
        for group in (np.flatnonzero(planted), np.flatnonzero(~planted)):
            if len(group):
                weights[:, group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size=len(weights))
        parts.append(figures(planted, weights))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _mean(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}


def _ends(values: Array) -> Array:
    """The ends of the 95% interval of each column, [2, ...], without what could not be computed."""
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile  # the same numbers, and the second is fast
    return np.asarray(quantile(values, (0.025, 0.975), axis=0))


def _document(point: dict[str, Array], spread: dict[str, Array]) -> RankingDocument:
    ends = {key: _ends(values) for key, values in spread.items()}
    low, high = ({key: pair[end] for key, pair in ends.items()} for end in (0, 1))

    def figure(key: str) -> Figure:
        return {"value": float(point[key][0]), "interval": [float(low[key]), float(high[key])]}

    def rounded(values: Array) -> list[float]:
        return [round(float(v), 4) for v in values]

    shares = zip(SHARES, point["found"][0], low["found"], high["found"], strict=True)
    return {
        "precision_at_k": figure("precision_at_k"),
        "recall_at_k": figure("recall_at_k"),
        "average_precision": figure("average_precision"),
        "auroc": figure("auroc"),
        "found": [
            {"inspected": inspected, "share": float(share), "interval": [float(lower), float(upper)]}
            for inspected, share, lower, upper in shares
        ],
        "curve": {
            "inspected": [round(float(v), 2) for v in GRID],
            "found": rounded(point["curve"][0]),
            "low": rounded(low["curve"]),
            "high": rounded(high["curve"]),
        },
    }


def by_class(influence: Array, planted: Array, trained_label: Array, classes: Sequence[str]) -> list[RecoveryOfClass]:
    """The study's table: mean average influence of planted and clean points, by the label they were trained with."""
    table: list[RecoveryOfClass] = []
    for index, label in enumerate(classes):
        rows = trained_label == index
        noisy, clean = influence[rows & planted], influence[rows & ~planted]
        means = [float(part.mean()) if len(part) else None for part in (noisy, clean)]
        table.append(
            {
                "label": label,
                "n_planted": len(noisy),
                "n_clean": len(clean),
                "mean_planted": means[0],
                "mean_clean": means[1],
                "difference": None if means[0] is None or means[1] is None else means[0] - means[1],
            }
        )
    return table


def struck(planting: Planting, n_classes: int, p: Array | None = None, suggested: Array | None = None) -> Struck:
    """How much of the wrong labels a planting strikes, before anybody knows which labels are wrong.

    A flip drawn at random strikes a wrong label as often as any other, and finds the right one of C - 1 classes by
    chance. Where flips are not drawn at random, the audit's probabilities tell what they strike. Where their classes
    are those that the model confuses, the suggested labels tell what they mend.

    Parameters
    ----------
    planting
        Labels with planted noise, of N training points.
    p, suggested
        float64 [N] probability that the given label is wrong, and int64 [N] the label it should carry.
    """
    at = planting.planted
    random = at_random(len(at), int(at.sum()), n_classes)
    weights = np.zeros(len(at)) if p is None else np.nan_to_num(p)
    drawn, mended, on_wrong = random.planted, 1 / (n_classes - 1), float(weights[at].sum())
    if planting.kind in PICKED_NOISE and weights.sum() > 0:
        drawn = on_wrong / float(weights.sum())
    if planting.kind in ("confusion", "one-sided") and suggested is not None and on_wrong > 0:
        mended = float(weights[at & (planting.labels == suggested)].sum()) / on_wrong
    return Struck(drawn, drawn * mended)
