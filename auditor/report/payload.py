"""What the report's scripts know: the ranking as compact columns, pictures and reasons by row number.

50,000 images must open at once, so a row costs some fifty bytes: paths share their folders, classes are numbers,
hashes stand in one string, and pictures are left out where the page itself shows them.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from auditor.result import AuditResult

MAX_BYTES = 14_500_000
"""What markup and data may weigh: pictures get what the rows of a large data set leave, suspects before all others."""

HASH_WIDTH = 43
"""Characters of one SHA-256 in base64 without padding."""


def payload(
    result: AuditResult,
    pictures: Mapping[str, str],
    inlined: Mapping[str, int],
    later: Iterable[str] = (),
    taken: int = 0,
) -> dict[str, Any]:
    """The document the scripts read.

    Parameters
    ----------
    pictures
        Data URIs by path.
    inlined
        Numbers of the pictures that the page's own markup carries, by path; the data refers to these.
    later
        Paths of the pictures for which the markup only keeps a place.
    taken
        Bytes of the page's own markup, which shows some pictures more than once.

    Returns
    -------
    dict
        Columns in the ranking's order: `dir` (into `dirs`) and `file`, `label` and `suggested` (into `classes`, -1 for
        none), `p` (1/10,000, None where unknown), `suspicion`, `influence`, `hashes` (`HASH_WIDTH` characters
        a row); the first `ranked` rows are suspects. `pictures` maps rows to data URIs or numbers of inlined
        pictures, `why` rows to [[row, influence]] and [[row, similarity]], `likely` rows to the probability of
        the suggested label, `groups` lists near-duplicates by row, `settled` the suspects that the reference itself
        holds under another label.
    """
    ranking, classes = result.ranking, result.classes
    paths = [str(path) for path in ranking["path"]]
    row_of = {path: row for row, path in enumerate(paths)}
    index = {name: number for number, name in enumerate(classes)}
    folders, folder, name = _split_paths(paths)
    hashes = result.summary["dataset"].get("hashes") or {}
    why = _why(result.evidence.get("why") or {}, row_of)
    calibration = result.summary["calibration"]
    known = calibration is not None and bool(ranking["p_mislabelled"].notna().any())
    document: dict[str, Any] = {
        "audit": result.audit_id,
        "classes": classes,
        "ranked": int(ranking["rank"].notna().sum()),
        "dirs": folders,
        "dir": folder,
        "file": name,
        "label": [index.get(label, -1) for label in ranking["label"]],
        "suggested": [index.get(label, -1) for label in ranking["suggested_label"]],
        "count": calibration["count"] if known and calibration else None,
        "p": [None if p is None else round(1e4 * p) for p in _numbers(ranking["p_mislabelled"])] if known else None,
        "suspicion": [_short(value) for value in _numbers(ranking["suspicion"])],
        "influence": [_short(value) for value in _numbers(ranking["average_influence"])],
        "hashes": "".join(_packed(hashes.get(path)) for path in paths),
        "why": why,
        "settled": _settled(result, row_of),
        "likely": _likely(result.evidence.get("suggested_probability") or {}, row_of),
        "groups": [
            rows for group in result.evidence.get("near_duplicates") or [] if len(rows := _rows(group, row_of)) > 1
        ],
    }
    left = MAX_BYTES - len(json.dumps(document, separators=(",", ":"))) - taken
    suspects = range(min(document["ranked"], result.summary["settings"]["thumbnails"]))
    explaining = (int(entry[0]) for reason in why.values() for part in reason for entry in part)
    order = (*suspects, *explaining, *_rows(later, row_of), *range(len(paths)))
    return {**document, "pictures": _pictures(order, paths, pictures, inlined, left)}


def pairs(result: AuditResult) -> dict[str, Any]:
    """How many labels of each class probably belong to which other one.

    With a calibration these are its expected counts; without one, counts of images whose average influence is
    negative, which is no estimate of wrong labels and is named so.
    """
    calibration = result.summary["calibration"]
    if calibration and calibration["by_pair"]:
        kind = "expected"
        rows: list[dict[str, Any]] = [
            {**row} for row in calibration["by_pair"] if row["count"] or (row["interval"] or [0, 0])[1] >= 0.5
        ]
    else:
        kind = "negative influence"
        bad = result.ranking[result.ranking["average_influence"] < 0]
        sizes = Counter(zip(bad["label"], bad["suggested_label"], strict=True))
        rows = [
            {"label": label, "suggested_label": suggested, "count": count, "interval": None}
            for (label, suggested), count in sizes.items()
        ]
    index = {name: number for number, name in enumerate(result.classes)}
    rows = [r for r in rows if r["label"] in index and r["suggested_label"] in index]
    for row in rows:
        row["cell"] = f"{index[row['label']]}:{index[row['suggested_label']]}"
    rows.sort(key=lambda r: (-r["count"], r["label"], r["suggested_label"]))
    cells = {(r["label"], r["suggested_label"]): r for r in rows}
    return {"kind": kind, "rows": rows, "cells": cells, "most": max([1.0, *(r["count"] for r in rows)])}


def _split_paths(paths: list[str]) -> tuple[list[str], list[int], list[str]]:
    folders: dict[str, int] = {}
    numbers, names = [], []
    for path in paths:
        folder, slash, name = path.rpartition("/")
        numbers.append(folders.setdefault(folder + slash, len(folders)))
        names.append(name)
    return list(folders), numbers, names


def _numbers(column: Iterable[Any]) -> list[float | None]:
    values = [float(value) if value is not None else math.nan for value in column]
    return [value if math.isfinite(value) else None for value in values]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _packed(digest: str | None) -> str:
    """A hexadecimal SHA-256 in base64 of fixed width; dots stand for a hash that is not there."""
    try:
        raw = bytes.fromhex(digest or "")
    except ValueError:
        raw = b""
    return base64.b64encode(raw).decode().rstrip("=") if len(raw) == 32 else "." * HASH_WIDTH


def _rows(paths: Iterable[str], row_of: Mapping[str, int]) -> list[int]:
    return [row_of[path] for path in paths if path in row_of]


def _why(why: Mapping[str, Any], row_of: Mapping[str, int]) -> dict[str, Any]:
    def entries(found: Iterable[Mapping[str, Any]], value: str) -> list[list[float | None]]:
        return [[row_of[e["path"]], _short(e[value])] for e in found if e["path"] in row_of]

    rows = sorted((row_of[path], reason) for path, reason in why.items() if path in row_of)
    return {
        str(row): [
            entries(reason.get("against") or [], "influence"),
            entries(reason.get("neighbours") or [], "similarity"),
        ]
        for row, reason in rows
    }


def _settled(result: AuditResult, row_of: Mapping[str, int]) -> list[int]:
    """Rows of the images whose label the reference contradicts."""
    settled = result.summary["reference"]["settled"]
    return sorted(_rows([entry["path"] for entry in settled["wrong"]], row_of))


def _likely(probabilities: Mapping[str, Any], row_of: Mapping[str, int]) -> dict[str, float]:
    found = sorted((row_of[path], p) for path, p in probabilities.items() if path in row_of and p is not None)
    return {str(row): round(float(p), 4) for row, p in found}


def _pictures(
    order: Iterable[int],
    paths: list[str],
    pictures: Mapping[str, str],
    inlined: Mapping[str, int],
    left: int,
) -> dict[str, str | int]:
    """Pictures by row, in the order in which they are wanted, as far as the bytes that are left reach."""
    chosen: dict[str, str | int] = {}
    for row in order:
        key, path = str(row), paths[row]
        if key in chosen or path not in pictures:
            continue
        if path in inlined:
            chosen[key] = inlined[path]
        elif len(pictures[path]) <= left:
            chosen[key] = pictures[path]
            left -= len(pictures[path])
    return chosen
