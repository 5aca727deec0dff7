"""The source for Tiny ImageNet as Stanford's CS231n published it.

Its folders are called by WordNet ids, and a text file holds the labels of its validation images.
"""

from __future__ import annotations

import os
from collections import Counter

from auditor.errors import SourceError
from auditor.sources.base import Columns, ImageTable, Skipped, make_table
from auditor.sources.root import Root
from auditor.sources.tree import has_image_suffix, images_of, join
from auditor.system.files import read_regular, reason
from auditor.system.text import display

_ANNOTATIONS = "val/val_annotations.txt"


class TinyImageNetSource:
    """SOURCE is a folder with `train/<wnid>/images`, `val/val_annotations.txt` and `words.txt`.

    A label is the first name that words.txt gives for a WordNet id. If two ids share it, it is made unique. The
    published test images have no labels and are left out.
    """

    name = "tiny_imagenet"
    looks_for = "Tiny ImageNet as published (train/<wnid>/images, val/val_annotations.txt, words.txt)"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE has the folder `train` and the file of validation labels."""
        return os.path.isfile(os.path.join(spec, _ANNOTATIONS)) and os.path.isdir(os.path.join(spec, "train"))

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the training and validation images.

        Raises
        ------
        SourceError
            A text file cannot be read, or one of its lines has another form, or there is no image.
        """
        root = Root(spec, allow_outside=allow_outside)
        skipped: list[Skipped] = []
        ids = root.entries("train", skipped).folders
        folders = {f"train/{wnid}": wnid for wnid in ids}
        rows = [(path, folders[folder], "train") for folder, path in root.walk(folders, (), skipped)]
        rows += _validation(root, skipped)
        names = label_names({wnid for _, wnid, _ in rows} | set(ids), _words(root))
        test = [name for name in root.entries("test/images", []).files if has_image_suffix(name)]
        if test:
            skipped.append(Skipped("test/images", f"{len(test)} test images, published without labels"))
        images = Columns(
            paths=[path for path, _, _ in rows],
            labels=[names[wnid] for _, wnid, _ in rows],
            splits=[split for _, _, split in rows],
        )
        return make_table(
            display(os.path.basename(root.real)),
            display(spec),
            images,
            read=root.read,
            locate=root.locate,
            skipped=skipped,
            empty=(names[wnid] for wnid in ids),
        )


def label_names(ids: set[str], words: dict[str, str]) -> dict[str, str]:
    """A readable, unique name for each WordNet id.

    It is the first synonym. If two ids share that, it is all synonyms. If they share these too, the id is added. An id
    without a name stands for itself.
    """
    names = {wnid: words.get(wnid, wnid).split(",")[0].strip() or wnid for wnid in ids}
    for form in ("{all}", "{all} ({wnid})"):
        count = Counter(names.values())
        names = {
            wnid: name if count[name] == 1 else form.format(all=words.get(wnid, wnid), wnid=wnid)
            for wnid, name in names.items()
        }
    return names


def _validation(root: Root, skipped: list[Skipped]) -> list[tuple[str, str, str]]:
    """(path, WordNet id, "val") of each validation image."""
    listing = root.entries("val/images", skipped)
    present = set(images_of("val/images", listing, skipped))
    rows: dict[str, tuple[str, str, str]] = {}
    for number, line in enumerate(_lines(root, _ANNOTATIONS), start=1):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) < 2 or not fields[1]:
            raise SourceError(
                f"{_ANNOTATIONS}, row {number}: expected an image's name, a tab and its WordNet id",
                hint="take the file from the published archive again",
            )
        name, wnid = fields[:2]
        path = join("val/images", name)
        if name in rows and rows[name][1] != wnid:
            raise SourceError(
                f"{_ANNOTATIONS}, row {number}: {name} is already listed as {rows[name][1]}",
                hint="take the file from the published archive again",
            )
        if name in present:
            rows[name] = (path, wnid, "val")
        else:
            skipped.append(Skipped(path, f"named in {_ANNOTATIONS}, row {number}, but not there"))
    skipped += [
        Skipped(join("val/images", name), f"has no label in {_ANNOTATIONS}") for name in sorted(present - rows.keys())
    ]
    return list(rows.values())


def _words(root: Root) -> dict[str, str]:
    """The synonyms of each WordNet id, separated by commas. Empty without a words.txt."""
    if not os.path.exists(root.absolute("words.txt")):
        return {}
    pairs = (line.partition("\t") for line in _lines(root, "words.txt"))
    return {wnid: " ".join(text.split()) for wnid, _, text in pairs if text.strip()}


def _lines(root: Root, path: str) -> list[str]:
    try:
        if not root.contains(path):
            raise PermissionError(1, "leads outside the root")
        text = read_regular(root.absolute(path)).decode("utf-8-sig")
    except OSError as error:
        raise SourceError(
            f"cannot read {path} in {display(root.folder)}: {reason(error)}", hint="check the file and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} in {display(root.folder)} is not UTF-8: byte {error.start}",
            hint="take the file from the published archive again",
        ) from error
    return [line.rstrip("\r") for line in text.split("\n")]
