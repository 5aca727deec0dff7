"""What becomes of each image after all reviewers' looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.result.nouns import Noun
from auditor.review.decisions import Decision, ReviewFile, heavier
from auditor.review.items import Item
from auditor.review.looks import Standing
from auditor.system.text import plain

_NAMED = 5
"""Undecided images that a sentence names."""


@dataclass(frozen=True)
class Outcome:
    """What becomes of the images that somebody looked at.

    Attributes
    ----------
    decisions
        One for each image with a look, sorted by path. Undecided ones are `unsure` and keep their given label.
    disputed
        Paths of images whose reviewers do not agree, so that none of them has a majority.
    """

    decisions: tuple[Decision, ...]
    disputed: tuple[str, ...]

    def in_words(self, noun: Noun) -> str:
        """A sentence about items whose reviewers do not agree; empty where there are none."""
        n = len(self.disputed)
        if not n:
            return ""
        names = ", ".join(plain(path) for path in self.disputed[:_NAMED]) + (", ..." if n > _NAMED else "")
        kept = f"1 {noun.one} is undecided, because its reviewers do not agree. It keeps its given label"
        if n > 1:
            kept = f"{noun.count(n)} are undecided, because their reviewers do not agree. They keep their given labels"
        return f"{kept}: {names}. `auditor review sample OUT --again DECISIONS` shows them to one more person."


def outcome(items: Sequence[Item], reviews: Sequence[ReviewFile]) -> Outcome:
    """What the looks come to, image by image.

    Parameters
    ----------
    items
        The audit's items with what the looks at each come to.
    reviews
        The files that are applied. They alone tell which copy of an image was dropped.
    """
    dropped = _dropped_copies(reviews)
    times = {decision.path: decision.time for review in reviews for decision in review.decisions}
    said, disputed = [], []
    for item in items:
        standing = item.standing
        if standing is None:
            continue
        said.append(_decision(item, standing, item.path in dropped, times.get(item.path, "")))
        if standing.decision == "unsure" and not standing.agreed:
            disputed.append(item.path)
    return Outcome(tuple(said), tuple(disputed))


def _decision(item: Item, standing: Standing, dropped: bool, time: str) -> Decision:
    if standing.decision == "unsure":
        return Decision(item.path, item.hash, item.label, "unsure", None, time)
    if dropped or standing.decision == "drop":
        return Decision(item.path, item.hash, item.label, "drop", None, time)
    if standing.final_label in (item.label, None):
        return Decision(item.path, item.hash, item.label, "keep", None, time)
    return Decision(item.path, item.hash, item.label, "relabel", standing.final_label, time)


def _dropped_copies(reviews: Iterable[ReviewFile]) -> set[str]:
    """Paths that every file about them drops while it keeps a copy: the same content under the same label."""
    drops: set[str] = set()
    others: set[str] = set()
    for review in reviews:
        heaviest: dict[tuple[str, str], Decision] = {}
        for decision in review.decisions:
            key = (decision.hash, decision.label)
            if key not in heaviest or heavier(decision, heaviest[key]):
                heaviest[key] = decision
        for decision in review.decisions:
            kept = heaviest[decision.hash, decision.label].decision in ("keep", "relabel")
            (drops if decision.decision == "drop" and kept else others).add(decision.path)
    return drops - others
