"""Is a folder of folders what it seems to be? "Class folders" can be splits, a wrapper, or a second copy of the rest.

`folder` lists the images first. This module then looks at where they lie. What is surely no class is set right, with a
note. Where nobody can be sure, `doubt` says why, and an audit asks the user.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from auditor.errors import SourceError
from auditor.sources.base import Skipped, split_name
from auditor.system.text import display, short

Found = list[tuple[str, str]]
"""(class folder, path of an image) of each image."""

Classes = dict[str, tuple[str, str]]
"""Class folder -> (label, split)."""

NEUTRAL = frozenset(
    {"image", "images", "img", "imgs", "data", "mask", "masks", "label", "labels", "annotations", "raw", "original"}
    | {"originals", "augmented", "aug", "processed", "cropped", "resized", "rgb", "depth", "grey", "gray", "jpg", "png"}
)
"""Folder names, in lower case, that say how images were made. Equal names of this kind are no sign of splits."""

_SMALL = frozenset(
    {"thumb", "thumbs", "thumbnail", "thumbnails", "_thumb", "_thumbs", "_thumbnails", "preview", "previews"}
)
"""Folder names, in lower case, that programs give to a folder of smaller copies."""

_FEW = 20
"""A folder with one image beside 20 in its folders counts as a folder of folders."""


@dataclass(frozen=True)
class Layout:
    """What a listed folder turned out to be.

    Attributes
    ----------
    found
        (class folder, path) of each image that takes part.
    splits
        The split of each of these images. Empty strings where there is none.
    skipped
        Entries that are surely no class.
    notes
        What was done, a sentence each.
    doubt
        Why the classes may be something else. None where the layout is plain.
    """

    found: Found
    splits: list[str]
    skipped: list[Skipped]
    notes: tuple[str, ...]
    doubt: SourceError | None


def understand(spec: str, classes: Classes, found: Found) -> Layout:
    """Look at where the images lie.

    Parameters
    ----------
    spec
        The folder, as the user wrote it, for the hint.
    """
    found, small, said = _without_thumbnails(found)
    inner = _inner(found)
    kept, skipped, notes = _without_copies(classes, found, inner)
    skipped, notes = [*small, *skipped], [*said, *notes]
    used = {above for above, _ in kept}
    inner = {folder: names for folder, names in inner.items() if folder in used}
    splits = [classes[folder][1] for folder, _ in kept]
    notes += _misplaced(classes, inner)
    notes += [
        f"The folder '{display(folder)}' has the name of a folder of smaller copies, and counts as a class. If it is "
        "none, remove it, or name the classes with --classes."
        for folder in sorted(inner)
        if classes[folder][0].lower() in _SMALL
    ]
    doubt = None
    if not any(splits):
        below = _splits_below(kept, inner)
        if below:
            splits = below
            notes.append("The class folders hold folders called train, val or test. They were read as splits.")
        else:
            doubt = _doubt(spec, kept, inner)
    return Layout(kept, splits, skipped, tuple(notes), doubt)


def shown(names: Iterable[str], most: int = 4) -> str:
    """Some names in a sentence."""
    names = sorted(names)
    return ", ".join(f"'{short(name)}'" for name in names[:most]) + (", ..." if len(names) > most else "")


def _inner(found: Found) -> dict[str, Counter[str]]:
    """Images by sub-folder of each class folder. The name '' stands for images that lie in the class folder itself."""
    inner: dict[str, Counter[str]] = {}
    for folder, path in found:
        name, slash, _ = path[len(folder) + 1 :].partition("/")
        inner.setdefault(folder, Counter())[name if slash else ""] += 1
    return inner


def _holds_folders_only(names: Counter[str]) -> bool:
    return len(names) > ("" in names) and names[""] * _FEW <= names.total()


def _without_copies(
    classes: Classes, found: Found, inner: dict[str, Counter[str]]
) -> tuple[Found, list[Skipped], list[str]]:
    """The images without class folders that hold the other class folders once more: yes, no, all/yes, all/no."""
    skipped, notes = list[Skipped](), list[str]()
    copies: set[str] = set()
    beside: dict[str, Counter[str]] = defaultdict(Counter)
    for folder in inner:
        beside[_parent(folder)][classes[folder][0]] += 1
    for folder, names in inner.items():
        inside, own, siblings = names.keys() - {""}, classes[folder][0], beside[_parent(folder)]
        others = all(siblings[name] > (name == own) for name in inside)
        if len(inside) >= 2 and others and _holds_folders_only(names):
            copies.add(folder)
            what = f"holds folders of the other classes ({shown(inside)}), so it is no class"
            skipped.append(Skipped(folder, f"{what}; its {names.total()} images are left out"))
            notes.append(f"The folder '{display(folder)}' {what}. Its {names.total()} images were left out.")
    return [(folder, path) for folder, path in found if folder not in copies], skipped, notes


def _without_thumbnails(found: Found) -> tuple[Found, list[Skipped], list[str]]:
    """The images without smaller copies of them: cat/thumbs/1.jpg beside cat/1.jpg."""
    stems = {(folder, _stem(path)) for folder, path in found}
    copies: dict[str, list[str]] = {}
    for folder, path in found:
        above, _, name = path.rpartition("/")
        beside, _, last = above.rpartition("/")
        if above != folder and last.lower() in _SMALL and (folder, _stem(f"{beside}/{name}")) in stems:
            copies.setdefault(above, []).append(path)
    if not copies:
        return found, [], []
    gone = {path for paths in copies.values() for path in paths}
    n = f"{len(gone)} images" if len(gone) > 1 else "1 image"
    note = (
        f"{n} in folders such as '{display(next(iter(copies)))}' {'are' if len(gone) > 1 else 'is'} left out: each has "
        "the name of an image in the folder above, so they are its smaller copies."
    )
    skipped = [
        Skipped(above, f"holds smaller copies; its {len(paths)} images are left out") for above, paths in copies.items()
    ]
    return [(folder, path) for folder, path in found if path not in gone], skipped, [note]


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def _misplaced(classes: Classes, inner: dict[str, Counter[str]]) -> list[str]:
    """A note about class folders inside another class, as a slip of the mouse makes them."""
    labels = {classes[folder][0] for folder in inner}
    slips = [
        (f"{folder}/{name}", classes[folder][0], n)
        for folder, names in sorted(inner.items())
        for name, n in sorted(names.items())
        if name in labels and name != classes[folder][0]
    ]
    if not slips:
        return []
    path, label, n = slips[0]
    more = f" There are {len(slips) - 1} more folders like it." if len(slips) > 1 else ""
    images = f"{n} image has" if n == 1 else f"{n} images have"
    return [f"The folder '{display(path)}' has the name of another class. Its {images} the label '{label}'.{more}"]


def _splits_below(found: Found, inner: dict[str, Counter[str]]) -> list[str]:
    """The split of each image where each class folder holds split folders: cat/train, cat/test. Empty elsewhere."""
    parts = {name for names in inner.values() for name in names}
    named = {name: split_name(name) or "" for name in parts}
    if not all(named.values()) or "train" not in named.values() or len(set(named.values())) < 2:
        return []
    below = [path[len(folder) + 1 :].split("/") for folder, path in found]
    return [named[names[0]] for names in below] if all(len(names) == 2 for names in below) else []


def _doubt(spec: str, found: Found, inner: dict[str, Counter[str]]) -> SourceError | None:
    """Why folders that look like classes may be something else."""
    if len(inner) == 1:
        return _wrapped(spec, found)
    tops = shown(inner)
    way_out = f"; if they are classes, say so with --classes {','.join(sorted(inner)[:3])}{',...' * (len(inner) > 3)}"
    if all(split_name(folder) for folder in inner) and all(names.keys() == {""} for names in inner.values()):
        return SourceError(
            f"{display(spec)}: the folders {tops} have the names of splits, but hold no class folders",
            hint=f"put one folder a class into each, or write a manifest with path, label and split{way_out}",
        )
    inside = [{name for name in names if name.lower() not in NEUTRAL and name} for names in inner.values()]
    times = Counter(name for names in inside for name in names)
    shared = {name for name, n in times.items() if n > 1}
    repeated = len(shared) > 1 and all(names and 2 * len(names & shared) >= len(names) for names in inside)
    if not repeated or not all(map(_holds_folders_only, inner.values())):
        return None
    return SourceError(
        f"{display(spec)}: the folders {tops} hold the same sub-folders ({shown(shared)}), so they may be no classes",
        hint="if they are splits, rename them train, val and test; if they are whole data sets, audit one" + way_out,
    )


def _wrapped(spec: str, found: Found) -> SourceError | None:
    """The only folder holds the real ones: name the place where they are."""
    folders = [path.split("/")[:-1] for _, path in found]
    pairs = zip(min(folders), max(folders), strict=False)
    common = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    below = {parts[len(common)] for parts in folders if len(parts) > len(common)}
    if not below:
        return None
    place = "/".join(common)
    return SourceError(
        f"{display(spec)} has only one folder with images, '{display(place)}', which holds {shown(below)}",
        hint=f"give the folder inside as SOURCE: '{display(os.path.join(spec, place))}'",
    )


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]
