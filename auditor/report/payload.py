"""What the report's scripts know: the ranking as compact columns, with pictures and reasons by row number.

50,000 images must open at once, so a row takes about fifty bytes: paths share their folders, classes are numbers,
all hashes stand in one string, and a picture that the page shows anyway is not repeated.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from auditor.report.looks import Looks, Place, places, sample_of
from auditor.report.originals import Originals
from auditor.report.pictures import Pictures
from auditor.report.wording import cannot_tell
from auditor.result import AuditResult
from auditor.result.evidence import LikelyClass, MapDocument, SpeakingImage, WhyDocument
from auditor.result.figures import CalibrationDocument, Estimate

MAX_BYTES = 14_500_000
"""What markup and data may weigh. The rows come first, then the suspects' pictures, then all others."""

HASH_WIDTH = 43
"""Characters of one SHA-256 in base64 without padding."""

Link = tuple[int, float | None]
"""Another image's row, and its influence or its similarity."""

Speaker = tuple[int, float | None, float | None]
"""Another image's row, its influence, and the suspect's probability without it; None where that was not asked for."""

Why = tuple[list[Speaker], list[Speaker], list[Link], float | None]
"""Images that speak against a label, those that speak for it, neighbours, and the probability without the suspect."""


class Columns(TypedDict):
    """The scripts' data without its pictures. Lists have one entry a row, in the ranking's order.

    Attributes
    ----------
    audit, classes
        The audit's id and its class names.
    ranked
        The first so many rows are suspects.
    dirs, dir, file
        A path is `dirs[dir[row]] + file[row]`.
    label, suggested
        Places in `classes`; -1 for none.
    count
        The estimated number of wrong labels; None without probabilities.
    p
        Ten thousand times the probability that the label is wrong; None where it is unknown.
    suspicion, influence
        Four significant digits.
    hashes
        `HASH_WIDTH` characters a row: the image's SHA-256 in base64.
    why
        By row, as in `Why`: a probability is that of the suspect's label, by heads trained again.
    settled
        Rows whose label the reference contradicts.
    likeliest
        By row, the likeliest classes, the likeliest first: their place in `classes` and ten thousand times the
        probability.
    groups
        Rows of suspects that look alike.
    map
        Places of the first rows on a plane, as `MapDocument.points` has them; empty where there is no map.
    by_class
        By class: wrong labels that are expected, with both ends; None without an estimate.
    sample
        The drawn items, in the order in which a reviewer sees them.
    cannot_tell
        Whether the model cannot tell how many labels are wrong.
    proved
        So many labels are wrong now at most, as the certificate says; None without one.
    """

    audit: str
    classes: list[str]
    ranked: int
    dirs: list[str]
    dir: list[int]
    file: list[str]
    label: list[int]
    suggested: list[int]
    count: Estimate | None
    p: list[int | None] | None
    suspicion: list[float | None]
    influence: list[float | None]
    hashes: str
    why: dict[str, Why]
    settled: list[int]
    likeliest: dict[str, list[tuple[int, int]]]
    groups: list[list[int]]
    map: str
    by_class: list[tuple[float, float, float] | None] | None
    sample: list[Place]
    cannot_tell: bool
    proved: int | None


class Noun(TypedDict):
    """What an item is called: its kind, the words for one with and without its article, and for many."""

    kind: str
    a: str
    one: str
    many: str


class Files(TypedDict):
    """Files beside the page: their folder, and the rows that have none."""

    base: str
    absent: list[int]


class Payload(Columns):
    """The document that the scripts read. `pictures` and `excerpts` are what `Pictures.for_scripts` chose.

    `served` says that a server shows the page. It has items at full size and keeps decisions. `files` are those
    beside it.
    """

    served: bool
    files: Files | None
    noun: Noun
    pictures: dict[str, str | int]
    excerpts: dict[str, str]


@dataclass(frozen=True)
class Kept:
    """Where the items are kept at full size: by a server that shows the page, or in files beside it."""

    served: bool = False
    originals: Originals | None = None


def payload(result: AuditResult, pictures: Pictures, looks: Looks, taken: int = 0, kept: Kept = Kept()) -> Payload:
    """The document that the scripts read.

    Parameters
    ----------
    looks
        What people looked at, and the sample that the page offers.
    pictures
        The thumbnails, after the page's markup was made.
    taken
        Bytes of that markup.
    kept
        Where the items are kept at full size.
    """
    paths = [str(path) for path in result.ranking["path"]]
    row_of = {path: row for row, path in enumerate(paths)}
    columns = _columns(result, paths, row_of)
    columns["sample"] = places(result, sample_of(result, looks), row_of)
    if looks.certificate is not None:
        columns["proved"] = math.ceil(looks.certificate["today"]["count_at_most"] - 1e-9)
    drawn = (row for row, _, _ in columns["sample"])
    left = MAX_BYTES - len(json.dumps(columns, separators=(",", ":"))) - taken
    suspects = range(min(columns["ranked"], result.summary["settings"]["thumbnails"]))
    order = (*suspects, *drawn, *_explaining(columns), *_rows(pictures.later, row_of), *range(len(paths)))
    shown, noun = pictures.for_scripts(order, paths, left), result.noun
    called: Noun = {"kind": noun.kind, "a": noun.a, "one": noun.one, "many": noun.many}
    files: Files | None = None
    if kept.originals is not None:
        files = {"base": kept.originals.base, "absent": list(kept.originals.absent)}
    return {
        **columns,
        "served": kept.served,
        "files": files,
        "noun": called,
        "pictures": shown.pictures,
        "excerpts": shown.excerpts,
    }


def _columns(result: AuditResult, paths: list[str], row_of: Mapping[str, int]) -> Columns:
    ranking, evidence, calibration = result.ranking, result.evidence, result.summary["calibration"]
    index = {name: number for number, name in enumerate(result.classes)}
    hashes = result.summary["dataset"]["hashes"]
    folders, folder, name = _split_paths(paths)
    known = calibration if ranking["p_mislabelled"].notna().any() else None
    return {
        "audit": result.audit_id,
        "classes": result.classes,
        "ranked": int(ranking["rank"].notna().sum()),
        "dirs": folders,
        "dir": folder,
        "file": name,
        "label": [index.get(label, -1) for label in ranking["label"]],
        "suggested": [index.get(label, -1) for label in ranking["suggested_label"]],
        "count": known["count"] if known else None,
        "p": [None if p is None else round(1e4 * p) for p in _numbers(ranking["p_mislabelled"])] if known else None,
        "suspicion": [_short(value) for value in _numbers(ranking["suspicion"])],
        "influence": [_short(value) for value in _numbers(ranking["average_influence"])],
        "hashes": "".join(_packed(hashes.get(path, "")) for path in paths),
        "why": _why(evidence["why"], row_of),
        "settled": sorted(_rows((wrong["path"] for wrong in result.summary["reference"]["settled"]["wrong"]), row_of)),
        "likeliest": _likeliest(evidence["likeliest"], row_of, index),
        "groups": [rows for group in evidence["near_duplicates"] if len(rows := _rows(group, row_of)) > 1],
        "map": _map(evidence["map"], len(paths)),
        "by_class": _by_class(calibration, result.classes) if known else None,
        "sample": [],
        "cannot_tell": cannot_tell(calibration),
        "proved": None,
    }


def _map(found: MapDocument, n: int) -> str:
    """The places of the map, if they are what an audit wrote: four bytes for each of the first rows."""
    try:
        raw = base64.b64decode(found["points"], validate=True)
    except (ValueError, TypeError):
        return ""
    return found["points"] if raw and len(raw) == 4 * found["n"] and found["n"] <= n else ""


def _by_class(calibration: CalibrationDocument | None, classes: list[str]) -> list[tuple[float, float, float] | None]:
    """Expected wrong labels by class, with both ends of the interval."""
    rows = {row["label"]: row for row in calibration["by_class"]} if calibration else {}
    return [_expected(row["count"], row["n"], row["share_interval"]) if row else None for row in map(rows.get, classes)]


def _expected(count: float, n: int, share: Sequence[float]) -> tuple[float, float, float]:
    return round(count, 2), round(share[0] * n, 2), round(share[1] * n, 2)


def _explaining(columns: Columns) -> Iterator[int]:
    """Rows of the images that explain a suspect, the first suspect's first."""
    return (link[0] for reasons in columns["why"].values() for links in reasons[:3] for link in links)


def _split_paths(paths: list[str]) -> tuple[list[str], list[int], list[str]]:
    """The folders, each path's place among them, and each path's last part."""
    folders: dict[str, int] = {}
    numbers, names = [], []
    for path in paths:
        folder, slash, name = path.rpartition("/")
        numbers.append(folders.setdefault(folder + slash, len(folders)))
        names.append(name)
    return list(folders), numbers, names


def _numbers(column: Iterable[Any]) -> list[float | None]:
    """A column's finite numbers; None for all else, as JSON has no NaN."""
    values = [float(value) if value is not None else math.nan for value in column]
    return [value if math.isfinite(value) else None for value in values]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _packed(digest: str) -> str:
    """A hexadecimal SHA-256 as `HASH_WIDTH` characters of base64; dots where there is none."""
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    return base64.b64encode(raw).decode().rstrip("=") if len(raw) == 32 else "." * HASH_WIDTH


def _rows(paths: Iterable[str], row_of: Mapping[str, int]) -> list[int]:
    return [row_of[path] for path in paths if path in row_of]


def _why(why: Mapping[str, WhyDocument], row_of: Mapping[str, int]) -> dict[str, Why]:
    """By row, the images that speak against its label and for it, and its neighbours."""

    def speakers(found: Iterable[SpeakingImage]) -> list[Speaker]:
        return [
            (row_of[one["path"]], _short(one["influence"]), _fine(one.get("without")))
            for one in found
            if one["path"] in row_of
        ]

    def told(reasons: WhyDocument) -> Why:
        near = [(row_of[n["path"]], _short(n["similarity"])) for n in reasons["neighbours"] if n["path"] in row_of]
        # Audits before 2026-12 said nothing of what speaks for a label.
        favour = reasons.get("in_favour", [])
        return speakers(reasons["against"]), speakers(favour), near, _fine(reasons.get("left_out"))

    return {str(row_of[path]): told(why[path]) for path in sorted(set(why) & set(row_of), key=row_of.__getitem__)}


def _fine(probability: float | None) -> float | None:
    """Six digits behind the point: a single item changes little."""
    return None if probability is None else round(probability, 6)


def _likeliest(
    found: Mapping[str, list[LikelyClass]], row_of: Mapping[str, int], index: Mapping[str, int]
) -> dict[str, list[tuple[int, int]]]:
    rows = sorted((row_of[path], classes) for path, classes in found.items() if path in row_of)
    return {
        str(row): [(index[one["label"]], round(1e4 * one["probability"])) for one in classes if one["label"] in index]
        for row, classes in rows
    }
