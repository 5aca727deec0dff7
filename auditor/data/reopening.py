"""Opens an audited data set again, as it was opened for the audit.

`audit.json` keeps what that takes: `dataset.source`, as the user wrote it, and the settings about opening. It holds no
absolute path unless the user wrote one.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from auditor.config import MAX_PIXELS, AuditSettings
from auditor.errors import SourceError
from auditor.result import AuditResult, complete_result
from auditor.result.documents import DatasetDocument
from auditor.sources import open_source
from auditor.sources.arrays_file import read_block
from auditor.sources.base import IN_MEMORY, ImageTable
from auditor.sources.frames import frame_table
from auditor.sources.given import beside
from auditor.sources.manifest import AS_NAMED, Layout, parse_spec
from auditor.sources.remote import Reach, is_address, without_secrets
from auditor.sources.remote.reach import unnamed
from auditor.system.text import plain

_TRIED = 20
"""How many images are looked for to tell the audited data set from another of its name."""


@dataclass(frozen=True)
class Opening:
    """What it takes to open a data set beside its SOURCE. The fields are settings of the same names."""

    allow_outside: bool = False
    classes: tuple[str, ...] = ()
    root: str = ""
    columns: str = ""
    features: str = ""
    probabilities: str = ""
    kind: str = ""
    label: str = ""
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Opening:
        """From settings by name; those that are not there have their defaults."""
        known = {field.name: settings[field.name] for field in fields(cls) if field.name in settings}
        return cls(**{**known, "classes": tuple(known.get("classes", ()))})

    def open(self, source: str, *, by_name: bool = False, reach: Reach | None = None) -> ImageTable:
        """The data set, with features and probabilities where some are given.

        Parameters
        ----------
        by_name
            Features come from elsewhere, so that items need not be files.
        reach
            The leave to read addresses; None where nobody named one.
        """
        numbers = bool(self.features or self.probabilities)
        by_name = by_name or numbers
        layout = Layout(self.root, self.columns, by_name, self.kind, self.label, self.max_pixels, reach)
        table = open_source(source, allow_outside=self.allow_outside, classes=self.classes, layout=layout)
        if not numbers:
            return table
        features = read_block(self.features, "features") if self.features else None
        probabilities = read_block(self.probabilities, "probabilities") if self.probabilities else None
        return beside(table, features, probabilities, self.classes)

    def frame(self, frame: pd.DataFrame, *, by_name: bool) -> ImageTable:
        """The data set that a DataFrame holds."""
        layout = Layout(self.root, self.columns, by_name, self.kind, self.label, self.max_pixels)
        return frame_table(frame, layout, self.allow_outside)


def open_as(source: str, settings: AuditSettings, reach: Reach | None = None) -> ImageTable:
    """The data set SOURCE as these settings say. An address needs a reach.

    Raises
    ------
    SourceError
        See `auditor.sources.open_source`. Or features or probabilities cannot be read, or do not fit.
    """
    return Opening.of(settings.as_json()).open(source, reach=reach)


def open_trusted(settings: AuditSettings, kind: str, reach: Reach | None = None) -> ImageTable:
    """The reference of these settings. It holds items of the data set's kind.

    The columns that the settings name are those of the reference too, unless its own SOURCE names some.

    Raises
    ------
    SourceError
        It cannot be opened, or holds items of another kind.
    """
    layout = replace(AS_NAMED, reach=reach)
    if without_secrets(settings.reference) != settings.reference:
        raise SourceError(
            "the address of the reference holds a password or a signature, which would be kept in audit.json",
            hint="fetch the file and give that, or keep the password in ~/.netrc",
        )
    if kind in ("text", "table"):
        own = parse_spec(settings.reference)[1]
        layout = replace(layout, kind=kind)
        layout = layout if own else replace(layout, columns=settings.columns, label=settings.label)
    table = open_source(settings.reference, allow_outside=settings.allow_outside, layout=layout)
    if table.kind != kind:
        raise SourceError(
            f"the reference {table.name} holds items of the kind {table.kind}, and the data set those of {kind}",
            hint="give a reference of the same kind",
        )
    return table


def reopen(result: AuditResult, *, source: str = "", out: str | Path | None = None) -> ImageTable:
    """The data set of a finished audit, opened again with the audit's own settings.

    Parameters
    ----------
    source
        Where the data set lies now; empty where the audit found it. What the user wrote for the audit may be relative.
        Then it is looked for in the current folder first, and in the folders above `out` after that.
    out
        The audit's folder.

    Raises
    ------
    SourceError
        The data set is not there any more, or cannot be opened.
    ResultError
        The result does not say what the data set is.
    """
    with complete_result():
        opening = Opening.of(result.summary["settings"])
        wanted = source or str(result.summary["dataset"]["source"])
    if wanted == IN_MEMORY:
        raise SourceError(
            "the audited items were objects of a program, which no command can find",
            hint="audit again from Python, or say with --source where the same items lie",
        )
    if is_address(source) and without_secrets(source) == opening.root:
        opening, source, wanted = replace(opening, root=source), "", str(result.summary["dataset"]["source"])
        reach: Reach | None = Reach()
    else:
        reach = Reach() if is_address(source) else None
        for place in () if source and not is_address(opening.root) else (wanted, opening.root):
            if is_address(place) and reach is None:
                raise unnamed(place)
    places = list(_above(out))
    if is_address(wanted):
        return opening.open(wanted, reach=reach)
    spec = wanted if source else _audited(wanted, places, opening.root, result)
    near = replace(
        opening,
        root=opening.root if is_address(opening.root) else _found(opening.root, places),
        features=_found(opening.features, places),
        probabilities=_found(opening.probabilities, places),
    )
    try:
        return near.open(spec, reach=reach)
    except SourceError as error:
        if os.path.lexists(_file(spec)):
            raise
        raise _not_here(wanted) from error


def _not_here(written: str) -> SourceError:
    return SourceError(
        f"the audited data set {plain(written)} is not here",
        hint="run the command in the folder in which the audit ran, or say where the data set lies with --source",
    )


def moved(result: AuditResult, source: str) -> AuditResult:
    """The result of an audit whose data set lies at `source` now. An empty one changes nothing."""
    if not source:
        return result
    with complete_result():
        dataset = result.summary["dataset"]
        place = Path(_file(source))
        root = result.settings["root"] or str(place if place.is_dir() else place.parent)
        words = shlex.split(result.summary["command"])
        command = shlex.join([source if word == dataset["source"] else word for word in words])
        now: DatasetDocument = {**dataset, "source": source, "root": root}
        return replace(result, summary={**result.summary, "command": command, "dataset": now})


def located(written: str, out: str | Path | None) -> str:
    """A file of a setting, looked for in the current folder and then in the folders above an audit's folder."""
    return _found(written, list(_above(out)))


def _above(out: str | Path | None) -> Iterator[Path]:
    """The folders above an audit's folder, the nearest first."""
    if out is not None:
        yield from Path(out).resolve().parents


def _found(written: str, places: list[Path]) -> str:
    """A path as it was written, if something lies there. Else from the first of the places that has it."""
    file = _file(written)
    if Path(file).is_absolute() or not file.strip() or "\0" in file or os.path.lexists(file):
        return written
    return next((f"{place}{os.sep}{written}" for place in places if os.path.lexists(place / file)), written)


def _audited(written: str, places: list[Path], root: str, result: AuditResult) -> str:
    """A SOURCE, where it lies: see `_found`. Of several places the first that holds an audited image is meant.

    `.` and `data` lie in most folders. Elsewhere than the audit's they are another data set.
    """
    first = _found(written, places)
    file = _file(written)
    if root or Path(file).is_absolute() or not file.strip() or "\0" in file:
        return first
    images = sorted(result.summary["dataset"]["hashes"])[:_TRIED]
    there = [
        spec for spec in (written, *(f"{place}{os.sep}{written}" for place in places)) if os.path.lexists(_file(spec))
    ]
    found = next((spec for spec in there if _holds(Path(_file(spec)), images)), None)
    if found is None and not Path(file).name.strip("."):
        raise _not_here(written)
    return found or first


def _holds(source: Path, images: list[str]) -> bool:
    """Whether one of the images lies in a folder, or beside a manifest."""
    folder = source if source.is_dir() else source.parent
    whole = (image.rpartition("#")[0] for image in images)  # a box is called after its picture
    return any(os.path.lexists(folder / image) for image in (*images, *filter(None, whole)))


def _file(spec: str) -> str:
    """The file or folder that a SOURCE names, without the choice of columns behind it."""
    return parse_spec(spec)[0]
