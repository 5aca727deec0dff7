"""The plan of a sample: what is fixed before the first look, and the order of looking that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np

from auditor.certificate import draw
from auditor.certificate.documents import PlanDocument, Reading
from auditor.certificate.stratified import LEAST, quotas
from auditor.system.arrays import Array, Floats, Ints

MOST_CREDIT = 0.45


@dataclass(frozen=True)
class Stratum:
    """Items that share one weight.

    Attributes
    ----------
    weight
        What each item weighs. The weights of all items of the first draw sum to 1.
    share
        The share of wrong labels that was assumed when weights were chosen.
    credit
        The control variate of each item in [0, 1): about half of what the model expects. 0 takes none.
    items
        The items' ids, sorted. Copies of one item repeat its id.
    """

    weight: float
    share: float
    credit: float
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An item in the order of looking.

    Attributes
    ----------
    id, copy
        The item. `copy` counts items with the same id from 0.
    stratum
        The number of its stratum in the plan.
    weight
        Its weight.
    probability
        The chance with which this item came next, given all that came before. In a stratified plan: next in its
        stratum.
    """

    id: str
    copy: int
    stratum: int
    weight: float
    probability: float


@dataclass(frozen=True)
class Plan:
    """A sample's plan. See `auditor.certificate.documents.PlanDocument`; equal plans give equal orders.

    Attributes
    ----------
    salt
        Goes into every item's permanent random number.
    reading
        How looks are read: `betting` or `stratified`.
    spread
        The part of the weight that is spread evenly, in (0, 1].
    expected
        A guess of the share of wrong labels. It tunes the first bets and can make a bound wider, never wrong.
    checkpoints
        The planned numbers of looks of a stratified reading, rising. Empty for betting.
    strata
        The items, stratum by stratum. Strata that came later (`with_new`) stand last.
    listed
        Ids that people had looked at before the first drawn item, because they lead the list. They are a stratum of
        their own and are not drawn. Quotas are those of all items, so nothing that was shown already is lost.
    """

    salt: str
    reading: Reading
    spread: float
    expected: float
    checkpoints: tuple[int, ...]
    strata: tuple[Stratum, ...]
    listed: frozenset[str] = frozenset()

    @property
    def n(self) -> int:
        """n, the items that may be drawn, copies included: all but the listed ones."""
        return int(self.open.sum())

    @cached_property
    def open(self) -> Array:
        """bool [N], whether an item may be drawn."""
        return np.array([name not in self.listed for name in self.ids], bool)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of all N items, stratum by stratum. All arrays of a plan speak of the items in this order."""
        return tuple(name for stratum in self.strata for name in stratum.items)

    @cached_property
    def sizes(self) -> Ints:
        """int64 [H], items in each stratum."""
        return np.array([len(stratum.items) for stratum in self.strata], np.int64)

    @cached_property
    def stratum(self) -> Ints:
        """int64 [N], the stratum of each item."""
        return np.repeat(np.arange(len(self.strata)), self.sizes)

    @cached_property
    def weights(self) -> Floats:
        """float64 [N], the weight of each item."""
        return np.repeat(np.array([stratum.weight for stratum in self.strata], float), self.sizes)

    @cached_property
    def credits(self) -> Floats:
        """float64 [N], the control variate of each item."""
        return np.repeat(np.array([stratum.credit for stratum in self.strata], float), self.sizes)

    @cached_property
    def copies(self) -> Ints:
        """int64 [N], the copy number of each item."""
        return draw.copy_numbers(self.ids)

    @cached_property
    def clock_order(self) -> Ints:
        """int64 [N], positions of the items in the order in which their clocks ring. Ties keep the plan's order."""
        u = draw.numbers(self.salt, self.ids, self.copies)
        return np.asarray(np.argsort(-np.log(u) / self.weights, kind="stable"), dtype=np.int64)

    @cached_property
    def quotas(self) -> Ints:
        """int64 [K, H], looks of each stratum at each of the K checkpoints. Each row holds the rows before it."""
        weight = np.array([stratum.weight for stratum in self.strata], float)
        return quotas(self.sizes, weight, self.checkpoints)

    @cached_property
    def place(self) -> Ints:
        """int64 [N], which place an item has among the clocks of its own stratum, from 0."""
        return self._places(np.ones(len(self.ids), bool))

    @cached_property
    def open_place(self) -> Ints:
        """int64 [N], the same among the items that may be drawn; N for all others."""
        return self._places(self.open)

    def _places(self, counted: Array) -> Ints:
        order = self.clock_order[np.argsort(self.stratum[self.clock_order], kind="stable")]
        order = order[counted[order]]
        sizes = np.bincount(self.stratum[counted], minlength=len(self.strata))
        place = np.full(len(self.ids), len(self.ids), np.int64)
        place[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return place

    @cached_property
    def block(self) -> Ints:
        """int64 [N], the first checkpoint that needs an item, from 0; K where none does.

        A stratum that the listed items leave nearly empty gets `LEAST` looks at others.
        """
        quota = self.quotas[:, self.stratum]
        spared = (self.place >= quota) & (self.open_place >= np.minimum(quota, LEAST))
        return np.asarray(spared.sum(axis=0), dtype=np.int64)

    @cached_property
    def looking(self) -> Ints:
        """int64 [n], positions of the open items in the order of looking: by clocks, in checkpoints if stratified."""
        order: Ints = self.clock_order[self.open[self.clock_order]]
        if self.reading == "betting":
            return order
        return order[np.argsort(self.block[order], kind="stable")]

    def order(self, first: int | None = None) -> tuple[Drawn, ...]:
        """Every item that may be drawn in the order of looking, or the `first` ones."""
        order = self.looking
        if self.reading == "betting":
            chance = self.weights[order] / unseen(self.weights[order])
        else:
            left = np.bincount(self.stratum[self.open], minlength=len(self.strata))
            chance = 1 / (left[self.stratum] - self.open_place)[order]
        return tuple(
            Drawn(self.ids[i], copy, stratum, weight, probability)
            for i, copy, stratum, weight, probability in zip(
                order[:first].tolist(),
                self.copies[order[:first]].tolist(),
                self.stratum[order[:first]].tolist(),
                self.weights[order[:first]].tolist(),
                chance[:first].tolist(),
                strict=True,
            )
        )

    def with_new(self, ids: Iterable[str]) -> Plan:
        """The plan with items that came later, as a stratum of their own.

        They weigh as much as the plan's mean item. Nothing about looks enters, so the order of all earlier items among
        each other stays. Which items come later must not depend on what the looks found.
        """
        names = tuple(sorted(ids))
        if not names:
            return self
        share = float(np.average([stratum.share for stratum in self.strata], weights=self.sizes))
        weight = float(self.weights.mean())
        return replace(self, strata=(*self.strata, Stratum(weight, share, 0.0, names)))

    def document(self) -> PlanDocument:
        """The plan as it stands in a ledger. Equal plans give equal documents."""
        document: PlanDocument = {
            "salt": self.salt,
            "reading": self.reading,
            "spread": self.spread,
            "expected": self.expected,
            "checkpoints": list(self.checkpoints),
            "strata": [
                {"weight": s.weight, "share": s.share, "credit": s.credit, "items": list(s.items)} for s in self.strata
            ],
        }
        return {**document, "listed": sorted(self.listed)} if self.listed else document

    @classmethod
    def from_document(cls, document: PlanDocument) -> Plan:
        """The plan that a ledger holds. Its reader has checked keys and types (`auditor.review.ledger_rows`).

        Raises
        ------
        ValueError
            It is not the plan of any sample.
        """
        strata = tuple(
            Stratum(float(s["weight"]), float(s["share"]), float(s["credit"]), tuple(sorted(map(str, s["items"]))))
            for s in document["strata"]
        )
        if document["reading"] not in get_args(Reading):
            raise ValueError(f"the plan has an unknown reading {document['reading']!r}")
        if not any(s.items for s in strata):
            raise ValueError("the plan holds no item")
        if not all(0 < s.weight < math.inf and 0 <= s.credit < 1 for s in strata):
            raise ValueError("a weight of the plan is not above 0, or a credit is not in [0, 1)")
        if bool(document["checkpoints"]) != (document["reading"] == "stratified"):
            raise ValueError("a stratified plan needs a checkpoint, and no other plan has one")
        return cls(
            str(document["salt"]),
            document["reading"],
            float(document["spread"]),
            float(document["expected"]),
            tuple(int(n) for n in document["checkpoints"]),
            strata,
            frozenset(map(str, document.get("listed", ()))),
        )


def unseen(values: Floats) -> Floats:
    """float64 [N], the sum of `values` over an item and all that come after it."""
    return np.asarray(np.cumsum(values[::-1])[::-1])


def make_plan(
    ids: Sequence[str],
    scores: Floats,
    *,
    salt: str,
    reading: Reading = "betting",
    spread: float,
    expected: float | None = None,
    checkpoints: Sequence[int] = (),
) -> Plan:
    """The plan of a sample of the items that nobody has looked at.

    Parameters
    ----------
    ids
        N ids (`item_id`). Copies repeat their id. Their order means nothing.
    scores
        float64 [N] in [0, 1], probabilities that a label is wrong. They make bounds narrower, never wrong. NaN counts
        as 0.
    salt
        `salt_of` the data set.
    reading
        `betting` holds at any moment. `stratified` holds at `checkpoints` and is narrower there.
    spread
        The part of the weight that is spread evenly: `GATE_SPREAD` or `SHARE_SPREAD`. The latter takes a control
        variate too.
    expected
        A guess of the share of wrong labels. None takes a fifth of the mean score, and nearly none for a gate.
    checkpoints
        Planned numbers of looks. A stratified reading needs at least one.

    Raises
    ------
    ValueError
        There is no item, no checkpoint where one is needed, or a value out of range.
    """
    planned = reading == "stratified"
    if not len(ids) or (planned and not checkpoints):
        raise ValueError("a plan needs items, and the stratified reading a checkpoint")
    scores = np.clip(np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0), 0.0, 1.0)
    if scores.shape != (len(ids),):
        raise ValueError(f"scores must be {len(ids)} numbers, one for each id")
    # Items are put into an order of their own first, so that not even the last digit depends on how they came.
    canonical = np.array(sorted(np.argsort(scores, kind="stable").tolist(), key=ids.__getitem__), dtype=np.int64)
    ids, scores = [ids[i] for i in canonical.tolist()], scores[canonical]
    if expected is None:
        expected = float(0.2 * scores.mean()) if spread <= draw.SHARE_SPREAD else 0.0
    if not 0 < spread <= 1 or not 0 <= expected <= 1 or any(n < 1 for n in checkpoints):
        raise ValueError("spread must lie in (0, 1], expected in [0, 1], and checkpoints must be 1 or more")
    return Plan(
        salt=salt,
        reading=reading,
        spread=float(spread),
        expected=float(expected),
        checkpoints=tuple(sorted({min(int(n), len(ids)) for n in checkpoints})) if planned else (),
        strata=_strata(ids, scores, float(spread), planned=planned),
    )


def _strata(ids: Sequence[str], scores: Floats, spread: float, *, planned: bool) -> tuple[Stratum, ...]:
    stratum = draw.strata(scores)
    sizes = np.bincount(stratum)
    share = draw.assumed(scores, stratum)
    weight = draw.weights(share, sizes, spread, planned=planned)
    credit = np.zeros(len(sizes))
    if not planned and spread <= draw.SHARE_SPREAD:
        credit = np.minimum(MOST_CREDIT, np.bincount(stratum, weights=scores) / sizes / 2)
    items: list[list[str]] = [[] for _ in sizes]
    for name, h in zip(ids, stratum.tolist(), strict=True):
        items[h].append(name)
    return tuple(
        Stratum(float(weight[h]), float(share[h]), float(credit[h]), tuple(items[h])) for h in range(len(sizes))
    )
