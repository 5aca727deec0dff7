"""The source for a folder of IDX files, as MNIST and its relatives come."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib

import numpy as np

from auditor.errors import SourceError
from auditor.sources.arrays_file import LARGEST
from auditor.sources.base import ImageTable
from auditor.sources.packed import Part, bytes_of, packed_table
from auditor.system.arrays import Array
from auditor.system.files import reason
from auditor.system.memory import free_bytes
from auditor.system.text import display

_IDX = {"train": ("train-images", "train-labels"), "test": ("t10k-images", "t10k-labels")}
_IDX_ENDINGS = ("-idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte", ".idx3-ubyte.gz")


class IdxSource:
    """SOURCE is a folder with MNIST's files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, also `t10k-`."""

    name = "idx"
    looks_for = "a folder with IDX files as MNIST has them"

    def accepts(self, spec: str) -> bool:
        """Whether a folder holds images in IDX files."""
        return any(_idx_file(spec, images) for images, _ in _IDX.values())

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Read the files.

        Raises
        ------
        SourceError
            A file is missing or damaged.
        """
        parts = []
        for split, names in _IDX.items():
            images, labels = (_idx_file(spec, name) for name in names)
            if images and not labels:
                raise SourceError(f"{display(spec)} has {display(images)} but no labels for it", hint="copy them too")
            if images and labels:
                numbers = _idx(os.path.join(spec, labels), 1)
                parts.append(Part(split, _idx(os.path.join(spec, images), 3), [str(n) for n in numbers.tolist()]))
        return packed_table(parts, spec)


def _idx_file(folder: str, stem: str) -> str:
    """The file of a stem in a folder, under any of its usual names. Empty where there is none."""
    endings = _IDX_ENDINGS if stem.endswith("images") else [e.replace("idx3", "idx1") for e in _IDX_ENDINGS]
    return next((stem + ending for ending in endings if os.path.isfile(os.path.join(folder, stem + ending))), "")


def _idx(file: str, dimensions: int) -> Array:
    """The numbers of an IDX file (http://yann.lecun.com/exdb/mnist/): uint8 of that many dimensions."""
    data, shown = bytes_of(file), display(file)
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data), "rb") as stream:
                data = stream.read(min(LARGEST, free_bytes()) + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{shown} cannot be unpacked: {reason(error)}", hint="download it again") from error
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes([0, 0, 8, dimensions]):
        raise SourceError(f"{shown} is no IDX file of {dimensions} dimensions", hint="download it again")
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != int(np.prod(shape, dtype=object)):
        raise SourceError(
            f"{shown} promises {' x '.join(map(str, shape))} numbers and holds {len(data) - start}",
            hint="download it again",
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
