"""Opens SOURCE at an address: a prefix as class folders, or a file that is fetched and opened as a local one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from auditor.errors import SourceError
from auditor.sources.base import ImageTable, Skipped, split_name
from auditor.sources.boxes.coco import EXPORTED
from auditor.sources.folder import classes_table
from auditor.sources.manifest_formats import READERS, suffix_of
from auditor.sources.manifest_spec import Layout, parse_spec
from auditor.sources.metadata import metadata_table
from auditor.sources.remote.address import WEB, Address, parsed
from auditor.sources.remote.library import Library
from auditor.sources.remote.place import AT_ONCE, Prefix
from auditor.sources.remote.reach import unnamed
from auditor.sources.remote.store import Entry
from auditor.sources.tree import join
from auditor.system.text import display

_FILES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".npz", ".xlsx", ".xlsm")
"""Endings of files that are fetched whole, beside those of manifests."""

Opener = Callable[[str, Layout], ImageTable]
"""Opens a file on this machine."""


def open_address(spec: str, layout: Layout, open_local: Opener) -> ImageTable:
    """The table of what lies at an address.

    Parameters
    ----------
    open_local
        Opens the file that was fetched.

    Raises
    ------
    SourceError
        Nobody named it, the store cannot be read, or nothing that can be audited lies there.
    """
    file, _ = parse_spec(spec)
    address, choice = parsed(file), spec[len(file) :]
    if layout.reach is None:
        raise unnamed(address.shown)
    library = Library(address, layout.reach)
    if not _is_file(address):
        table = _prefix_table(library, layout)
        if choice:
            raise SourceError(
                f"{display(address.shown)} holds no boxes, and only boxes have a margin",
                hint=f"leave out {display(choice)}",
            )
        return replace(table, said=library.said)
    table = _fetched_table(library, layout, open_local, choice)
    return replace(table, said=_both(table.said, library.said))


def _is_file(address: Address) -> bool:
    name = address.name.lower()
    return name.endswith(_FILES) or suffix_of(name) in READERS or address.kind == WEB


def _prefix_table(library: Library, layout: Layout) -> ImageTable:
    shown = library.address.shown
    if layout.root or layout.columns or layout.label:
        raise SourceError(
            f"{display(shown)} is no manifest, so it has neither a root nor columns to choose",
            hint="leave out --root, --columns and --label, or give a manifest",
        )
    if library.address.name.lower().endswith((".yaml", ".yml")):
        raise _annotations_there(library.address.above, "YOLO's")
    tree = Prefix(library)
    if not tree.entries("", []).files and not tree.entries("", []).folders:
        raise SourceError(f"there is no object below {display(shown)}/", hint="check the address")
    form = _form_of_boxes(tree)
    if form:
        raise _annotations_there(shown, form)
    table = metadata_table(tree, shown) or classes_table(tree, shown)
    skipped = sorted({*table.skipped, *tree.skipped}, key=lambda entry: (entry.path, entry.reason))
    return replace(table, skipped=tuple(skipped), address=shown, at_once=AT_ONCE)


def _form_of_boxes(tree: Prefix) -> str:
    """Whose form annotations of boxes below a prefix have; empty where there are none."""
    top = tree.entries("", [])
    inner = {name: tree.entries(name, []) for name in top.folders}
    if any(EXPORTED in inner[name].files for name in inner if split_name(name)):
        return "COCO's"
    if any(name.lower() == "annotations" and _ends(inner[name].files, ".xml") for name in inner):
        return "Pascal VOC's"
    for folder, listing in (("", top), *inner.items()):
        if {"images", "labels"} <= set(listing.folders):
            labels = join(folder, "labels")
            below = (labels, *(join(labels, name) for name in tree.entries(labels, []).folders))
            if any(_ends(tree.entries(place, []).files, ".txt") for place in below):
                return "YOLO's"
    return ""


def _ends(names: Sequence[str], ending: str) -> bool:
    return any(name.lower().endswith(ending) for name in names)


def _annotations_there(shown: str, form: str) -> SourceError:
    """The error for annotations of several files in a store. Fetched one by one they would take very long."""
    parts = {
        "COCO's": f"the files {EXPORTED}, each in its folder",
        "Pascal VOC's": "the folder of XML files",
        "YOLO's": "data.yaml and the folders of texts",
    }
    return SourceError(
        f"{display(shown)} holds boxes in {form} form, whose annotations are read from this machine",
        hint=f"fetch {parts[form]}, give these, and say --root {display(shown)}: the pictures stay there",
    )


def _fetched_table(library: Library, layout: Layout, open_local: Opener, choice: str) -> ImageTable:
    """The table of a file that is fetched. A manifest's paths begin where it lies, unless the user says otherwise."""
    address = library.address
    if not (address.name.lower().endswith(_FILES) or suffix_of(address.name) in READERS):
        next(library.store.listed(address.key), None)  # the web says why not
    local, holder = library.file(Entry(address.key, -1, ""))
    inner = layout
    if suffix_of(str(local)) in READERS and not layout.root:
        inner = replace(layout, begins=address.above)
    try:
        table = open_local(f"{local}{choice}", inner)
    except SourceError as error:
        raise _named(error, str(local), address.shown) from error
    notes = tuple(note.replace(str(local), address.shown) for note in table.notes)
    skipped = tuple(Skipped(one.path, one.reason.replace(str(local), address.shown)) for one in table.skipped)
    root = table.root if table.address else display(address.shown)
    return replace(
        table, name=display(address.name), root=root, notes=notes, skipped=skipped, read=_Reading(table.read, holder)
    )


def _named(error: SourceError, local: str, shown: str) -> SourceError:
    """The same error about the address in place of the local copy."""
    return SourceError(
        error.message.replace(local, display(shown)), hint=(error.hint or "").replace(local, display(shown))
    )


@dataclass(frozen=True)
class _Reading:
    """Reads items of a fetched file, which lies on this machine as long as this lives."""

    inner: Callable[[str], bytes]
    holder: object

    def __reduce__(self) -> tuple[type[_Reading], tuple[Callable[[str], bytes], object]]:
        return _Reading, (self.inner, None)

    def __call__(self, path: str) -> bytes:
        return self.inner(path)


def _both(one: Callable[[], str], other: Callable[[], str]) -> Callable[[], str]:
    return lambda: "\n".join(filter(None, (other(), one())))
