"""What CleanVision says of the images of an audit: a kind of oddity from another package.

    pip install ./integrations/cleanvision
    auditor audit photos/ -o out

The next audit has a part of the report, an entry in `audit.json`, and a column `cleanvision` in `ranking.csv`. Images
are read as the audit reads them: from folders, archives and stores, with its guards. Each is decoded once more.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from auditor.config import MAX_PIXELS
from auditor.data import images
from auditor.oddities import Audited, Column, Item, Kind, Oddity

FAULTS = {
    "dark": "dark",
    "light": "bright",
    "low_information": "blank",
    "blurry": "blurred",
    "odd_size": "of an odd size",
    "odd_aspect_ratio": "of an odd shape",
    "grayscale": "without colours",
}
"""CleanVision's names, and ours."""


class Pictures:
    """The images of an audit as CleanVision reads a data set of torchvision: by number, each in a tuple."""

    def __init__(self, audited: Audited) -> None:
        self._data = audited.data

    def __len__(self) -> int:
        return len(self._data.paths)

    def __getitem__(self, row: int) -> tuple[Any]:
        data = self._data.table.read(self._data.paths[row])
        return (images.decode(data, max_pixels=MAX_PIXELS),)  # in full: its size is judged too


def find(audited: Audited) -> Oddity:
    """Ask CleanVision, and tell what it flags with its scores. A low score is bad."""
    from cleanvision import Imagelab  # other commands than an audit need not load it

    lab = Imagelab(torchvision_dataset=Pictures(audited), verbose=False)
    with contextlib.redirect_stderr(io.StringIO()):  # its bar of progress would run through the audit's own
        lab.find_issues({name: {} for name in FAULTS}, n_jobs=1, verbose=False)
    found, n = lab.issues, len(audited.data.paths)
    flagged = {name: found[f"is_{name}_issue"].to_numpy(bool) for name in FAULTS}
    scores = {name: found[f"{name}_score"].to_numpy(float) for name in FAULTS}
    said = [
        "; ".join(f"{word} {scores[name][row]:.3f}" for name, word in FAULTS.items() if flagged[name][row])
        for row in range(n)
    ]
    worst = np.min([np.where(flagged[name], scores[name], np.inf) for name in FAULTS], axis=0)
    faulty = int(np.isfinite(worst).sum())
    order = [int(row) for row in np.argsort(worst, kind="stable")[:faulty]]
    return Oddity(
        f"CleanVision flags {faulty} of {n} images. Its limits are its own, and its figures have no interval.",
        value=faulty / n,
        heads=("fault", "images", "share"),
        rows=tuple((word, int(flagged[name].sum()), float(flagged[name].mean())) for name, word in FAULTS.items()),
        items=tuple(Item(row, said[row]) for row in order),
        notes=("Scores lie between 0 and 1, and a low one is bad. See cleanvision.readthedocs.io.",),
        values=np.array(said, dtype=object) if faulty else None,
    )


KIND = Kind(
    "cleanvision",
    "What CleanVision flags",
    "Images that CleanVision flags as dark, bright, blank, blurred, without colours, or of an odd size or shape.",
    ("pictures",),
    find,
    Column("cleanvision", "words", "What CleanVision flags, each with its score; empty where it flags nothing."),
)
