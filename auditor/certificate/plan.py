"""The plan of a sample: what is fixed before the first look, and the order of looking that follows from it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from auditor.certificate import draw
from auditor.certificate.documents import PlanDocument, Reading
from auditor.certificate.stratified import quotas
from auditor.errors import DecisionsError
from auditor.system.arrays import Floats, Ints

CHECKPOINTS = (100, 200, 300, 600)
"""Numbers of looks after which a stratified reading speaks, where none are given."""

MOST_CREDIT = 0.45
_ID = re.compile("[0-9a-f]{16}")
_HINT = "take the ledger from an earlier commit, or draw a sample anew"


@dataclass(frozen=True)
class Stratum:
    """Items that share one weight.

    Attributes
    ----------
    weight
        What each item weighs. The weights of all items of the first draw sum to 1.
    credit
        The control variate of each item in [0, 1): about half of what the model expects. 0 takes none.
    items
        The items' ids, sorted. Copies of one item repeat its id.
    """

    weight: float
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
    """

    salt: str
    reading: Reading
    spread: float
    expected: float
    checkpoints: tuple[int, ...]
    strata: tuple[Stratum, ...]

    @property
    def n(self) -> int:
        """N, the number of items, copies included."""
        return sum(len(stratum.items) for stratum in self.strata)

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
        order = self.clock_order[np.argsort(self.stratum[self.clock_order], kind="stable")]
        place = np.empty(self.n, np.int64)
        place[order] = np.arange(self.n) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        return place

    @cached_property
    def block(self) -> Ints:
        """int64 [N], the first checkpoint that needs an item, from 0; K where none does."""
        return np.asarray((self.place >= self.quotas[:, self.stratum]).sum(axis=0), dtype=np.int64)

    @cached_property
    def looking(self) -> Ints:
        """int64 [N], positions of the items in the order of looking: by clocks, within checkpoints if stratified."""
        order = self.clock_order
        if self.reading == "betting":
            return order
        return order[np.argsort(self.block[order], kind="stable")]

    def order(self, first: int | None = None) -> tuple[Drawn, ...]:
        """Every item in the order of looking, or the `first` ones."""
        order = self.looking
        if self.reading == "betting":
            chance = self.weights[order] / unseen(self.weights[order])
        else:
            chance = 1 / (self.sizes[self.stratum] - self.place)[order]
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
        weight = float(self.weights.mean()) if self.n else 1 / len(names)
        return replace(self, strata=(*self.strata, Stratum(weight, 0.0, names)))

    def document(self) -> PlanDocument:
        """The plan as it stands in a ledger. Equal plans give equal documents."""
        return {
            "salt": self.salt,
            "reading": self.reading,
            "spread": self.spread,
            "expected": self.expected,
            "checkpoints": list(self.checkpoints),
            "strata": [{"weight": s.weight, "credit": s.credit, "items": list(s.items)} for s in self.strata],
        }

    @staticmethod
    def from_document(document: PlanDocument) -> Plan:
        """The plan that a ledger holds.

        Raises
        ------
        DecisionsError
            A value is missing, is of the wrong type, or is out of range.
        """
        return _read(document)


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
        float64 [N] in [0, 1], probabilities that a label is wrong. They make bounds narrower, never wrong.
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
        Planned numbers of looks of a stratified reading. Empty takes `CHECKPOINTS`.

    Raises
    ------
    ValueError
        Ids and scores differ in number, or a value is out of range.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (len(ids),) or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(f"scores must be {len(ids)} numbers between 0 and 1, one for each id")
    # Items are put into an order of their own first, so that not even the last digit depends on how they came.
    canonical = np.array(sorted(np.argsort(scores, kind="stable").tolist(), key=ids.__getitem__), dtype=np.int64)
    ids, scores = [ids[i] for i in canonical.tolist()], scores[canonical]
    if expected is None:
        expected = float(0.2 * scores.mean()) if len(ids) and spread <= draw.SHARE_SPREAD else 0.0
    if not 0 < spread <= 1 or not 0 <= expected <= 1 or any(n < 1 for n in checkpoints):
        raise ValueError("spread must lie in (0, 1], expected in [0, 1], and checkpoints must be 1 or more")
    planned = reading == "stratified"
    return Plan(
        salt=salt,
        reading=reading,
        spread=float(spread),
        expected=float(expected),
        checkpoints=tuple(sorted(set(checkpoints or CHECKPOINTS))) if planned else (),
        strata=_strata(ids, scores, float(spread), planned=planned) if len(ids) else (),
    )


def _strata(ids: Sequence[str], scores: Floats, spread: float, *, planned: bool) -> tuple[Stratum, ...]:
    stratum = draw.strata(scores)
    sizes = np.bincount(stratum)
    weight = draw.weights(draw.assumed(scores, stratum), sizes, spread, planned=planned)
    credit = np.zeros(len(sizes))
    if not planned and spread <= draw.SHARE_SPREAD:
        credit = np.minimum(MOST_CREDIT, np.bincount(stratum, weights=scores) / sizes / 2)
    items: list[list[str]] = [[] for _ in sizes]
    for name, h in zip(ids, stratum.tolist(), strict=True):
        items[h].append(name)
    return tuple(Stratum(float(weight[h]), float(credit[h]), tuple(items[h])) for h in range(len(sizes)))


def _read(document: Any) -> Plan:
    if not isinstance(document, dict):
        raise _broken("it is not an object")
    salt = document.get("salt")
    if not isinstance(salt, str):
        raise _broken("'salt' must be text")
    reading: Reading | None = next((name for name in get_args(Reading) if name == document.get("reading")), None)
    if reading is None:
        raise _broken(f"'reading' must be one of {', '.join(get_args(Reading))}")
    spread = _number(document, "spread", 0.0, 1.0)
    checkpoints = document.get("checkpoints")
    if (
        not isinstance(checkpoints, list)
        or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in checkpoints)
        or checkpoints != sorted(set(checkpoints))
    ):
        raise _broken("'checkpoints' must be rising whole numbers")
    if bool(checkpoints) != (reading == "stratified"):
        raise _broken("'checkpoints' belong to the reading 'stratified' and to no other")
    rows = document.get("strata")
    if not isinstance(rows, list):
        raise _broken("'strata' must be a list")
    return Plan(
        salt, reading, spread, _number(document, "expected", 0.0, 1.0), tuple(checkpoints), tuple(map(_stratum, rows))
    )


def _stratum(row: Any) -> Stratum:
    if not isinstance(row, dict):
        raise _broken("a stratum is not an object")
    items = row.get("items")
    if not isinstance(items, list) or not all(isinstance(name, str) and _ID.fullmatch(name) for name in items):
        raise _broken("the 'items' of a stratum must be ids of 16 hexadecimal digits")
    if items != sorted(items):
        raise _broken("the 'items' of a stratum must be sorted")
    weight = _number(row, "weight", 0.0, 1.0)
    if weight == 0:
        raise _broken("a 'weight' is 0, so its items could never be drawn")
    return Stratum(weight, _number(row, "credit", 0.0, MOST_CREDIT), tuple(items))


def _number(row: dict[str, Any], key: str, least: float, most: float) -> float:
    value = row.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= float(value or 0) <= most:
        raise _broken(f"'{key}' must be a number between {least:g} and {most:g}")
    return float(value or 0)


def _broken(what: str) -> DecisionsError:
    return DecisionsError(f"the plan of the sample cannot be read: {what}", hint=_HINT)
