"""Looks and a data set put side by side: how many labels were wrong, how many are left, and how many are wrong as it
lies.

Bounds speak of the plan's population, by the labels that items had at first. Everything else is counted here: items
looked at outside the population, corrections, items that changed or came later, and items that are gone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.certificate import CONFIDENCE, Bounds, Plan, bounds, hit_rate, item_id
from auditor.certificate.bounds import HIT_PART, SIDE
from auditor.certificate.documents import ProvenShare
from auditor.review.items import Item
from auditor.review.ledger import Ledger
from auditor.review.looks import WRONG, Standing


@dataclass(frozen=True)
class Ends:
    """Numbers of wrong labels: an estimate, the ends of an interval, and two one-sided bounds."""

    value: float
    low: float
    high: float
    at_least: float
    at_most: float

    @classmethod
    def of(cls, found: Bounds) -> Ends:
        """The ends of bounds."""
        return cls(found.value, found.low, found.high, found.at_least, found.at_most)

    def plus(self, value: float, lower: float, upper: float) -> Ends:
        """The same with labels counted beside them."""
        return Ends(
            self.value + value, self.low + lower, self.high + upper, self.at_least + lower, self.at_most + upper
        )

    def share(self, n: int, known: int = 0) -> ProvenShare:
        """As shares and numbers of `n` labels, of which `known` are certainly wrong."""
        low, high, least, most = (
            float(np.clip(end, known, max(known, n))) for end in (self.low, self.high, self.at_least, self.at_most)
        )
        value = round(float(np.clip(self.value, low, high)), 6)  # the order of a sum must not show
        of = max(n, 1)
        return {
            "value": value / of,
            "interval": [low / of, high / of],
            "at_least": least / of,
            "at_most": most / of,
            "count": value,
            "count_interval": [low, high],
            "count_at_least": least,
            "count_at_most": most,
        }


@dataclass(frozen=True)
class Known:
    """An item whose label people or a reference judged: its id in plans, its first label, and what is known.

    `remedy` is whether a correction is agreed on. `now` counts the rows of the data set that still carry the label.
    `trusted` is whether a reference says it and no person looked.
    """

    id: str
    label: str
    status: str
    remedy: bool
    drop: bool
    now: int
    trusted: bool = False


@dataclass(frozen=True)
class Tally:
    """What is counted beside the bounds.

    Attributes
    ----------
    plan
        The plan of the sample.
    items
        The rows of the data set.
    ledger
        The looks.
    """

    plan: Plan
    items: Sequence[Item]
    ledger: Ledger

    @cached_property
    def population(self) -> Counter[str]:
        """How often each id stands among the items that the plan may draw."""
        return Counter(id for id in self.plan.ids if id not in self.plan.listed)

    @cached_property
    def _now(self) -> Counter[str]:
        """How often each id stands in the data set, by the labels it has there."""
        return Counter(item.id for item in self.items)

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """Every item that people or a reference judged. A look outweighs a reference."""
        found = {}
        for item in self.items:
            if item.reference is not None and item.standing is None:
                found[item.id] = Known(item.id, item.label, item.reference, False, False, self._now[item.id], True)
        for (hash, label), standing in self.ledger.standings.items():
            id = item_id(hash, label)
            found[id] = self._of_looks(id, label, standing)
        return tuple(found.values())

    def _of_looks(self, id: str, label: str, standing: Standing) -> Known:
        remedy = standing.decision in WRONG
        return Known(id, label, standing.status, remedy, standing.decision == "drop", self._now[id])

    @cached_property
    def gone(self) -> Counter[str]:
        """Ids of the population that nobody judged and that lie in the data set less often, and by how many copies."""
        judged = {known.id for known in self.known}
        return Counter({id: n for id, n in (self.population - self._now).items() if id not in judged})

    @cached_property
    def answers(self) -> dict[str, bool | None]:
        """What `auditor.certificate.bounds` reads. An item that is gone unseen counts against the claim."""
        words = {"right": False, "wrong": True, "undecided": None}
        found: dict[str, bool | None] = {id: None for id in self.gone if not self._now[id]}
        return {**found, **{known.id: words[known.status] for known in self.known}}

    @cached_property
    def changed(self) -> int:
        """Rows of the data set about which nothing is known: neither in the population, nor judged."""
        return sum((Counter(item.id for item in self.items if item.open) - self.population).values())

    @cached_property
    def hits(self) -> tuple[int, int] | None:
        """How many labels that were made wrong were called wrong, and how many were shown; None where none was."""
        said = [look.decision in WRONG for look in self.ledger.looks if look.how == "known-wrong"]
        return (sum(said), len(said)) if said else None

    @cached_property
    def bounds(self) -> Bounds:
        """The bounds of the population."""
        return bounds(self.plan, self.answers, hits=self.hits)

    @property
    def outside(self) -> list[Known]:
        """What is known of items outside the population."""
        return [known for known in self.known if known.id not in self.population]

    def before(self) -> ProvenShare:
        """Wrong labels among all that were ever judged or drawn, by the labels that they had at first."""
        outside = self.outside
        n = self.plan.n + sum(max(1, known.now) for known in outside)
        return self.with_outside(Ends.of(self.bounds), outside).share(n)

    def with_outside(self, ends: Ends, outside: Iterable[Known]) -> Ends:
        """Bounds of a part of the population, together with what is known of items outside it."""
        outside = list(outside)
        wrong, doubt = (
            sum(max(1, known.now) for known in outside if known.status == status) for status in ("wrong", "undecided")
        )
        return ends.plus(wrong + doubt / 2, wrong, wrong + doubt + self._missed(outside))

    def _missed(self, outside: Iterable[Known]) -> int:
        """How many wrong labels reviewers may have missed among items outside the population: not more than they called
        right, and of all wrong ones they see the hit rate at least."""
        if self.hits is None:
            return 0
        rate = hit_rate(*self.hits, HIT_PART * min(SIDE, 1 - CONFIDENCE))
        looked = [known for known in outside if not known.trusted]
        wrong, right = (
            sum(max(1, known.now) for known in looked if known.status == status) for status in ("wrong", "right")
        )
        return min(right, math.ceil(wrong / rate) - wrong) if rate else right

    def today(self) -> ProvenShare:
        """Wrong labels in the data set as it lies."""
        return self._as_it_lies().share(len(self.items), sum(k.now for k in self.known if k.status == "wrong"))

    def remaining(self) -> ProvenShare:
        """Wrong labels after the corrections that are agreed on."""
        wrong = [known for known in self.known if known.status == "wrong"]
        stays = sum(known.now for known in wrong if not known.remedy)
        return self._as_it_lies().plus(-self.to_correct, -self.to_correct, -self.to_correct).share(self.n_left, stays)

    @property
    def to_correct(self) -> int:
        """Labels of the data set that were found wrong and can be corrected."""
        return sum(known.now for known in self.known if known.remedy)

    @property
    def n_left(self) -> int:
        """Items that the corrections leave."""
        return len(self.items) - sum(known.now for known in self.known if known.drop)

    @property
    def beside(self) -> int:
        """What `remaining` counts beside the upper bound of the population; negative where more was corrected."""
        return round(self._as_it_lies().at_most - self.bounds.at_most) - self.to_correct

    def _as_it_lies(self) -> Ends:
        """Numbers of wrong labels in the data set as it lies, not yet within what is possible."""
        ends, rate = Ends.of(self.bounds), self.bounds.value / max(self.plan.n, 1)
        for known in self.known:
            more = known.now - self.population[known.id]
            if known.status == "wrong":
                ends = ends.plus(more, more, more)
            elif known.status == "undecided" and more > 0:
                ends = ends.plus(more / 2, 0, more)
        gone = sum(self.gone.values())
        ends = ends.plus(rate * (self.changed - gone), -gone, self.changed)
        return ends.plus(0, 0, self._missed(self.outside))
