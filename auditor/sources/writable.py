"""What a source says of a manifest that can be written again with other labels."""

from __future__ import annotations

from collections.abc import Mapping
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
