"""An audit's result and its files: what report, gate and review read, and all they read.

`AuditResult.summary` is `audit.json` word for word (see `docs/schema.md`); `ranking` and `planted` are the two CSV
files; `evidence` is `evidence.json`: pictures and examples for the report, nothing a verdict depends on.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from auditor.errors import ResultError
from auditor.result.documents import SCHEMA_VERSION, AuditDocument, EvidenceDocument, no_evidence
from auditor.system import files
from auditor.system.files import read_regular, read_text, reason

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
)

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

_TEXT = ["path", "split", "label", "suggested_label", "trained_label"]


@dataclass(frozen=True)
class AuditResult:
    """Everything an audit found.

    Attributes
    ----------
    summary
        The content of `audit.json`.
    ranking
        Every labelled image once, columns `RANKING_COLUMNS`, by `rank` (images without one last, by path).
    planted
        The controlled experiment's training points, columns `PLANTED_COLUMNS`, by `rank`.
    evidence
        The content of `evidence.json`: thumbnails as data URIs and examples by path.
    """

    summary: AuditDocument
    ranking: pd.DataFrame
    planted: pd.DataFrame
    evidence: EvidenceDocument

    def __post_init__(self) -> None:
        # An earlier version wrote less evidence. Readers need not ask.
        object.__setattr__(self, "evidence", {**no_evidence(), **self.evidence})

    @property
    def audit_id(self) -> str:
        """Names this data set under these settings; a reviewer's decisions belong to it."""
        return str(self.summary["audit_id"])

    @property
    def classes(self) -> list[str]:
        """Class names in the order of their indices."""
        return list(self.summary["dataset"]["classes"])

    def save(self, folder: str | Path) -> None:
        """Write the files of an audit into `folder`; `audit.json` comes last and so marks a whole result."""
        folder = Path(folder)
        contents = {
            "ranking.csv": files.csv_bytes(self.ranking),
            "planted.csv": files.csv_bytes(self.planted.assign(planted=self.planted["planted"].astype(int))),
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
            When a file is missing, damaged, from another schema, or not one of ours.
        """
        folder = Path(folder)
        summary = _load_json(folder / "audit.json")
        version = summary.get("schema_version")
        if version != SCHEMA_VERSION or "audit_id" not in summary:
            raise ResultError(
                f"{folder / 'audit.json'} has schema version {version!r}, but this auditor reads {SCHEMA_VERSION}",
                hint="run the audit again with this version",
            )
        ranking = _load_csv(folder / "ranking.csv", RANKING_COLUMNS, _count(summary, "dataset", "n_images"))
        planted = _load_csv(folder / "planted.csv", PLANTED_COLUMNS, _count(summary, "recovery", "n"))
        planted["planted"] = planted["planted"].astype(bool)
        evidence = cast(EvidenceDocument, _load_json(folder / "evidence.json"))
        return cls(_with_settled(summary), ranking, planted, evidence)


def _with_settled(summary: dict[str, Any]) -> AuditDocument:
    """The summary with what audits of before there were settled images lack."""
    if isinstance(summary.get("reference"), dict):
        summary["reference"].setdefault("settled", {"n": 0, "wrong": []})
    return cast(AuditDocument, summary)


def _load_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path))
    except FileNotFoundError as error:
        raise ResultError(
            f"{path} is missing: {path.parent} holds no finished audit", hint="run `auditor audit SOURCE -o OUT` first"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ResultError(f"{path} cannot be read: {reason(error)}", hint="run the audit again") from error
    if not isinstance(document, dict):
        raise ResultError(f"{path} is not a file of an audit", hint="run the audit again")
    return document


def _count(summary: dict[str, Any], part: str, name: str) -> int | None:
    """How many rows the summary promises."""
    found = summary.get(part)
    count = found.get(name) if isinstance(found, dict) else None
    return count if isinstance(count, int) else None


def _load_csv(path: Path, columns: tuple[str, ...], n_rows: int | None) -> pd.DataFrame:
    """A file of the audit, refused unless it has the promised columns, as many rows as the summary says, and an end."""
    try:
        whole = read_regular(str(path)).endswith(b"\n")
        frame = files.read_csv(path, [c for c in columns if c in _TEXT])
    except FileNotFoundError as error:
        raise ResultError(f"{path} is missing", hint="run the audit again") from error
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {reason(error)}", hint="run the audit again") from error
    if tuple(frame.columns) != columns:
        raise ResultError(f"{path} has other columns than an audit's", hint="run the audit again")
    if not whole or (n_rows is not None and len(frame) != n_rows):
        raise ResultError(f"{path} is not whole: it has {len(frame)} rows of {n_rows}", hint="run the audit again")
    for name in columns:
        if name not in _TEXT and not pd.api.types.is_numeric_dtype(frame[name]):
            raise ResultError(f"{path} has words where numbers belong, in '{name}'", hint="run the audit again")
    return frame


@contextlib.contextmanager
def complete_result() -> Iterator[None]:
    """What goes wrong inside for want of something in a result becomes a `ResultError`, in one sentence."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ResultError(f"the audit's result is not complete ({what})", hint="run the audit again") from error
