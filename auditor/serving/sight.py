"""Items at full size, straight from the data set. What has changed since the audit is not shown."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass

from auditor.data import shown
from auditor.data.images import UnreadableImage
from auditor.errors import AuditorError, SourceError
from auditor.result import AuditResult
from auditor.sources.base import ImageTable
from auditor.system.files import reason

EDGE = 4096
"""Longer side of the largest picture that is sent, in pixels."""

MOST_TEXT = 2_000_000
"""Characters of the longest text that is sent."""

_AT_ONCE = 2
"""So many pictures are decoded at a time: each may take memory by the gigabyte."""


@dataclass(frozen=True)
class Shown:
    """What a browser gets of an item: bytes and their media type."""

    data: bytes
    media_type: str


class Sight:
    """Shows the items of an audit by their place in its ranking. Several threads may use it at a time.

    Parameters
    ----------
    result
        The audit.
    table
        Its data set, opened again; None where it cannot be opened.
    why
        Why it cannot, in a sentence.
    """

    def __init__(self, result: AuditResult, table: ImageTable | None, why: str = "") -> None:
        self._table, self._why = table, why
        self._paths = [str(path) for path in result.ranking["path"]]
        self._hashes = result.summary["dataset"]["hashes"]
        self._max_pixels = int(result.settings["max_pixels"])
        self._noun = result.noun
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    def show(self, row: int) -> Shown:
        """The item in this row: its picture, or all of its text.

        Raises
        ------
        SourceError
            There is no such row. Or the item is not there any more, has changed, or cannot be shown.
        """
        if not 0 <= row < len(self._paths):
            raise SourceError(f"the audit has no {self._noun.one} in row {row}")
        if self._table is None:
            raise SourceError(self._why)
        path = self._paths[row]
        with self._free:
            data = self._read(self._table, path)
            text = self._table.excerpt(path)
            if text:
                return Shown(text[:MOST_TEXT].encode("utf-8", "replace"), "text/plain; charset=utf-8")
            try:
                picture = shown.whole(data, EDGE, self._max_pixels)
            except UnreadableImage as error:
                raise SourceError(f"this {self._noun.one} cannot be shown: {error.reason}") from error
        return Shown(picture, shown.media_type(picture))

    def _read(self, table: ImageTable, path: str) -> bytes:
        try:
            data = table.read(path)
        except OSError as error:
            raise SourceError(f"this {self._noun.one} cannot be read: {reason(error)}") from error
        except AuditorError as error:
            raise SourceError(f"this {self._noun.one} cannot be read: {error.message}") from error
        if hashlib.sha256(data).hexdigest() != self._hashes.get(path):
            raise SourceError(f"this {self._noun.one} has changed since the audit, so it is not shown at full size")
        return data
