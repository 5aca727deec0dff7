"""Images that show nothing: black, white, or of one colour. No model can learn from them, so they give no suspects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.data import images
from auditor.data.features import Features
from auditor.data.split import SMALLEST_CLASS
from auditor.errors import UndecidedError
from auditor.sources.base import ImageTable, Skipped
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Learnable:
    """What an audit can learn from.

    Attributes
    ----------
    keep
        bool [N], true for images that take part.
    lost
        Classes that cannot take part at all: nearly all their images show nothing, and another class is as blank in
        the same colours.
    notes
        What to say, a sentence each.
    """

    keep: Array
    lost: tuple[str, ...]
    notes: tuple[str, ...]


def learnable(traits: Array, labels: Sequence[str], name: str) -> Learnable:
    """Which images and classes an audit can learn from, and what to say.

    Images that show nothing are left out. A class that consists of them keeps them where its colour tells it from the
    other such classes. Where it does not, nobody can tell these classes apart, and they are left out.

    Parameters
    ----------
    traits
        int32 [N], as `images.traits` gives them.
    labels
        The N given labels.
    name
        The data set's name.

    Raises
    ------
    UndecidedError
        Fewer than two classes would be left.
    """
    notes = _stretched(traits)
    blank = (traits & images.BLANK) != 0
    if not blank.any():
        return Learnable(np.ones(len(blank), bool), (), notes)
    names = np.array(labels, dtype=object)
    seen = {label: int((~blank & (names == label)).sum()) for label in sorted(set(labels))}
    empty = [label for label, n in seen.items() if n < SMALLEST_CLASS and (blank & (names == label)).any()]
    colours = {label: Counter((traits[blank & (names == label)] >> images.COLOUR_AT).tolist()) for label in empty}
    told = [label for label in empty if _told_apart(label, colours)]
    lost = tuple(label for label in empty if label not in told)
    if lost and len(seen) - len(lost) < 2:
        raise UndecidedError(
            f"{int(blank.sum())} of {len(blank)} images of {name} show nothing: they have one colour, or nearly. "
            f"{_named(lost)} {'has' if len(lost) == 1 else 'have'} fewer than {SMALLEST_CLASS} other images, so fewer "
            "than two classes are left to compare, and nobody can tell whether a label is right",
            hint="check how the images were made or scaled: a picture of the wrong range looks black or white",
        )
    kept = blank & np.isin(names, told)
    return Learnable(~np.isin(names, lost) & (~blank | kept), lost, (*notes, *_in_words(blank, kept, lost)))


def without(table: ImageTable, read: Features, found: Learnable) -> ImageTable:
    """The table without the classes that were lost. Their images are skipped, each with the reason."""
    gone = table.frame["label"].isin(found.lost).to_numpy()
    blank = {int(row) for row, traits in zip(read.rows, read.traits, strict=True) if traits & images.BLANK}
    unread = {entry.path: entry.reason for entry in read.skipped}
    paths = table.frame["path"].tolist()
    skipped = [
        Skipped(
            paths[row], images.SHOWS_NOTHING if row in blank else unread.get(paths[row], images.CLASS_SHOWS_NOTHING)
        )
        for row in np.flatnonzero(gone).tolist()
    ]
    frame = table.frame[~gone].reset_index(drop=True)
    return table.narrowed(frame, skipped)


def _told_apart(label: str, colours: dict[str, Counter[int]]) -> bool:
    """Whether the colours of a class of blank images tell it from the other such classes.

    They do where no other class has one of them. They do too where most of its images have a colour that is more
    frequent among its other images than in any other class: a few wrong labels do not make two classes one.
    """
    own, others = colours[label], [other for name, other in colours.items() if name != label]
    if not any(own.keys() & other.keys() for other in others):
        return True
    rest = max(own.total() - 1, 1)
    apart = sum(
        n for colour, n in own.items() if all((n - 1) / rest > other[colour] / other.total() for other in others)
    )
    return 2 * apart > own.total()


def _in_words(blank: Array, kept: Array, lost: Sequence[str]) -> list[str]:
    notes = []
    left_out = int((blank & ~kept).sum())
    if left_out:
        notes.append(
            f"{left_out} of {len(blank)} images show nothing: they have one colour, or nearly. They were left out, so "
            "there are no suspects among them. Nobody can tell from such an image whether its label is right."
        )
    if lost:
        notes.append(
            f"{_named(lost)} {'was' if len(lost) == 1 else 'were'} left out: nearly all images there show nothing, "
            "and in the same colours. Nobody can tell these classes apart."
        )
    if kept.any():
        notes.append(
            f"{int(kept.sum())} of {len(blank)} images show nothing but one colour, and their classes have hardly any "
            "others. They were audited by their colour alone."
        )
    return notes


def _named(labels: Sequence[str]) -> str:
    """Classes with their names, at the beginning of a sentence."""
    shown = ", ".join(f"'{label}'" for label in labels[:5]) + (f" and {len(labels) - 5} more" if labels[5:] else "")
    return f"The class {shown}" if len(labels) == 1 else f"The classes {shown}"


def _stretched(traits: Array) -> tuple[str, ...]:
    n = int(((traits & images.STRETCHED) != 0).sum())
    if not n:
        return ()
    return (
        f"{n} of {len(traits)} images have grey levels of more than 8 bits and use little of their range. "
        "Each was scaled by the range that it uses. Brightness cannot be compared between such images.",
    )
