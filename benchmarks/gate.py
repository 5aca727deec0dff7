"""False alarms and misses of the gate: verdicts at the default levels on labels of known quality.

    python benchmarks/gate.py --quick --results bench-out   # 2 seeds, small samples: does it run?
    python benchmarks/gate.py --rows rows.jsonl             # 20 seeds a condition; goes on where it stopped
    python benchmarks/gate.py --rows rows.jsonl --table     # writes the table of the rows there are

Each trial draws images anew, gives a known share of them a wrong label, runs detection, and judges with `auditor.gate`
at its default levels. In CIFAR-10N the wrong labels are people's worst answers; elsewhere they are planted uniformly.
Features are computed once, through the audit's own cache. Every trial is one line of the rows file. Its random state
depends on its condition and seed alone. If the estimate of the share has changed since, start a new file. The table
goes to `results/gate.csv`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from shared import DATA, class_folders, features, need
from verdicts import OTHERS, result_of

SHARES = (0.005, 0.02, 0.05, 0.1, 0.2)
"""True shares of wrong labels: one under 1%, then up to four times the fail level."""
TWICE_THE_LEVEL = 0.1
"""Twice the default fail level of `wrong_labels`."""
RATE, REPEATS = 0.1, 3
"""Share of labels that is flipped to measure recovery, and how often."""
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Condition:
    """What a trial draws: the data set, the number of trusted images, the true share, the number of images."""

    data: str
    reference: int
    share: float
    n: int

    @property
    def key(self) -> str:
        """The condition in words, for `--only`."""
        return f"{self.data}, {self.reference or 'no'} trusted images, n = {self.n}"


@dataclass(frozen=True)
class Material:
    """A data set with known truth: features float32 [N, D], true labels [N], a wrong label for each (-1 for none)."""

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
        x, reference = (features(name, part["path"], cache) for part in (table, trusted))
        wrong = np.where(worst != truth, worst, -1)
        return Material(x, truth, wrong, (reference, trusted["label"].map(index).to_numpy(np.int64)))
    x, truth = class_folders(name, "train", cache)
    n_classes = int(truth.max()) + 1
    wrong = (truth + np.random.default_rng(0).integers(1, n_classes, len(truth))) % n_classes
    return Material(x, truth, wrong, class_folders(name, "test", cache))


def trial(condition: Condition, material: Material, seed: int) -> dict[str, Any]:
    """One draw, one detection, one verdict."""
    from auditor.detection import DetectionSettings, Labelled, detect

    rng = np.random.default_rng([seed, condition.n, round(1000 * condition.share)])
    drawn = np.sort(rng.permutation(len(material.truth))[: condition.n])
    labels = material.truth[drawn].copy()
    can = np.flatnonzero(material.wrong[drawn] >= 0)
    chosen = rng.permutation(can)[: round(condition.share * condition.n)]
    labels[chosen] = material.wrong[drawn][chosen]
    reference = None
    if condition.reference and material.reference is not None:
        some = np.sort(rng.permutation(len(material.reference[1]))[: condition.reference])
        reference = (material.reference[0][some], material.reference[1][some])
    start = time.perf_counter()
    # A fixed damping saves time. Damping only orders influence, and the share does not rest on influence.
    settings = DetectionSettings(damping=1.0)
    n_classes = int(material.truth.max()) + 1
    images = Labelled(material.features[drawn], labels, n_classes, reference)
    found = detect(images, seed=seed, settings=settings)
    made_of = {**{f"spread {k}": v for k, v in asdict(found.spread).items()}, "ref": found.basis == "trusted reference"}
    verdict = judge(found, labels, labels != material.truth[drawn], planted_recovery(images, seed))
    return {
        **asdict(condition),
        "seed": seed,
        "true_share": float(len(chosen) / len(drawn)),
        **verdict,
        "seconds": round(time.perf_counter() - start, 1),
        **made_of,
    }


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
    """The gate's verdict on a detection, by the label rules; all other rules are off.

    `wrong` [N] says which labels really are wrong. It counts the wrong suspects beside what the gate says of them.
    Average precision at finding planted flips takes the place of recall at k.
    """
    from auditor.gate import evaluate
    from auditor.gate.levels import rules_from
    from auditor.review.baseline import Baseline

    p = np.full(len(labels), np.nan) if found.p_mislabelled is None else found.p_mislabelled
    result = result_of(found, labels, recovery)
    rules = rules_from({name: {"enabled": False} for name in OTHERS})
    verdict = evaluate(result, rules)
    # With a baseline, even an empty one, the default fail level of new suspects holds too.
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


def table(trials: list[dict[str, Any]]) -> pd.DataFrame:
    """One line a condition: verdicts, estimates, and how many intervals hold the truth."""
    lines = []
    frame = pd.DataFrame(trials)
    for (data, reference, n, share), group in frame.groupby(["data", "reference", "n", "share"], sort=True):
        known = group[group["estimate"].notna()]
        estimates = np.array(known["estimate"].to_list()).reshape(-1, 3)
        covered = (estimates[:, 1] <= known["true_share"]) & (known["true_share"] <= estimates[:, 2])
        middle, least, most = (f(estimates[:, 0]) if len(known) else np.nan for f in (np.median, np.min, np.max))
        line: dict[str, Any] = {"data": data, "trusted images": reference, "images": n, "true share": share}
        line["trials"] = len(group)
        line |= {name: int((group["verdict"] == name).sum()) for name in ("FAIL", "UNDECIDED", "WARN", "PASS")}
        line["FAIL by wrong_labels"] = sum(rules["wrong_labels"] == "FAIL" for rules in group["by_rule"])
        line |= {"median estimate": middle, "least estimate": least, "most estimate": most}
        lines.append(line | {"estimated": len(known), "interval holds": int(covered.sum())})
    return pd.DataFrame(lines).round(4)


def targets(trials: list[dict[str, Any]]) -> str:
    """False alarms under 1%, what was caught at twice the fail level, and the suspects, in all conditions together."""
    lines = []
    for words, share in (("False alarms at", SHARES[0]), ("Caught at", TWICE_THE_LEVEL)):
        verdicts = [trial["verdict"] for trial in trials if trial["share"] == share]
        lines.append(f"{words} {share:g}: {verdicts.count('FAIL')} of {len(verdicts)}")
    some = [trial["suspects"] for trial in trials if trial["suspects"]["n"]]
    n, wrong = sum(int(s["n"]) for s in some), sum(s["wrong"] for s in some)
    held = sum(s["interval"][0] <= s["wrong"] <= s["interval"][1] for s in some)
    lines.append(f"New suspects: {wrong} of {n} are wrong; their range holds in {held} of {len(some)} trials")
    return "\n".join(lines)


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
    """Every plan at every share, or small versions of some of them."""
    for data, reference, n in ((d, min(r, 200), 400) for d, r, _ in PLANS[::3]) if quick else PLANS:
        for share in SHARES[:: 2 if quick else 1]:
            yield Condition(data, reference, share, n)


def main() -> None:
    """Run the missing trials, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="JSON lines: trials are appended, finished ones are not repeated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", help="only conditions whose name contains this, such as tiny10 or 'n = 4000'")
    parser.add_argument("--share", type=float, action="append", help="only this true share; may be given again")
    parser.add_argument("--cache", type=Path, help="folder of the feature cache")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no trial after this long")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true", help="run no trial, write the table of the rows there are")
    rows.add_options(parser)
    arguments = parser.parse_args()
    need()
    trials = rows.kept(arguments.rows)
    if not arguments.table:
        trials += list(_missing(arguments, trials))
    if not trials:
        raise SystemExit("no trial fits --only and --share, and --rows has none")
    found = table(trials)
    rows.append("gate", found, arguments.results, of=trials)
    print(f"{rows.markdown(found)}\n\n{targets(trials)}")


def _missing(arguments: argparse.Namespace, trials: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    done = {(t["data"], t["reference"], t["share"], t["n"], t["seed"]) for t in trials}
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
            yield rows.keep(arguments.rows, trial(condition, material[condition.data], seed))


if __name__ == "__main__":
    main()
