"""An audit's result and its four files. Report, gate and review read this and nothing else of an audit."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from auditor.errors import ResultError
from auditor.result.documents import SCHEMA_VERSION, AuditDocument, SettingsDocument
from auditor.result.evidence import EvidenceDocument, no_evidence
from auditor.result.figures import CalibrationDocument
from auditor.result.nouns import IMAGE, Noun, noun_in
from auditor.result.settings import ADDED
from auditor.system import files
from auditor.system.documents import read_document
from auditor.system.files import read_regular, reason
from auditor.system.tables import csv_bytes, read_csv
from auditor.system.text import plain

__all__ = ["PLANTED_COLUMNS", "RANKING_COLUMNS", "SCHEMA_VERSION", "AuditResult", "complete_result"]

RANKING_COLUMNS = (
    "rank",
    "path",
    "split",
    "label",
    "suggested_label",
    "average_influence",
    "influence_rank",
    "suspicion",
    "p_mislabelled",
    "looked",
)

ADDED_COLUMNS = ("looked",)
"""Columns of the ranking that earlier versions did not write. They are empty there."""

PLANTED_COLUMNS = (
    "rank",
    "path",
    "label",
    "trained_label",
    "planted",
    "average_influence",
    "influence_rank",
    "suspicion",
)

_AGAIN = "run the audit again"

_TEXT = ["path", "split", "label", "suggested_label", "trained_label", "looked"]


@dataclass(frozen=True, repr=False)
class AuditResult:
    """Everything an audit found.

    Attributes
    ----------
    summary
        The content of `audit.json`, word for word. `docs/schema.md` explains each key.
    ranking
        The content of `ranking.csv`: every labelled image once, columns `RANKING_COLUMNS`, ordered by `rank`. Images
        without a rank come last, by path. Behind these columns stand those of the oddities that `summary` names.
    planted
        The content of `planted.csv`: the training points of the controlled experiment, columns `PLANTED_COLUMNS`,
        ordered by `rank`.
    evidence
        The content of `evidence.json`: thumbnails as data URIs and examples by path, for the report. No verdict
        depends on it.
    """

    summary: AuditDocument
    ranking: pd.DataFrame
    planted: pd.DataFrame
    evidence: EvidenceDocument

    def __post_init__(self) -> None:
        # An earlier version wrote less evidence. With this line readers need not check for it.
        object.__setattr__(self, "evidence", {**no_evidence(), **self.evidence})
        absent = {name: "" for name in ADDED_COLUMNS if name not in self.ranking.columns}
        if absent:
            of_oddities = [name for name in self.ranking.columns if name not in RANKING_COLUMNS]
            object.__setattr__(self, "ranking", self.ranking.assign(**absent)[[*RANKING_COLUMNS, *of_oddities]])

    def __repr__(self) -> str:
        data = self.summary["dataset"]
        name, items = plain(str(data["name"]), 60), self.noun.count(data["n_images"])
        known = f"{items}, {len(data['classes'])} classes; {_wrong_in_short(self.summary['calibration'])}"
        return f"<AuditResult of {name!r}: {known}; audit {plain(self.audit_id, 40)}>"

    def suspects(self, n: int | None = None) -> pd.DataFrame:
        """The ranked items, the most suspicious first: the first `n` rows of `ranking`, or all that have a rank."""
        ranked = self.ranking[self.ranking["rank"].notna()]
        return ranked.head(len(ranked) if n is None else max(0, n)).reset_index(drop=True)

    @property
    def audit_id(self) -> str:
        """Names this data set under these settings. Decisions carry it, and are applied to this audit only."""
        return str(self.summary["audit_id"])

    @property
    def classes(self) -> list[str]:
        """Class names in the order of their indices."""
        return list(self.summary["dataset"]["classes"])

    @property
    def noun(self) -> Noun:
        """What an item of the data set is called."""
        return noun_in(self.summary["dataset"])

    @property
    def takes_reference(self) -> bool:
        """Whether a trusted reference could serve. It cannot where the user gave features or probabilities."""
        return not set(str(self.summary["model"]["architecture"]).split(" and ")) <= {"features", "probabilities"}

    @property
    def settings(self) -> SettingsDocument:
        """The audit's settings. What an earlier version did not name was the default."""
        return cast(SettingsDocument, {**ADDED, **self.summary["settings"]})

    @property
    def root(self) -> str:
        """The folder where the images' paths begin. Earlier versions named it as the source."""
        dataset = self.summary["dataset"]
        return str(dataset.get("root") or dataset["source"])

    def save(self, folder: str | Path) -> None:
        """Write the four files into `folder`. `audit.json` comes last: a folder that has it holds a whole result.

        The folder is made where it is missing.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "ranking.csv": csv_bytes(self.ranking),
            "planted.csv": csv_bytes(self.planted.assign(planted=self.planted["planted"].astype(int))),
            "evidence.json": files.json_bytes(self.evidence),
            "audit.json": files.json_bytes(self.summary),
        }
        files.write_together({folder / name: data for name, data in contents.items()}, last=folder / "audit.json")

    @classmethod
    def load(cls, folder: str | Path) -> AuditResult:
        """Read the files of an audit.

        Raises
        ------
        ResultError
            A file is missing, damaged, of another schema version, or not a file of an audit.
        """
        folder = Path(folder)
        summary = _load_json(folder / "audit.json", SCHEMA_VERSION)
        if "audit_id" not in summary:
            raise ResultError(f"{folder / 'audit.json'} has no audit_id", hint=_AGAIN)
        n_images, n_planted = _count(summary, "dataset", "n_images"), _count(summary, "recovery", "n")
        ranking = _load_csv(folder / "ranking.csv", RANKING_COLUMNS, n_images, _of_oddities(summary, folder))
        planted = _load_csv(folder / "planted.csv", PLANTED_COLUMNS, n_planted, {})
        planted["planted"] = planted["planted"].astype(bool)
        evidence = cast(EvidenceDocument, _load_json(folder / "evidence.json", None))
        return cls(_with_settled(summary), ranking, planted, evidence)


def _wrong_in_short(calibration: CalibrationDocument | None) -> str:
    """What an estimate says of wrong labels, for one line. It promises nothing that the estimate does not hold."""
    count = calibration["count"] if calibration is not None and calibration["decided"] else None
    if calibration is None or count is None:
        return "nothing is known of how many labels are wrong"
    low, high = math.floor(count["interval"][0]), math.ceil(count["interval"][1])
    if calibration.get("cannot_tell"):
        return f"nobody can tell without looks how many labels are wrong: between {low:,} and {high:,}"
    value = round(count["value"])
    if value == 0:
        return f"no clear error, and up to {max(1, high):,} labels may be wrong"
    return f"about {value:,} label{'' if value == 1 else 's'} probably wrong ({low:,} to {high:,})"


def _with_settled(summary: dict[str, Any]) -> AuditDocument:
    """The summary of any version. Earlier ones wrote nothing of settled images, ledgers and oddities.

    They knew images alone.
    """
    summary.setdefault("ledger", None)
    summary.setdefault("oddities", [])
    if isinstance(summary.get("dataset"), dict):
        summary["dataset"].setdefault("kind", IMAGE)
        summary["dataset"].setdefault("groups", "")
        summary["dataset"].setdefault("beside", "")
    if isinstance(summary.get("reference"), dict):
        summary["reference"].setdefault("settled", {"n": 0, "wrong": []})
    return cast(AuditDocument, summary)


def _load_json(path: Path, version: int | None) -> dict[str, Any]:
    try:
        return read_document(path, kind=None, version=version, error=ResultError, what="audit file", hint=_AGAIN)
    except ResultError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise ResultError(
            f"{path} is missing: {path.parent} holds no finished audit", hint="run `auditor audit SOURCE -o OUT` first"
        ) from error


def _count(summary: dict[str, Any], part: str, name: str) -> int | None:
    """The number of rows that the summary promises, or None where it says none."""
    found = summary.get(part)
    count = found.get(name) if isinstance(found, dict) else None
    return count if isinstance(count, int) else None


def _of_oddities(summary: dict[str, Any], folder: Path) -> dict[str, str]:
    """Columns of the ranking that oddities fill, by name: whether they hold numbers or words."""
    try:
        columns = [one["column"] for one in summary.get("oddities", []) if one["column"] is not None]
        return {str(column["name"]): str(column["holds"]) for column in columns}
    except (KeyError, TypeError) as error:
        raise ResultError(f"{folder / 'audit.json'} has oddities of another form", hint=_AGAIN) from error


def _load_csv(path: Path, columns: tuple[str, ...], n_rows: int | None, more: dict[str, str]) -> pd.DataFrame:
    """Read a CSV file of an audit. It must have these columns, this number of rows, and the end of its last line.

    `more` are columns behind the others, and what each holds.
    """
    text = {*_TEXT, *(name for name, holds in more.items() if holds == "words")}
    try:
        whole = read_regular(str(path)).endswith(b"\n")
        frame = read_csv(path, [c for c in (*columns, *more) if c in text])
        columns = tuple(c for c in (*columns, *more) if c in frame.columns or c not in ADDED_COLUMNS)
    except FileNotFoundError as error:
        raise ResultError(f"{path} is missing", hint=_AGAIN) from error
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {reason(error)}", hint=_AGAIN) from error
    if tuple(frame.columns) != columns:
        raise ResultError(f"{path} has other columns than an audit's", hint=_AGAIN)
    if not whole or (n_rows is not None and len(frame) != n_rows):
        raise ResultError(f"{path} is not whole: it has {len(frame)} rows of {n_rows}", hint=_AGAIN)
    for name in columns:
        if name not in text and not pd.api.types.is_numeric_dtype(frame[name]):
            raise ResultError(f"{path} has words where numbers belong, in '{name}'", hint=_AGAIN)
    return frame


@contextlib.contextmanager
def complete_result() -> Iterator[None]:
    """Turn an error about something that a result lacks into a `ResultError` of one sentence."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise incomplete(error) from error


def incomplete(error: Exception) -> ResultError:
    """The error about something that a result lacks, in one sentence."""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ResultError(f"the audit's result is not complete ({what})", hint=_AGAIN)
