"""A table for a spreadsheet or any other tool: one item a line, with an empty column for the answer."""

from __future__ import annotations

import csv
import io

from auditor.errors import DecisionsError
from auditor.review.tools.contract import Answer, Answers, Tasks
from auditor.system.tables import csv_text, escape_cell, unescape_cell

_COLUMNS = (
    "rank",
    "path",
    "given_label",
    "suggested_label",
    "score",
    "answer",
    "reviewer",
    "time",
    "list",
    "hash",
    "audit",
)


class Spreadsheet:
    """Tasks as CSV. Who reviews writes a class, `cannot tell` or `does not belong` into the column `answer`."""

    name = "CSV"
    ending = ".csv"
    embeds = False
    next_step = "fill in the column answer (a class, or 'cannot tell', 'does not belong')"

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """One line a task. Text that a spreadsheet could run is escaped."""
        rows = [
            (
                str(task.rank),
                task.path,
                task.shown,
                task.suggested,
                "" if task.score is None else f"{task.score:.4g}",
                "",
                "",
                "",
                task.listed,
                task.hash,
                tasks.audit_id,
            )
            for task in tasks.tasks
        ]
        return csv_text([_COLUMNS, *([str(escape_cell(cell)) for cell in row] for row in rows)]).encode(), {}

    def recognises(self, data: bytes) -> bool:
        """Whether its first line names the columns that are needed."""
        line = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
        return b"answer" in line and b"path" in line

    def answers(self, data: bytes, shown: str) -> Answers:
        """The lines with an answer."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DecisionsError(f"{shown} is not UTF-8", hint="save the sheet as CSV UTF-8") from error
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        try:
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise DecisionsError(f"{shown} is not a readable CSV file: {error}", hint="save it again") from error
        needed = ("path", "given_label", "answer", "list", "hash", "audit")
        lacking = [name for name in needed if not rows or rows[0].get(name) is None]
        if lacking:
            raise DecisionsError(
                f"{shown} has no column {lacking[0]!r}", hint="keep all columns of the file that `auditor export` wrote"
            )
        answers = []
        for number, row in enumerate(rows, start=2):
            cell = {name: unescape_cell(row.get(name) or "") for name in (*needed, "reviewer", "time")}
            if cell["answer"].strip():
                answers.append(
                    Answer(
                        f"{shown}, row {number}",
                        cell["path"],
                        cell["hash"],
                        cell["given_label"],
                        cell["list"],
                        cell["answer"].strip(),
                        cell["reviewer"].strip(),
                        cell["time"].strip(),
                    )
                )
        audits = {(row.get("audit") or "").strip() for row in rows}
        if len(audits) > 1:
            raise DecisionsError(f"{shown} mixes rows of {len(audits)} audits", hint="import one audit at a time")
        return Answers(unescape_cell(audits.pop()), answers, len(rows) - len(answers))
