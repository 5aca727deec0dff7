"""The source for a zip or tar archive: class folders, a file of labels, or samples as webdataset writes them."""

from __future__ import annotations

import os
from dataclasses import replace

from auditor.errors import SourceError
from auditor.sources.archive import Archive
from auditor.sources.archive_tar import open_tar
from auditor.sources.archive_zip import open_zip
from auditor.sources.base import ImageTable
from auditor.sources.folder import classes_table
from auditor.sources.metadata import manifest_table, metadata_table, only_manifest
from auditor.sources.webdataset import Shard, holds_samples, samples_table
from auditor.system.text import display

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class ArchiveSource:
    """SOURCE is a zip or tar file. It is read in place, with everything that a folder may be inside.

    A folder that holds all the rest is passed over, so that an archive of a folder gives what the folder gives.
    """

    name = "archive"
    looks_for = "an archive (.zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz) of such a folder"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is a file with the ending of an archive."""
        return os.path.isfile(spec) and spec.lower().endswith((".zip", *_TARS))

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """List the archive.

        Raises
        ------
        SourceError
            It cannot be read, or holds no labelled image.
        """
        archive = open_zip(spec) if spec.lower().endswith(".zip") else open_tar(spec)
        if holds_samples(archive):
            return samples_table([Shard(archive, "", "")], archive.title, spec)
        top = archive.without_wrappers()
        table = _labelled(archive, spec)
        notes = (f"Everything lies in the folder '{display(top)}' of the archive. Paths begin there.",) if top else ()
        skipped = sorted({*table.skipped, *archive.skipped}, key=lambda entry: (entry.path, entry.reason))
        return replace(table, notes=(*notes, *table.notes), skipped=tuple(skipped))


def _labelled(archive: Archive, spec: str) -> ImageTable:
    """The table of the metadata, or of the class folders, or of the only manifest."""
    found = metadata_table(archive, spec)
    if found is not None:
        return found
    manifest = only_manifest(archive)
    if manifest and len(archive.entries("", []).folders) < 2:
        return manifest_table(archive, manifest, spec)
    try:
        return classes_table(archive, spec)
    except SourceError as error:
        if not archive.skipped:
            raise
        first = archive.skipped[0]
        why = f"{len(archive.skipped)} entries of the archive are left out, such as {first.path!r}: {first.reason}"
        raise SourceError(error.message, hint=f"{why}; {error.hint}") from error
