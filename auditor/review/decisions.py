"""TODO auditor.review.decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.baseline import Baseline, BaselineEntry, is_hash
from auditor.system.files import read_text

SCHEMA_VERSION = 1

KIND = "auditor-decisions"

DECISIONS = ("keep", "relabel", "drop", "unsure")


@dataclass(frozen=True)
class Decision:
    """What a reviewer said about one image; `new_label` is None unless the decision is `relabel`."""

    path: str
    hash: str
    label: str
    decision: str
    new_label: str | None
    time: str


# --- decisions ---------------------------------------------------------------------------------------------------


def load_decisions(path: str | Path, result: AuditResult) -> list[Decision]:
    """The decisions of a file that the report exported, checked against the audit they belong to.

    Raises
    ------
    DecisionsError
        The file is missing or malformed, belongs to another audit, or holds a decision that is stale (the image or its
        label is not what was audited) or in conflict with another one.
    """
    path = Path(path)
    document = _document(path)
    if document["audit_id"] != result.audit_id:
        raise DecisionsError(
            f"{path} belongs to audit {document['audit_id']}, but this is audit {result.audit_id}",
            hint="apply decisions to the audit whose report they were made in",
        )
    labels = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
    known = _Known(path, labels, result.summary["dataset"]["hashes"], set(result.classes))
    decisions = [known.check(value, number) for number, value in enumerate(document["decisions"], start=1)]
    return _without_conflicts(path, decisions)


def holds_decisions(path: str | Path) -> bool:
    """Whether a file says of itself that it holds a reviewer's decisions; one that cannot be read does not."""
    try:
        document = json.loads(read_text(Path(path)))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def read_decisions(path: str | Path) -> list[Decision]:
    """The decisions of a file whatever audit they were made in: for the gate, which goes by content and label.

    Raises
    ------
    DecisionsError
        The file is malformed, or one decision is in conflict with another one.
    """
    path = Path(path)
    values = enumerate(_document(path)["decisions"], start=1)
    decisions = [_decision(f"{path}, decision {number}", value) for number, value in values]
    for decision in decisions:
        if not is_hash(decision.hash):
            raise DecisionsError(f"{path}: the hash of {decision.path} is not a SHA-256 in 64 hexadecimal digits")
    return _without_conflicts(path, decisions)


def with_decisions(baseline: Baseline, decisions: Iterable[Decision]) -> Baseline:
    """A baseline with a review added; what it said of the same images gives way."""
    decisions = list(decisions)
    return _superseded(baseline, decisions).merged(baseline_entries(decisions))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_text(path))
    except OSError as error:
        raise DecisionsError(f"cannot read the decisions {path}: {error.strerror}", hint="check the path") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DecisionsError(f"{path} is not valid JSON: {error}", hint="export the decisions again") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise DecisionsError(f"{path} does not hold decisions", hint="export them from the report")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise DecisionsError(
            f"{path} has schema version {document.get('schema_version')!r}, but this auditor reads {SCHEMA_VERSION}"
        )
    if not isinstance(document.get("decisions"), list) or not isinstance(document.get("audit_id"), str):
        raise DecisionsError(f"{path} lacks its audit's id or its list of decisions", hint="export them again")
    return document


def _decision(where: str, value: Any) -> Decision:
    """One decision of a file, well formed; whether it fits an audit is for `_Known`."""
    fields = ("path", "hash", "label", "decision")
    if not isinstance(value, dict) or not all(isinstance(value.get(f), str) for f in fields):
        raise DecisionsError(f"{where}: needs path, hash, label and decision as text")
    path, kind, new = value["path"], value["decision"], value.get("new_label")
    if kind not in DECISIONS:
        raise DecisionsError(f"{where} ({path}): {kind!r} is none of {', '.join(DECISIONS)}")
    if kind != "relabel" and new is not None:
        raise DecisionsError(f"{where} ({path}): only a relabelled image has a new label")
    if kind == "relabel" and (not isinstance(new, str) or new == value["label"]):
        raise DecisionsError(f"{where} ({path}): relabelled to {new!r}, which is not another class")
    return Decision(path, value["hash"], value["label"], kind, new, str(value.get("time") or ""))


@dataclass(frozen=True)
class _Known:
    """What the audit knows of its images, to check decisions against."""

    file: Path
    labels: Mapping[str, str]
    hashes: Mapping[str, str]
    classes: set[str]

    def check(self, value: Any, number: int) -> Decision:
        where = f"{self.file}, decision {number}"
        decision = _decision(where, value)
        path, new = decision.path, decision.new_label
        if path not in self.labels:
            raise DecisionsError(f"{where}: {path} is not an image of this audit")
        if decision.label != self.labels[path]:
            raise DecisionsError(
                f"{where}: {path} was judged as {decision.label!r}, but the audit has it as {self.labels[path]!r}",
                hint="review this image again in the report of this audit",
            )
        if decision.hash != self.hashes.get(path):
            raise DecisionsError(
                f"{where}: {path} had another content when it was judged", hint="review this image again"
            )
        if new is not None and new not in self.classes:
            raise DecisionsError(f"{where} ({path}): relabelled to {new!r}, which is not another class of this audit")
        return decision


def _without_conflicts(file: Path, decisions: list[Decision]) -> list[Decision]:
    """Each image once; one path, or one content under one label, cannot be judged in two ways.

    Of identical files one may be kept and the other dropped, and doubt about one does not speak against the other.
    """
    by_path: dict[str, Decision] = {}
    labels: dict[tuple[str, str], Decision] = {}
    for decision in decisions:
        other = by_path.setdefault(decision.path, decision)
        if (other.decision, other.new_label) != (decision.decision, decision.new_label):
            raise DecisionsError(
                f"{file}: {decision.path} is judged twice, as {_said(other)} and as {_said(decision)}",
                hint="remove one of the two decisions",
            )
        if decision.decision in ("keep", "relabel"):
            twin = labels.setdefault((decision.hash, decision.label), decision)
            if (twin.decision, twin.new_label) != (decision.decision, decision.new_label):
                raise DecisionsError(
                    f"{file}: {twin.path} and {decision.path} are the same image under the same label, "
                    f"but are judged as {_said(twin)} and as {_said(decision)}",
                    hint="decide in the same way about both, or drop one",
                )
    return list(by_path.values())


def _said(decision: Decision) -> str:
    return f"relabel to {decision.new_label!r}" if decision.decision == "relabel" else decision.decision


def baseline_entries(decisions: Iterable[Decision]) -> list[BaselineEntry]:
    """One entry for each content and label; of identical files, a right label outweighs a drop, and a drop doubt."""
    weight = {"unsure": 0, "drop": 1, "keep": 2, "relabel": 2}
    chosen: dict[tuple[str, str], Decision] = {}
    for decision in decisions:
        key = (decision.hash, decision.new_label or decision.label)
        if key not in chosen or weight[decision.decision] > weight[chosen[key].decision]:
            chosen[key] = decision
    return [
        BaselineEntry(hash=hash, label=label, decision=d.decision, path=d.path, date=d.time[:10])
        for (hash, label), d in chosen.items()
    ]


def _superseded(baseline: Baseline, decisions: Iterable[Decision]) -> Baseline:
    """The baseline without what it says about images that were judged anew."""
    judged = {d.hash for d in decisions}
    return Baseline(tuple(e for e in baseline.entries if e.hash not in judged))
