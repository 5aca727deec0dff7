"""Annotations with a file for each picture: they are written again with other classes, all else as it was."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor.errors import SourceError
from auditor.sources.amended_text import DROPPED
from auditor.sources.root import Root
from auditor.system.files import reason
from auditor.system.text import display

Edit = Callable[[bytes, Mapping[int, object]], bytes]
"""Gives the bytes of a file with new classes by the number of a box; `DROPPED` takes the box out."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where a box stands: its file, its number there from 1, and its line."""

    file: str
    number: int
    line: int


@dataclass(frozen=True)
class AnnotationFiles:
    """The files in which boxes stand.

    Attributes
    ----------
    tree
        The folder where their paths begin.
    rows
        Where each box stands, by name.
    files
        All files of annotations, those without a box too.
    extras
        Files that belong to them, such as a list of classes, by path.
    main
        The file among the extras that opens them; empty for their folder.
    spelled
        How a file spells each class.
    edit
        Changes a file.
    """

    tree: Root
    rows: Mapping[str, Row]
    files: Sequence[str]
    extras: Mapping[str, bytes]
    main: str
    spelled: Mapping[str, object]
    edit: Edit

    @property
    def order(self) -> Sequence[str]:
        """The names of the boxes in the order of the files."""
        return list(self.rows)

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str]) -> tuple[str, dict[str, bytes]]:
        """All files, with other classes for some boxes, and without some others.

        Raises
        ------
        SourceError
            A file cannot be read any more, or is another one.
        """
        changes: dict[str, dict[int, object]] = defaultdict(dict)
        for name, label in labels.items():
            changes[self.rows[name].file][self.rows[name].number] = self.spelled.get(label, label)
        for name in dropped:
            changes[self.rows[name].file][self.rows[name].number] = DROPPED
        written = dict(self.extras)
        for file in self.files:
            try:
                data = self.tree.read(file)
                written[file] = self.edit(data, changes[file]) if file in changes else data
            except (OSError, KeyError, ValueError, IndexError) as error:
                said = reason(error) if isinstance(error, OSError) else "it does not hold what was audited"
                raise SourceError(
                    f"cannot write {display(file)} again: {said}", hint="audit the boxes again"
                ) from error
        return self.main, written

    def places(self) -> dict[str, tuple[str, int]]:
        """The file and the line of each box, by name."""
        return {name: (os.path.join(self.tree.folder, row.file), row.line) for name, row in self.rows.items()}
