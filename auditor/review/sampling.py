"""`auditor review sample`: which items are drawn, frozen before the first look.

The draw is a fixed function of the data set and its scores (`auditor.certificate`), so nobody can draw again until the
sample is lucky. A sample that exists already is extended, never drawn anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from auditor.certificate import GATE_SPREAD, SHARE_SPREAD, SMALL, Plan, make_plan, salt_of
from auditor.certificate.documents import PlanDocument, Reading
from auditor.errors import ConfigError, DecisionsError
from auditor.result import AuditResult
from auditor.review.documents import SAMPLE_KIND, SCHEMA_VERSION, SampleDocument, SampleItem
from auditor.review.items import Item, items_of
from auditor.review.ledger import Ledger
from auditor.review.made_wrong import lot, made_wrong, shown, still_made
from auditor.review.plans import ids_of, joined, same_draw
from auditor.system.arrays import Floats

_SECOND = 2
"""Reviewers who must agree before a wrong label is not shown again."""


@dataclass(frozen=True)
class Wish:
    """What a user asks of a sample.

    Attributes
    ----------
    n
        Items to look at: the first ones of the drawing order that nobody has looked at yet. 0 draws none.
    reading, target, checkpoints
        See `plan_for`. None and empty ask for nothing.
    known_wrong
        How many labels are made wrong to measure what reviewers miss.
    again
        Whether items that somebody called wrong are shown to one more person.
    """

    n: int = 0
    reading: Reading | None = None
    target: float | None = None
    checkpoints: tuple[int, ...] = ()
    known_wrong: int = 0
    again: bool = False


def plan_for(
    result: AuditResult,
    ledger: Ledger,
    reading: Reading | None = None,
    target: float | None = None,
    checkpoints: Sequence[int] = (),
) -> Plan:
    """The plan of a first sample: every item that nobody has looked at, and that no reference settled.

    Parameters
    ----------
    reading
        `betting` holds at any moment, and is taken where nothing else is said. `stratified` holds at `checkpoints`.
    target
        The share of wrong labels that is to be proved. Below `SMALL` the sample is spread more evenly. None takes the
        audit's own estimate.
    checkpoints
        Numbers of looks after which a stratified reading speaks.

    Raises
    ------
    ConfigError
        The options do not go together.
    DecisionsError
        Nothing is left to look at.
    """
    check_options(reading, target, checkpoints)
    population = [item for item in items_of(result, ledger) if item.open]
    if not population:
        raise DecisionsError(
            "every item of this data set was looked at already, so there is nothing to draw",
            hint="`auditor review apply` brings the decisions into the data",
        )
    scores = _scores(population)
    return make_plan(
        [item.id for item in population],
        scores,
        salt=salt_of(result.summary["dataset"]["content_hash"]),
        reading=reading or ("stratified" if checkpoints else "betting"),
        spread=GATE_SPREAD if _aim(result, target) < SMALL else SHARE_SPREAD,
        checkpoints=checkpoints,
    )


def own_plan(result: AuditResult, ledger: Ledger) -> PlanDocument:
    """The plan of the sample that an audit drew itself: of what nobody had looked at when it ran.

    Parameters
    ----------
    ledger
        What people have found until now. Looks that came after the audit do not change its draw.

    Raises
    ------
    DecisionsError
        See `plan_for`.
    """
    hashes = result.summary["dataset"]["hashes"]
    rows = zip(result.ranking["path"], result.ranking["looked"], strict=True)
    before = {hashes[path] for path, word in rows if word}
    known = tuple(look for look in ledger.looks if look.hash in before)
    return plan_for(result, Ledger(None, known)).document()


def check_options(reading: Reading | None, target: float | None, checkpoints: Sequence[int]) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    ConfigError
        They do not.
    """
    if target is not None and not 0 < target < 1:
        raise ConfigError(f"the target must be a share between 0 and 1, not {target:g}", hint="1% is --target 0.01")
    if any(n < 1 for n in checkpoints):
        raise ConfigError("checkpoints must be numbers of looks", hint="write --checkpoints 100,300")
    if checkpoints and reading == "betting":
        raise ConfigError("a betting reading holds at any moment and has no checkpoints", hint="leave one of them out")


def frozen(result: AuditResult, ledger: Ledger, sample: SampleDocument | None) -> PlanDocument | None:
    """The plan that was drawn already, with what came later in `sample`; None where there is none.

    Raises
    ------
    DecisionsError
        The sample was drawn from another data set.
    """
    if sample is None:
        return ledger.plan
    drawn = sample["plan"]
    if ledger.plan is not None:
        if not same_draw(ledger.plan, drawn):
            return ledger.plan
        return joined(ledger.plan, set(ledger.standings), drawn, ())[0]
    if not ids_of(drawn) & {item.id for item in items_of(result, ledger)}:
        raise DecisionsError(
            "sample.json holds a sample of another data set",
            hint="move it away if it is not needed; then a sample of this data set is drawn",
        )
    return drawn


def draw_sample(
    result: AuditResult, ledger: Ledger, wish: Wish, earlier: SampleDocument | None = None
) -> SampleDocument:
    """The items to look at now.

    Parameters
    ----------
    ledger
        What people found so far. Items that were looked at are not shown again, unless `wish.again`.
    earlier
        The sample that was drawn before. Its plan goes on, and so do its labels that were made wrong.

    Raises
    ------
    ConfigError
        The options do not go together, or the sample was drawn with others.
    DecisionsError
        See `plan_for` and `frozen`.
    """
    check_options(wish.reading, wish.target, wish.checkpoints)
    known = frozen(result, ledger, earlier)
    if known is None:
        checkpoints = wish.checkpoints or ((wish.n,) if wish.reading == "stratified" and wish.n else ())
        plan = plan_for(result, ledger, wish.reading, wish.target, checkpoints)
    else:
        _refuse_other_options(known, wish)
        plan = Plan.from_document(known)
    items = items_of(result, ledger)
    if wish.n:
        plan = plan.with_new(_came_later(items, plan))
    drawn = _drawn(items, plan, wish.n)
    if earlier is not None and not wish.n and not wish.again:
        drawn = _still_drawn(earlier, items)
    made = made_wrong(items, plan, result.classes, wish.known_wrong, {item["path"] for item in drawn}, ledger)
    if earlier is not None and not wish.again:
        there = {(item["path"], item["label"]) for item in made}
        made += [item for item in still_made(earlier, items, ledger) if (item["path"], item["label"]) not in there]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": SAMPLE_KIND,
        "audit_id": result.audit_id,
        "plan": plan.document(),
        "items": [*drawn, *made, *(_again(items, plan.salt) if wish.again else ())],
    }


def _aim(result: AuditResult, target: float | None) -> float:
    """The share that the sample is for: the target, else the audit's estimate, else 0."""
    calibration = result.summary["calibration"]
    share = None if calibration is None else calibration["share"]
    if target is not None or share is None:
        return target or 0.0
    return share["value"]


def _scores(items: Sequence[Item]) -> Floats:
    """float64 [N] in [0, 1], how suspicious each item is. Items without a suspicion get the mean of the others."""
    raw = np.array([item.suspicion for item in items], float)
    known = ~np.isnan(raw)
    scores = np.full(len(raw), 0.5)
    scores[known] = expit(raw[known])
    scores[~known] = scores[known].mean() if known.any() else 0.5
    return scores


def _refuse_other_options(known: PlanDocument, wish: Wish) -> None:
    """Refuse options that the frozen plan was not drawn with.

    Raises
    ------
    ConfigError
        They differ.
    """
    hint = "leave the option out to go on with this sample: a sample that was drawn is never drawn anew"
    reading = wish.reading or ("stratified" if wish.checkpoints else known["reading"])
    if reading != known["reading"]:
        raise ConfigError(f"the sample was drawn for the reading {known['reading']}, not {reading}", hint=hint)
    if wish.checkpoints and list(wish.checkpoints) != known["checkpoints"]:
        planned = ",".join(map(str, known["checkpoints"]))
        raise ConfigError(f"the sample was drawn with the checkpoints {planned}, and they stay", hint=hint)
    if wish.target is not None and (wish.target < SMALL) != (known["spread"] == GATE_SPREAD):
        kind = "below" if known["spread"] == GATE_SPREAD else "of at least"
        raise ConfigError(f"the sample was drawn for a target {kind} {SMALL:.0%}", hint=hint)


def _came_later(items: Sequence[Item], plan: Plan) -> list[str]:
    """Ids of the items that nobody has looked at and that the plan does not hold, copies repeated."""
    held = Counter(item for stratum in plan.strata for item in stratum.items)
    return list((Counter(item.id for item in items if item.open) - held).elements())


def _drawn(items: Sequence[Item], plan: Plan, n: int) -> list[SampleItem]:
    """The first `n` items of the drawing order that are there and that nobody has looked at; each once."""
    rows = {item.id: item for item in reversed(items) if item.open}
    found: dict[str, SampleItem] = {}
    limit = 2 * n
    while n and len(found) < n:
        found = {}
        for drawn in plan.order(limit):
            if drawn.id in rows and len(found) < n:
                found.setdefault(drawn.id, shown(rows[drawn.id], "drawn", probability=drawn.probability))
        if limit >= plan.n:
            break
        limit *= 2
    return list(found.values())


def _still_drawn(earlier: SampleDocument, items: Iterable[Item]) -> list[SampleItem]:
    """Items of an earlier sample that nobody has looked at yet."""
    there = {(item.path, item.hash, item.label) for item in items if item.open}
    kept = [item for item in earlier["items"] if item["how"] == "drawn"]
    return [item for item in kept if (item["path"], item["hash"], item["label"]) in there]


def _again(items: Iterable[Item], salt: str) -> list[SampleItem]:
    """Items that somebody called wrong or could not decide, and as many that were called right, mixed by a hash."""
    once = {item.hash + item.label: item for item in items if item.standing is not None}
    doubted, right = [], []
    for item in once.values():
        standing = item.standing
        if standing is None:
            continue
        if standing.status == "right" and not standing.calls:
            right.append(item)
        elif standing.decision == "unsure" or (standing.status == "wrong" and standing.calls < _SECOND):
            doubted.append(item)
    right.sort(key=lambda item: lot(salt, "right", item))
    mixed = sorted([*doubted, *right[: len(doubted)]], key=lambda item: lot(salt, "again", item))
    return [shown(item, "again") for item in mixed]
