"""What a source says of a manifest, or of files of annotations, that can be written again with other labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Manifest(Protocol):
    """A manifest in which the items of a table stand. `auditor.sources.amended.Origin` is one."""

    @property
    def ending(self) -> str:
        """The ending of a file of its format, with its dot."""
        ...

    def lines(self) -> dict[str, int]:
        """The line of the file on which each item begins, by path."""
        ...

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str], *, keep_rows: bool) -> bytes:
        """The manifest with new labels by path, and without the rows of some paths.

        With `keep_rows` these rows stay, without a label.
        """
        ...


class Annotations(Protocol):
    """The files of annotations in which the boxes of a table stand."""

    @property
    def order(self) -> Sequence[str]:
        """The names of all boxes, in the order of the files."""
        ...

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str]) -> tuple[str, dict[str, bytes]]:
        """The files with new classes by name, and without some boxes.

        The first value is the one to open again, empty for their folder. The files stand by their relative paths.
        """
        ...

    def places(self) -> dict[str, tuple[str, int]]:
        """The file in which each box stands, as the user wrote its folder, and its line. By the name of the box."""
        ...
