"""A manifest with other labels, in its own format. Everything else of it stays: columns, order, quotes, types."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError
from auditor.sources.amended_text import DROPPED, Edits, csv_lines, csv_with, json_lines, json_with
from auditor.sources.manifest_excel import ENDINGS
from auditor.sources.manifest_formats import READERS, decode, delimiters, encoded_as, load, suffix_of
from auditor.system.text import display


@dataclass(frozen=True)
class Origin:
    """The manifest that the items of a table stand in.

    Attributes
    ----------
    file
        Its name.
    label
        The name of its column of labels.
    rows
        By path, the number of the item's row and its label as it was read.
    """

    file: str
    label: str
    rows: Mapping[str, tuple[int, str]]

    @property
    def ending(self) -> str:
        """The ending of a file of its format. What was packed is unpacked, and a sheet of Excel becomes CSV."""
        found = suffix_of(self.file)
        return ".csv" if found in (*ENDINGS, ".xml") else found

    def amended(self, labels: Mapping[str, str], dropped: frozenset[str], *, keep_rows: bool) -> bytes:
        """The manifest with some labels changed.

        A label is spelled as the file spells it elsewhere. Numbers and categories keep their type.

        Parameters
        ----------
        labels
            New labels by path.
        dropped
            Paths whose rows go.
        keep_rows
            A dropped row stays without a label, because other files have a line for each row.

        Raises
        ------
        SourceError
            The file cannot be read any more, or has other rows than it had.
        """
        data = load(self.file, display(self.file))
        change = self._changes(labels, dropped, keep_rows=keep_rows)
        kind = READERS[self.ending]
        try:
            if kind == "parquet":
                return _parquet_with(data, self.label, change)
            text = decode(data, display(self.file))
            if kind == "csv":
                return encoded_as(data, csv_with(text, delimiters(self.file), self.label, change))
            return encoded_as(data, json_with(text, self.label, change, lines=kind == "jsonl"))
        except (KeyError, ValueError, IndexError) as error:
            raise SourceError(
                f"the rows of {display(self.file)} are not those that were audited", hint="audit the data set again"
            ) from error

    def lines(self) -> dict[str, int]:
        """The line of the file on which each item begins, by path. A file without lines gives none.

        Raises
        ------
        SourceError
            The file cannot be read any more.
        """
        kind = READERS[self.ending]
        if kind == "parquet":
            return {}
        text = decode(load(self.file, display(self.file)), display(self.file))
        if kind == "csv":
            known = csv_lines(text, delimiters(self.file), self.label)
        else:
            known = json_lines(text, lines=kind == "jsonl")
        return {path: known[number] for path, (number, _) in self.rows.items() if number in known}

    def _changes(
        self, labels: Mapping[str, str], dropped: frozenset[str], *, keep_rows: bool
    ) -> Callable[[Mapping[int, Any]], Edits]:
        def changes(raw: Mapping[int, Any]) -> Edits:
            spelled: dict[str, object] = {}
            for number, label in self.rows.values():
                spelled.setdefault(label, raw[number])
            found: dict[int, object] = {self.rows[path][0]: spelled.get(new, new) for path, new in labels.items()}
            found |= {self.rows[path][0]: "" if keep_rows else DROPPED for path in dropped}
            return found

        return changes


def _parquet_with(data: bytes, label: str, edits: Callable[[Mapping[int, Any]], Edits]) -> bytes:
    """A Parquet file with other labels. Its schema stays, and so do its metadata."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(arrow.BufferReader(data))
    table = file.read(use_threads=False)
    at = table.schema.get_field_index(label)
    if at < 0:
        raise KeyError(label)
    values = table.column(at).to_pylist()
    changes = edits(dict(enumerate(values, start=1)))
    for number, new in changes.items():
        values[number - 1] = None if new is DROPPED or new == "" else new
    field = table.schema.field(at)
    table = table.set_column(at, field, arrow.array(values, type=field.type))
    gone = {number for number, new in changes.items() if new is DROPPED}
    if gone:
        table = table.take([row for row in range(len(values)) if row + 1 not in gone])
    codec = file.metadata.row_group(0).column(0).compression if file.metadata.num_row_groups else "NONE"
    out = io.BytesIO()
    parquet.write_table(table, out, compression="NONE" if codec == "UNCOMPRESSED" else codec)
    return out.getvalue()
