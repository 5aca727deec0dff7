"""The cleaned data set: which images stay, under which label and name, and how they are written.

The names are safe. None leads out of the folder, and no two meet in one place, even where upper and lower case are the
same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.decisions import Decision
from auditor.review.folder import REVIEW_MARK
from auditor.sources.base import SETTLED, ImageTable
from auditor.system import files, tables

BASELINE_NAME = "auditor-baseline.json"

_TAKEN = (REVIEW_MARK, BASELINE_NAME, "auditor-ledger.json", "certificate.json", "cleaned.csv", "cleaned.jsonl")
"""Names in the folder that no image may have."""

_LONGEST_FOLDER = 200
"""Bytes of a label that can still name a folder. Most file systems allow 255."""


@dataclass(frozen=True)
class CleanedImage:
    """An image of the cleaned data set.

    Attributes
    ----------
    path
        Where it lies in the audited data set.
    label, split
        Its label after the review, and its split.
    group
        What it belongs to; empty where nothing says so.
    """

    path: str
    label: str
    split: str
    group: str = ""


def images_that_stay(result: AuditResult, decisions: Iterable[Decision]) -> list[CleanedImage]:
    """Every image that nobody dropped, sorted by path.

    An image that a reference settled in this audit becomes a training image. The next audit settles it again only if
    it is given the reference again.

    Raises
    ------
    DecisionsError
        No image stays.
    """
    by_path = {decision.path: decision for decision in decisions}
    images = []
    columns = (result.ranking[c] for c in ("path", "label", "split"))
    for path, label, split in sorted(zip(*columns, strict=True)):
        decision = by_path.get(path)
        if decision is None or decision.decision != "drop":
            final = decision.final_label if decision else label
            images.append(CleanedImage(path, final, "train" if split == SETTLED else split))
    if not images:
        raise DecisionsError("every image is dropped, so no data set is left", hint="keep some of them")
    return images


def target_names(images: Iterable[CleanedImage], format: str) -> list[str]:
    """The place of each image in the cleaned folder, a relative path with forward slashes.

    Raises
    ------
    DecisionsError
        The format is "folder", and a label cannot name a folder.
    """
    taken = {name.casefold() for name in _TAKEN}
    targets = []
    for image in images:
        target = _inside(image.path) if format == "manifest" else _by_label(image)
        if target.casefold() in taken:
            stem, dot, ending = PurePosixPath(image.path).name.rpartition(".")
            unique = f"{stem}-{_digest(image.path)}.{ending}" if dot else f"{ending}-{_digest(image.path)}"
            target = str(PurePosixPath(target).with_name(unique))
        taken.add(target.casefold())
        targets.append(target)
    return targets


def place(table: ImageTable, path: str, target: Path) -> None:
    """Make `target` a hard link to an image of the table, or a copy if a link is not possible.

    Raises
    ------
    DecisionsError
        The image cannot be read any more.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    located = table.locate(path)
    if located is not None:
        with contextlib.suppress(OSError):
            os.link(os.path.realpath(located), target)
            return
    target.write_bytes(read_again(table, path))


def read_again(table: ImageTable, path: str) -> bytes:
    """The bytes of an audited image.

    Raises
    ------
    DecisionsError
        It cannot be read any more.
    """
    try:
        return table.read(path)
    except OSError as error:
        raise DecisionsError(
            f"{path} cannot be read any more: {error.strerror}", hint="audit the data set again"
        ) from error


def write_manifest(folder: Path, images: Sequence[CleanedImage], targets: Sequence[str]) -> str:
    """Write the manifest of a cleaned data set; the value is its name.

    It is `cleaned.csv` if a spreadsheet can open it safely. A spreadsheet would run some labels as formulas. An escape
    is no help there, since it would change the label. Then the manifest is `cleaned.jsonl`, which no spreadsheet opens
    by itself. A path that looks like a formula gets `./` before it, which does not change it.
    """
    grouped = any(image.group for image in images)
    if any(tables.is_formula(text) for image in images for text in (image.label, image.split, image.group)):
        entries = (
            {"path": target, "label": image.label, "split": image.split} | ({"group": image.group} if grouped else {})
            for image, target in zip(images, targets, strict=True)
        )
        files.write_text(folder / "cleaned.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
        return "cleaned.jsonl"
    rows = [
        (f"./{target}" if tables.is_formula(target) else target, image.label, image.split, image.group)[: 3 + grouped]
        for image, target in zip(images, targets, strict=True)
    ]
    head = ("path", "label", "split", "group")[: 3 + grouped]
    files.write_text(folder / "cleaned.csv", tables.csv_text([head, *rows]))
    return "cleaned.csv"


def _inside(path: str) -> str:
    """The image's own path. If that could lead out of the folder, a name made from its hash."""
    parts = path.replace("\\", "/").split("/")
    if path.startswith("/") or ":" in parts[0] or "\\" in path or {"", ".", ".."} & set(parts):
        return f"images/{_digest(path)}{PurePosixPath(path).suffix}"
    return path


def _by_label(image: CleanedImage) -> str:
    """`split/label/name`, or `label/name` for an image without a split."""
    name = PurePosixPath(image.path).name
    return "/".join((*([image.split] if image.split else []), _folder_name(image.label), name))


def _folder_name(label: str) -> str:
    size = len(label.encode("utf-8", "replace"))
    bad = not label or label.startswith(".") or label != label.strip() or size > _LONGEST_FOLDER
    if bad or any(c in '/\\:*?"<>|' or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in label):
        raise DecisionsError(f"the label {label!r} cannot be the name of a folder", hint="use --format manifest")
    return label


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:24]
