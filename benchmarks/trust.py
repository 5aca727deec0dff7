"""Can the certificate be trusted? Simulated reviewers look at drawn samples of labels whose truth is known.

    python benchmarks/trust.py --quick --results bench-out   # a few draws a row: does it run?
    python benchmarks/trust.py --rows trust.jsonl            # 200 draws a row; goes on where it stopped
    python benchmarks/trust.py --rows trust.jsonl --table    # writes the table of the rows there are

Each draw is another sample of the same labels: only the salt of the permanent random numbers changes. The parts:

- `width`: bounds after 300 looks, at any moment and at planned looks, beside simple samples; how often they miss
- `level`: how often each bound at a planned look misses, by five times as many draws: only the true number is tried
- `gate`: one wrong label too many for a gate at 1%; how often it passes at any of the first 600 looks
- `stop`: a reviewer who asks after every look and stops as soon as a target is proved; what the interval is worth then.
  The target is a level above the truth, or one label fewer than are wrong: to reach that one is a false pass
- `until`: looks until at most 1% are proved to be left, where the hundred most suspicious items were corrected
- `reviewers`: reviewers who are wrong in 3% of looks; every "wrong" and as many "right" get a second look, and a third
  settles

Scores are 1 - p(given label) of a left-out model: a linear head on features as an audit computes them, fitted on the
given labels in five folds. Where a row says `audited` they are those that a whole audit draws with, and for MNIST and
20news the published probabilities. Truth is `clean_label` of CIFAR-10N, and elsewhere the votes of five people.
`shuffled` scores say nothing. `adversarial` wrong labels all lie among the less suspicious half.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from scipy.special import expit
from shared import DATA, features, need

from auditor.certificate import GATE_SPREAD, SHARE_SPREAD, SMALL, Plan, bounds, make_plan
from auditor.certificate.betting import Track, candidates, refuted_at
from auditor.certificate.bounds import ALONE, PLANNED_PART, SIDE, Population
from auditor.certificate.stratified import Seen, at_least, at_most, refuted
from auditor.system.arrays import Array, Floats

LOOKS, LONG = 300, 600
PLANNED = (100, 200, 300, 600)
PATIENCE = 1000
"""Looks after which a reviewer gives up who waits for a target."""
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5)
TARGET = 0.01
LEFT = 0.003
ERROR = 0.03
"""The share of looks in which a simulated reviewer is wrong, either way."""
MORE = 5
"""Times as many draws where a draw is quick."""
KNOWN = 30
"""Known-wrong labels that are shown among the others."""


@dataclass(frozen=True)
class Labels:
    """A data set: ids (copies repeat them), scores float64 [N], and which labels are wrong, bool [N]."""

    name: str
    ids: tuple[str, ...]
    scores: Floats
    wrong: Array

    @property
    def share(self) -> float:
        """The true share of wrong labels."""
        return float(self.wrong.mean())


def _labels(name: str, scores: Floats, wrong: Array, copies: int = 1) -> Labels:
    ids = tuple(f"{i:016x}" for i in range(len(scores)) for _ in range(copies))
    return Labels(name, ids, np.clip(np.repeat(scores, copies), 0, 1), np.repeat(wrong, copies))


def doubt(x: Array, labels: Array, n_classes: int) -> Floats:
    """1 - p(given label) float64 [N] of heads that did not see the label, in five folds."""
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    x, fold = Scaling.of(x)(x), np.random.default_rng(0).permutation(len(labels)) % 5
    found = np.zeros(len(labels))
    for part in range(5):
        head = SoftmaxHead.train(x[fold != part], labels[fold != part], n_classes, 0.1)
        logits = head.logits(x[fold == part]).astype(float)
        p = np.exp(logits - logits.max(1, keepdims=True))
        found[fold == part] = 1 - p[np.arange(len(p)), labels[fold == part]] / p.sum(1)
    return found


def audited(x: Array, labels: Array, n_classes: int, file: Path) -> Floats:
    """The scores float64 [N] that a whole audit draws with; `file` keeps them."""
    from auditor.detection import Labelled, detect

    if not file.exists():
        np.save(file, expit(detect(Labelled(x, labels, n_classes), seed=0).suspicion))
    return np.asarray(np.load(file))


def material(cache: Path | None, strong: Path | None = None, whole: Path | None = None) -> dict[str, Labels]:
    """All data sets by name.

    `strong` is a file of float [10,000, D] with better features of CIFAR-10N's images. `whole` is a folder that keeps
    the scores of whole audits.
    """
    table = pd.read_csv(DATA / "cifar10n" / "labels.csv")
    classes = {name: i for i, name in enumerate(sorted(table["clean_label"].unique()))}
    x, truth = features("cifar10n", table["path"], cache), table["clean_label"].map(classes).to_numpy()
    rng = np.random.default_rng(1)
    found = []
    for kind in ("aggregate", "random", "worst"):
        column = "random_label_1" if kind == "random" else f"{kind}_label"
        given = table[column].map(classes).to_numpy()
        found.append(_labels(f"CIFAR-10N {kind}", doubt(x, given, 10), given != truth))
    aggregate = found[0]
    given = table["aggregate_label"].map(classes).to_numpy()
    k = int(aggregate.wrong.sum())
    found.append(_labels("aggregate, shuffled", rng.permutation(aggregate.scores), aggregate.wrong))
    found.append(_labels("aggregate, adversarial", aggregate.scores, _hidden(aggregate.scores, k, rng)))
    third = np.sort(rng.permutation(len(truth))[: len(truth) // 3])
    found.append(_labels("aggregate, three copies", aggregate.scores[third], aggregate.wrong[third], 3))
    few = np.zeros(len(truth), bool)
    few[rng.permutation(np.flatnonzero(given != truth))[:50]] = True
    scores = doubt(x, np.where(few, given, truth), 10)
    found.append(_labels("CIFAR-10N few", scores, few))
    found.append(_labels("few, shuffled", rng.permutation(scores), few))
    found.append(_labels("few, adversarial", scores, _hidden(scores, 50, rng)))
    found.append(_labels("few, three copies", scores[third], few[third], 3))
    if whole is not None:
        whole.mkdir(parents=True, exist_ok=True)
        found.append(_labels("aggregate, audited", audited(x, given, 10, whole / "aggregate.npy"), given != truth))
        found.append(_labels("few, audited", audited(x, np.where(few, given, truth), 10, whole / "few.npy"), few))
    if strong is not None:
        found.append(_labels("aggregate, strong features", doubt(np.load(strong), given, 10), given != truth))
        found.append(_labels("few, strong features", doubt(np.load(strong), np.where(few, given, truth), 10), few))
    found.append(_labels("clean", doubt(x, truth, 10), np.zeros(len(truth), bool)))
    found += [_published(name) for name in ("mnist", "20news")]
    found.append(_test_labels(cache))
    found += list(_corrected(found))
    return {labels.name: labels for labels in found}


def _hidden(scores: Floats, k: int, rng: np.random.Generator) -> Array:
    """Bool [N], `k` wrong labels among the less suspicious half."""
    wrong = np.zeros(len(scores), bool)
    wrong[rng.permutation(np.argsort(scores)[: len(scores) // 2])[:k]] = True
    return wrong


def _published(name: str) -> Labels:
    """Given labels with published probabilities; wrong are those that fewer than three of five people chose."""
    folder = DATA / "label-errors" / name
    given, p = np.load(folder / "labels.npy"), np.load(folder / "probabilities.npy").astype(float)
    votes = pd.read_csv(folder / "votes.csv")
    wrong = np.zeros(len(given), bool)
    wrong[votes.loc[votes["given"] < 3, "row"]] = True
    return _labels(name, 1 - p[np.arange(len(given)), given] / p.sum(axis=1), wrong)


def _test_labels(cache: Path | None) -> Labels:
    """The first 5,000 test labels of CIFAR-10."""
    frame = pd.read_parquet(DATA / "cifar10-test" / "test-00000-of-00001.parquet")
    image = next(column for column in frame.columns if column != "label")
    images = {Path(row["path"]).name: row["bytes"] for row in frame[image]}
    x = features("cifar10-test", list(images), cache, read=images.__getitem__)
    votes = pd.read_csv(DATA / "cifar10-test" / "votes.csv")
    bad = {Path(path).name for path in votes.loc[votes["given"] < 3, "path"]}
    return _labels("cifar10-test", doubt(x, frame["label"].to_numpy(), 10), np.array([name in bad for name in images]))


def _corrected(found: list[Labels]) -> Iterator[Labels]:
    """What is left after the hundred most suspicious items were looked at and corrected.

    Where more than 0.3% would be left wrong, the rest was looked at too and is gone.
    """
    by_name = {labels.name: labels for labels in found}
    rng = np.random.default_rng(2)
    for name in ("clean", "mnist"):
        labels = by_name[name]
        yield _below(labels, labels.wrong, f"{name}, top corrected")
    for name in ("CIFAR-10N few", "few, strong features", "few, audited", "cifar10-test"):
        if name in by_name:
            left = _below(by_name[name], by_name[name].wrong, f"{name}, 0.3% left")
            gone = rng.permutation(np.flatnonzero(left.wrong))[round(LEFT * len(left.ids)) :]
            keep = np.setdiff1d(np.arange(len(left.ids)), gone)
            yield Labels(left.name, tuple(left.ids[i] for i in keep), left.scores[keep], left.wrong[keep])
    few = by_name["CIFAR-10N few"]
    yield _below(few, _hidden(few.scores, round(LEFT * len(few.ids)), rng), "few, adversarial, 0.3% left")


def _below(labels: Labels, wrong: Array, name: str) -> Labels:
    rest = np.sort(np.argsort(-labels.scores, kind="stable")[100:])
    return Labels(name, tuple(labels.ids[i] for i in rest), labels.scores[rest], wrong[rest])


DESIGNS: dict[str, dict[str, Any]] = {
    "any moment, gate": {"spread": GATE_SPREAD},
    "any moment, share": {"spread": SHARE_SPREAD},
    "any moment, simple": {"spread": 1.0},
    "planned look": {"spread": SHARE_SPREAD, "reading": "stratified", "checkpoints": (LOOKS,)},
    "planned look, spread 0.8": {"spread": 0.8, "reading": "stratified", "checkpoints": (LOOKS,)},
    "four checkpoints": {"spread": SHARE_SPREAD, "reading": "stratified", "checkpoints": PLANNED},
}


def plan_of(labels: Labels, design: str) -> Plan:
    """A plan without salt; each draw gives it one."""
    return make_plan(labels.ids, labels.scores, salt="", **DESIGNS[design])


def answers_of(labels: Labels, plan: Plan, looks: int) -> dict[str, bool | None]:
    """What a perfect reviewer says of the first items."""
    truth = dict(zip(labels.ids, labels.wrong.tolist(), strict=True))
    return {drawn.id: truth[drawn.id] for drawn in plan.order(looks)}


def width(labels: Labels, design: str, draws: int) -> dict[str, Any]:
    """Mean width of the interval and how often each bound misses. Bounds only tighten, so the last one tells."""
    k, n = int(labels.wrong.sum()), len(labels.ids)
    ends = []
    looks = LONG if design == "four checkpoints" else LOOKS
    plan = plan_of(labels, design) if design != "simple, planned" else None
    for draw in range(draws):
        if plan is None:
            found = np.random.default_rng(draw).hypergeometric(k, n - k, LOOKS)
            ends.append(_simple(n, int(found)))
            continue
        salted = replace(plan, salt=str(draw))
        b = bounds(salted, answers_of(labels, salted, looks))
        ends.append((b.low, b.high, b.at_least, b.at_most))
    low, high, least, most = np.array(ends).T
    return {
        "looks": looks,
        "width": 100 * (high - low).mean() / n,
        "at_most": 100 * most.mean() / n,
        "missed": float(((low > k) | (high < k)).mean()),
        "missed_high": float((high < k).mean()),
        "missed_low": float((low > k).mean()),
        "missed_at_most": float((most < k).mean()),
        "missed_at_least": float((least > k).mean()),
    }


def _simple(n: int, found: int) -> tuple[int, int, int, int]:
    """Exact bounds of one planned simple sample."""
    seen = Seen(np.array([n]), np.array([LOOKS]), np.array([found]))
    return at_least(seen, SIDE), at_most(seen, SIDE), at_least(seen, ALONE), at_most(seen, ALONE)


def level(labels: Labels, design: str, draws: int) -> dict[str, Any]:
    """How often each bound at a planned look misses. Looks are drawn by stratum, and only the true number is tried."""
    plan, k, rng = plan_of(labels, design), int(labels.wrong.sum()), np.random.default_rng(9)
    truth = dict(zip(labels.ids, labels.wrong.tolist(), strict=True))
    marked = np.bincount(plan.stratum, weights=[truth[name] for name in plan.ids], minlength=len(plan.sizes))
    marked, looks = marked.astype(int), plan.quotas[0]
    ends = ((SIDE, True), (SIDE, False), (PLANNED_PART * ALONE, True), (PLANNED_PART * ALONE, False))
    found = rng.hypergeometric(marked, plan.sizes - marked, looks, (draws, len(looks)))
    missed = np.array([[refuted(Seen(plan.sizes, looks, x), a, k, upward=up) for a, up in ends] for x in found])
    high, low, most, least = missed.mean(axis=0).tolist()
    both = {"missed": float((missed[:, 0] | missed[:, 1]).mean()), "missed_high": high, "missed_low": low}
    return {"looks": LOOKS, **both, "missed_at_most": most, "missed_at_least": least}


def gate(labels: Labels, kind: str, draws: int) -> dict[str, Any]:
    """How often "at most 1%" is proved within 600 looks although one label more is wrong.

    No bound falls below the true number unless that number is refuted. So only that one is tried.
    """
    n = len(labels.ids)
    k = int(TARGET * n) + 1
    order, rng, passed = np.argsort(labels.scores, kind="stable"), np.random.default_rng(5), 0
    where = {
        "even": order,
        "least half": order[: n // 2],
        "top tenth": order[-n // 10 :],
        "last tenth": order[: n // 10],
    }
    plan, row = plan_of(labels, "any moment, gate"), {name: i for i, name in enumerate(labels.ids)}
    rows_of_plan = np.array([row[name] for name in plan.ids])
    for draw in range(draws):
        wrong = np.zeros(n, bool)
        wrong[rng.permutation(where[kind])[:k]] = True
        looking = replace(plan, salt=str(draw)).looking
        track = Track(plan.weights[looking], plan.credits[looking], plan.expected)
        found = wrong[rows_of_plan[looking[:LONG]]].astype(float)
        passed += int(refuted_at(track, found, 1 / ALONE, np.array([k]), upward=True)[0]) > 0
    return {"looks": LONG, "missed_at_most": passed / draws}


def stop(labels: Labels, design: str, draws: int, *, target: str) -> dict[str, Any]:
    """Stop at the first look at which a target is proved. A reviewer whom nothing stops has looked `PATIENCE` times."""
    k, n = int(labels.wrong.sum()), len(labels.ids)
    allowed = k - 1 if target == "one too many" else int(next(x for x in LEVELS if x > labels.share) * n)
    plan, lines = plan_of(labels, design), []
    truth = dict(zip(labels.ids, labels.wrong.tolist(), strict=True))
    tried = candidates(n)
    tried = np.concatenate([[allowed + 1], tried[tried > allowed + 1]])
    for draw in range(draws):
        salted = replace(plan, salt=str(draw))
        population = Population.of(salted, {})
        wrong = np.array([truth[salted.ids[i]] for i in population.inside[:PATIENCE]], float)
        first = refuted_at(population.track, wrong, 1 / ALONE, tried, upward=True)
        stopped = bool((first > 0).all())
        looks = int(first.max()) if stopped else PATIENCE
        b = bounds(salted, answers_of(labels, salted, looks))
        lines.append((stopped, looks, b.low, b.high, b.at_least, b.at_most))
    stopped_, looks_, low, high, least, most = np.array(lines).T
    return {
        "target": 100 * allowed / n,
        "median_looks": float(np.median(looks_)),
        "stopped": float(stopped_.mean()),
        "width": 100 * (high - low).mean() / n,
        "missed": float(((low > k) | (high < k)).mean()),
        "missed_high": float((high < k).mean()),
        "missed_low": float((low > k).mean()),
        "missed_at_most": float((most < k).mean()),
        "missed_at_least": float((least > k).mean()),
    }


def until(labels: Labels, spread: float, draws: int) -> dict[str, Any]:
    """Looks until at most 1% are proved to be left, if each wrong label that is found is corrected."""
    n, needed = len(labels.ids), []
    plan = make_plan(labels.ids, labels.scores, salt="", spread=spread)
    truth = dict(zip(labels.ids, labels.wrong.tolist(), strict=True))
    tried = candidates(n)
    for draw in range(draws):
        population = Population.of(replace(plan, salt=str(draw)), {})
        wrong = np.array([truth[population.plan.ids[i]] for i in population.inside], float)[:1500]
        first = refuted_at(population.track, wrong, 1 / ALONE, tried, upward=True)
        above = np.maximum.accumulate(np.where(first < 0, 10**9, first)[::-1])[::-1]
        allowed = np.floor(TARGET * n) + np.cumsum(wrong)
        enough = above[np.searchsorted(tried, allowed + 1)] <= np.arange(1, len(wrong) + 1)
        needed.append(int(enough.argmax()) + 1 if enough.any() else 10**9)
    looks = np.array(needed)
    return {
        "median_looks": float(np.median(looks)) if np.median(looks) < 10**9 else np.nan,
        "done_by_600": float((looks <= 600).mean()),
        "done_by_1000": float((looks <= 1000).mean()),
    }


def reviewers(labels: Labels, design: str, draws: int, *, second: bool) -> dict[str, Any]:
    """Reviewers who are wrong in 3% of looks.

    `second` is what `auditor review sample --again` shows: every item called wrong, and as many that were called right.
    A third look settles where the two do not agree.
    """
    k, n = int(labels.wrong.sum()), len(labels.ids)
    plan, lines = plan_of(labels, design), []
    for draw in range(draws):
        rng, salted = np.random.default_rng([7, draw]), replace(plan, salt=str(draw))
        truth = answers_of(labels, salted, LOOKS)
        looks = np.array(list(truth.values()))[:, None] ^ (rng.random((len(truth), 3)) < ERROR)
        again = looks[:, 0].copy()
        calm = rng.permutation(np.flatnonzero(~again))
        again[calm[: int(again.sum())]] = second
        settled = np.where(again, looks.sum(axis=1) >= 2, looks[:, 0]) if second else looks[:, 0]
        said: dict[str, bool | None] = dict(zip(truth, settled.tolist(), strict=True))
        more = int((again * (1 + (looks[:, 0] != looks[:, 1]))).sum()) if second else 0
        hits = (int(rng.binomial(KNOWN, 1 - ERROR)), KNOWN)
        plain, careful = bounds(salted, said), bounds(salted, said, hits=hits)
        lines.append((plain.low, plain.high, plain.at_most, careful.high, careful.at_most, more))
    low, high, most, careful_high, careful_most, more = np.array(lines).T
    return {
        "looks": LOOKS,
        "more_looks": float(more.mean()),
        "width": 100 * (high - low).mean() / n,
        "at_most": 100 * most.mean() / n,
        "missed": float(((low > k) | (high < k)).mean()),
        "missed_high": float((high < k).mean()),
        "missed_low": float((low > k).mean()),
        "missed_at_most": float((most < k).mean()),
        "width_known_wrong": 100 * (careful_high - low).mean() / n,
        "at_most_known_wrong": 100 * careful_most.mean() / n,
        "missed_known_wrong": float(((low > k) | (careful_high < k)).mean()),
    }


def tasks(sets: dict[str, Labels]) -> Iterator[tuple[str, str, str]]:
    """Every row: part, data set, design."""
    for name, labels in sets.items():
        if "left" in name or "corrected" in name:
            for spread in ("0.9", "1"):
                yield "until", name, spread
            continue
        rare = labels.share < SMALL
        moment = "any moment, gate" if rare else "any moment, share"
        yield "width", name, "simple, planned"
        yield "width", name, moment
        yield "stop", name, f"{moment}; next level"
        if labels.wrong.any():
            yield "stop", name, f"{moment}; one too many"
        planned = "planned look, spread 0.8" if rare else "planned look"
        yield "width", name, planned
        if labels.wrong.any():
            yield "level", name, planned
        if name in ("CIFAR-10N aggregate", "CIFAR-10N few", "aggregate, adversarial"):
            yield "width", name, "any moment, simple"
            yield "width", name, "four checkpoints"
    for kind in ("even", "least half", "top tenth", "last tenth"):
        yield "gate", "CIFAR-10N few", kind
    for name in ("CIFAR-10N aggregate", "CIFAR-10N few", "CIFAR-10N worst", "clean"):
        design = "any moment, gate" if sets[name].share < SMALL else "any moment, share"
        yield "reviewers", name, f"{design}; first look counts"
        yield "reviewers", name, f"{design}; second looks"
        yield "reviewers", name, "planned look; second looks"


def measure(part: str, labels: Labels, design: str, draws: int) -> dict[str, Any]:
    """One row."""
    if part == "width":
        return width(labels, design, draws)
    if part == "level":
        return level(labels, design, MORE * draws)
    if part == "gate":
        return gate(labels, design, draws)
    if part == "until":
        return until(labels, float(design), draws)
    plan, _, protocol = design.partition("; ")
    if part == "stop":
        return stop(labels, plan, draws, target=protocol)
    return reviewers(labels, plan, draws, second=protocol == "second looks")


def main() -> None:
    """Run the missing rows, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="JSON lines: rows are appended, finished ones are not repeated")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--only", default="", help="only rows whose part, data or design contains this")
    parser.add_argument("--cache", type=Path, help="folder of the feature cache")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no row after this long")
    parser.add_argument("--strong", type=Path, help="float [10,000, D] .npy: better features of CIFAR-10N's images")
    parser.add_argument("--audited", type=Path, help="folder that keeps the scores of whole audits; minutes to fill it")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of the rows there are")
    rows.add_options(parser)
    arguments = parser.parse_args()
    need()
    records = rows.kept(arguments.rows)
    if not arguments.table:
        records += list(_missing(arguments, records))
    if not records:
        raise SystemExit("no row fits --only, and --rows has none")
    frame = pd.DataFrame(records).drop(columns=list(rows.STAMP))
    rows.append("trust_sampling", frame, arguments.results, of=records)
    print(rows.markdown(frame))


def _missing(arguments: argparse.Namespace, records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    done = {(r["part"], r["data"], r["design"]) for r in records}
    end, sets = (
        time.monotonic() + 60 * arguments.minutes,
        material(arguments.cache, arguments.strong, arguments.audited),
    )
    for part, name, design in tasks(sets):
        wanted = arguments.only in f"{part}: {name}, {design}"
        if (part, name, design) in done or not wanted or time.monotonic() > end:
            continue
        labels, draws, start = sets[name], 5 if arguments.quick else arguments.draws, time.perf_counter()
        record = {"part": part, "data": name, "n": len(labels.ids), "wrong": int(labels.wrong.sum())}
        times = MORE if part == "level" else 1
        record |= {"design": design, "draws": times * draws, **measure(part, labels, design, draws)}
        yield rows.keep(arguments.rows, record | {"seconds": round(time.perf_counter() - start, 1)})


if __name__ == "__main__":
    main()
