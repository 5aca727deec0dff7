"""What every kind of data set becomes: one table of labelled images, and a way to read their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from auditor.errors import SourceError

SPLITS = ("train", "val", "test")
"""The names a split can have; an empty string means that the source gives none."""

REASONS_SHOWN = 5
"""Reasons for leaving entries out that a terminal shows."""


@dataclass(frozen=True)
class Skipped:
    """An entry of the data set that takes no part in the audit, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImageTable:
    """The labelled images of a data set, before any pixel is read.

    Attributes
    ----------
    name
        What a report calls the data set.
    root
        Where it lies, as the user wrote it.
    frame
        One row an image, sorted by `path`, with a fresh 0..N-1 index and the string columns `path` (relative to the
        root, forward slashes, unique), `label` and `split` (one of `SPLITS` or empty).
    read
        `read(path)` gives the image file's bytes; raises `OSError` when it cannot.
    skipped
        Entries that were left out while listing, sorted by path.
    locate
        `locate(path)` gives the absolute file name, or None where images are not files (used by review and SARIF).
    empty
        Classes that the source names but has no image of, sorted.
    """

    name: str
    root: str
    frame: pd.DataFrame
    read: Callable[[str], bytes]
    skipped: tuple[Skipped, ...] = ()
    locate: Callable[[str], str | None] = field(default=lambda path: None)
    empty: tuple[str, ...] = ()


def content_hash(paths: Iterable[str], hashes: Iterable[str], labels: Iterable[str]) -> str:
    """sha256 over path, image hash and label of every image, in the order given."""
    digest = hashlib.sha256()
    for path, image, label in zip(paths, hashes, labels, strict=True):
        digest.update(f"{path}\0{image}\0{label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def left_out(skipped: Iterable[Skipped]) -> str:
    """What takes no part, by reason and with an example, for the terminal; empty where there is nothing to say."""
    examples: dict[str, list[str]] = {}
    for entry in skipped:
        examples.setdefault(entry.reason, []).append(entry.path)
    if not examples:
        return ""
    kinds = sorted(examples.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    total = sum(map(len, examples.values()))
    lines = [f"  {total} {'entry is' if total == 1 else 'entries are'} left out; the report names each:"]
    for reason, paths in kinds[:REASONS_SHOWN]:
        # A name may hold line ends, which would pass for lines of ours.
        such = f"{paths[0]!r}" if len(paths) == 1 else f"{len(paths)}, such as {paths[0]!r}"
        lines.append(f"    {reason}: {such}")
    if len(kinds) > REASONS_SHOWN:
        rest = sum(len(paths) for _, paths in kinds[REASONS_SHOWN:])
        lines.append(f"    {len(kinds) - REASONS_SHOWN} other reasons: {rest}")
    if any("outside the root" in reason for reason in examples):
        lines.append("    (--allow-outside follows what leads outside the data set's folder)")
    if any("more than the limit of" in reason or "pixels than the limit of" in reason for reason in examples):
        lines.append("    (--max-pixels raises the limit on an image's pixels)")
    return "\n".join(lines)


class Source(Protocol):
    """A kind of data set, found through the entry-point group `auditor.sources`.

    `accepts` looks at the user's SOURCE argument and says whether this kind can open it; `open` lists it and raises
    `SourceError` with a sentence that says what is wrong and what to do. Neither decodes an image. `looks_for` says in
    words what the kind opens; it is shown where nothing was recognised.
    """

    name: str
    looks_for: str

    def accepts(self, spec: str) -> bool: ...

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable: ...


_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""How data sets spell the splits."""


def split_name(text: str) -> str | None:
    """One of `SPLITS` for any usual spelling, '' for none given, None for a word that is not a split."""
    word = text.strip().lower()
    return _SPLIT_NAMES.get(word) if word else ""


def make_table(
    name: str,
    root: str,
    paths: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    *,
    read: Callable[[str], bytes],
    skipped: Iterable[Skipped] = (),
    empty: Iterable[str] = (),
    locate: Callable[[str], str | None] | None = None,
) -> ImageTable:
    """An `ImageTable` of images in any order, given as columns: millions of row objects would take their time.

    Raises
    ------
    SourceError
        There is no row; the message gives the first reasons why entries were left out.
    """
    left_out = tuple(sorted(set(skipped), key=lambda entry: (entry.path, entry.reason)))
    if not paths:
        why = "; ".join(f"{entry.path}: {entry.reason}" for entry in left_out[:3])
        raise SourceError(
            f"{name} holds no labelled image" + (f" ({len(left_out)} entries left out: {why})" if left_out else ""),
            hint="a source needs image files in class folders, or a manifest with the columns path and label",
        )
    # Python compares strings by code point: the same order on every machine and locale.
    order = sorted(range(len(paths)), key=paths.__getitem__)
    columns = {"path": paths, "label": labels, "split": splits}
    frame = pd.DataFrame(
        {name: pd.Series([column[index] for index in order], dtype="str") for name, column in columns.items()}
    )
    without = tuple(sorted(set(empty) - set(labels)))
    return ImageTable(name, root, frame, read, left_out, locate or (lambda path: None), without)


SETTLED = "reference"
"""The split of images that a trusted reference holds itself: they are settled, and serve nothing else."""
