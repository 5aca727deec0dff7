"""Images that show nothing: black, white, or of one colour. No model can learn from them, so they give no suspects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.data import images
from auditor.data.split import SMALLEST_CLASS
from auditor.errors import SourceError
from auditor.system.arrays import Array


def learnable(traits: Array, labels: Sequence[str], name: str) -> tuple[Array, tuple[str, ...]]:
    """Which images an audit can learn from, and what to say.

    Images that show nothing are left out. A class that consists of them keeps them, unless a second class does too and
    has the same colour: then the two cannot be told apart.

    Parameters
    ----------
    traits
        int32 [N], as `images.traits` gives them.
    labels
        The N given labels.
    name
        The data set's name.

    Returns
    -------
    tuple
        bool [N], true for images that take part. And notes.

    Raises
    ------
    SourceError
        Two classes consist of images that show nothing, all of one colour.
    """
    notes = _stretched(traits)
    blank = (traits & images.BLANK) != 0
    if not blank.any():
        return np.ones(len(blank), bool), notes
    names = np.array(labels, dtype=object)
    seen = {label: int((~blank & (names == label)).sum()) for label in sorted(set(labels))}
    empty = [label for label, n in seen.items() if n < SMALLEST_CLASS and (blank & (names == label)).any()]
    colours = {label: set((traits[blank & (names == label)] >> images.COLOUR_AT).tolist()) for label in empty}
    if len(seen) - len(empty) + sum(_alone(label, colours) for label in empty) < 2:
        shown = ", ".join(f"'{label}'" for label in empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise SourceError(
            f"{int(blank.sum())} of {len(blank)} images of {name} show nothing: they have one colour, or nearly; the "
            f"classes {shown} have fewer than {SMALLEST_CLASS} other images",
            hint="check how the images were made or scaled: nothing can be learnt from them",
        )
    kept = blank & np.isin(names, empty)
    left_out = int((blank & ~kept).sum())
    if left_out:
        notes += (
            f"{left_out} of {len(blank)} images show nothing: they have one colour, or nearly. They were left out, so "
            "there are no suspects among them. Nobody can tell from such an image whether its label is right.",
        )
    if kept.any():
        notes += (
            f"{int(kept.sum())} of {len(blank)} images show nothing but one colour, and their classes have hardly any "
            "others. They were audited by their colour alone.",
        )
    return ~blank | kept, notes


def _alone(label: str, colours: dict[str, set[int]]) -> bool:
    """Whether no other class of blank images has a colour of this one."""
    return all(not colours[label] & other for name, other in colours.items() if name != label)


def _stretched(traits: Array) -> tuple[str, ...]:
    n = int(((traits & images.STRETCHED) != 0).sum())
    if not n:
        return ()
    return (
        f"{n} of {len(traits)} images have grey levels of more than 8 bits and use little of their range. "
        "Each was scaled by the range that it uses. Brightness cannot be compared between such images.",
    )
