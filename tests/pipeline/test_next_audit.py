"""A partial review and a second audit of photographs: what is left stays on top, and the interval holds it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.result import AuditResult
from auditor.review.ledger import LEDGER_NAME, Ledger
from auditor.review.looks import Look

N_FLIPPED, N_CORRECTED = 55, 30


def _audited(place: Path, labels: dict[str, str], shared_data: Path) -> AuditResult:
    place.mkdir(exist_ok=True)
    with (place / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *sorted(labels.items())])
    return auditor.audit(
        place / "labels.csv",
        root=str(shared_data / "tables-boats"),
        weights=str(shared_data / "weights" / "resnet18-tiny170.pth"),
        image_size="64",
        repeats=1,
        examples=1,
        thumbnails=1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_a_partial_review_left_stays_on_top(tmp_path: Path, shared_data: Path, seed: int) -> None:
    """1,100 photographs, 55 flipped. A reviewer corrects the first 30 of them on the list, and audits again."""
    root = shared_data / "tables-boats"
    truth = {str(path.relative_to(root)): path.parent.name for path in root.glob("*/*/*")}
    flipped = set(np.random.default_rng(seed).choice(sorted(truth), N_FLIPPED, replace=False))
    boats, tables = sorted(set(truth.values()))
    given = {path: {boats: tables, tables: boats}[label] if path in flipped else label for path, label in truth.items()}
    first = _audited(tmp_path / "first", given, shared_data)
    looks: list[Look] = []
    listed = list(first.ranking["path"])
    while sum(look.decision == "relabel" for look in looks) < N_CORRECTED:
        path = listed.pop(0)
        wrong = path in flipped
        hash, new = first.summary["dataset"]["hashes"][path], truth[path] if wrong else None
        looks.append(Look(hash, given[path], "relabel" if wrong else "keep", new, path=path))
    (tmp_path / "second").mkdir()
    Ledger(None, tuple(looks)).save(tmp_path / "second" / LEDGER_NAME)
    second = _audited(tmp_path / "second", {**given, **{e.path: truth[e.path] for e in looks}}, shared_data)
    left = flipped - {look.path for look in looks}
    top = [list(result)[: len(left)] for result in (second.ranking.dropna(subset="rank")["path"], listed)]
    found, before = (len(left & set(paths)) for paths in top)
    assert not {look.path for look in looks} & set(second.ranking.dropna(subset="rank")["path"]), "not listed again"
    assert found >= before - 3, "what was known of the others is not lost"
    assert found >= len(left) / 2
    calibration = second.summary["calibration"]
    assert calibration is not None and calibration["count"] is not None
    low, high = calibration["count"]["interval"]
    assert low <= len(left) <= high, "the interval speaks of labels that nobody has looked at"
    print(f"left {len(left)}: {found} in as many suspects ({before} by the first list), {low:.1f} to {high:.1f}")
