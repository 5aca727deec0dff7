"""The model's own estimate, when nobody looked: does its interval hold the truth, and do its probabilities?

    python benchmarks/trust_model.py --only boats --rows rows.jsonl     # a piece; finished rows are not repeated
    python benchmarks/trust_model.py --rows rows.jsonl --table          # writes the rows there are

Data sets: pairs of tiny10 and tables-boats (strong, and weak by six random directions of the features), tiny10, the
three kinds of CIFAR-10N and few of its errors, probabilities with votes as truth (a lower bound of it), copies, and
second audits after a reviewer corrected 25, 50 and 75% of the errors in list order.

Tables: `results/trust_model.csv` by kind, `trust_model_rows.csv` row by row, `trust_reliability.csv` (are probabilities
right, in ten bins?) and `trust_gate.csv` (what the gate says of the estimate, at levels around the truth).
"""

from __future__ import annotations

import argparse
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
import verdicts
from sets import flipped

RATES = (0.005, 0.02, 0.05, 0.1, 0.3)
MOST_OF_CLASS = 0.45
"""Flips in one direction hit this part of a class at most: beyond it, nobody could say which class it is."""


@dataclass(frozen=True)
class Case:
    """One data set: its kind of row, name, features, given and true labels, and families.

    `lower_bound` says that more labels may be wrong than `truth` shows.
    """

    kind: str
    name: str
    x: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    n_classes: int
    groups: np.ndarray | None = None
    lower_bound: bool = False


def one_sided(y: np.ndarray, n_classes: int, rate: float, seed: int) -> np.ndarray:
    """`y` with a part of one class filed as another."""
    rng = np.random.default_rng(seed)
    a, b = rng.permutation(n_classes)[:2]
    members = rng.permutation(np.flatnonzero(y == a))
    out = y.copy()
    out[members[: min(round(rate * len(y)), int(MOST_OF_CLASS * len(members)))]] = b
    return out


def planted(x: np.ndarray, y: np.ndarray, n_classes: int, rate: float, kind: str, seed: int) -> np.ndarray:
    """`y` with planted flips of a kind; `mixed` takes a third of each of three kinds."""
    if kind == "one-sided":
        return one_sided(y, n_classes, rate, seed)
    if kind != "mixed":
        return flipped(x, y, n_classes, rate, kind, seed)
    third, out = np.random.default_rng(seed).permutation(len(y)) % 3, y.copy()
    for part, one in enumerate(("uniform", "influential", "one-sided")):
        out[third == part] = planted(x, y, n_classes, rate, one, seed + part)[third == part]
    return out


def _planted(name: str, x: np.ndarray, y: np.ndarray, seed: int) -> Iterator[Case]:
    n_classes = int(y.max()) + 1
    yield Case("clean", name, x, y, y, n_classes)
    for kind in ("uniform", "confusion", "one-sided", "influential", "mixed"):
        for rate in RATES:
            if (n_classes > 2 or kind != "confusion") and (rate >= 0.02 or kind not in {"influential", "mixed"}):
                z = planted(x, y, n_classes, rate, kind, seed)
                yield Case(kind, f"{name}, {kind} {rate:.1%}", x, z, y, n_classes)


def _human(cache: Path) -> Iterator[Case]:
    table = pd.read_csv(shared.DATA / "cifar10n" / "labels.csv")
    classes = {name: i for i, name in enumerate(sorted(table["clean_label"].unique()))}
    x, y = shared.features("cifar10n", table["path"], cache), table["clean_label"].map(classes).to_numpy()
    for column in ("aggregate_label", "random_label_1", "worst_label"):
        z = table[column].map(classes).to_numpy()
        for part in range(4):
            chosen = np.arange(len(y)) % 4 == part
            name = f"CIFAR-10N, {column.split('_')[0]}, part {part}"
            yield Case(f"human {column.split('_')[0]}", name, x[chosen], z[chosen], y[chosen], 10)
    z = table["aggregate_label"].map(classes).to_numpy()
    for seed, share in enumerate((0.0, 0.005, 0.02)):
        rng = np.random.default_rng(seed)
        wrong, right = (rng.permutation(np.flatnonzero(mask)) for mask in (z != y, z == y))
        k = round(2500 * share)
        chosen = np.sort(np.concatenate([wrong[:k], right[: 2500 - k]]))
        yield Case("human few", f"CIFAR-10N, {share:.1%} wrong", x[chosen], z[chosen], y[chosen], 10)


def _voted() -> Iterator[Case]:
    for name in ("mnist", "20news"):
        folder = shared.DATA / "label-errors" / name
        labels, votes = np.load(folder / "labels.npy").astype(np.int64), pd.read_csv(folder / "votes.csv")
        p = np.load(folder / "probabilities.npy").astype(np.float64)
        truth = labels.copy()
        wrong = votes["row"][votes["given"] < 3].to_numpy()
        truth[wrong] = (labels[wrong] + 1) % p.shape[1]  # another class, whichever
        x = np.log(np.maximum(p, 1e-6)).astype(np.float32)
        yield Case("votes", name, x, labels, truth, p.shape[1], lower_bound=True)


def every_case(cache: Path) -> Iterator[Case]:
    """All data sets, those that are quick to make first."""
    boats = shared.class_folders("tables-boats", "train", cache)
    tiny = shared.class_folders("tiny10", "train", cache)
    yield from _planted("boats", *boats, seed=0)
    for number, (a, b) in enumerate(((0, 1), (2, 7), (4, 5))):
        keep = (tiny[1] == a) | (tiny[1] == b)
        x, y = tiny[0][keep], (tiny[1][keep] == b).astype(np.int64)
        yield from _planted(f"pair {number}", x, y, number)
        thin = np.random.default_rng(number).normal(size=(x.shape[1], 6))
        yield from _planted(f"weak pair {number}", (x @ thin).astype(np.float32), y, number)
    yield from _copies(*boats)
    yield from _human(cache)
    some = np.sort(np.random.default_rng(0).permutation(len(tiny[1]))[:2000])
    yield from _planted("tiny10", tiny[0][some], tiny[1][some], 0)
    yield from _voted()


def _copies(x: np.ndarray, y: np.ndarray) -> Iterator[Case]:
    """Each picture stored three times: the same bytes, or features that differ a little."""
    from auditor.data.families import families

    rng = np.random.default_rng(0)
    z = flipped(x, y, 2, 0.087, "uniform", 0)
    for name, noise in (("doubles", 0.0), ("altered", 0.15)):
        many = np.concatenate([x + noise * x.std(axis=0) * rng.normal(size=x.shape) for _ in range(3)])
        groups = families(many.astype(np.float32))
        yield Case("copies", f"boats, {name}", many.astype(np.float32), np.tile(z, 3), np.tile(y, 3), 2, groups)


def bins_of(p: np.ndarray, true: np.ndarray) -> list[list[float]]:
    """Ten bins of probability: items, sum of the probabilities, and how many came true."""
    place = np.clip((10 * p).astype(int), 0, 9)
    return [[int((place == b).sum()), float(p[place == b].sum()), int(true[place == b].sum())] for b in range(10)]


def gap(bins: list[list[float]], *, weighted: bool = True) -> float:
    """Mean absolute gap between probability and truth over the bins that hold any item.

    `weighted`: each bin weighs as many items as it holds. Else all weigh the same.
    """
    n, said, came = np.array([one for one in bins if one[0]], float).T
    return float(np.average(abs(said - came) / n, weights=n if weighted else None))


def measured(case: Case, part: float = 0.0, looked: np.ndarray | None = None) -> tuple[dict[str, Any], Any]:
    """What an audit says, beside the truth. `looked` are rows that people settled before."""
    from auditor.detection import Labelled, detect

    found, labels = None, case.labels.copy()
    if looked is not None:
        found = np.full(len(case.labels), -1)
        labels[looked] = found[looked] = case.truth[looked]
    images = Labelled(case.x, case.labels, case.n_classes, found=found, groups=case.groups)
    said = detect(images, seed=0)
    rest = np.ones(len(case.labels), bool) if found is None else found == -1
    wrong = labels != case.truth
    kind = case.kind if looked is None else "second audit"
    record: dict[str, Any] = {"kind": kind, "row": case.name, "corrected": part, "n": int(rest.sum())}
    record |= {"truth": float(wrong[rest].mean()), "decided": said.decided, "cannot tell": bool(said.cannot_tell)}
    if said.share is not None and said.p_mislabelled is not None:
        share, p = said.share, said.p_mislabelled[rest]
        true = record["truth"]
        record |= {"estimate": share.value, "low": share.low, "high": share.high, "width": share.high - share.low}
        record |= {"covered": bool((share.low <= true or case.lower_bound) and true <= share.high)}
        record |= {"false low": bool(share.low > true and not case.lower_bound)}
        sure = said.suggested_probability[rest], (said.suggested_label == case.truth)[rest] & wrong[rest]
        record |= {"bins of p": bins_of(p, wrong[rest]), "bins of suggestions": bins_of(*sure)}
        record |= {"gap": gap(record["bins of p"]), "gap of suggestions": gap(record["bins of suggestions"])}
    result = verdicts.result_of(said, labels, looked=looked)
    record |= verdicts.tally(result, labels, wrong, lower_bound=case.lower_bound)
    return record, said


def second_audits(case: Case, said: Any) -> Iterator[dict[str, Any]]:
    """A reviewer corrects a part of the errors in list order, and the set is audited again."""
    wrong = case.labels != case.truth
    order = np.argsort(-said.suspicion, kind="stable")
    for part in (0.25, 0.5, 0.75):
        needed = int(np.ceil(part * wrong.sum()))
        k = int(np.searchsorted(np.cumsum(wrong[order]), needed)) + 1
        yield measured(case, part, order[:k])[0]


def by_kind(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One line for each kind of row: coverage, false lower ends, width and gaps."""
    frame = pd.DataFrame(records)
    decided = frame[frame["decided"]]
    for name in ("covered", "false low", "cannot tell"):
        decided = decided.assign(**{name: decided[name].astype(float)})
    mean = decided.groupby("kind", sort=False)[
        ["covered", "false low", "cannot tell", "width", "gap", "gap of suggestions"]
    ].mean()
    counts = frame.groupby("kind", sort=False).agg(audits=("row", "count"), decided=("decided", "sum"))
    return counts.join(mean).reset_index()


def reliability(records: list[dict[str, Any]]) -> pd.DataFrame:
    """All audits of a kind together, in ten bins: what the probabilities say, and how many came true."""
    lines = []
    for kind in dict.fromkeys(record["kind"] for record in records):
        for what in ("p", "suggestions"):
            some = [record.get(f"bins of {what}") for record in records if record["kind"] == kind]
            kept = [one for one in some if isinstance(one, list)]
            if not kept:
                continue
            bins = np.sum(kept, axis=0).tolist()
            ends = {"gap": gap(bins), "gap, bins alike": gap(bins, weighted=False), "audits": len(kept)}
            for place, (n, total, came) in enumerate(bins):
                if n:
                    line = {"kind": kind, "of": what, "bin": f"{place / 10:.1f} to {(place + 1) / 10:.1f}"}
                    lines.append({**line, "n": int(n), "said": total / n, "true": came / n, **ends})
    return pd.DataFrame(lines)


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name contains this, or one of these with ; between")
    parser.add_argument("--again", action="store_true", help="second audits of these rows too")
    parser.add_argument("--measure", action="store_true", help="only measure, write no table")
    parser.add_argument("--judge", action="store_true", help="run no row: today's gate judges all estimates in results")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no row after this long")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    if options.judge:
        judge_again(options.results)
        return
    shared.need()
    warnings.filterwarnings("ignore")
    kept = rows.kept(options.rows)
    done = {(one["row"], one["corrected"]) for one in kept}
    end = time.monotonic() + 60 * options.minutes
    for case in [] if options.table else every_case(options.cache):
        wanted = any(words in case.name for words in options.only.split(";"))
        again = options.again and (case.labels != case.truth).any() and (case.name, 0.75) not in done
        if time.monotonic() > end:
            break
        if not wanted or ((case.name, 0.0) in done and not again):
            continue
        first, said = measured(case)
        new = [] if (case.name, 0.0) in done else [first]
        for record in [*new, *(second_audits(case, said) if again else ())]:
            kept.append(rows.keep(options.rows, record))
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}, flush=True)
    if not options.measure:
        write(kept, options.results)


def judge_again(folder: Path) -> None:
    """Append and print what today's gate says of every estimate in the rows of `folder`; the last of equal rows."""
    whole = pd.read_csv(folder / "trust_model_rows.csv").drop_duplicates(["row", "corrected"], keep="last")
    table = verdicts.table(verdicts.judged_again(whole))
    rows.append("trust_gate", table, folder)
    print(rows.markdown(table))


def write(kept: list[dict[str, Any]], folder: Path) -> None:
    """Append the tables of all rows and print them."""
    plain = pd.DataFrame(kept)
    shown = [name for name in plain if name not in rows.STAMP and ": " not in name and not name.startswith("bins")]
    rows.append("trust_model_rows", plain[shown], folder, of=kept)
    for name, table in (
        ("trust_model", by_kind(kept)),
        ("trust_reliability", reliability(kept)),
        ("trust_gate", verdicts.table(kept)),
    ):
        rows.append(name, table, folder, of=kept)
        print(rows.markdown(table))


if __name__ == "__main__":
    main()
