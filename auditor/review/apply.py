"""From a reviewer's decisions back into the data: a cleaned data set, a baseline for the gate, a comparison of audits.

The original data set is read, never written. Decisions are taken all or not at all: one that is malformed, stale or in
conflict with another refuses the whole file, and nothing is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.baseline import Baseline
from auditor.review.decisions import SCHEMA_VERSION, Decision, load_decisions, with_decisions
from auditor.review.folder import REVIEW_MARK, alone, check_folder, check_folder_content, exchange_folders, put_aside
from auditor.sources.base import SETTLED
from auditor.system import files, tables

FORMATS = ("manifest", "folder")

BASELINE_NAME = "auditor-baseline.json"


@dataclass(frozen=True)
class Applied:
    """What `apply` wrote.

    Attributes
    ----------
    folder
        Where everything lies.
    data
        The SOURCE for the next audit: a manifest, or the folder itself.
    baseline
        The baseline file.
    counts
        Images `kept`, `relabelled`, `dropped`, `unsure`, `not_reviewed` and `written`.
    text
        All that in plain words.
    """

    folder: Path
    data: Path
    baseline: Path
    counts: dict[str, int]
    text: str


# --- applying them -----------------------------------------------------------------------------------------------


def apply(
    out: str | Path,
    decisions_path: str | Path,
    *,
    output: str | Path | None = None,
    format: str = "manifest",
    source: str | None = None,
) -> Applied:
    """Write the cleaned data set, the baseline and a summary.

    Parameters
    ----------
    out
        Folder of the audit that was reviewed.
    decisions_path
        The file its report exported.
    output
        Folder to write; by default `reviewed` in `out`. What an earlier call wrote there is replaced, its baseline
        taken over; any other folder must be empty or new.
    format
        "manifest" writes `cleaned.csv` (path, label, split) with the images beside it under their own paths, "folder"
        a tree of `split/label/image`. Images are hard links where the file system allows it, else copies.
    source
        The data set, where it no longer lies where the audit found it.

    Raises
    ------
    DecisionsError
        See `load_decisions`; an image is not the one that was judged; `output` holds other files or lies inside the
        data set. Nothing was written.
    LockedError
        Another call is writing to `output`.
    ConfigError
        The folder above `output` cannot be written to.
    SourceError
        The data set cannot be opened.
    ResultError
        `out` holds no finished audit.
    """
    if format not in FORMATS:
        raise DecisionsError(f"unknown format {format!r}", hint=f"use one of {', '.join(FORMATS)}")
    from auditor.sources import open_source

    result = AuditResult.load(out)
    decisions = load_decisions(decisions_path, result)
    table = open_source(source or result.summary["dataset"]["source"])
    folder = Path(output) if output is not None else Path(out) / "reviewed"
    check_folder(folder, Path(source or result.summary["dataset"]["source"]))
    with alone(folder) as drafts:
        return _applied(result, decisions, table, folder, format, drafts)


def _applied(
    result: AuditResult, decisions: list[Decision], table: Any, folder: Path, format: str, drafts: str
) -> Applied:
    """`apply` behind its checks, alone in the folder above `folder`, where names that begin with `drafts` are ours."""
    check_folder_content(folder)
    for decision in decisions:
        _check_content(table, decision)
    rows = _cleaned(result, decisions)
    targets = _targets(rows, format)
    earlier = folder / BASELINE_NAME
    baseline = with_decisions(Baseline.load(earlier) if earlier.exists() else Baseline(), decisions)
    counts = _counts(result, decisions, len(rows))
    staged = None
    try:
        staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=drafts))
        for (path, _, _), target in zip(rows, targets, strict=True):
            _place(table, path, staged / target)
        name = _write_manifest(staged, rows, targets) if format == "manifest" else ""
        baseline.save(staged / BASELINE_NAME)
        mark = {
            "schema_version": SCHEMA_VERSION,
            "kind": "auditor-review",
            "audit_id": result.audit_id,
            "format": format,
            "counts": counts,
            "files": len(rows) + 2 + bool(name),
        }
        files.write_json(staged / REVIEW_MARK, mark)
        staged.chmod(0o755)
        exchange_folders(staged, folder, put_aside(folder, drafts))
    except BaseException as error:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError):
            error.filename = str(folder)  # the user knows this one, and never the draft
        raise
    data = folder / name if name else folder
    return Applied(folder, data, earlier, counts, _summary(counts, data, earlier))


def _check_content(table: Any, decision: Decision) -> None:
    try:
        digest = hashlib.sha256(table.read(decision.path)).hexdigest()
    except OSError as error:
        raise DecisionsError(
            f"{decision.path} cannot be read any more: {error.strerror}", hint="audit the data set again"
        ) from error
    if digest != decision.hash:
        raise DecisionsError(
            f"{decision.path} has changed since the audit", hint="audit the data set again and review this image"
        )


def _cleaned(result: AuditResult, decisions: Iterable[Decision]) -> list[tuple[str, str, str]]:
    """(path, label, split) of every image that stays, sorted by path.

    What a reference settled in this audit trains in the next, unless that is given the reference again.
    """
    said = {d.path: d for d in decisions}
    rows = []
    columns = (result.ranking[c] for c in ("path", "label", "split"))
    for path, label, split in sorted(zip(*columns, strict=True)):
        decision = said.get(path)
        if decision is None or decision.decision != "drop":
            role = "train" if split == SETTLED else split
            rows.append((path, (decision.new_label if decision else None) or label, role))
    if not rows:
        raise DecisionsError("every image is dropped, so that no data set is left", hint="keep some of them")
    return rows


def _targets(rows: list[tuple[str, str, str]], format: str) -> list[str]:
    """Where each image goes, relative to the output, each place once and none outside it."""
    taken = {REVIEW_MARK, BASELINE_NAME, "cleaned.csv", "cleaned.jsonl"}
    targets = []
    for path, label, split in rows:
        name = PurePosixPath(path).name
        target = (
            _inside(path) if format == "manifest" else "/".join((*([split] if split else []), _folder(label), name))
        )
        if target.casefold() in taken:
            stem, dot, ending = name.rpartition(".")
            unique = f"{stem}-{_digest(path)}.{ending}" if dot else f"{name}-{_digest(path)}"
            target = str(PurePosixPath(target).with_name(unique))
        taken.add(target.casefold())
        targets.append(target)
    return targets


def _inside(path: str) -> str:
    """The image's own path, or one made from its hash where that would lead elsewhere."""
    parts = path.replace("\\", "/").split("/")
    if path.startswith("/") or ":" in parts[0] or "\\" in path or {"", ".", ".."} & set(parts):
        return f"images/{_digest(path)}{PurePosixPath(path).suffix}"
    return path


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _folder(label: str) -> str:
    """A label as the name of a folder, where it can be one."""
    bad = not label or label.startswith(".") or label != label.strip() or len(label.encode("utf-8", "replace")) > 200
    if bad or any(c in '/\\:*?"<>|' or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in label):
        raise DecisionsError(f"the label {label!r} cannot be a folder's name", hint="use --format manifest")
    return label


def _place(table: Any, path: str, target: Path) -> None:
    """A hard link to the image, or a copy where there can be none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    located = table.locate(path)
    if located is not None:
        with contextlib.suppress(OSError):
            os.link(os.path.realpath(located), target)
            return
    try:
        data = table.read(path)
    except OSError as error:
        raise DecisionsError(
            f"{path} cannot be read any more: {error.strerror}", hint="audit the data set again"
        ) from error
    target.write_bytes(data)


def _write_manifest(folder: Path, rows: list[tuple[str, str, str]], targets: list[str]) -> str:
    """`cleaned.csv`; with a label that a spreadsheet would run as a formula `cleaned.jsonl`, which none opens so.

    An escape would change the label, for a manifest's labels are taken as they are. Paths are made harmless by `./`.
    """
    if any(tables.escape_cell(text) != text for _, label, split in rows for text in (label, split)):
        entries = (
            {"path": target, "label": label, "split": split}
            for (_, label, split), target in zip(rows, targets, strict=True)
        )
        files.write_text(folder / "cleaned.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
        return "cleaned.jsonl"
    entered = [
        (target if tables.escape_cell(target) == target else f"./{target}", label, split)
        for (_, label, split), target in zip(rows, targets, strict=True)
    ]
    files.write_text(folder / "cleaned.csv", tables.csv_text([("path", "label", "split"), *entered]))
    return "cleaned.csv"


def _counts(result: AuditResult, decisions: Iterable[Decision], written: int) -> dict[str, int]:
    said = Counter(d.decision for d in decisions)
    return {
        "kept": said["keep"],
        "relabelled": said["relabel"],
        "dropped": said["drop"],
        "unsure": said["unsure"],
        "not_reviewed": len(result.ranking) - sum(said.values()),
        "written": written,
    }


def _summary(counts: Mapping[str, int], data: Path, baseline: Path) -> str:
    words = ", ".join(f"{counts[key]:,} {key}" for key in ("kept", "relabelled", "dropped", "unsure"))
    return (
        f"{words}; {counts['not_reviewed']:,} not reviewed.\n"
        f"cleaned data set: {data} ({counts['written']:,} images)\n"
        f"baseline: {baseline}\n"
        f"next: auditor audit {data} -o OUT2 --compare OUT, and auditor gate OUT2 --baseline {baseline}"
    )
