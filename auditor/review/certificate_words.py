"""What a certificate says in words: its method, what it assumes, and what a reader must know besides."""

from __future__ import annotations

from auditor.certificate import CONFIDENCE
from auditor.certificate.bounds import FEWEST_OF_A_CLASS, HIT_PART, hit_rate
from auditor.certificate.wording import at_most
from auditor.review.looks import Standing
from auditor.review.tally import Tally
from auditor.system.text import counted

ONE_IN = 20
"""The example of what misses do to a figure: one wrong label in so many is missed."""

_EACH = (
    "The interval holds in 95% of all cases, both ends together. The upper bound (at most) and the lower bound (at "
    "least) hold in 95% each; each is a statement of its own."
)


def method(tally: Tally) -> str:
    """How the figures were computed."""
    n, total = tally.bounds.used, tally.plan.n
    drawn = (
        f"{n:,} of {total:,} items were drawn, each with a known chance that is never zero, and looked at. The "
        "model's scores chose the chances: they make the figures narrower and cannot make them wrong."
    )
    if tally.plan.reading == "betting":
        return f"{drawn} The looks are read by betting, which holds at any moment and for any kind of errors. {_EACH}"
    points = ", ".join(f"{point:,}" for point in tally.plan.checkpoints)
    return (
        f"{drawn} The looks are read by strata after {points} looks, and at no other moment. {_EACH} This is checked "
        "by simulation and not proven. There the interval failed in up to 6.2% of the draws, and a bound in up to 4.3%."
    )


def assumptions(tally: Tally) -> list[str]:
    """What must be true for the figures to hold."""
    calls = [standing for standing in tally.ledger.standings.values() if standing.calls]
    return [
        *_about_misses(tally),
        *_about_calls(calls),
        "The drawn items were looked at in the drawing order, and nobody left one out because of what it shows.",
        *_about_others(tally),
        f"A class stands in the list if {FEWEST_OF_A_CLASS} of its items were drawn and looked at. Each class is a "
        "statement of its own.",
    ]


def _about_misses(tally: Tally) -> list[str]:
    if tally.hits is None:
        left = tally.remaining()["at_most"]
        more = left * ONE_IN / (ONE_IN - 1)
        example = f": where they miss one in {ONE_IN}, about {at_most(more)} in place of {at_most(left)}"
        return [
            "Misses were not measured: no labels known to be wrong were mixed in. If reviewers take wrong labels for "
            f"right ones, more are left than the figures say{example if more < 1 else ''}. "
            "`auditor review sample --known-wrong 30` measures it."
        ]
    found, shown = tally.hits
    rate = hit_rate(found, shown, HIT_PART * (1 - CONFIDENCE))
    return [
        f"{shown:,} labels were made wrong, and reviewers called {found:,} of them wrong. So they see at least "
        f"{rate:.0%} of wrong labels. Upper ends count what they may miss at that rate, and the error of this "
        "measurement is part of the 5%. Labels that were made wrong are assumed to be no easier to see than real ones."
    ]


def _about_calls(calls: list[Standing]) -> list[str]:
    if not calls:
        return []
    second = sum(standing.reviewers > 1 for standing in calls)
    words = f"{second:,} of {counted(len(calls), 'item', 'items')} called wrong had a look by a second person."
    if second == len(calls):
        return [f"{words} More than half of the reviewers settle an item."]
    return [
        f"{words} If a single reviewer calls right labels wrong, the figures before the corrections are too high, and "
        "the lower bounds do not hold. `auditor review sample --again` shows these items to a second person."
    ]


def _about_others(tally: Tally) -> list[str]:
    said = []
    if tally.outside:
        said.append(
            f"{counted(len(tally.outside), 'item was', 'items were')} judged outside the sample: looked at before the "
            "draw, or settled by a reference. They count with what was found, and prove nothing about other items."
        )
    undecided = sum(known.status == "undecided" for known in tally.known)
    if undecided:
        said.append(
            f"{counted(undecided, 'item is', 'items are')} undecided. Each counts as wrong in upper ends and as right "
            "in lower ones."
        )
    if tally.changed:
        said.append(
            f"{counted(tally.changed, 'item has', 'items have')} come or changed since the draw, and nobody has looked "
            "at them. Each counts as wrong in upper ends and as right in lower ones."
        )
    return said


def notes(tally: Tally) -> list[str]:
    """What a reader must know besides."""
    said = []
    gone = sum(tally.gone.values())
    if tally.bounds.beyond:
        said.append(
            f"{counted(tally.bounds.beyond, 'look does', 'looks do')} not count yet, because an item before them in "
            "the drawing order has no look. `auditor review sample` shows it."
        )
    if gone:
        said.append(
            f"{counted(gone, 'item', 'items')} of the sample's population are gone, and nobody judged them. Each may "
            "have been wrong, so the upper ends stand as if they were still there."
        )
    points = tally.plan.checkpoints
    if points and tally.bounds.used < points[0]:
        said.append(
            f"The first checkpoint is at {points[0]:,} looks, and {tally.bounds.used:,} count so far. Nothing is "
            "proved before it."
        )
    if tally.to_correct:
        said.append(
            f"{counted(tally.to_correct, 'label', 'labels')} found wrong are not corrected in this data set. "
            "`remaining` counts them as corrected, `today` as wrong."
        )
    return said
