"""The source for an npz file with images and labels, as MedMNIST and many notebooks write it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import numpy as np

from auditor.errors import SourceError
from auditor.sources.arrays_file import held, npz_arrays
from auditor.sources.base import SPLITS, ImageTable, split_name
from auditor.sources.manifest_columns import as_text
from auditor.sources.packed import Part, bytes_of, packed_table
from auditor.system.arrays import Array
from auditor.system.files import reason
from auditor.system.text import display

_IMAGES, _LABELS = ("images", "image", "x", "data"), ("labels", "label", "y", "targets")
"""What arrays of an npz file are called, in lower case and without their split."""


class NpzSource:
    """SOURCE is an `.npz` file with arrays of images and labels: `train_images`, `train_labels`, or `x`, `y`."""

    name = "npz"
    looks_for = "an .npz file with the arrays train_images and train_labels (also val_, test_), or images and labels"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is an `.npz` file."""
        return os.path.isfile(spec) and spec.lower().endswith(".npz")

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Read the arrays.

        Raises
        ------
        SourceError
            It is damaged, or holds no images with one label each. Pickled objects are refused.
        """
        return packed_table(_npz_parts(spec), spec)


def _npz_parts(spec: str) -> list[Part]:
    shown = display(spec)
    data = bytes_of(spec)
    try:
        arrays = npz_arrays(data, shown, "save parts of it")
    except SourceError:
        raise
    except Exception as error:  # damaged files raise nearly every kind of error
        said = display(reason(error).splitlines()[0][:200]) if reason(error) else type(error).__name__
        if said.startswith("Object arrays"):
            said = "it holds Python objects, which are never unpickled"
        raise SourceError(f"{shown} cannot be read: {said}", hint="save it again with numpy.savez") from error
    parts = list(_paired(arrays, shown))
    if not parts:
        raise SourceError(
            f"{shown} has no arrays of images and labels that belong together; it holds {held(arrays)}",
            hint="numpy.savez(FILE, images=..., labels=...); features go to --features beside a manifest",
        )
    return parts


def _paired(arrays: dict[str, Array], shown: str) -> Iterable[Part]:
    """The parts of an npz file: an array of images and one of labels, with the same split in their names."""
    roles: dict[tuple[str, str], str] = {}
    for name in arrays:
        words = [word for word in re.split(r"[_\W]+", name.lower()) if word]
        for role, known in (("images", _IMAGES), ("labels", _LABELS)):
            left = [word for word in words if word not in known]
            split = split_name(" ".join(left)) if left else ""
            if len(left) == len(words) - 1 and split is not None:
                roles.setdefault((split, role), name)
    for split in ("", *SPLITS):
        images, labels = (roles.get((split, role)) for role in ("images", "labels"))
        if images is None or labels is None:
            continue
        yield Part(split, _pictures(arrays[images], images, shown), _labels(arrays[labels], labels, shown))


def _pictures(array: Array, name: str, shown: str) -> Array:
    """uint8 [N, H, W] or [N, H, W, 3]."""
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3, 4):
        array = np.moveaxis(array, 1, 3)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (3, 4))) or array.dtype.kind not in "fiub":
        raise SourceError(
            f"{shown}: the array '{display(name)}' of {array.dtype} {list(array.shape)} holds no images",
            hint="images are whole numbers of the shape [N, H, W] or [N, H, W, 3]; features go to --features",
        )
    return array


def _labels(array: Array, name: str, shown: str) -> list[str]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise SourceError(
            f"{shown}: the array '{display(name)}' has the shape {list(array.shape)}, so an image has several labels",
            hint="give one label an image; of several questions audit one after the other",
        )
    return [as_text(value, shown, name).strip() for value in array.tolist()]
