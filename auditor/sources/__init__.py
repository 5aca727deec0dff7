"""The kinds of data set that can be audited: one file each, and each gives the same table of labelled images.

To add a kind, in this package or in your own:

1. Write a class with the four members of `base.Source`: `name`, `looks_for`, `accepts` and `open`.
2. `accepts` looks at the user's SOURCE and decodes nothing. It is asked before the plain folder of classes.
3. `open` lists the images and returns `base.make_table(name, root, Columns(paths, labels), read=...)`.
4. Name the class in the entry-point group `auditor.sources` of the package's setup.cfg or pyproject.toml.
5. Install the package. `open_source` then finds the class by itself.
6. Test it as `tests/sources/test_open_source.py` tests its plug-in: a whole audit of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from auditor.errors import SourceError
from auditor.sources.archives import ArchiveSource
from auditor.sources.base import SPLITS, Columns, ImageTable, Skipped, Source, make_table, outside_hint
from auditor.sources.boxes.coco import CocoSource
from auditor.sources.boxes.voc import VocSource
from auditor.sources.boxes.yolo import YoloSource
from auditor.sources.cifar import CifarSource
from auditor.sources.digits import DigitsSource
from auditor.sources.folder import FolderSource
from auditor.sources.idx import IdxSource
from auditor.sources.manifest import AS_NAMED, Layout, ManifestSource, parse_spec
from auditor.sources.npz import NpzSource
from auditor.sources.remote import is_address, without_secrets
from auditor.sources.remote.address import KNOWN
from auditor.sources.remote.door import open_address
from auditor.sources.samples import BreastCancerSource, DocstringsSource
from auditor.sources.saved import SavedSource
from auditor.sources.spelling import resolved
from auditor.sources.tiny_imagenet import TinyImageNetSource
from auditor.sources.torchvision_names import place_of
from auditor.sources.webdataset import WebDatasetSource
from auditor.system.text import display

__all__ = ["SPLITS", "Columns", "ImageTable", "Skipped", "Source", "kinds", "make_table", "open_source"]

GROUP = "auditor.sources"
"""The entry-point group where kinds are registered."""

_FIRST: tuple[type[Source], ...] = (
    DigitsSource,
    BreastCancerSource,
    DocstringsSource,
    CocoSource,
    YoloSource,
    VocSource,
    ManifestSource,
    ArchiveSource,
    WebDatasetSource,
    NpzSource,
    IdxSource,
    CifarSource,
    SavedSource,
    TinyImageNetSource,
)
"""These kinds are asked first, the most special one at the beginning."""

_LAST: tuple[type[Source], ...] = (FolderSource,)
"""A folder of classes is the most general kind. It is asked after all others, those of other packages included."""


def open_source(
    spec: str, *, allow_outside: bool = False, classes: Sequence[str] = (), layout: Layout = AS_NAMED
) -> ImageTable:
    """Open a data set of any known kind.

    Parameters
    ----------
    spec
        What the user wrote as SOURCE: a folder, a manifest (`labels.csv`, `labels.csv::label=worst_label`), `digits`,
        or what an installed plug-in understands.
    allow_outside
        Follow links and manifest paths that leave the folder of the data set.
    classes
        The classes that the audit will keep. Empty keeps all. A class without any image is an error.
    layout
        Where a manifest's paths begin, what its columns are called, and whether it names files at all.

    Returns
    -------
    ImageTable
        It has at least one image, and no image is decoded. Equal folders give equal tables, in whatever order the disk
        lists them.

    Raises
    ------
    SourceError
        Nothing is there. Or no kind recognises it, or the kind that does cannot read it. Or root or columns are given
        for another kind than a manifest.
    """
    if "\0" in spec or not spec.strip():
        raise SourceError("the source is empty" if not spec.strip() else "the source holds a NUL character")
    if is_address(spec):
        table = open_address(spec, layout, lambda local, inner: _of_any_kind(local, allow_outside, inner))
        _refuse_empty(table, classes)
        return replace(table, source=display(without_secrets(spec)))
    table = _of_any_kind(place_of(spec), allow_outside, layout)
    _refuse_empty(table, classes)
    return replace(table, source=display(spec))


def _of_any_kind(spec: str, allow_outside: bool, layout: Layout) -> ImageTable:
    """The table by the first kind that accepts what lies on this machine."""
    broken: list[str] = []
    for kind in kinds(broken):
        try:
            accepted = kind.accepts(spec)
        except SourceError:
            raise
        except Exception as error:  # a plug-in with a fault must not stop the other kinds
            broken.append(f"{kind.name}: {type(error).__name__}: {error}")
            continue
        if accepted:
            return _opened(kind, spec, allow_outside, layout)
    raise _not_recognised(spec, broken)


def kinds(broken: list[str] | None = None) -> Iterator[Source]:
    """Every known kind, in the order in which they are asked. Plug-ins that cannot be loaded are added to `broken`."""
    own = {f"{kind.__module__}:{kind.__name__}" for kind in (*_FIRST, *_LAST)}
    yield from (kind() for kind in _FIRST)
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.value not in own:
            yield from _load(point, broken)
    yield from (kind() for kind in _LAST)


def _load(point: EntryPoint, broken: list[str] | None) -> Iterator[Source]:
    try:
        loaded = point.load()
        yield loaded() if isinstance(loaded, type) else loaded
    except Exception as error:
        if broken is not None:
            broken.append(f"{point.name} ({point.value}): {type(error).__name__}: {error}")


def _opened(kind: Source, spec: str, allow_outside: bool, layout: Layout) -> ImageTable:
    if isinstance(kind, ManifestSource | CocoSource | YoloSource | VocSource):
        return kind.open(spec, allow_outside=allow_outside, layout=layout)
    if layout.root or layout.columns or layout.label:
        raise SourceError(
            f"{display(spec)} is no manifest, so it has neither a root nor columns to choose",
            hint="leave out --root, --columns and --label, or give a manifest",
        )
    table = kind.open(spec, allow_outside=allow_outside)
    if layout.kind not in ("", table.kind):
        raise SourceError(
            f"{display(spec)} holds items of the kind {table.kind}, not {layout.kind}",
            hint="leave out --kind, or give a manifest with the columns text and label, or a table with a label column",
        )
    return table


def _refuse_empty(table: ImageTable, classes: Sequence[str]) -> None:
    wanted = resolved(classes, [*table.empty, *table.frame["label"].unique()])
    empty = [label for label in table.empty if not classes or label in wanted]
    if empty:
        named = ", ".join(f"'{label}'" for label in empty[:5]) + (", ..." if len(empty) > 5 else "")
        hint = "put images there, remove the empty folder, or name the classes to keep with --classes"
        raise SourceError(
            f"{table.name}: no image in the class{'es' if len(empty) > 1 else ''} {named}",
            hint="; ".join(filter(None, [outside_hint(table.skipped), hint])),
        )


_SHEET = "save the sheet as CSV (UTF-8) and give that file; "
_UNPICKLED = "no file is unpickled, for that runs code: write its table as CSV or Parquet; "
_REMEDIES = {
    **dict.fromkeys((".xls", ".xlsb", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), _UNPICKLED),
    **dict.fromkeys((".txt", ".dat", ".lst"), "write a table with a header, path,label, as .csv or .tsv; "),
    **dict.fromkeys((".rar", ".7z", ".gz", ".zst"), "unpack the archive and give its folder; "),
}
"""What to do with a file of a kind that people have, and that no source reads; by its ending."""


def _not_recognised(spec: str, broken: Sequence[str]) -> SourceError:
    shown = display(spec)
    if parse_spec(spec)[0] != spec and os.path.exists(parse_spec(spec)[0]):
        message = f"{display(parse_spec(spec)[0])} holds no boxes, and only boxes have a margin"
    elif os.path.isfile(spec):
        message = f"{shown} is a file of no kind that can be audited"
    elif os.path.lexists(spec):
        message = f"{shown} is neither a folder nor a file that can be audited"
    else:
        message = f"there is no folder or file {shown}"
    looked = "; ".join(getattr(kind, "looks_for", kind.name) for kind in kinds())
    failed = f" (plug-ins that failed: {'; '.join(broken)})" if broken else ""
    elsewhere = f"addresses that can be read begin with {KNOWN}; " if "://" in spec else ""
    remedy = elsewhere or _REMEDIES.get(os.path.splitext(spec)[1].lower(), "") if os.path.isfile(spec) else ""
    return SourceError(message, hint=f"{remedy}a source may be: {looked}{failed}")
