"""Data sets of torch and of Hugging Face, as a program holds them.

Where a data set knows the files of its images they are read as they lie. Otherwise each image is asked for, and stands
as a PNG.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, split_name
from auditor.sources.objects import array_of, group_names, label_texts, labelled, names_of
from auditor.sources.root import Root
from auditor.system.files import read_regular

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "I;16")
"""Kinds of pictures that PNG holds as they are."""


def is_torch(source: object) -> bool:
    """Whether an object is a data set that gives (image, label) by number."""
    return hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, Mapping | str)


def is_hugging_face(source: object) -> bool:
    """Whether an object is a `datasets.Dataset`, or a `DatasetDict` of them."""
    if isinstance(source, Mapping):
        return bool(source) and all(is_hugging_face(part) for part in source.values())
    return hasattr(source, "column_names") and hasattr(source, "features") and hasattr(source, "cast_column")


def torch_table(source: Any, labels: Any = None, items: Any = None, groups: Any = None) -> ImageTable:
    """The table of a torch data set.

    Parameters
    ----------
    labels
        One label an item, in place of those of the data set.

    Raises
    ------
    SourceError
        An item is no pair of image and label, or its image is none; or two looks at an item differ.
    """
    n = len(source)
    if not n:
        raise SourceError(f"the data set {type(source).__name__} is empty")
    texts = label_texts(labels) if labels is not None else _torch_labels(source, n)
    files = None if items is not None else _torch_files(source, n)
    names = names_of(items, n) if files is None else [name for name, _ in files]
    if len(texts) != n:
        raise SourceError(f"there are {len(texts)} labels for {n} items", hint="give one label an item")
    row = {name: at for at, name in enumerate(names)}
    title = type(source).__name__
    if files is not None:
        roots = {root: Root(root) for root in {root for _, root in files}}
        folder = dict(files)
        return labelled(title, names, texts, lambda path: roots[folder[path]].read(path), group_names(groups, n))
    _refuse_random(source)
    return labelled(title, names, texts, lambda path: as_png(_pair(source, _at(row, path))[0]), group_names(groups, n))


def _at(row: Mapping[str, int], path: str) -> int:
    if path not in row:
        raise FileNotFoundError(errno.ENOENT, "the data set has no such item", path)
    return row[path]


def _torch_labels(source: Any, n: int) -> list[str]:
    """The labels of a data set: from its own list where it has one, else by asking for each item."""
    inner, rows = _unwrapped(source, n)
    own = _torch_targets(inner)
    targets = [_pair(source, at)[1] for at in range(n)] if own is None else [own[row] for row in rows]
    texts = label_texts(targets)
    names = getattr(inner, "classes", None)
    if isinstance(names, Sequence) and not isinstance(names, str):
        by_number = {str(number): str(name) for number, name in enumerate(names)}
        texts = [by_number.get(text, text) for text in texts]
    return texts


def _unwrapped(source: Any, n: int) -> tuple[Any, Sequence[int]]:
    """The data set inside torch's `Subset`s, and the number there of each of the `n` items."""
    rows: Sequence[int] = range(n)
    while hasattr(source, "dataset") and hasattr(source, "indices"):
        rows, source = [int(source.indices[row]) for row in rows], source.dataset
    return source, rows


def _torch_targets(source: Any) -> Any:
    """What torchvision's data sets keep as `targets` or `labels`, one an item; None where they keep none."""
    if getattr(source, "target_transform", None) is not None:
        return None
    for name in ("targets", "labels", "_labels"):
        value = getattr(source, name, None)
        if value is not None and hasattr(value, "__len__"):
            return value if len(value) == len(source) else None
    return None


def _torch_files(source: Any, n: int) -> list[tuple[str, str]] | None:
    """Each item's file below a root, as torchvision's `ImageFolder` keeps them; None where there are none."""
    inner, rows = _unwrapped(source, n)
    samples, root = getattr(inner, "samples", None), getattr(inner, "root", None)
    if not isinstance(samples, list) or len(samples) != len(inner) or root is None:
        return None
    start = str(root).rstrip("/") + "/"
    paths = [str(sample[0]) if isinstance(sample, tuple) and sample else "" for sample in samples]
    if not all(path.startswith(start) for path in paths) or len(set(paths)) < len(paths):
        return None
    return [(paths[row].removeprefix(start), str(root)) for row in rows]


def _pair(source: Any, at: int) -> tuple[Any, Any]:
    try:
        item = source[at]
    except Exception as error:  # the user's code may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise OSError(errno.EIO, f"the data set failed: {said}", str(at)) from error
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise SourceError(
            f"item {at} of {type(source).__name__} is a {type(item).__name__}, not a pair of image and label",
            hint="give labels=, or a data set whose items are (image, label)",
        )
    return item[0], item[1]


def _refuse_random(source: Any) -> None:
    """Refuse a data set that gives another image each time: what people look at would not be what was audited."""
    at = len(source) // 2
    if len({as_png(_pair(source, at)[0]) for _ in range(3)}) > 1:
        raise SourceError(
            f"item {at} of {type(source).__name__} is another image each time",
            hint="audit the data set without random transforms",
        )


def as_png(image: Any) -> bytes:
    """An image of PIL, an array or a tensor as a PNG file.

    Raises
    ------
    SourceError
        It is none: a tensor whose values lie outside 0 to 1, for example.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(_pixels(image))
    if image.mode not in _MODES:
        image = image.convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _pixels(value: Any) -> Any:
    """uint8 [H, W] or [H, W, 3] of an array or a tensor."""
    array = np.asarray(array_of(value))
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or array.dtype.kind not in "fiub":
        raise SourceError(
            f"an image of the shape {list(array.shape)} and the type {array.dtype} cannot be shown",
            hint="give images of PIL, or arrays [H, W], [H, W, 3] or [3, H, W]",
        )
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise SourceError(
                "an image holds numbers outside 0 to 1", hint="audit the data set before it is normalised"
            )
        return np.round(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        if array.min() < 0 or array.max() > 255:
            raise SourceError("an image holds whole numbers outside 0 to 255", hint="give images of 8 bits a channel")
        array = array.astype(np.uint8)
    return array


def hugging_face_table(source: Any, label: str = "", groups: Any = None) -> ImageTable:
    """The table of a Hugging Face data set with a column of images.

    Parameters
    ----------
    label
        The column of labels; empty for the only one of classes, or for `label`.

    Raises
    ------
    SourceError
        It has no column of images or none of labels.
    """
    parts = list(source.items()) if isinstance(source, Mapping) else [("", source)]
    names, texts, splits = list[str](), list[str](), list[str]()
    readers: dict[str, Callable[[], bytes]] = {}
    for split, part in parts:
        image, column = _image_column(part), label_column(part, label)
        raw = part.cast_column(image, type(part.features[image])(decode=False))
        named = names_of(None, len(part))
        own = [f"{split}/{name}" if split else name for name in named]
        for at, name in enumerate(own):
            readers[name] = partial(_undecoded, raw, at, image)
        names.extend(own)
        texts.extend(class_names(part, column))
        splits.extend([split_name(split) or ""] * len(part))
    title = "the data set" if not parts else str(getattr(parts[0][1], "builder_name", None) or "the data set")
    return labelled(title, names, texts, _reading(readers), group_names(groups, len(names)), splits)


def has_images(source: Any) -> bool:
    """Whether a Hugging Face data set has a column of images."""
    parts = source.values() if isinstance(source, Mapping) else [source]
    return any(type(kind).__name__ == "Image" for part in parts for kind in part.features.values())


def hugging_face_frame(source: Any, label: str = "") -> pd.DataFrame:
    """A Hugging Face data set of texts or rows as a DataFrame, with the names of its classes and its splits.

    Raises
    ------
    SourceError
        It has no column of labels.
    """
    parts = list(source.items()) if isinstance(source, Mapping) else [("", source)]
    frames = []
    for split, part in parts:
        column = label_column(part, label)
        frame = part.to_pandas().assign(**{column: class_names(part, column)})
        frames.append(frame.assign(split=split_name(split) or "") if split else frame)
    whole = pd.concat(frames, ignore_index=True)
    column = label_column(parts[0][1], label)
    return pd.DataFrame(whole if label else whole.rename(columns={column: "label"}))


def _reading(readers: Mapping[str, Callable[[], bytes]]) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if path not in readers:
            raise FileNotFoundError(errno.ENOENT, "the data set has no such item", path)
        return readers[path]()

    return read


def _undecoded(part: Any, at: int, column: str) -> bytes:
    """The bytes of an undecoded image: in the table, or in the file that it names."""
    value = part[at][column]
    data = None if value is None else value.get("bytes")
    if isinstance(data, bytes):
        return data
    if value is not None and value.get("path"):
        return read_regular(str(value["path"]))
    raise FileNotFoundError(errno.ENOENT, "the data set has no image there", "")


def _image_column(part: Any) -> str:
    found = [name for name, kind in part.features.items() if type(kind).__name__ == "Image"]
    if len(found) != 1:
        raise SourceError(
            f"the data set has {len(found)} columns of images; its columns are {', '.join(part.column_names[:12])}",
            hint="keep one: dataset.select_columns([IMAGE, LABEL])",
        )
    return str(found[0])


def label_column(part: Any, label: str = "") -> str:
    """The column of labels of a Hugging Face data set.

    Raises
    ------
    SourceError
        There is none, or there are several and none is named.
    """
    if label:
        if label not in part.column_names:
            raise SourceError(
                f"the data set has no column '{label}'; its columns are {', '.join(part.column_names[:12])}"
            )
        return label
    classes = [name for name, kind in part.features.items() if type(kind).__name__ == "ClassLabel"]
    if len(classes) == 1:
        return str(classes[0])
    if "label" in part.column_names:
        return "label"
    raise SourceError(
        f"the data set has {len(classes)} columns of classes; its columns are {', '.join(part.column_names[:12])}",
        hint="say which one holds the labels: audit(dataset, label=COLUMN)",
    )


def class_names(part: Any, column: str) -> list[str]:
    """The labels of a Hugging Face data set by the names of its classes. -1 is no label there."""
    texts, names = label_texts(part[column][:]), getattr(part.features[column], "names", None)
    if not names:
        return texts
    by_number = {str(number): name for number, name in enumerate(names)} | {"-1": ""}
    return [by_number.get(text, text) for text in texts]
