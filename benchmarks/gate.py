"""How often the gate cries wolf, and how often it sleeps: verdicts at the default levels on labels of known quality.

    python benchmarks/gate.py --quick                 # 2 seeds, small samples: does it run?
    python benchmarks/gate.py --rows rows.jsonl       # 20 seeds a condition; goes on where an earlier run stopped
    python benchmarks/gate.py --rows rows.jsonl --table

Each trial draws images anew, gives a known share of them a wrong label, detects, and judges by `auditor.gate` at its
default levels. Wrong labels are human ones where people gave any (CIFAR-10N's worst answer) and planted uniformly
elsewhere. Features are computed once, through the audit's own cache. Every trial is one line of the rows file, with
what its interval is made of and the commit it was measured at; its random state depends on its condition and seed
alone. Where the estimate of the share has changed since, start a new file.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from backbone import features

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
SHARES = (0.005, 0.02, 0.05, 0.1, 0.2)
"""True shares of wrong labels: under 1%, then what the issue asks for."""
TWICE_THE_LEVEL = 0.1
"""Twice the default fail level of `wrong_labels`."""
RATE, REPEATS = 0.1, 3
"""Share of labels flipped where recovery is measured, and how often."""
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Condition:
    """What a trial draws: the data, whether a trusted reference is given, the true share, the number of images."""

    data: str
    reference: int
    share: float
    n: int

    @property
    def key(self) -> str:
        return f"{self.data}, {'no' if not self.reference else self.reference} trusted images, n = {self.n}"


@dataclass(frozen=True)
class Material:
    """A data set with known truth: features float32 [N, D], true labels and a wrong label for some (-1 for none)."""

    features: Any
    truth: Any
    wrong: Any
    reference: tuple[Any, Any] | None


def load(name: str, cache: Path | None) -> Material:
    """Features and labels of one of the shared data sets."""
    if name == "cifar10n":
        table = pd.read_csv(DATA / "cifar10n" / "labels.csv")
        index = {label: i for i, label in enumerate(CLASSES)}
        truth, worst = (table[c].map(index).to_numpy(np.int64) for c in ("clean_label", "worst_label"))
        trusted = pd.read_csv(DATA / "cifar10n" / "reference.csv")
        x, reference = (features(DATA, name, part["path"], cache) for part in (table, trusted))
        wrong = np.where(worst != truth, worst, -1)
        return Material(x, truth, wrong, (reference, trusted["label"].map(index).to_numpy(np.int64)))
    root = DATA / name
    paths = sorted(p.relative_to(root).as_posix() for p in root.glob("train/*/*"))
    names = sorted({p.split("/")[1] for p in paths})
    truth = np.array([names.index(p.split("/")[1]) for p in paths])
    rng = np.random.default_rng(0)
    wrong = (truth + rng.integers(1, len(names), len(truth))) % len(names)
    held = sorted(p.relative_to(root).as_posix() for p in root.glob("test/*/*"))
    reference = (features(DATA, name, held, cache), np.array([names.index(p.split("/")[1]) for p in held]))
    return Material(features(DATA, name, paths, cache), truth, wrong, reference)


def trial(condition: Condition, material: Material, seed: int) -> dict[str, Any]:
    """One draw, one detection, one verdict."""
    from auditor.detection import DetectionSettings, Labelled, detect

    rng = np.random.default_rng([seed, condition.n, round(1000 * condition.share)])
    rows = np.sort(rng.permutation(len(material.truth))[: condition.n])
    labels = material.truth[rows].copy()
    can = np.flatnonzero(material.wrong[rows] >= 0)
    chosen = rng.permutation(can)[: round(condition.share * condition.n)]
    labels[chosen] = material.wrong[rows][chosen]
    reference = None
    if condition.reference and material.reference is not None:
        some = np.sort(rng.permutation(len(material.reference[1]))[: condition.reference])
        reference = (material.reference[0][some], material.reference[1][some])
    start = time.perf_counter()
    # Damping only orders influence, which the share does not rest on: fixed, it spares time. All else as in an audit.
    settings = DetectionSettings(damping=1.0)
    n_classes = int(material.truth.max()) + 1
    images = Labelled(material.features[rows], labels, n_classes, reference)
    found = detect(images, seed=seed, settings=settings)
    made_of = {**asdict(found.spread), "ref": found.basis == "trusted reference"}
    verdict = judge(found, labels, labels != material.truth[rows], planted_recovery(images, seed))
    return {
        **asdict(condition),
        "seed": seed,
        "true_share": float(len(chosen) / len(rows)),
        **verdict,
        "seconds": round(time.perf_counter() - start, 1),
        **made_of,
        "commit": commit(),
    }


@functools.cache
def commit() -> str:
    """The commit that is measured, with a + where files differ from it; empty outside a repository."""
    import auditor

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(auditor.__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return ""


def planted_recovery(images: Any, seed: int) -> tuple[float, float, float]:
    """Average precision at finding planted flips: mean and Student's 95% interval over three plantings."""
    from scipy.stats import t as student
    from sklearn.metrics import average_precision_score

    from auditor.detection import Scorer
    from auditor.experiment import noise

    scorer, found = Scorer(images, seed=seed), []
    for repeat in range(REPEATS):
        planting = noise.plant(images.labels, images.n_classes, RATE, "uniform", (seed, 1000, repeat))
        found.append(average_precision_score(planting.planted, scorer.suspicion(planting.labels, seed + 1 + repeat)))
    mean, spread = float(np.mean(found)), float(np.std(found, ddof=1))
    half = float(student.ppf(0.975, REPEATS - 1)) * spread / REPEATS**0.5
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def judge(found: Any, labels: Any, wrong: Any, recovery: tuple[float, float, float]) -> dict[str, Any]:
    """The gate's verdict on a detection: a result with just what the label rules read, everything else at ease.

    `wrong` [N] tells which labels really are: how many of the suspects, beside what the gate says of their number.
    """
    from auditor.gate import evaluate
    from auditor.gate.levels import rules_from
    from auditor.result import AuditResult
    from auditor.review.baseline import Baseline

    names = [f"{i:02d}" for i in range(int(labels.max()) + 1)]
    p = np.full(len(labels), np.nan) if found.p_mislabelled is None else found.p_mislabelled
    paths = [f"{i:06d}" for i in range(len(labels))]
    rank = np.empty(len(labels))
    rank[np.argsort(-found.suspicion, kind="stable")] = np.arange(1, len(labels) + 1)
    ranking = pd.DataFrame(
        {
            "rank": rank,
            "path": paths,
            "split": "train",
            "label": [names[i] for i in labels],
            "suggested_label": [names[i] for i in found.suggested_label],
            "p_mislabelled": p,
        }
    )
    summary = {
        "audit_id": "study",
        "settings": {"classes": []},
        "influence": {"solves": []},
        "dataset": {
            "name": "study",
            "n_images": len(labels),
            "classes": names,
            "hashes": dict(zip(paths, paths, strict=True)),
            "duplicates": {"conflicting": [], "leaking": []},
        },
        "calibration": _calibration(found, names),
        "recovery": _recovery(*recovery),
    }
    off = ("model_f1", "f1_drop", "unreadable", "class_balance", "conflicting_duplicates", "leakage")
    result = AuditResult(summary, ranking, ranking.iloc[:0], {})
    rules = rules_from({name: {"enabled": False} for name in off})
    verdict = evaluate(result, rules)
    # With a baseline, be it empty, the default fail level of new suspects holds as well.
    later = evaluate(result, rules, Baseline())
    suspects = next(outcome for outcome in later.rules if outcome.rule == "new_suspects")
    share = found.share
    return {
        "with_baseline": str(later.verdict),
        "suspects": {
            "n": suspects.measured,
            "interval": suspects.interval,
            "fails": str(suspects.verdict) == "FAIL",
            "wrong": int(wrong[p >= (rules["new_suspects"].probability or 1.0)].sum()),
        },
        "verdict": str(verdict.verdict),
        "by_rule": {outcome.rule: str(outcome.verdict) for outcome in verdict.rules},
        "estimate": None if share is None else [share.value, share.low, share.high],
    }


def _calibration(found: Any, names: list[str]) -> dict[str, Any]:
    share = found.share
    return {
        "decided": found.decided,
        "reason": found.reason,
        "share": {"value": None, "interval": None}
        if share is None
        else {"value": share.value, "interval": [share.low, share.high]},
        "by_class": [
            {"label": names[int(row.label)], "share": row.share, "share_interval": [row.low / row.n, row.high / row.n]}
            for row in found.by_class.itertuples()
        ],
    }


def _recovery(value: float, low: float, high: float) -> dict[str, Any]:
    """Average precision at finding planted flips stands in for recall at k."""
    return {
        "n_planted": 0,
        "by_class": [],
        "rankings": {
            "suspicion": {"recall_at_k": {"value": value, "interval": [low, high]}},
            "random": {"recall_at_k": {"value": RATE, "interval": [RATE, RATE]}},
        },
    }


def summarise(rows: list[dict[str, Any]]) -> str:
    """A Markdown table, a line a condition, and below it what the targets ask for."""
    head = "| data | true share | trials | FAIL | of these by wrong_labels | UNDECIDED | WARN | PASS "
    head += "| median estimate (least, most) | interval covers |"
    lines = [head, "| --- |" + " ---: |" * (head.count("|") - 2)]
    for (key, share), group in sorted(_by_condition(rows).items()):
        counts = Counter(row["verdict"] for row in group)
        by_share = sum(row["by_rule"]["wrong_labels"] == "FAIL" for row in group)
        known = [row for row in group if row["estimate"] is not None]
        estimates = np.array([row["estimate"][0] for row in known])
        middle = f"{np.median(estimates):.3f} ({estimates.min():.3f}, {estimates.max():.3f})" if known else "-"
        covered = sum(row["estimate"][1] <= row["true_share"] <= row["estimate"][2] for row in known)
        lines.append(
            f"| {key} | {share:g} | {len(group)} | {counts['FAIL']} | {by_share} | {counts['UNDECIDED']} | "
            f"{counts['WARN']} | {counts['PASS']} | {middle} | {covered}/{len(known)} |"
        )
    return "\n".join([*lines, "", *_targets(rows)])


def _by_condition(rows: list[dict[str, Any]]) -> dict[tuple[str, float], list[dict[str, Any]]]:
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in rows:
        condition = Condition(row["data"], row["reference"], row["share"], row["n"])
        groups.setdefault((condition.key, row["share"]), []).append(row)
    return groups


def _targets(rows: list[dict[str, Any]]) -> list[str]:
    """False alarms under 1% and what was caught at twice the fail level, by condition and in all; suspects in all."""
    lines = []
    for words, share in (("False alarms at", SHARES[0]), ("Caught at", TWICE_THE_LEVEL)):
        groups = {key: group for (key, at), group in sorted(_by_condition(rows).items()) if at == share}
        fails = {key: sum(row["verdict"] == "FAIL" for row in group) for key, group in groups.items()}
        counts = [f"{key}: {fails[key]} of {len(group)}" for key, group in groups.items()]
        total = f"{sum(fails.values())} of {sum(map(len, groups.values()))}"
        lines += [f"{words} {share:g}: {total} ({'; '.join(counts)})"] if counts else []
    some = [row["suspects"] for row in rows if row.get("suspects", {}).get("n")]
    if some:
        n, wrong = sum(int(s["n"]) for s in some), sum(s["wrong"] for s in some)
        held = sum(s["interval"][0] <= s["wrong"] <= s["interval"][1] for s in some)
        lines.append(f"New suspects: {wrong} of {n} are wrong; their range holds in {held} of {len(some)} trials")
    return lines


PLANS = (
    ("cifar10n", 500, 1000),
    ("cifar10n", 1000, 4000),
    ("cifar10n", 2000, 8000),
    ("tiny10", 0, 1000),
    ("cifar10n", 0, 1000),
    ("tiny10", 0, 4000),
    ("cifar10n", 0, 4000),
)
"""Data, trusted images, images."""


def conditions(quick: bool) -> Iterator[Condition]:
    """What is tried: every plan at every share, or small versions of some."""
    for data, reference, n in ((d, min(r, 200), 400) for d, r, _ in PLANS[::3]) if quick else PLANS:
        for share in SHARES[:: 2 if quick else 1]:
            yield Condition(data, reference, share, n)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="JSON lines: trials are appended, finished ones are not repeated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", help="only conditions whose name contains this, such as tiny10 or 'n = 4000'")
    parser.add_argument("--share", type=float, action="append", help="only this true share; may be given again")
    parser.add_argument("--cache", type=Path, help="folder of the feature cache")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no trial after this long")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true", help="only print the table of the rows there are")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no shared data at {DATA}: set AUDITOR_DATA")
    rows = []
    if arguments.rows and arguments.rows.is_file():
        rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    if not arguments.table:
        rows += list(_missing(arguments, rows))
    print(summarise(rows))


def _missing(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    done = {(row["data"], row["reference"], row["share"], row["n"], row["seed"]) for row in rows}
    end = time.monotonic() + 60 * arguments.minutes
    material: dict[str, Material] = {}
    wanted = [
        c
        for c in conditions(arguments.quick)
        if (not arguments.only or arguments.only in c.key) and (not arguments.share or c.share in arguments.share)
    ]
    for seed in range(2 if arguments.quick else arguments.seeds):
        for condition in wanted:
            if (*asdict(condition).values(), seed) in done or time.monotonic() > end:
                continue
            if condition.data not in material:
                material[condition.data] = load(condition.data, arguments.cache)
            row = trial(condition, material[condition.data], seed)
            if arguments.rows:
                with arguments.rows.open("a", encoding="utf-8") as file:
                    print(json.dumps(row), file=file)
            yield row


if __name__ == "__main__":
    main()
