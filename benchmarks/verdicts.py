"""What the gate says of a detection, without an audit around it. The judging is `auditor.gate`'s own.

A verdict is false where it says more than the truth allows: PASS at a level that the true share lies above, or FAIL at
a level that it does not reach. Levels are tried all around the true share; one label fewer is among them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
TIMES = (0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
"""Levels that are tried: these shares, and these multiples of the true share."""

RULES = ("wrong_labels", "class_share")
SOME = 20
OTHERS = ("model_f1", "f1_drop", "unreadable", "class_balance", "conflicting_duplicates", "leakage")


def result_of(
    found: Any, labels: Any, recovery: tuple[float, float, float] = (1.0, 1.0, 1.0), looked: Any = None
) -> Any:
    """An `AuditResult` that holds what the label rules read.

    Parameters
    ----------
    found
        The detection.
    labels
        int64 [N], the labels as they lie. Those of `looked` rows are right.
    recovery
        Share of planted labels that was found, with its interval. All of them: the gate then never calls the audit too
        weak, so the estimate stands for itself.
    looked
        int64, rows that people settled before the audit; None for none.
    """
    from auditor.result import AuditResult

    names = [f"{i:02d}" for i in range(int(labels.max()) + 1)]
    paths = [f"{i:06d}" for i in range(len(labels))]
    p = np.full(len(labels), np.nan) if found.p_mislabelled is None else found.p_mislabelled.copy()
    seen, rank = np.zeros(len(labels), bool), np.empty(len(labels))
    seen[[] if looked is None else looked] = True
    p[seen] = 0.0
    rank[np.argsort(-np.nan_to_num(found.suspicion, nan=-np.inf), kind="stable")] = np.arange(1, len(labels) + 1)
    ranking = pd.DataFrame(
        {
            "rank": rank,
            "path": paths,
            "split": "train",
            "label": [names[i] for i in labels],
            "suggested_label": [names[i] if 0 <= i < len(names) else "" for i in found.suggested_label],
            "suspicion": found.suspicion,
            "p_mislabelled": p,
            "looked": np.where(seen, "right", ""),
        }
    )
    summary = {
        "audit_id": "study",
        "settings": {"classes": []},
        "influence": {"solves": []},
        "reference": {"settled": None},
        "dataset": {
            "name": "study",
            "n_images": len(labels),
            "content_hash": "study",
            "classes": names,
            "counts": {name: int((labels == i).sum()) for i, name in enumerate(names)},
            "hashes": dict(zip(paths, paths, strict=True)),
            "duplicates": {"conflicting": [], "leaking": []},
        },
        "calibration": _calibration(found, names),
        "recovery": _recovery(len(labels), *recovery),
    }
    return AuditResult(summary, ranking, ranking.iloc[:0], {})


def _calibration(found: Any, names: list[str]) -> dict[str, Any]:
    share = found.share
    return {
        "decided": found.decided,
        "reason": found.reason,
        "cannot_tell": found.cannot_tell,
        "share": None if share is None else {"value": share.value, "interval": [share.low, share.high]},
        "by_class": [
            {
                "label": names[int(row.label)],
                "n": int(row.n),
                "share": row.share,
                "share_interval": [row.low / row.n, row.high / row.n],
            }
            for row in found.by_class.itertuples()
        ],
    }


def _recovery(n: int, value: float, low: float, high: float) -> dict[str, Any]:
    chance = min(0.1, low / 2)
    return {
        "n": n,
        "n_planted": 0,
        "noise": "uniform",
        "by_class": [],
        "rankings": {
            "suspicion": {"recall_at_k": {"value": value, "interval": [low, high]}},
            "random": {"recall_at_k": {"value": chance, "interval": [chance, chance]}},
        },
    }


def verdict_at(result: Any, rule: str, level: float) -> str:
    """What the gate says of one rule whose fail and warn levels are both `level`. All other rules are off."""
    from auditor.gate import evaluate
    from auditor.gate.levels import rules_from

    off = {name: {"enabled": False} for name in (*OTHERS, *RULES, "new_suspects") if name != rule}
    strict = {"fail": level, "warn": level}
    outcomes = evaluate(result, rules_from({**off, rule: strict})).rules
    return next(str(outcome.verdict) for outcome in outcomes if outcome.rule == rule)


def levels_around(share: float, n: int) -> list[float]:
    """All levels that are tried where `share` of n labels are wrong, rising."""
    near = {share, max(0.0, share - 1 / n), *(share * times for times in TIMES)}
    return sorted({level for level in (*near, *LEVELS) if 0 < level < 1})


def tally(result: Any, labels: Any, wrong: Any, *, lower_bound: bool = False) -> dict[str, int]:
    """How often the gate says what, below and above the truth.

    Parameters
    ----------
    result
        Of `result_of`.
    labels, wrong
        int64 [N] and bool [N], the labels as they lie, and which of them are wrong.
    lower_bound
        More labels may be wrong than `wrong` says. Then only levels below the truth are tried.
    """
    by_class = [(float(wrong[labels == c].mean()), int((labels == c).sum())) for c in np.unique(labels)]
    truths = {"wrong_labels": (float(wrong.mean()), len(labels)), "class_share": max(by_class)}
    found: dict[str, int] = {}
    for rule, (share, n) in truths.items():
        found |= _tally(result, rule, share, n, lower_bound)
    return found


def _tally(result: Any, rule: str, share: float, n: int, lower_bound: bool) -> dict[str, int]:
    counts = dict.fromkeys(
        (f"{rule}, {side}: {said}" for side in ("too bad", "good") for said in ("PASS", "UNDECIDED", "FAIL")), 0
    )
    for level in levels_around(share, n):
        side = "too bad" if share > level else "good"
        if side == "too bad" or not lower_bound:
            counts[f"{rule}, {side}: {verdict_at(result, rule, level)}"] += 1
    return counts


def judged_again(rows_: pd.DataFrame) -> list[dict[str, Any]]:
    """What today's gate says of estimates that were kept: the rule `wrong_labels`, row by row. No detection runs.

    That rule reads the share and its interval alone, so a few items stand for all of them. Rows of `votes` show a lower
    bound of the truth.
    """
    found = []
    for row in rows_.to_dict("records"):
        decided = row["decided"]
        share = SimpleNamespace(value=row["estimate"], low=row["low"], high=row["high"]) if decided else None
        few, labels = 2 * SOME, np.arange(2 * SOME) % 2
        said = SimpleNamespace(
            share=share,
            decided=decided,
            reason="" if decided else "nothing can be said",
            cannot_tell=row["cannot tell"],
            by_class=pd.DataFrame(columns=["label", "n", "share", "low", "high"]),
            p_mislabelled=np.full(few, row["estimate"]),
            suspicion=np.arange(few, dtype=float),
            suggested_label=1 - labels,
        )
        counts = _tally(result_of(said, labels), "wrong_labels", row["truth"], row["n"], row["kind"] == "votes")
        found.append({"kind": row["kind"], **counts})
    return found


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One line for each kind of row and rule: levels tried, verdicts there, and audits with a false one."""
    lines = []
    for kind, group in pd.DataFrame(records).groupby("kind", sort=False):
        for rule in (rule for rule in RULES if f"{rule}, good: PASS" in group):
            line: dict[str, Any] = {"kind": kind, "rule": rule, "audits": len(group)}
            for side, false in (("too bad", "PASS"), ("good", "FAIL")):
                said = {word: group[f"{rule}, {side}: {word}"] for word in ("PASS", "UNDECIDED", "FAIL")}
                line |= {f"{side}: {word}": int(counts.sum()) for word, counts in said.items()}
                line[f"audits with a false {false}"] = int((said[false] > 0).sum())
            lines.append(line)
    return pd.DataFrame(lines)
