"""A reviewer's decisions: the file that the report exports, read and checked, and what it adds to a baseline.

`load_decisions` reads a file against the audit it belongs to. `read_decisions` reads a file without one. Both take the
whole file or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.baseline import Baseline, BaselineEntry, is_hash
from auditor.review.documents import (
    DECISIONS,
    DECISIONS_KIND,
    HOWS,
    SCHEMA_VERSION,
    DecisionEntry,
    DecisionWord,
    How,
)
from auditor.system.documents import read_document
from auditor.system.text import display

_WEIGHT: dict[DecisionWord, int] = {"unsure": 0, "drop": 1, "keep": 2, "relabel": 2}
"""Of two decisions about identical files, the heavier one goes into the ledger and the baseline."""

_REVIEW_AGAIN = "review this image again in the report of this audit"
_EXPORT_AGAIN = "export the decisions again from the report"


@dataclass(frozen=True)
class Decision:
    """What a reviewer said about one image.

    Attributes
    ----------
    path, hash, label
        The image, the sha256 of its file, and its given label, as the reviewer saw them.
    decision
        One of `documents.DECISIONS`.
    new_label
        The right label after `relabel`; otherwise None.
    time
        When the decision was made, ISO 8601 or empty.
    how
        One of `documents.HOWS`. After "known-wrong", `label` is the label that was made wrong.
    """

    path: str
    hash: str
    label: str
    decision: DecisionWord
    new_label: str | None
    time: str
    how: How = "rank"

    @property
    def final_label(self) -> str:
        """The label after the review."""
        return self.new_label or self.label

    def agrees_with(self, other: Decision) -> bool:
        """Whether both say the same of their images."""
        return (self.decision, self.new_label) == (other.decision, other.new_label)

    def in_words(self) -> str:
        """The decision for a message."""
        return f"relabel to {self.new_label!r}" if self.decision == "relabel" else self.decision


@dataclass(frozen=True)
class ReviewFile:
    """A reviewer's decisions file.

    Attributes
    ----------
    path
        The file.
    reviewer
        The reviewer's name; empty where none is given.
    decisions
        Judgements of labels that the items have, each path once, in the order in which they were made.
    made
        Judgements of labels that were made wrong. They change nothing in the data.
    """

    path: Path
    reviewer: str
    decisions: tuple[Decision, ...]
    made: tuple[Decision, ...]


def load_decisions(path: str | Path, result: AuditResult) -> list[Decision]:
    """The decisions of a file about labels that the items have. See `load_review`."""
    return list(load_review(path, result).decisions)


def load_review(path: str | Path, result: AuditResult) -> ReviewFile:
    """A decisions file, checked against the audit it belongs to.

    Raises
    ------
    DecisionsError
        The file is missing or malformed, or belongs to another audit. Or a decision is stale: the image or its label
        is not what was audited. Or two decisions conflict.
    """
    path = Path(path)
    document = _document_of(path, result)
    with result.noun.told():
        decisions = Audited.of(result, path).check_all(document["decisions"])
        made = {decision.path: decision for decision in decisions if decision.how == "known-wrong"}
        return ReviewFile(path, _reviewer(document, path), _judged(path, decisions), tuple(made.values()))


def load_entries(path: str | Path, result: AuditResult) -> tuple[str, list[Decision]]:
    """The reviewer of a decisions file and all its entries as they stand, also where two of them conflict.

    Raises
    ------
    DecisionsError
        As `load_review`, but for conflicts.
    """
    path = Path(path)
    document = _document_of(path, result)
    with result.noun.told():
        return _reviewer(document, path), Audited.of(result, path).check_all(document["decisions"])


def read_decisions(path: str | Path) -> list[Decision]:
    """The decisions of a file, whatever audit they were made in. The gate finds images by content and label.

    Judgements of labels that were made wrong are left out.

    Raises
    ------
    DecisionsError
        The file is malformed, or two decisions conflict.
    """
    path = Path(path)
    values = enumerate(_document(path)["decisions"], start=1)
    decisions = [_decision(f"{path}, decision {number}", value) for number, value in values]
    for decision in decisions:
        if not is_hash(decision.hash):
            raise DecisionsError(
                f"{path}: the hash of {decision.path} is not a SHA-256 in 64 hexadecimal digits", hint=_EXPORT_AGAIN
            )
    return list(_judged(path, decisions))


def _judged(path: Path, decisions: list[Decision]) -> tuple[Decision, ...]:
    return tuple(_without_conflicts(path, [decision for decision in decisions if decision.how != "known-wrong"]))


def _reviewer(document: dict[str, Any], path: Path) -> str:
    name = document.get("reviewer", "")
    if not isinstance(name, str):
        raise DecisionsError(f"{path}: the reviewer's name must be text", hint=_EXPORT_AGAIN)
    return display(name.strip())


def holds_decisions(path: str | Path) -> bool:
    """Whether a file says that it holds a reviewer's decisions. A file that cannot be read does not say so."""
    try:
        read_document(path, kind=DECISIONS_KIND, version=None, error=DecisionsError, what="decisions file")
    except DecisionsError:
        return False
    return True


def with_decisions(baseline: Baseline, decisions: Iterable[Decision]) -> Baseline:
    """A baseline with a review added. What it said about the same images is replaced."""
    decisions = list(decisions)
    judged = {decision.hash for decision in decisions}
    others = tuple(entry for entry in baseline.entries if entry.hash not in judged)
    return Baseline(others).merged(baseline_entries(decisions))


def baseline_entries(decisions: Iterable[Decision]) -> list[BaselineEntry]:
    """One entry for each content and label. Of identical files, `keep` outweighs `drop`, and `drop` outweighs doubt."""
    chosen: dict[tuple[str, str], Decision] = {}
    for decision in decisions:
        key = (decision.hash, decision.final_label)
        if key not in chosen or heavier(decision, chosen[key]):
            chosen[key] = decision
    return [
        BaselineEntry(hash=hash, label=label, decision=d.decision, path=d.path, date=d.time[:10])
        for (hash, label), d in chosen.items()
    ]


def heavier(decision: Decision, other: Decision) -> bool:
    """Whether a decision outweighs another one about an identical file."""
    return _WEIGHT[decision.decision] > _WEIGHT[other.decision]


def _document_of(path: Path, result: AuditResult) -> dict[str, Any]:
    """A decisions file as JSON, of this audit."""
    document = _document(path)
    if document["audit_id"] != result.audit_id:
        raise DecisionsError(
            f"{path} belongs to audit {document['audit_id']}, but this is audit {result.audit_id}",
            hint="apply decisions to the audit whose report they were made in",
        )
    return document


def _document(path: Path) -> dict[str, Any]:
    """A decisions file as JSON; nothing has checked its decisions yet."""
    document = read_document(
        path,
        kind=DECISIONS_KIND,
        version=SCHEMA_VERSION,
        error=DecisionsError,
        what="decisions file",
        hint=f"check the path, or {_EXPORT_AGAIN}",
    )
    if not isinstance(document.get("decisions"), list) or not isinstance(document.get("audit_id"), str):
        raise DecisionsError(f"{path} lacks the id of its audit or its list of decisions", hint=_EXPORT_AGAIN)
    return document


def _decision(where: str, value: object) -> Decision:
    """One decision of a file, if it is well formed. `_Audited` asks whether it fits an audit."""
    fields = ("path", "hash", "label", "decision")
    if not isinstance(value, dict) or not all(isinstance(value.get(f), str) for f in fields):
        raise DecisionsError(f"{where} needs path, hash, label and decision as text", hint=_EXPORT_AGAIN)
    entry = cast(DecisionEntry, value)
    word, new = entry["decision"], entry.get("new_label")
    where = f"{where} ({entry['path']})"
    if word not in DECISIONS:
        raise DecisionsError(f"{where}: {word!r} is none of {', '.join(DECISIONS)}", hint=_EXPORT_AGAIN)
    if word != "relabel" and new is not None:
        raise DecisionsError(f"{where}: only a relabelled image has a new label", hint=_EXPORT_AGAIN)
    if word == "relabel" and (not isinstance(new, str) or new == entry["label"]):
        raise DecisionsError(f"{where}: relabelled to {new!r}, which is not another class", hint=_EXPORT_AGAIN)
    how = entry.get("how", "rank")
    if how not in HOWS:
        raise DecisionsError(f"{where}: how {how!r} is none of {', '.join(HOWS)}", hint=_EXPORT_AGAIN)
    time = display(str(entry.get("time") or ""))
    return Decision(entry["path"], entry["hash"], entry["label"], word, new, time, how)


@dataclass(frozen=True)
class Audited:
    """The images of an audit: `labels` and `hashes` by path, and its `classes`. Decisions of `file` must fit them."""

    file: Path
    labels: Mapping[str, str]
    hashes: Mapping[str, str]
    classes: set[str]

    @classmethod
    def of(cls, result: AuditResult, file: Path) -> Audited:
        """The images of this audit."""
        labels = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
        return cls(file, labels, result.summary["dataset"]["hashes"], set(result.classes))

    def check_all(self, values: list[object]) -> list[Decision]:
        """The decisions of a file, each of which fits."""
        return [self.check(value, number) for number, value in enumerate(values, start=1)]

    def check(self, value: object, number: int) -> Decision:
        """A decision that fits the audit. `number` is its place in the file.

        Raises
        ------
        DecisionsError
            It is malformed or stale.
        """
        where = f"{self.file}, decision {number}"
        decision = _decision(where, value)
        path, new = decision.path, decision.new_label
        if path not in self.labels:
            raise DecisionsError(
                f"{where}: {path} is not an image of this audit", hint="remove this decision, or export them again"
            )
        if decision.how == "known-wrong":
            if decision.label == self.labels[path] or decision.label not in self.classes:
                raise DecisionsError(
                    f"{where}: {path} was shown as {decision.label!r}, which is not a label that could be made wrong",
                    hint=_EXPORT_AGAIN,
                )
        elif decision.label != self.labels[path]:
            raise DecisionsError(
                f"{where}: {path} was judged as {decision.label!r}, but the audit has it as {self.labels[path]!r}",
                hint=_REVIEW_AGAIN,
            )
        if decision.hash != self.hashes.get(path):
            raise DecisionsError(f"{where}: {path} had another content when it was judged", hint=_REVIEW_AGAIN)
        if new is not None and new not in self.classes:
            raise DecisionsError(
                f"{where} ({path}): relabelled to {new!r}, which is not another class of this audit",
                hint=f"its classes are {', '.join(sorted(self.classes)[:12])}",
            )
        return decision


def _without_conflicts(file: Path, decisions: list[Decision]) -> list[Decision]:
    """The decisions, each image once.

    Two decisions about one path must agree. So must two about one content under one label, but only if both name a
    right label: one of two identical files may be kept and the other dropped, and doubt about one does not speak
    against the other.

    Raises
    ------
    DecisionsError
        Two decisions do not agree.
    """
    by_path: dict[str, Decision] = {}
    by_content: dict[tuple[str, str], Decision] = {}
    for decision in decisions:
        other = by_path.setdefault(decision.path, decision)
        if not other.agrees_with(decision):
            raise DecisionsError(
                f"{file}: {decision.path} is judged twice, as {other.in_words()} and as {decision.in_words()}",
                hint="remove one of the two decisions",
            )
        if decision.decision in ("keep", "relabel"):
            twin = by_content.setdefault((decision.hash, decision.label), decision)
            if not twin.agrees_with(decision):
                raise DecisionsError(
                    f"{file}: {twin.path} and {decision.path} are the same image under the same label, "
                    f"but are judged as {twin.in_words()} and as {decision.in_words()}",
                    hint="decide in the same way about both, or drop one",
                )
    return list(by_path.values())
