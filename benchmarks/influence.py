"""Average influence and suspicion, with and without it: average precision, seconds, and the damping that was chosen.

    python benchmarks/influence.py --rows rows.jsonl --only "pairs, uniform 5%"
    python benchmarks/influence.py --rows rows.jsonl --table      # writes the rows there are

The rows are those of `detection.py`. The rival is cross-validated self-confidence of a linear head on the same
features, tuned and shuffled. "Fixed damping" is the best that influence could reach with any of the
dampings; it takes the truth to know which. The truth serves only to compute the figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
import shared
from peers import out_of_sample
from sets import Row, every_row

SIGNAL = "average_influence"


def measured(row: Row, *, rival: bool, bound: bool) -> dict[str, Any]:
    """One row of the table."""
    from auditor.detection import DetectionSettings, Labelled
    from auditor.detection.bench import Bench
    from auditor.detection.precision import average_precision
    from auditor.detection.signals import Signals
    from auditor.detection.suspicion import fit_combination

    start, settings = time.process_time(), DetectionSettings()
    images = Labelled(row.features, row.labels, row.n_classes, row.reference).checked()
    bench = Bench.set_up(images, settings, row.unit, "cpu")
    told = bench.views.heads(row.labels)
    middle = time.process_time()
    damping, heads = bench.damping(told)
    told = replace(told, influence=bench.study.what_if(told.labels, damping.value, heads))
    end = time.process_time()
    signals = Signals.of_heads(told, bench.views.table)
    n, trusted = bench.n, len(bench.trusted) if bench.views.vouched else 0
    both, audited = signals.select(np.arange(n + trusted)), signals.select(np.arange(n)).of(row.labels)
    found: dict[str, Any] = {"row": row.name, "unit": row.unit, "n": n, "damping": damping.value}
    found["influence"] = average_precision(row.wrong, audited[:, list(signals.values).index(SIGNAL)])
    dampings = settings.dampings if bound else ()
    by_fixed = [bench.study.what_if(told.labels, d)[np.arange(n), row.labels] for d in dampings]
    if by_fixed:
        found["influence, best fixed damping"] = max(average_precision(row.wrong, -v.astype(float)) for v in by_fixed)
    for name, use in (
        ("suspicion without influence", tuple(k for k in signals.values if k != SIGNAL)),
        ("suspicion", tuple(signals.values)),
    ):
        fitted = fit_combination(
            both, n_trusted=trusted, plantings=settings.plantings, seed=row.unit, kinds=settings.kinds, use=use
        )
        found[name] = average_precision(row.wrong, fitted.suspicion(audited))
    if rival:
        found["rival"] = average_precision(row.wrong, -out_of_sample(row, row.unit)[np.arange(n), row.labels])
    return found | {"seconds of the other signals": middle - start, "seconds of influence": end - middle}


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Means over units, one line a row, and what influence and its signal change."""
    frame = pd.DataFrame(records).drop(columns="unit")
    grouped = frame.groupby("row", sort=False)
    out = grouped.mean(numeric_only=True)
    out.insert(0, "units", grouped.size())
    out["influence - suspicion"] = out["influence"] - out["suspicion"]
    out["suspicion - without"] = out["suspicion"] - out["suspicion without influence"]
    if "rival" in out:
        out["influence - rival"] = out["influence"] - out["rival"]
    return out.round(4).reset_index()


def main() -> None:
    """Run the rows asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--measure", action="store_true", help="only measure, write no table")
    parser.add_argument("--only", default="", help="names of rows, parted by ; (all without it)")
    parser.add_argument("--units", type=int, default=1, help="units of each row, from 0 on")
    parser.add_argument("--no-rival", action="store_true", help="leave the rival out, which takes as long as the rest")
    parser.add_argument("--no-bound", action="store_true", help="leave out what a fixed damping could reach")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "auditor-bench")
    rows.add_going_on(parser)
    options = parser.parse_args()
    shared.need()
    warnings.filterwarnings("ignore")
    kept = rows.kept(options.rows)
    done = {(one["row"], one["unit"]) for one in kept}
    asked = [part for part in options.only.split(";") if part]

    def wanted(name: str, unit: int) -> bool:
        return unit < options.units and (not asked or name in asked or f"{name}, reference" in asked)

    for row in () if options.table else every_row(options.cache, False, options.seeds, options.pairs, wanted):
        if (not asked or row.name in asked) and row.unit < options.units and (row.name, row.unit) not in done:
            kept.append(rows.keep(options.rows, measured(row, rival=not options.no_rival, bound=not options.no_bound)))
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in kept[-1].items()}, flush=True)
    if not options.measure:
        found = table([{k: v for k, v in one.items() if k not in rows.STAMP} for one in kept])
        rows.append("influence", found, options.results, of=kept)
        print(rows.markdown(found))


if __name__ == "__main__":
    main()
