"""Detection against other methods on the same features: average precision and more, with standard errors.

    python benchmarks/detection.py --quick --results bench-out   # a few minutes
    python benchmarks/detection.py --rows rows.jsonl             # hours on two cores; goes on where it stopped
    python benchmarks/detection.py --rows rows.jsonl --table     # writes the rows there are

It needs the extra `bench` (cleanlab) and the shared data (`AUDITOR_DATA`, default `../shared/data`). Flips are made by
`auditor.experiment.noise`. The truth serves only to compute the figures. Tables go to `results/detection*.csv`, the
plot to `docs/detection.png`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
import shared
from peers import STUDY, Peers
from sets import Row, every_row

OURS = ("our suspicion", "our influence")
RANDOM = "random"
FIGURES = ("AP", "AUROC", "precision at true number", "found in first 10%", "found in first 20%", "seconds")


def figures(suspicion: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """What a ranking is worth. Ties are broken at random, once."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    order = np.lexsort((np.random.default_rng(0).random(len(wrong)), -suspicion))
    found, total = np.cumsum(wrong[order]), int(wrong.sum())
    values = (
        average_precision_score(wrong, suspicion),
        roc_auc_score(wrong, suspicion),
        found[total - 1] / total,
        found[len(wrong) // 10 - 1] / total,
        found[len(wrong) // 5 - 1] / total,
    )
    return dict(zip(FIGURES, map(float, values), strict=False))


def _listed(row: Row, results: list[tuple[str, np.ndarray, float]]) -> list[dict[str, Any]]:
    return [
        {"row": row.name, "unit": row.unit, "contender": n, "seconds": s, **figures(v, row.wrong)}
        for n, v, s in results
    ]


def run(row: Row, peers: Peers, known: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every contender's figures on a row, and what the estimate said of it. Peers that are `known` do not run again."""
    from auditor.detection import Labelled, detect

    images = Labelled(row.features, row.labels, row.n_classes, row.reference)
    start = time.perf_counter()
    found = detect(images, seed=row.unit)  # settings as in an audit
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
        said["covered"] = bool(share.low <= said["truth"] <= share.high)
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
    """Average precision of every variant on a row. Signals are made once; only the combination is fitted anew."""
    from auditor.detection import DetectionSettings, Labelled
    from auditor.detection.bench import Bench
    from auditor.detection.suspicion import fit_combination

    settings = DetectionSettings()
    images = Labelled(row.features, row.labels, row.n_classes, row.reference).checked()
    bench = Bench.set_up(images, settings, row.unit, "cpu")
    signals = bench.signals(row.labels)
    n, counted = bench.n, len(bench.trusted) if bench.views.vouched else 0
    audited = signals.select(np.arange(n)).of(row.labels)
    both, records = signals.select(np.arange(n + counted)), []
    for name, variant in variants().items():
        fitted = fit_combination(both, n_trusted=counted, plantings=settings.plantings, seed=row.unit, **variant)
        suspicion = fitted.suspicion(audited)
        records.append({"variant": name, "row": row.name, "AP": figures(suspicion, row.wrong)["AP"]})
    return records


# Tables


def ablation(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean average precision of each variant over groups of rows."""
    frame = pd.DataFrame(records)
    name = frame["row"].str
    kind = np.where(name.contains("human"), "human", np.where(name.startswith("tiny10"), "ten classes", "two classes"))
    frame["group"] = pd.Series(kind) + name.contains("reference").map({True: ", reference", False: ""})
    table = frame.pivot_table(index="variant", columns="group", values="AP", sort=False)
    table["mean"] = frame.groupby("variant")["AP"].mean()
    return table.round(3).reset_index()


def contenders(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error over units, one line a row and contender."""
    grouped = frame.groupby(["row", "contender"], sort=False)
    table = grouped.agg(units=("unit", "count"))
    for name in FIGURES:
        table[name], table[f"{name}, standard error"] = grouped[name].mean().round(3), grouped[name].sem().round(3)
    return table.reset_index()


def against_peers(frame: pd.DataFrame) -> pd.DataFrame:
    """Our suspicion beside the best peer of each row, and the share of the peer's missing area that it removes."""
    pivot = frame.pivot_table(index=["row", "unit"], columns="contender", values="AP", sort=False)
    mean = pivot.groupby("row", sort=False).mean()
    peers = mean.drop(columns=[*OURS, RANDOM])
    best, which = peers.max(axis=1), peers.idxmax(axis=1)
    difference = {
        name: (part["our suspicion"] - part[which[name]]).sem() for name, part in pivot.groupby("row", sort=False)
    }
    table = pd.DataFrame(
        {
            "our suspicion": mean["our suspicion"],
            "best peer": best,
            "which": which,
            "missing area removed": (mean["our suspicion"] - best) / (1 - best),
            "standard error of the difference": pd.Series(difference),
        }
    )
    return table.round(3).rename_axis("row").reset_index()


def estimates(said: pd.DataFrame) -> pd.DataFrame:
    """Estimated shares and intervals: means over the decided units, and how many intervals hold the truth."""
    grouped = said.groupby("row", sort=False)
    out = grouped.agg({"n": "max", "unit": "count", "decided": "sum", "covered": "sum"}).astype(int)
    means = grouped[["truth", "estimate", "low", "high", "precision error"]].mean().astype(float).round(3)
    return out.rename(columns={"unit": "units"}).join(means).reset_index()


def headline(frame: pd.DataFrame, said: pd.DataFrame) -> str:
    """The figures that have targets, as sentences."""
    decided = said[said["decided"]]
    trusted = decided["row"].str.contains("reference")
    error = (decided["estimate"] - decided["truth"]).abs()
    versus = against_peers(frame).set_index("row")
    planted = versus[~versus.index.str.contains("human|reference|influential")]
    mean = frame[frame["row"].str.contains("uniform.*reference")].pivot_table("AP", "row", "contender")
    behind = int((versus["missing area removed"] < 0).sum())
    lines = [
        f"Planted rows without a reference: suspicion removes {planted['missing area removed'].mean():.0%} of the best "
        "peer's missing area on average (target: at least 10%, aim 20%).",
        f"Rows in which suspicion is behind the best peer: {behind} of {len(versus)}.",
        "Influence ranking against the study's, uniform flips with a reference: "
        f"{(mean['our influence'] / mean[STUDY]).mean():.2f} times (target 1.5).",
        f"The 95% interval of the share holds the truth in {decided['covered'].mean():.0%} of {len(decided)} decided "
        f"runs (undecided: {len(said) - len(decided)}); mean error with a reference {error[trusted].mean():.3f}, "
        f"without {error[~trusted].mean():.3f}.",
        f"Expected and true precision of the first k are {decided['precision error'].mean():.3f} apart on average "
        "(target 0.05).",
    ]
    return "\n".join(f"- {line}" for line in lines)


def plot(frame: pd.DataFrame, path: Path) -> None:
    """Average precision by row, one point a contender."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mean = frame.pivot_table("AP", "row", "contender", sort=False)
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


def write_up(kept: list[dict[str, Any]], folder: Path) -> None:
    """Write every table and the plot from the kept rows, and print the headline."""
    frame = pd.DataFrame([record for one in kept for record in one["records"]])
    said = pd.DataFrame([one["said"] for one in kept])
    tables = {
        "detection": contenders(frame),
        "detection_best_peer": against_peers(frame),
        "detection_share": estimates(said),
        "detection_ablation": ablation([record for one in kept for record in one["ablated"]]),
    }
    for name, table in tables.items():
        rows.append(name, table, folder, of=kept)
    plot(frame, (shared.ROOT / "docs" if folder == rows.RESULTS else folder) / "detection.png")
    print(f"{rows.markdown(tables['detection_best_peer'])}\n\n{headline(frame, said)}")


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three pairs, parts of the larger sets, one seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, help="class pairs (default 10, with --quick 3)")
    parser.add_argument("--peers", type=Path, help="an earlier --rows file: peers are not run again on its rows")
    parser.add_argument("--measure", action="store_true", help="only measure, write no table")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    shared.need()
    warnings.filterwarnings("ignore")
    kept, earlier, peers = rows.kept(options.rows), rows.kept(options.peers), Peers()
    if not options.table:
        kept += _measured(options, kept, earlier, peers)
    if not options.measure:
        write_up(kept, options.results)


def _measured(options: Any, kept: list[Any], earlier: list[Any], peers: Peers) -> list[dict[str, Any]]:
    """The rows that are asked for and not kept yet."""
    done = {(one["said"]["row"], one["said"]["unit"]) for one in kept}
    known = [record for one in earlier for record in one["records"] if record["contender"] not in (*OURS, RANDOM)]
    new = []
    for row in every_row(options.cache, options.quick, options.seeds, options.pairs or (3 if options.quick else 10)):
        if options.only not in row.name or (row.name, row.unit) in done:
            continue
        mine = [record for record in known if (record["row"], record["unit"]) == (row.name, row.unit)]
        listed, said = run(row, peers, mine)
        record = {"records": listed, "said": said, "ablated": ablated(row) if row.unit == 0 else []}
        new.append(rows.keep(options.rows, record))
        best = sorted(listed, key=lambda r: -r["AP"])[:3]
        print(row.name, row.unit, [(r["contender"], round(r["AP"], 3)) for r in listed[:2] + best], said, flush=True)
    return new


if __name__ == "__main__":
    main()
