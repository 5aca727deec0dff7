"""Images that lie together as numbers. Each stands as a PNG file under its split and its row: train/00017.png."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.sources.arrays_file import LARGEST
from auditor.sources.base import Columns, ImageTable, Skipped, make_table
from auditor.sources.data_sets import as_png
from auditor.system.arrays import Array
from auditor.system.files import read_regular, reason
from auditor.system.text import display


@dataclass(frozen=True)
class Part:
    """The images of one split.

    Attributes
    ----------
    split
        One of `SPLITS`, or empty.
    images
        uint8 [N, H, W], or [N, H, W, 3].
    labels
        N labels.
    """

    split: str
    images: Array
    labels: Sequence[str]


def packed_table(parts: Sequence[Part], spec: str) -> ImageTable:
    """The table of the images of some splits.

    Raises
    ------
    SourceError
        A split has another number of labels than of images, or there is no image.
    """
    paths, labels, splits = list[str](), list[str](), list[str]()
    for part in parts:
        if len(part.labels) != len(part.images):
            where = f"the split {part.split}" if part.split else "the file"
            raise SourceError(
                f"{display(spec)}: {where} has {len(part.images)} images and {len(part.labels)} labels",
                hint="give one label an image",
            )
        digits = max(5, len(str(len(part.images))))
        start = f"{part.split}/" if part.split else ""
        paths += [f"{start}{row:0{digits}d}.png" for row in range(1, len(part.images) + 1)]
        labels += list(part.labels)
        splits += [part.split] * len(part.images)
    title = os.path.basename(os.path.abspath(spec))
    without = [Skipped(path, "it has no label") for path, label in zip(paths, labels, strict=True) if not label]
    kept = [row for row, label in enumerate(labels) if label]
    columns = Columns([paths[row] for row in kept], [labels[row] for row in kept], [splits[row] for row in kept])
    read = _Reader({part.split: part.images for part in parts})
    return make_table(display(title), display(spec), columns, read=read, skipped=without)


@dataclass(frozen=True)
class _Reader:
    """Gives an image as a PNG file by its path."""

    parts: dict[str, Array]

    def __call__(self, path: str) -> bytes:
        split, _, name = path.rpartition("/")
        images, row = self.parts.get(split), os.path.splitext(name)[0]
        if images is None or not row.isascii() or not row.isdigit() or not 1 <= int(row) <= len(images):
            raise FileNotFoundError(errno.ENOENT, "the file has no such image", path)
        return as_png(images[int(row) - 1])


def bytes_of(file: str) -> bytes:
    """The bytes of a file.

    Raises
    ------
    SourceError
        It cannot be read.
    """
    try:
        return read_regular(file, limit=LARGEST)
    except OSError as error:
        raise SourceError(f"cannot read {display(file)}: {reason(error)}", hint="check the path") from error
