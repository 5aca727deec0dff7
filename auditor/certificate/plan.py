"""The plan of a sample: everything that is fixed before the first look, and the order of looking that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from auditor.certificate import draw, stratified
from auditor.certificate.documents import PlanDocument, Reading
from auditor.certificate.draw import Floats, Ints

GATE_SPREAD, SHARE_SPREAD = 0.9, 0.5
"""The evenly spread part of the weight: for claims below `SMALL`, and for larger shares."""

SMALL = 0.02
"""Below this share a spread sample and no control variate are better (simulated; see docs/certificate.md)."""


class Drawn(NamedTuple):
    """An item in the order of looking.

    `copy` tells copies of one item apart, from 0 on. `probability` is the chance with which it came next.
    """

    id: str
    copy: int
    stratum: int
    weight: float
    probability: float


@dataclass(frozen=True)
class Stratum:
    """Items that share one weight, one assumed share and one control variate. `items` are ids, sorted, with repeats."""

    weight: float
    share: float
    credit: float
    items: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How a sample is drawn and read.

    Attributes
    ----------
    salt
        Goes into every item's permanent random number.
    reading
        `betting`, valid at any moment, or `stratified`, valid at the checkpoints.
    spread
        The evenly spread part of the weight.
    expected
        A guess of the share of wrong labels. It tunes the first bets and makes no bound wrong.
    checkpoints
        Planned numbers of looks, rising; empty for betting.
    strata
        The population, the least suspicious stratum first.
    """

    salt: str
    reading: Reading
    spread: float
    expected: float
    checkpoints: tuple[int, ...]
    strata: tuple[Stratum, ...]

    @property
    def n(self) -> int:
        """Items of the population."""
        return sum(len(stratum.items) for stratum in self.strata)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of the population."""
        return frozenset(item for stratum in self.strata for item in stratum.items)

    @cached_property
    def columns(self) -> Columns:
        """The population in the order of looking, as arrays."""
        ids = [item for stratum in self.strata for item in stratum.items]
        stratum = np.repeat(np.arange(len(self.strata)), [len(s.items) for s in self.strata])
        weight = np.array([s.weight for s in self.strata])[stratum]
        u = draw.numbers(self.salt, ids)
        # Equal clocks are next to impossible; the id then decides, so that the order never depends on the input's.
        clock = -np.log(u) / weight
        if self.reading == "stratified":
            order = stratified.order(
                u, stratum, stratified.quotas(self.shares, self.sizes, self.checkpoints, self.spread)
            )
        else:
            order = np.lexsort((np.array(ids), clock))
        return Columns([ids[i] for i in order], stratum[order], weight[order], self._credit[stratum[order]])

    @cached_property
    def sizes(self) -> Ints:
        """int64 [H], items by stratum."""
        return np.array([len(stratum.items) for stratum in self.strata], np.int64)

    @cached_property
    def shares(self) -> Floats:
        """float64 [H], the share of wrong labels that was assumed for each stratum."""
        return np.array([stratum.share for stratum in self.strata])

    @property
    def _credit(self) -> Floats:
        return np.array([stratum.credit for stratum in self.strata])

    def order(self, limit: int | None = None) -> tuple[Drawn, ...]:
        """The items in the order of looking, the first `limit` of them or all."""
        c = self.columns
        unseen = np.cumsum(c.weight[::-1])[::-1]
        n = self.n if limit is None else min(limit, self.n)
        copies: dict[str, int] = {}
        out = []
        for t in range(n):
            copy = copies[c.ids[t]] = copies.get(c.ids[t], -1) + 1
            out.append(Drawn(c.ids[t], copy, int(c.stratum[t]), float(c.weight[t]), float(c.weight[t] / unseen[t])))
        return tuple(out)

    def with_new(self, ids: Sequence[str]) -> Plan:
        """The plan with items that came later, as a stratum of their own with the mean weight of all others.

        Nothing about any answer enters, so bounds stay valid. Reading `stratified` gives them looks by their number.
        """
        if not ids:
            return self
        mean = float((np.array([s.weight for s in self.strata]) * self.sizes).sum() / self.n)
        share = float((self.shares * self.sizes).sum() / self.n)
        return replace(self, strata=(*self.strata, Stratum(mean, share, 0.0, tuple(sorted(ids)))))

    def document(self) -> PlanDocument:
        """The plan as the ledger and `sample.json` hold it."""
        return {
            "salt": self.salt,
            "reading": self.reading,
            "spread": self.spread,
            "expected": self.expected,
            "checkpoints": list(self.checkpoints),
            "strata": [
                {"weight": s.weight, "share": s.share, "credit": s.credit, "items": list(s.items)} for s in self.strata
            ],
        }

    @classmethod
    def from_document(cls, document: PlanDocument) -> Plan:
        """Read a plan.

        Raises
        ------
        ValueError
            It is not the plan of any sample: a weight is not above 0, or there is no item.
        """
        strata = tuple(
            Stratum(float(s["weight"]), float(s["share"]), float(s["credit"]), tuple(map(str, s["items"])))
            for s in document["strata"]
        )
        if not any(s.items for s in strata):
            raise ValueError("the plan holds no item")
        if not all(np.isfinite(s.weight) and s.weight > 0 and 0 <= s.credit < 1 for s in strata):
            raise ValueError("a weight of the plan is not above 0, or a credit is not in [0, 1)")
        if document["reading"] not in ("betting", "stratified"):
            raise ValueError(f"the plan has an unknown reading {document['reading']!r}")
        return cls(
            str(document["salt"]),
            document["reading"],
            float(document["spread"]),
            float(document["expected"]),
            tuple(int(n) for n in document["checkpoints"]),
            strata,
        )


@dataclass(frozen=True)
class Columns:
    """The population in the order of looking.

    Attributes
    ----------
    ids
        N ids.
    stratum, weight, credit
        int64 [N], float64 [N] and float64 [N].
    """

    ids: list[str]
    stratum: Ints
    weight: Floats
    credit: Floats = field(default_factory=lambda: np.empty(0))


def make_plan(
    ids: Sequence[str],
    scores: Floats,
    *,
    salt: str,
    spread: float,
    expected: float,
    reading: Reading = "betting",
    checkpoints: Sequence[int] = (),
) -> Plan:
    """Plan a sample.

    Parameters
    ----------
    ids
        N ids from `draw.item_id`, in any order. Copies repeat theirs.
    scores
        float64 [N] in [0, 1], how probable a wrong label is. They make bounds narrower and never wrong.
    spread
        `GATE_SPREAD` or `SHARE_SPREAD`. Below a spread of `GATE_SPREAD` betting uses a control variate.
    checkpoints
        Planned numbers of looks; `stratified` needs at least one.

    Raises
    ------
    ValueError
        There is no item, or no checkpoint where one is needed.
    """
    if not len(ids) or (reading == "stratified" and not checkpoints):
        raise ValueError("a plan needs items, and the stratified reading a checkpoint")
    scores = np.clip(np.nan_to_num(np.asarray(scores, float), nan=0.0), 0.0, 1.0)
    # Equal scores are ordered by id, so that the strata do not depend on the order of the input.
    order = np.lexsort((np.array(ids), scores))
    stratum = np.empty(len(ids), np.int64)
    stratum[order] = draw.strata(scores[order])
    sizes = np.bincount(stratum)
    share = draw.assumed(scores, stratum)
    weight = draw.weights(share, sizes, spread)
    mean = np.bincount(stratum, weights=scores) / sizes
    credited = reading == "betting" and spread < GATE_SPREAD
    parts = [sorted(ids[i] for i in np.flatnonzero(stratum == h)) for h in range(len(sizes))]
    return Plan(
        salt,
        reading,
        spread,
        expected,
        tuple(sorted({min(int(n), len(ids)) for n in checkpoints})) if reading == "stratified" else (),
        tuple(
            Stratum(float(weight[h]), float(share[h]), float(mean[h] / 2) if credited else 0.0, tuple(parts[h]))
            for h in range(len(sizes))
        ),
    )
