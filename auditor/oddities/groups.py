"""Groups of items, such as those of one camera or one annotator, with more wrong labels than the rest.

`group_comparison` compares them. Here stands what it is told, and how its answer is put into words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.oddities.contract import ROWS, Audited, Kind, Oddity
from auditor.oddities.group_comparison import SMALLEST, Group, Groups, Judged, compare
from auditor.system.text import short

WITHOUT = (
    "Cannot tell: the data set names no groups. A column of the manifest would, such as a camera, a site or an "
    "annotator; --group-columns names it."
)

NOT_COMPARED = (
    "Cannot tell: no group of {columns} has enough labels that can be compared: each needs {smallest} images, others "
    "of the same given label, and labels that look wrong."
)

SEEN = (
    "Half of the {n} groups would have been named from {times:.1f} times as many wrong labels on; the table says it of "
    "each."
)

HOW = (
    "'usual' is how many of as many images like those of the group have a label that looks wrong elsewhere. A label "
    "looks wrong where it is more probably wrong than right. Images are alike here if they have the same given label "
    "and are as hard to judge for the model. Copies count once. All intervals hold together with 95% probability, "
    "however many groups there are. Errors that the model cannot see do not count."
)

HEADS = ("column", "group", "images", "look wrong", "usual", "times", "interval", "named from")


def find(audited: Audited) -> Oddity:
    """What the groups of the source show."""
    columns = {} if audited.grouping is None else audited.grouping.columns
    p, doubt = audited.detection.p_mislabelled, audited.detection.doubt
    if not columns or p is None:
        return Oddity(WITHOUT, told=False, notes=_passed_over(audited))
    known = np.isfinite(p) if doubt is None else np.isfinite(p) & np.isfinite(doubt)
    kept = {
        name: [value for value, keep in zip(values, known, strict=True) if keep] for name, values in columns.items()
    }
    items = Judged(
        p[known], audited.data.labels[known], None if doubt is None else doubt[known], audited.families[known]
    )
    found = compare(kept, items)
    if not found.groups:
        return Oddity(
            NOT_COMPARED.format(columns=_listed([column.name for column in found.columns]), smallest=SMALLEST),
            told=False,
            notes=_passed_over(audited),
        )
    return Oddity(
        _summary(found),
        value=float(len(found.worse)),
        heads=HEADS,
        rows=tuple(map(_row, found.groups[:ROWS])),
        notes=(HOW, *_left_out(found), *_passed_over(audited)),
    )


def _summary(found: Groups) -> str:
    if not found.worse:
        names = _listed([column.name for column in found.columns if column.n_compared])
        seen = (
            SEEN.format(n=len(found.groups), times=found.seen_from)
            if np.isfinite(found.seen_from)
            else "Half of the groups are too small to be named whatever their labels."
        )
        return f"No group of {names} has more wrong labels than chance explains. {seen}"
    one, more = found.worse[0], len(found.worse) - 1
    times = f"{one.times:.1f} times as many ({_interval_said(one)})"
    others = f" {more} more {'group has' if more == 1 else 'groups have'} more than chance explains." if more else ""
    return (
        f"Of {one.n} images with '{short(one.column)}' = '{short(one.name)}', about {one.observed:.0f} have a label "
        f"that looks wrong. Among as many images like them elsewhere it would be about {one.usual:.0f}: "
        f"{times if np.isfinite(one.times) else 'there are none'}.{others}"
    )


def _interval_said(group: Group) -> str:
    return f"{group.low:.1f} to {group.high:.1f}" if np.isfinite(group.high) else f"{group.low:.1f} or more"


def _row(group: Group) -> tuple[str | float, ...]:
    observed, usual, times = (round(figure, 1) for figure in (group.observed, group.usual, group.times))
    place = (short(group.column), short(group.name) or "(empty)", group.n)
    return (*place, observed, usual, times, _interval_said(group), round(group.seen_from, 1))


def _left_out(found: Groups) -> tuple[str, ...]:
    """What was not compared, a sentence for each column."""
    notes = []
    for column in found.columns:
        alone, small = column.n_alone, column.n_small
        said = [f"{small} with fewer than {SMALLEST} images"] * bool(small)
        said += [f"{alone} that have no others of the same given label beside them"] * bool(alone)
        if said:
            notes.append(f"Not compared in '{short(column.name)}': {' and '.join(said)}.")
    return tuple(notes)


def _passed_over(audited: Audited) -> tuple[str, ...]:
    passed = {} if audited.grouping is None else audited.grouping.passed_over
    if not passed:
        return ()
    said = _listed([f"'{short(name)}' ({reason})" for name, reason in list(passed.items())[:12]], quoted=False)
    return (f"Columns that were not taken for groups: {said}. --group-columns names those to take.",)


def _listed(names: Sequence[str], *, quoted: bool = True) -> str:
    shown = [f"'{short(name)}'" if quoted else name for name in names[:12]]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


KIND = Kind(
    "groups",
    "Groups with more wrong labels",
    "Groups of images, such as those of one camera or one annotator, with more wrong labels than the rest.",
    ("estimate",),
    find,
)
