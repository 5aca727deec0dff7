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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from auditor import files
from auditor.baseline import Baseline, BaselineEntry, is_hash
from auditor.errors import DecisionsError
from auditor.lock import REVIEW_MARK, beside, locked
from auditor.regular import read_text
from auditor.result import AuditResult
from auditor.split import SETTLED

SCHEMA_VERSION = 1
KIND = "auditor-decisions"
DECISIONS = ("keep", "relabel", "drop", "unsure")
FORMATS = ("manifest", "folder")
BASELINE_NAME = "auditor-baseline.json"
_SUSPECT = 0.5
"""Probability from which a comparison counts an image as a suspect: more likely wrong than right."""


@dataclass(frozen=True)
class Decision:
    """What a reviewer said about one image; `new_label` is None unless the decision is `relabel`."""

    path: str
    hash: str
    label: str
    decision: str
    new_label: str | None
    time: str


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
    _check_place(folder, Path(source or result.summary["dataset"]["source"]))
    with alone(folder) as drafts:
        return _applied(result, decisions, table, folder, format, drafts)


def _applied(
    result: AuditResult, decisions: list[Decision], table: Any, folder: Path, format: str, drafts: str
) -> Applied:
    """`apply` behind its checks, alone in the folder above `folder`, where names that begin with `drafts` are ours."""
    _check_content_of(folder)
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
            "schema_version": SCHEMA_VERSION, "kind": "auditor-review", "audit_id": result.audit_id,
            "format": format, "counts": counts, "files": len(rows) + 2 + bool(name),
        }  # fmt: skip
        files.write_json(staged / REVIEW_MARK, mark)
        staged.chmod(0o755)
        _exchange(staged, folder, _aside(folder, drafts))
    except BaseException as error:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError):
            error.filename = str(folder)  # the user knows this one, and never the draft
        raise
    data = folder / name if name else folder
    return Applied(folder, data, earlier, counts, _summary(counts, data, earlier))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[str]:
    """Nobody else writes to `folder` inside the block; the value is how the names of drafts beside it begin.

    What a killed call left there is put right first: the earlier folder comes back where it had been moved aside and
    not yet replaced, since its baseline holds the decisions of earlier reviews, and drafts go.

    Raises
    ------
    LockedError, ConfigError
        As `auditor.lock.locked`.
    """
    drafts = beside(folder)
    above = folder.parent
    made = [path for path in (above, *above.parents) if not path.exists()]
    above.mkdir(parents=True, exist_ok=True)
    try:
        with locked(above, f"{drafts}lock", f"another review is being applied to {folder}"):
            aside = _aside(folder, drafts)
            if aside.is_dir() and not folder.exists():
                aside.rename(folder)
            for left in above.glob(f"{drafts}*/"):
                shutil.rmtree(left, ignore_errors=True)
            yield drafts
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()  # only succeeds when an error left it empty


def _aside(folder: Path, drafts: str) -> Path:
    """Where the earlier folder waits while the new one takes its place."""
    return folder.parent / f"{drafts}old"


def _superseded(baseline: Baseline, decisions: Iterable[Decision]) -> Baseline:
    """The baseline without what it says about images that were judged anew."""
    judged = {d.hash for d in decisions}
    return Baseline(tuple(e for e in baseline.entries if e.hash not in judged))


def _check_place(folder: Path, source: Path) -> None:
    """`folder` is a folder or nothing yet, and does not lie in a folder that is the data set."""
    real, data = folder.resolve(), source.resolve()
    if source.is_dir() and (real == data or data in real.parents):
        raise DecisionsError(
            f"{folder} lies inside the data set, which is never changed", hint="choose another folder with -o"
        )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DecisionsError(f"{folder} is not a folder", hint="choose another one with -o")


def _check_content_of(folder: Path) -> None:
    """`folder` is new, empty, or wholly an earlier call's."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = sum(len(names) for _, _, names in os.walk(folder))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        mark = json.loads(read_text(folder / REVIEW_MARK))
        if mark["kind"] == "auditor-review" and mark["files"] == found:
            return
    raise DecisionsError(
        f"{folder} holds files that this command did not write", hint="choose a new or empty folder with -o"
    )


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
    if any(files.escape_cell(text) != text for _, label, split in rows for text in (label, split)):
        entries = (
            {"path": target, "label": label, "split": split}
            for (_, label, split), target in zip(rows, targets, strict=True)
        )
        files.write_text(folder / "cleaned.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
        return "cleaned.jsonl"
    entered = [
        (target if files.escape_cell(target) == target else f"./{target}", label, split)
        for (_, label, split), target in zip(rows, targets, strict=True)
    ]
    files.write_text(folder / "cleaned.csv", files.csv_text([("path", "label", "split"), *entered]))
    return "cleaned.csv"


def _exchange(staged: Path, folder: Path, aside: Path) -> None:
    """Put the new folder in the place of the old one; the old one goes only after the new one stands.

    A kill between the two leaves both beside `folder`, which the next call puts right (see `alone`).
    """
    if not folder.exists():
        staged.rename(folder)
        return
    folder.rename(aside)
    try:
        staged.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _counts(result: AuditResult, decisions: Iterable[Decision], written: int) -> dict[str, int]:
    said = Counter(d.decision for d in decisions)
    return {
        "kept": said["keep"], "relabelled": said["relabel"], "dropped": said["drop"], "unsure": said["unsure"],
        "not_reviewed": len(result.ranking) - sum(said.values()), "written": written,
    }  # fmt: skip


def _summary(counts: Mapping[str, int], data: Path, baseline: Path) -> str:
    words = ", ".join(f"{counts[key]:,} {key}" for key in ("kept", "relabelled", "dropped", "unsure"))
    return (
        f"{words}; {counts['not_reviewed']:,} not reviewed.\n"
        f"cleaned data set: {data} ({counts['written']:,} images)\n"
        f"baseline: {baseline}\n"
        f"next: auditor audit {data} -o OUT2 --compare OUT, and auditor gate OUT2 --baseline {baseline}"
    )


# --- comparing two audits ----------------------------------------------------------------------------------------


def compare(result: AuditResult, earlier: AuditResult) -> dict[str, Any]:
    """What changed from an earlier audit to this one; images are matched by content, not by path.

    Returns
    -------
    dict
        `estimate` {earlier, now} ({value, interval} or None), `images` {added, removed, relabelled}, `suspects`
        {earlier, now, relabelled, removed, cleared, remaining, new} (None without probabilities in both), `settings`
        that differ, and `sentences` that say all this.
    """
    before, now = _by_content(earlier), _by_content(result)
    gone = sum((Counter(_hashes(before)) - Counter(_hashes(now))).values())
    added = sum((Counter(_hashes(now)) - Counter(_hashes(before))).values())
    new_labels = _labels(now)
    relabelled = [key for key in before if key[0] in new_labels and key[1] not in new_labels[key[0]]]
    estimates = {"earlier": _estimate(earlier), "now": _estimate(result)}
    suspects = _suspects(before, now) if estimates["earlier"] and estimates["now"] else None
    settings = _changed_settings(result, earlier)
    images = {"added": added, "removed": gone, "relabelled": len(relabelled)}
    document = {
        "earlier_audit_id": earlier.audit_id, "audit_id": result.audit_id, "estimate": estimates,
        "images": images, "suspects": suspects, "settings": settings,
    }  # fmt: skip
    return {**document, "sentences": _sentences(document)}


_Content = dict[tuple[str, str], tuple[int, float]]


def _by_content(result: AuditResult) -> _Content:
    """How many images have a content and label, and the highest probability among them."""
    hashes = result.summary["dataset"]["hashes"]
    found: _Content = {}
    columns = (result.ranking[c] for c in ("path", "label", "p_mislabelled"))
    for path, label, p in zip(*columns, strict=True):
        key = (hashes[path], label)
        count, highest = found.get(key, (0, 0.0))
        found[key] = (count + 1, max(highest, p if p == p else 0.0))
    return found


def _hashes(content: _Content) -> dict[str, int]:
    total: Counter[str] = Counter()
    for (hash, _), (count, _) in content.items():
        total[hash] += count
    return dict(total)


def _labels(content: _Content) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for hash, label in content:
        labels.setdefault(hash, set()).add(label)
    return labels


def _suspects(before: _Content, now: _Content) -> dict[str, int]:
    labels = _labels(now)
    old = {key for key, (_, p) in before.items() if p >= _SUSPECT}
    new = {key for key, (_, p) in now.items() if p >= _SUSPECT}
    fates = Counter(
        "removed" if hash not in labels else "relabelled" if label not in labels[hash]
        else "remaining" if (hash, label) in new else "cleared"
        for hash, label in old
    )  # fmt: skip
    return {
        "earlier": len(old), "now": len(new), "new": len(new - old),
        **{k: fates[k] for k in ("relabelled", "removed", "cleared", "remaining")},
    }  # fmt: skip


def _estimate(result: AuditResult) -> dict[str, Any] | None:
    calibration = result.summary["calibration"]
    if not calibration or not calibration["decided"] or not calibration["count"]:
        return None
    count: dict[str, Any] = calibration["count"]
    return count if count["value"] is not None else None


def _changed_settings(result: AuditResult, earlier: AuditResult) -> dict[str, list[Any]]:
    old, new = earlier.summary["settings"], result.summary["settings"]
    return {key: [old.get(key), new[key]] for key in new if old.get(key) != new[key]}


def _sentences(found: Mapping[str, Any]) -> list[str]:
    images, suspects = found["images"], found["suspects"]
    old, new = found["estimate"]["earlier"], found["estimate"]["now"]
    sentences = []
    if old and new:
        sentences.append(f"The earlier audit estimated {_figure(old)} wrong labels, this one {_figure(new)}.")
    else:
        sentences.append("The number of wrong labels was not estimated in both audits, so it cannot be compared.")
    changes = [f"{images[key]:,} {key}" for key in ("relabelled", "removed", "added") if images[key]]
    sentences.append(f"Images: {', '.join(changes)}." if changes else "No image or label has changed.")
    if suspects and not suspects["earlier"] and not suspects["now"]:
        sentences.append("In neither audit is any single image more likely wrong than right.")
    elif suspects:
        sentences.append(
            f"Earlier suspects (more likely wrong than right): {suspects['earlier']:,}; of them relabelled: "
            f"{suspects['relabelled']:,}, removed: {suspects['removed']:,}, no longer suspects: "
            f"{suspects['cleared']:,}, still suspects: {suspects['remaining']:,}. New suspects: {suspects['new']:,}."
        )
    if found["settings"]:
        sentences.append(
            f"Settings differ ({', '.join(sorted(found['settings']))}), so the figures are not of one kind."
        )
    return sentences


def _figure(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["interval"]
    return f"{round(estimate['value']):,} ({round(low):,} to {round(high):,})"
