"""Samples as webdataset keeps them in tar files: 000017.jpg beside 000017.cls or 000017.json."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.errors import SourceError
from auditor.sources.archive import Archive
from auditor.sources.archive_tar import open_tar
from auditor.sources.base import Columns, ImageTable, Skipped, make_table, split_name
from auditor.sources.manifest_columns import as_text
from auditor.sources.tree import has_image_suffix, is_litter, join
from auditor.system.files import reason
from auditor.system.text import display

_LABELS = ("cls", "json")
"""Endings of a sample's label, the first that is there."""

_KEYS = ("label", "cls", "class", "class_name", "label_name", "category")
"""What a label is called inside a sample's JSON, the first that is there."""

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")

_SHARD = re.compile(r"shards?", re.IGNORECASE)
"""A word in the names of tar files that says nothing of their split."""

MAX_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """A tar file with samples. `prefix` stands before its paths; empty where it is the only one."""

    archive: Archive
    prefix: str
    split: str


def shards_of(spec: str) -> list[str]:
    """The tar files that SOURCE names: `train-{000..007}.tar`, or a folder with nothing but tar files. Else none."""
    found = _BRACES.search(spec)
    if found and spec.lower().endswith(".tar") and not os.path.exists(spec):
        first, last = found.groups()
        if int(last) - int(first) >= MAX_SHARDS or int(last) < int(first):
            return []
        names = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
        return [spec[: found.start()] + name + spec[found.end() :] for name in names]
    if not os.path.isdir(spec):
        return []
    with os.scandir(spec) as entries:
        visible = [entry for entry in entries if not is_litter(entry.name)]
    tars = sorted(entry.name for entry in visible if entry.is_file() and entry.name.lower().endswith(".tar"))
    others = [entry for entry in visible if entry.is_dir() or has_image_suffix(entry.name)]
    return [] if others else [os.path.join(spec, name) for name in tars]


class WebDatasetSource:
    """SOURCE is `train-{000..007}.tar`, or a folder that holds tar files with samples and no images."""

    name = "webdataset"
    looks_for = (
        "tar files with samples (000017.jpg beside 000017.cls or .json): a folder of them, or train-{000..007}.tar"
    )

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE names tar files in one of these ways."""
        return bool(shards_of(spec))

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the samples of all tar files.

        Raises
        ------
        SourceError
            A tar file is missing or damaged, or no sample has an image and a label.
        """
        shards = []
        for file in shards_of(spec):
            if not os.path.isfile(file):
                raise SourceError(
                    f"there is no file {display(file)}", hint=f"{display(spec)} names it; check the numbers"
                )
            stem = os.path.splitext(os.path.basename(file))[0]
            shards.append(Shard(open_tar(file), stem, split_name(_SHARD.sub("", stem)) or ""))
        if len({shard.prefix for shard in shards}) < len(shards):
            raise SourceError(f"{display(spec)}: two tar files have one name", hint="give tar files of different names")
        return samples_table(shards, os.path.basename(spec.rstrip("/")) or spec, spec)


def holds_samples(archive: Archive) -> bool:
    """Whether an archive holds an image beside a file of its label."""
    paths = set(_paths(archive))
    return any(has_image_suffix(path) and any(f"{_key(path)}.{e}" in paths for e in _LABELS) for path in paths)


def samples_table(shards: Sequence[Shard], title: str, spec: str) -> ImageTable:
    """The table of the samples of some tar files.

    Raises
    ------
    SourceError
        No sample has an image and a label.
    """
    paths, labels, splits, skipped = list[str](), list[str](), list[str](), list[Skipped]()
    for shard in shards:
        skipped += [Skipped(join(shard.prefix, entry.path), entry.reason) for entry in shard.archive.skipped]
        for path, label, why in _samples(shard.archive):
            if why:
                skipped.append(Skipped(join(shard.prefix, path), why))
                continue
            paths.append(join(shard.prefix, path))
            labels.append(label)
            splits.append(shard.split)
    read = _Reader({shard.prefix: shard.archive for shard in shards})
    table = make_table(display(title), display(spec), Columns(paths, labels, splits), read=read, skipped=skipped)
    return replace(table, notes=("The tar files were read as samples of an image and its label.", *table.notes))


@dataclass(frozen=True)
class _Reader:
    """Gives the bytes of an image by its path, from the tar file that the path begins with."""

    archives: Mapping[str, Archive]
    """The tar files by their prefix."""

    def __call__(self, path: str) -> bytes:
        only = self.archives.get("")
        if only is not None:
            return only.read(path)
        prefix, _, inside = path.partition("/")
        if prefix not in self.archives:
            raise FileNotFoundError(errno.ENOENT, "no tar file holds it", path)
        return self.archives[prefix].read(inside)


def _samples(archive: Archive) -> Iterator[tuple[str, str, str]]:
    """Path and label of each sample's image, and why it is left out."""
    parts: dict[str, dict[str, str]] = {}
    for path in _paths(archive):
        key = _key(path)
        parts.setdefault(key, {})[path[len(key) + 1 :].lower()] = path
    for key, files in parts.items():
        images = [path for ending, path in files.items() if has_image_suffix(f"x.{ending}") and "." not in ending]
        if len(images) != 1:
            yield key, "", f"the sample holds {len(images)} images" if images else "the sample holds no image"
            continue
        label, why = _label(archive, files)
        yield images[0], label, why


def _label(archive: Archive, files: dict[str, str]) -> tuple[str, str]:
    ending = next((ending for ending in _LABELS if ending in files), None)
    if ending is None:
        return "", "the sample has no label"
    try:
        text = archive.read(files[ending]).decode("utf-8-sig").strip()
        value = text if ending == "cls" else _in_json(json.loads(text))
        label = as_text(value, files[ending], ending).strip()
    except (OSError, ValueError, RecursionError, SourceError) as error:
        return "", f"the sample's label cannot be read: {display(reason(error))[:120]}"
    return label, "" if label else "the sample has no label"


def _in_json(document: object) -> object:
    if not isinstance(document, dict):
        return document
    return next((document[key] for key in _KEYS if key in document), None)


def _paths(archive: Archive) -> Iterator[str]:
    """Every file of an archive."""
    left = [""]
    while left:
        folder = left.pop()
        listing = archive.entries(folder, [])
        yield from (join(folder, name) for name in listing.files)
        left.extend(join(folder, name) for name in reversed(listing.folders))


def _key(path: str) -> str:
    """What the files of a sample share: the path up to the first dot of its last part."""
    folder, _, name = path.rpartition("/")
    return join(folder, name.partition(".")[0])
