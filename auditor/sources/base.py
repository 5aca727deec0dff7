"""What a source gives: one table of labelled images, and a way to read their bytes. Plug-ins import from here."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd

from auditor.errors import SourceError
from auditor.sources import spelling
from auditor.sources.writable import Annotations, Manifest
from auditor.system.arrays import Array

KINDS = ("image", "text", "table", "features")
"""What an item can be: a picture, a text, a row of a table, or something that is known by its features alone."""

IN_MEMORY = "(in memory)"
"""The root and the source of a table that a program made of its own objects."""

SPLITS = ("train", "val", "test")
"""The names that a split can have. An empty string means that the source gives none."""

SETTLED = "reference"
"""The split of images that a trusted reference holds too. Their label is certain, so they serve nothing else."""

REASONS_SHOWN = 5
"""How many reasons for leaving entries out a terminal shows."""

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "vali", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
"""How data sets spell the splits. `eval` and `evaluation` are test, as for Hugging Face's `datasets`."""

_FILLERS = frozenset(
    {"set", "sets", "data", "dataset", "datasets", "split", "folder", "dir", "image", "images", "img", "imgs"}
    | {"pic", "pics", "photo", "photos", "picture", "pictures", "sample", "samples", "seg", "public", "private"}
)
"""Words that stand beside a split's name and do not change it: training_set, seg_test, val-images."""

_GLUED = re.compile(r"^(.+?)(?:set|data|dataset|images|imgs)$")
"""A split's name with such a word joined to it: trainset, testdata."""


@dataclass(frozen=True)
class Skipped:
    """An entry of the data set that takes no part in the audit, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Given:
    """What a model of the user's said of the N items of a table, in the order of its frame.

    Attributes
    ----------
    features
        float32 [N, D], or None.
    probabilities
        float32 [N, K], the probability of each class by a model that did not learn from the item; or None.
    columns
        The K class names of `probabilities`.
    sha256
        Of both, in hexadecimal.
    """

    features: Array | None
    probabilities: Array | None
    columns: tuple[str, ...]
    sha256: str

    def select(self, rows: Array) -> Given:
        """The same of some items, by their int64 row numbers."""
        features, probabilities = (None if x is None else x[rows] for x in (self.features, self.probabilities))
        return replace(self, features=features, probabilities=probabilities)


@dataclass(frozen=True)
class ImageTable:
    """The labelled items of a data set, before any is decoded. Most are images.

    Attributes
    ----------
    name
        The name of the data set in a report.
    root
        The folder where its paths begin, as the user wrote it. A kind without files names its place as it likes.
    frame
        N rows, one for each image, sorted by `path`, with the index 0 to N - 1. The columns are strings: `path`
        (relative to the root, forward slashes, unique), `label`, and `split` (one of `SPLITS` or empty).
    read
        `read(path)` gives the bytes of an image file. It raises `OSError` if it cannot.
    skipped
        Entries that were left out while listing, sorted by path.
    locate
        `locate(path)` gives the absolute file name, or None if the image is not a file. Review and SARIF use it.
    empty
        Classes that the source names but has no image of, sorted.
    source
        What the user wrote as SOURCE. `open_source` fills it in; a table that a program made has none.
    notes
        What was done with the user's layout or names, a sentence each. The result and the terminal show them.
    doubt
        Why the classes may be something else, and what to do. An audit refuses the table unless `--classes` names them.
    kind
        What an item is, one of `KINDS`. `read` gives a text as UTF-8, and a row of a table as JSON.
    excerpt
        `excerpt(path)` gives what people read in place of a picture: a text, or the cells of a row, a line each. It is
        empty for images and for items that are known by their features alone.
    cells
        The columns of a table but for its label, N rows in the order of `frame`. None for the other kinds.
    given
        Features and probabilities of the user's own model. None where the audit makes its own features.
    groups
        N names in the order of `frame`: items of one name belong together, and an empty name says nothing. None where
        the source names no groups.
    places, n_places
        int64 [N], the row of the source that each item comes from, counted from 0; and how many rows the source has.
        None where its items have no order of their own.
    origin
        The manifest that the items stand in, which can be written with other labels. None where there is none.
    boxes
        The files of annotations, where the items are boxes of pictures; else None.
    beside
        Columns of the source without a role, as categories, N rows in the order of `frame`. None where there are none.
    address
        Where its files lie, if that is a store such as s3://; empty for a place on this machine.
    at_once
        Items that should be read at a time; 0 takes one a core. Places far away want more.
    said
        `said()` tells for the terminal what was fetched so far; empty where nothing was.
    """

    name: str
    root: str
    frame: pd.DataFrame
    read: Callable[[str], bytes]
    skipped: tuple[Skipped, ...] = ()
    locate: Callable[[str], str | None] = field(default=lambda path: None)
    empty: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    doubt: SourceError | None = None
    kind: str = "image"
    excerpt: Callable[[str], str] = field(default=lambda path: "")
    cells: pd.DataFrame | None = None
    given: Given | None = None
    groups: tuple[str, ...] | None = None
    places: Array | None = None
    n_places: int = 0
    origin: Manifest | None = None
    boxes: Annotations | None = None
    beside: pd.DataFrame | None = None
    address: str = ""
    at_once: int = 0
    said: Callable[[], str] = field(default=lambda: "", compare=False)

    def narrowed(self, frame: pd.DataFrame, skipped: Iterable[Skipped] = ()) -> ImageTable:
        """A copy that keeps the items of `frame`, some of its own in the same order, and skips some more."""
        kept = np.flatnonzero(self.frame["path"].isin(set(frame["path"])).to_numpy())
        without = tuple(sorted({*self.skipped, *skipped}, key=lambda entry: (entry.path, entry.reason)))
        return replace(
            self,
            frame=frame.reset_index(drop=True),
            skipped=without,
            cells=None if self.cells is None else self.cells.iloc[kept].reset_index(drop=True),
            given=None if self.given is None else self.given.select(kept),
            groups=None if self.groups is None else tuple(self.groups[row] for row in kept),
            places=None if self.places is None else self.places[kept],
            beside=None if self.beside is None else self.beside.iloc[kept].reset_index(drop=True),
        )


def content_hash(paths: Iterable[str], hashes: Iterable[str], labels: Iterable[str]) -> str:
    """The sha256, in hexadecimal, over path, image hash and label of every image in the given order."""
    digest = hashlib.sha256()
    for path, image, label in zip(paths, hashes, labels, strict=True):
        digest.update(f"{path}\0{image}\0{label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def left_out(skipped: Iterable[Skipped]) -> str:
    """The entries that take no part, for the terminal: by reason, each with an example. Empty if there are none."""
    examples: dict[str, list[str]] = {}
    for entry in skipped:
        examples.setdefault(entry.reason, []).append(entry.path)
    if not examples:
        return ""
    kinds = sorted(examples.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    total = sum(map(len, examples.values()))
    lines = [f"  {total} {'entry is' if total == 1 else 'entries are'} left out; the report names each:"]
    for reason, paths in kinds[:REASONS_SHOWN]:
        # A name can hold line ends. Written raw, they would look like lines of ours.
        example = f"{paths[0]!r}" if len(paths) == 1 else f"{len(paths)}, such as {paths[0]!r}"
        lines.append(f"    {reason}: {example}")
    if len(kinds) > REASONS_SHOWN:
        rest = sum(len(paths) for _, paths in kinds[REASONS_SHOWN:])
        lines.append(f"    {len(kinds) - REASONS_SHOWN} other reasons: {rest}")
    if any("outside the root" in reason for reason in examples):
        lines.append("    (--allow-outside follows links and paths that lead outside the data set's folder)")
    if any("more than the limit of" in reason or "pixels than the limit of" in reason for reason in examples):
        lines.append("    (--max-pixels raises the limit on an image's pixels)")
    return "\n".join(lines)


def outside_hint(skipped: Iterable[Skipped]) -> str:
    """What to do where entries were left out because they lead out of the data set's folder; else empty."""
    if not any("outside the root" in entry.reason for entry in skipped):
        return ""
    return "--allow-outside follows links and paths that lead outside the data set's folder"


class Source(Protocol):
    """A kind of data set. It is found through the entry-point group `auditor.sources`.

    Attributes
    ----------
    name
        The name of the kind.
    looks_for
        What the kind opens, in words. An error shows it if no kind recognises the user's SOURCE.
    """

    name: str
    looks_for: str

    def accepts(self, spec: str) -> bool:
        """Whether this kind can open what the user wrote as SOURCE. It decodes no image."""
        ...

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the data set; `make_table` builds the table. It decodes no image.

        Raises
        ------
        SourceError
            The data set cannot be used. The message says what is wrong, and the hint says what to do.
        """
        ...


def split_name(text: str) -> str | None:
    """One of `SPLITS` for any usual spelling, '' for an empty text, None for a word that is not a split.

    `Train`, `training_set`, `trainImages`, `seg_train`, `train2017` and `1_train` are all train.
    """
    if not text.strip():
        return ""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", text)).lower()
    words = [word for word in re.split(r"[\W\d_]+", spaced) if word]
    left = [word for word in words if word not in _FILLERS]
    if len(left) != 1:
        return None
    glued = _GLUED.match(left[0])
    return _SPLIT_WORDS.get(left[0]) or (_SPLIT_WORDS.get(glued[1]) if glued else None)


@dataclass(frozen=True)
class Columns:
    """N labelled images in any order, one sequence a column. Millions of row objects would take long.

    Attributes
    ----------
    paths, labels
        N strings each.
    splits
        N strings, each one of `SPLITS` or empty. Leave it out if the source has no splits.
    groups
        N names of what belongs together, or none.
    places, n_places
        The row of the source, counted from 0, that each image comes from, and the number of rows. Leave them out if
        the source has no order of its own.
    """

    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    places: Sequence[int] | None = None
    n_places: int = 0


def make_table(
    name: str,
    root: str,
    images: Columns,
    *,
    read: Callable[[str], bytes],
    skipped: Iterable[Skipped] = (),
    empty: Iterable[str] = (),
    locate: Callable[[str], str | None] | None = None,
) -> ImageTable:
    """The `ImageTable` of some images. Its parts are explained there.

    Parameters
    ----------
    empty
        Classes that the source names. Those that have an image are taken out.

    Raises
    ------
    SourceError
        There is no image. The message gives the first reasons why entries were left out.
    """
    without = tuple(sorted(set(skipped), key=lambda entry: (entry.path, entry.reason)))
    if not images.paths:
        why = "; ".join(f"{entry.path}: {entry.reason}" for entry in without[:3])
        raise SourceError(
            f"{name} holds no labelled image" + (f" ({len(without)} entries left out: {why})" if without else ""),
            hint=outside_hint(without)
            or "a source needs image files in class folders, or a manifest with the columns path and label",
        )
    # Python compares strings by code point, which gives the same order on every machine and in every locale.
    order = sorted(range(len(images.paths)), key=images.paths.__getitem__)
    splits = images.splits if images.splits is not None else [""] * len(images.paths)
    renamed, notes = spelling.merged(images.labels)
    labels = [renamed.get(label, label) for label in images.labels] if renamed else images.labels
    columns = {"path": images.paths, "label": labels, "split": splits}
    frame = pd.DataFrame(
        {name: pd.Series([column[index] for index in order], dtype="str") for name, column in columns.items()}
    )
    used = {spelling.same(label) for label in images.labels}
    unused = tuple(sorted(label for label in set(empty) if spelling.same(label) not in used))
    return ImageTable(
        name,
        root,
        frame,
        read,
        without,
        locate or (lambda path: None),
        unused,
        notes=notes,
        groups=None if images.groups is None else tuple(images.groups[index] for index in order),
        places=None if images.places is None else np.array([images.places[index] for index in order], np.int64),
        n_places=images.n_places,
    )
