"""Rows of measurements: JSON lines while a benchmark runs, and a CSV file in `results/` when it is done.

Every row says where it comes from: commit, date, machine and versions.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import pandas as pd

RESULTS = Path(__file__).parent / "results"
STAMP = ("commit", "date", "machine", "versions")


def stamp() -> dict[str, str]:
    """Where and when a measurement of this moment is taken."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return dict(zip(STAMP, (machine.commit(), today, machine.machine(), machine.versions()), strict=True))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the option `--results`."""
    text = "folder of the CSV files (name another one for a trial run)"
    parser.add_argument("--results", type=Path, default=RESULTS, help=text)


def add_going_on(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the options of a run that goes on where it stopped: `--rows`, `--table` and `--results`."""
    parser.add_argument("--rows", type=Path, help="JSON lines: rows are appended, finished ones are not repeated")
    parser.add_argument("--table", action="store_true", help="run no row, write the tables of the rows there are")
    add_options(parser)


@dataclass(frozen=True)
class Part:
    """A part of a benchmark: what gives its records in a folder with so many seeds, its table, and its groups."""

    run: Callable[[Path, int], Iterable[Mapping[str, Any]]]
    table: str
    by: tuple[str, ...]


def run_parts(about: str | None, parts: Mapping[str, Part], need: Callable[[], None]) -> None:
    """Run the parts that the command line names; print means of groups, and append the rows. `need` looks for data."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="parts to run; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    add_options(parser)
    options = parser.parse_args()
    need()
    for part in (parts[name] for name in options.parts or parts):
        with tempfile.TemporaryDirectory() as folder:
            frame = pd.DataFrame(list(part.run(Path(folder), options.seeds)))
        print(markdown(frame.groupby([*part.by], sort=False).mean(numeric_only=True).reset_index()))
        print("kept in", append(part.table, frame, options.results))


# JSON lines: an interrupted run goes on from these


def kept(path: Path | None) -> list[dict[str, Any]]:
    """The records that an earlier run kept in `path`; none if there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else []
    return [json.loads(line) for line in lines]


def keep(path: Path | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """`record` with its stamp. It is appended to `path`, if there is one."""
    record = {**record, **stamp()}
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            print(json.dumps(record, default=lambda value: value.item()), file=file)
    return record


def stamp_of(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The stamp of a table made from `records`. Different commits or dates stand side by side in it."""
    records = list(records)
    return {name: "; ".join(sorted({str(r.get(name, "")) for r in records} - {""})) for name in STAMP}


# CSV: what is kept in the repository


def append(name: str, frame: pd.DataFrame, folder: Path = RESULTS, *, of: Iterable[Mapping[str, Any]] = ()) -> Path:
    """Append a table to `folder/name.csv`, floats with six digits.

    Parameters
    ----------
    frame
        One row a measurement. Columns that the file does not have yet stay empty in its older rows.
    of
        The kept records that the table is made of; without them the table is stamped as of now. Where each record has
        a row of its own, each row has its own stamp.
    """
    path = folder / f"{name}.csv"
    records = list(of)
    short = frame.astype(object).map(lambda value: f"{value:.6g}" if isinstance(value, float) else value)
    new = short.replace("nan", "").assign(**(stamp_of(records) if records else stamp()))
    if len(records) == len(new):
        new = new.assign(**{name: [stamp_of([record])[name] for record in records] for name in STAMP})
    whole = pd.concat([pd.read_csv(path, dtype=str), new]) if path.exists() else new
    columns = [column for column in whole.columns if column not in STAMP]
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    whole[[*columns, *STAMP]].to_csv(temporary, index=False, lineterminator="\n")
    temporary.replace(path)
    return path


def newest(name: str, folder: Path = RESULTS) -> pd.DataFrame:
    """The rows of `folder/name.csv` that were appended last; empty if there is no such file."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return pd.DataFrame()
    frame = pd.read_csv(path).fillna(dict.fromkeys(STAMP, ""))
    last = frame[list(STAMP)].iloc[-1]
    return frame[(frame[list(STAMP)] == last).all(axis=1)]


def markdown(frame: pd.DataFrame) -> str:
    """A Markdown table, for the terminal."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * len(frame.columns)]
    lines += ["| " + " | ".join(_cell(v) for v in values) + " |" for values in frame.to_numpy(dtype=object)]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.4g}"
    return "-" if value is None else str(value)
