"""What each rule measures, from an audit's result alone: a figure, its interval, the evidence.

Estimated figures come with the audit's own 95% intervals; exact ones (files, counts) have none. A measurement that
the audit cannot support says why in `undecided`, and the rule is then UNDECIDED whatever its figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from auditor.gate.facts import Facts, Measurement
from auditor.gate.wording import figure
from auditor.result.documents import CopyGroup
from auditor.system.arrays import Floats
from auditor.system.text import counted, plain

if TYPE_CHECKING:
    from auditor.gate.facts import Levels


EVIDENCE_ROWS = 20
"""Rows of evidence a rule shows; the list of new suspects is complete elsewhere."""

RESAMPLES = 500

_EXACT_UP_TO = 2000
"""Suspects for which the distribution of the wrong ones among them is computed exactly."""

RIGHT_DECISIONS = frozenset({"keep", "relabel"})
"""A person has said that this label, on this image, is right (`relabel`: it is the one they changed it to)."""

WRONG_DECISIONS = frozenset({"drop"})
"""A person has said that it is wrong, and the image is still there under it."""


def unsolved(facts: Facts) -> str:
    """Why influence cannot be trusted, or nothing: a solve that stopped before it reached its tolerance."""
    solves = facts.summary["influence"]["solves"]
    failed = [solve for solve in solves if not solve["converged"]]
    if not failed:
        return ""
    worst = max((s["relative_residual"] for s in failed if s["relative_residual"] is not None), default=None)
    residual = "" if worst is None else f" (relative residual up to {worst:.1g})"
    return f"{len(failed)} of {len(solves)} influence solves did not converge{residual}"


# ---------------------------------------------------------------- estimates


def wrong_labels(facts: Facts, levels: Levels) -> Measurement:
    """The calibrated share, with what a person has reviewed put in the estimate's place."""
    reason = _uncalibrated(facts)
    share = (facts.summary["calibration"] or {"share": None})["share"]
    if share is None or share["value"] is None:
        return Measurement(None, undecided=reason or "the audit gives no share of wrong labels")
    value, interval = _reviewed(share["value"], share["interval"], facts.rows)
    sentence = f"an estimated {figure(value, 'share')} of the labels are wrong"
    return Measurement(value, interval, sentence, _suspects(facts.rows, facts), undecided=reason)


def class_share(facts: Facts, levels: Levels) -> Measurement:
    """The worst class's share: the one that surely fails, if any, or else the one with the highest estimate.

    With C classes the worst of C estimates is looked at, so every interval is widened from 1.96 standard errors to
    the normal quantile of 1 - 0.025 / C (Bonferroni).
    """
    reason = _uncalibrated(facts)
    calibration = facts.summary["calibration"]
    by_class = calibration["by_class"] if calibration else []
    if not by_class:
        return Measurement(None, undecided=reason or "the audit gives no share by class")
    widening = NormalDist().inv_cdf(1 - 0.025 / len(by_class)) / NormalDist().inv_cdf(0.975)
    shares: list[tuple[float, tuple[float, float] | None, str]] = []
    for entry in by_class:
        ends = entry["share_interval"]
        if ends is not None:
            ends = [entry["share"] + widening * (end - entry["share"]) for end in ends]
        value, interval = _reviewed(entry["share"], ends, facts.rows[facts.rows["label"] == entry["label"]])
        shares.append((value, interval, entry["label"]))
    fail = float("inf") if levels.fail is None else levels.fail
    sure = [s for s in shares if s[1] is not None and s[1][0] > fail]
    value, interval, label = max(sure, key=lambda s: s[1][0] if s[1] else 0.0) if sure else max(shares)
    shown = sorted(shares, key=lambda s: (-s[0], s[2]))[:EVIDENCE_ROWS]
    evidence = tuple({"label": s[2], "share": s[0], "interval": None if s[1] is None else list(s[1])} for s in shown)
    sentence = f"an estimated {figure(value, 'share')} of the labels '{plain(label)}' are wrong"
    return Measurement(value, interval, sentence, evidence, undecided=reason)


def new_suspects(facts: Facts, levels: Levels) -> Measurement:
    """How many suspects are new; the interval is about how many of them are wrong, given their probabilities.

    It leaves out what the share may be off by: with that counted in, as in the report's table of what a review finds,
    its lower end is nothing wherever the share's is, and thirty new wrong labels among ten thousand would never fail.
    """
    reason = _uncalibrated(facts)
    if facts.rows["p_mislabelled"].isna().all():
        return Measurement(None, undecided=reason or "the audit gives no probabilities")
    rows = new_suspect_rows(facts, levels)
    count = len(rows)
    words = ("new suspect", "new suspects") if facts.has_baseline else ("unreviewed suspect", "unreviewed suspects")
    sentence = f"{counted(count, *words)} with a probability of at least {levels.probability:g}"
    wrong = wrong_among(rows["p_mislabelled"].to_numpy(float))
    about = "wrong if the probabilities hold"
    return Measurement(float(count), wrong, sentence, _suspects(rows, facts), reason, interval_of=about)


def new_suspect_rows(facts: Facts, levels: Levels) -> pd.DataFrame:
    """The rows of the ranking that `new_suspects` counts, by rank."""
    rows = facts.rows
    chosen = rows[(rows["p_mislabelled"] >= (levels.probability or 1.0)) & rows["decision"].isna()]
    return chosen.sort_values(["rank", "path"]).reset_index(drop=True)


def wrong_among(probabilities: Floats) -> tuple[float, float]:
    """Central 95% range of the number of wrong labels among independent suspects (Poisson binomial distribution)."""
    n = len(probabilities)
    if n > _EXACT_UP_TO:
        mean, deviation = probabilities.sum(), np.sqrt((probabilities * (1 - probabilities)).sum())
        return max(0.0, float(mean - 1.96 * deviation)), min(float(n), float(mean + 1.96 * deviation))
    distribution = np.ones(1)
    for p in probabilities:
        distribution = np.convolve(distribution, (1 - p, p))
    below = np.cumsum(distribution)
    # The small allowance keeps rounding in the sum from moving an end by one.
    ends = np.searchsorted(below, (0.025 + 1e-12, 0.975 - 1e-12))
    return float(min(ends[0], n)), float(min(ends[1], n))


def _uncalibrated(facts: Facts) -> str:
    calibration = facts.summary["calibration"]
    if calibration is None:
        return "the audit could not estimate how many labels are wrong"
    if calibration["decided"] is True:
        return ""
    return plain(str(calibration["reason"] or "the audit's estimate is undecided"), 300).rstrip(".")


def _reviewed(
    share: float, ends: Sequence[float] | None, rows: pd.DataFrame
) -> tuple[float, tuple[float, float] | None]:
    """A share corrected by what a person has said of the images it counts.

    The estimate is a sum of probabilities; for a reviewed image the truth stands in for its probability: 0 where the
    label was confirmed, 1 where it was found wrong and is still there. All three figures move by the same amount: that
    keeps the interval as wide as before the review, which is on the safe side.
    """
    counted = rows[rows["p_mislabelled"].notna()]
    if counted.empty:
        return share, None if ends is None else (ends[0], ends[1])
    p, decision = counted["p_mislabelled"], counted["decision"]
    change = (1 - p[decision.isin(WRONG_DECISIONS)]).sum() - p[decision.isin(RIGHT_DECISIONS)].sum()
    moved = [min(1.0, max(0.0, float(x + change / len(counted)))) for x in (share, *(ends or ()))]
    return moved[0], (moved[1], moved[2]) if ends is not None else None


def _suspects(rows: pd.DataFrame, facts: Facts) -> tuple[dict[str, Any], ...]:
    """The first rows that no person has confirmed, as evidence."""
    rows = rows[rows["p_mislabelled"].notna() & ~rows["decision"].isin(RIGHT_DECISIONS)]
    first = rows.sort_values(["p_mislabelled", "path"], ascending=[False, True]).head(EVIDENCE_ROWS)
    columns = ["path", "label", "suggested_label", "p_mislabelled"]
    return tuple(
        {"path": path, "label": label, "suggested_label": suggested, "p_mislabelled": float(p)}
        for path, label, suggested, p in first[columns].itertuples(index=False)
    )


# ---------------------------------------------------------------- how good the audit is


def recovery(facts: Facts, levels: Levels) -> Measurement:
    """Recall at k by the audit's best ranking; no better than a random order means that nothing was found."""
    found = facts.summary["recovery"]
    rankings = found["rankings"]
    best = rankings["suspicion"] or rankings["influence"]
    recall = best["recall_at_k"]
    chance = rankings["random"]["recall_at_k"]["value"]
    if recall["value"] is None or recall["interval"] is None or chance is None:
        return Measurement(None, undecided="the controlled experiment gave no figure")
    value, interval = float(recall["value"]), (float(recall["interval"][0]), float(recall["interval"][1]))
    sentence = f"{figure(value, 'share')} of {found['n_planted']} planted wrong labels were found (chance: "
    sentence += f"{figure(chance, 'share')})"
    reason = "" if interval[0] > chance else "the audit found no more of the planted labels than chance would"
    evidence = tuple(
        {"label": str(entry["label"]), "n_planted": entry["n_planted"], "n_clean": entry["n_clean"]}
        for entry in (found["by_class"] or [])[:EVIDENCE_ROWS]
    )
    return Measurement(value, interval, sentence, evidence, undecided=reason)


def model_f1(facts: Facts, levels: Levels) -> Measurement:
    """Weighted F1 on the test split, its interval by resampling the confusion matrix's images."""
    quality = facts.summary["model"]["clean"]["test"]
    value = quality["f1_weighted"]
    if value is None or not quality["n"]:
        return Measurement(None, undecided="there is no test image to measure the model on")
    draws = _f1_draws(quality["confusion"], seed=0)
    sentence = f"the model reaches a weighted F1 of {value:.3f} on {quality['n']} test images"
    return Measurement(float(value), _range(draws, value), sentence)


def f1_drop(facts: Facts, levels: Levels) -> Measurement:
    """F1 without planted noise less F1 with it; both matrices are resampled apart, which widens the interval."""
    clean, corrupted = (facts.summary["model"][key]["test"] for key in ("clean", "corrupted"))
    if clean["f1_weighted"] is None or corrupted["f1_weighted"] is None or not clean["n"] or not corrupted["n"]:
        return Measurement(None, undecided="there is no test image to measure the models on")
    value = float(clean["f1_weighted"] - corrupted["f1_weighted"])
    draws = _f1_draws(clean["confusion"], seed=0) - _f1_draws(corrupted["confusion"], seed=1)
    return Measurement(value, _range(draws, value), f"the planted noise costs {value:.3f} of the model's weighted F1")


def _f1_draws(confusion: list[list[int]], seed: int) -> Floats:
    """Weighted F1 of `RESAMPLES` bootstrap samples of the images behind a confusion matrix [given x predicted]."""
    cells = np.asarray(confusion, dtype=float)
    given, predicted = np.nonzero(cells)
    counts = cells[given, predicted]
    rng, size, n = np.random.default_rng(seed), len(cells), int(counts.sum())
    right = given == predicted
    scores = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = rng.multinomial(n, counts / counts.sum())
        rows = np.bincount(given, drawn, size)
        columns = np.bincount(predicted, drawn, size)
        hits = np.bincount(given[right], drawn[right], size)
        scores[i] = (rows * 2 * hits / np.maximum(rows + columns, 1)).sum() / n
    return scores


def _range(draws: Floats, value: float) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return min(float(low), value), max(float(high), value)


# ---------------------------------------------------------------- exact figures


def unreadable(facts: Facts, levels: Levels) -> Measurement:
    """Entries left out, as a share of all entries."""
    dataset = facts.summary["dataset"]
    left_out, total = dataset["n_skipped"], dataset["n_skipped"] + dataset["n_images"]
    if not total:
        return Measurement(None, undecided="the data set is empty")
    evidence = tuple({"path": e["path"], "reason": e["reason"]} for e in dataset["skipped"][:EVIDENCE_ROWS])
    sentence = f"{left_out} of {counted(total, 'entry', 'entries')} could not be used"
    return Measurement(left_out / total, None, sentence, evidence)


def class_balance(facts: Facts, levels: Levels) -> Measurement:
    """Size of the smallest class over that of the largest."""
    counts = {name: facts.summary["dataset"]["counts"].get(name, 0) for name in facts.result.classes}
    if not counts or not max(counts.values()):
        return Measurement(None, undecided="the data set is empty")
    order = sorted(counts, key=lambda name: (counts[name], name))
    evidence = tuple({"label": name, "n": counts[name]} for name in (order[0], order[-1]))
    sentence = f"the smallest class '{plain(order[0])}' has {counts[order[0]]} images, the largest "
    sentence += f"'{plain(order[-1])}' {counts[order[-1]]}"
    return Measurement(counts[order[0]] / counts[order[-1]], None, sentence, evidence)


def conflicting_duplicates(facts: Facts, levels: Levels) -> Measurement:
    """Groups of identical files under different labels, less those whose every label a person has accepted."""
    duplicates = facts.summary["dataset"]["duplicates"]
    accepted = set(zip(*(facts.rows.loc[facts.rows["decision"].notna(), c] for c in ("hash", "label")), strict=True))
    groups = [
        group
        for group in duplicates["conflicting"]
        if not all((group["hash"], entry["label"]) in accepted for entry in group["entries"])
    ]
    words = ("group of identical images carries", "groups of identical images carry")
    sentence = f"{counted(len(groups), *words)} different labels"
    return Measurement(float(len(groups)), None, sentence, _groups(groups))


def leakage(facts: Facts, levels: Levels) -> Measurement:
    """Groups of identical files on both sides of the test split."""
    dataset = facts.summary["dataset"]
    groups = [
        group
        for group in dataset["duplicates"]["leaking"]
        if "test" in (splits := {entry["split"] for entry in group["entries"]}) and len(splits) > 1
    ]
    sentence = f"{counted(len(groups), 'image stands', 'images stand')} in both training and test"
    own_doing = dataset["split_origin"] == "seeded"
    if own_doing and groups:
        sentence += "; the audit drew the splits, so these are duplicates and not a fault of the data set's own splits"
    return Measurement(float(len(groups)), None, sentence, _groups(groups), at_worst_warn=own_doing)


def _groups(groups: list[CopyGroup]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "path": entry["path"],
            "label": entry["label"],
            "split": entry["split"],
            "hash": group["hash"],
        }
        for group in groups[:EVIDENCE_ROWS]
        for entry in group["entries"][:EVIDENCE_ROWS]
    )
