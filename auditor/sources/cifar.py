"""The source for the binary version of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.errors import SourceError
from auditor.sources.base import ImageTable
from auditor.sources.packed import Part, bytes_of, packed_table
from auditor.system.files import read_regular, reason
from auditor.system.text import display

_SIDE = 32
"""Pixels on each side of an image."""


class CifarSource:
    """SOURCE is a folder with the binary version of CIFAR-10 or CIFAR-100. The Python version holds pickles."""

    name = "cifar"
    looks_for = "a folder with the binary version of CIFAR-10 or CIFAR-100"

    def accepts(self, spec: str) -> bool:
        """Whether a folder holds such files, or the pickles of the Python version."""
        return any(
            os.path.isfile(os.path.join(spec, name))
            for name in ("batches.meta.txt", "fine_label_names.txt", "batches.meta")
        )

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Read the files.

        Raises
        ------
        SourceError
            A file is missing or damaged, or it is the Python version.
        """
        if os.path.isfile(os.path.join(spec, "batches.meta")):
            raise SourceError(
                f"{display(spec)} is CIFAR's Python version, whose files are pickles. They run code and are not opened",
                hint="take the binary version (cifar-10-binary.tar.gz), or give torchvision's data set in Python: "
                "auditor.audit(torchvision.datasets.CIFAR10(ROOT))",
            )
        fine = os.path.isfile(os.path.join(spec, "fine_label_names.txt"))
        named = _lines(os.path.join(spec, "fine_label_names.txt" if fine else "batches.meta.txt"))
        files = sorted(name for name in os.listdir(spec) if name.endswith(".bin"))
        kept = [name for name in files if re.fullmatch(r"(?:data_batch_\d+|test_batch|train|test)\.bin", name)]
        if not kept:
            raise SourceError(f"{display(spec)} holds no .bin file of CIFAR", hint="unpack the binary version again")
        grouped: dict[str, list[Part]] = {}
        for name in kept:
            part = _cifar(os.path.join(spec, name), "test" if name.startswith("test") else "train", named, 1 + fine)
            grouped.setdefault(part.split, []).append(part)
        return packed_table([_joined(parts) for parts in grouped.values()], spec)


def _cifar(file: str, split: str, names: Sequence[str], n_labels: int) -> Part:
    """One binary file: each image is its labels, a byte each, and 3 x 32 x 32 bytes."""
    data, width = bytes_of(file), n_labels + 3 * _SIDE**2
    if not data or len(data) % width:
        raise SourceError(f"{display(file)} is no whole number of CIFAR's images", hint="unpack it again")
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    labels = rows[:, n_labels - 1]
    if labels.max() >= len(names):
        raise SourceError(
            f"{display(file)} has the class {labels.max()}, and there are {len(names)} names", hint="unpack it again"
        )
    images = rows[:, n_labels:].reshape(-1, 3, _SIDE, _SIDE)
    return Part(split, np.moveaxis(images, 1, 3), [names[label] for label in labels.tolist()])


def _joined(parts: Sequence[Part]) -> Part:
    images = np.concatenate([part.images for part in parts])
    return replace(parts[0], images=images, labels=[label for part in parts for label in part.labels])


def _lines(file: str) -> list[str]:
    try:
        return [line.strip() for line in read_regular(file).decode("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read {display(file)}: {reason(error)}", hint="unpack it again") from error
