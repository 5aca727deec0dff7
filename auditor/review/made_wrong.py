"""Labels that are made wrong to measure what reviewers miss: which items get one, and which label."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

from auditor.certificate import Plan
from auditor.review.documents import How, SampleDocument, SampleItem
from auditor.review.items import Item
from auditor.review.ledger import Ledger


def made_label(item: Item, classes: Sequence[str], salt: str) -> str | None:
    """The label that an item is shown under where its label is made wrong; None where there is no other class.

    It is the one that the model would have suggested, because likely mistakes are the hard ones to see.
    """
    others = sorted({*classes} - {item.label})
    if item.suggested_label in others:
        return item.suggested_label
    return others[int(lot(salt, "label", item), 16) % len(others)] if others else None


def made_wrong(
    items: Sequence[Item], plan: Plan, classes: Sequence[str], n: int, taken: set[str], ledger: Ledger
) -> list[SampleItem]:
    """Items shown under a label that was made wrong: by a hash, from the less suspicious half of what is not drawn.

    `taken` are the paths of drawn items.
    """
    before = {look.hash for look in ledger.looks if look.how == "known-wrong"}
    fresh = [
        i for i in items if i.open and i.path not in taken and i.hash not in before and not math.isnan(i.suspicion)
    ]
    fresh.sort(key=lambda item: (item.suspicion, item.path))
    pool = fresh[: max(n, len(fresh) // 2)]
    pool.sort(key=lambda item: lot(plan.salt, "known-wrong", item))
    found: dict[str, SampleItem] = {}
    for item in pool:
        label = made_label(item, classes, plan.salt)
        if len(found) < n and label is not None and item.hash not in found:
            found[item.hash] = shown(item, "known-wrong", label=label)
    return sorted(found.values(), key=lambda item: item["path"])


def still_made(earlier: SampleDocument, items: Iterable[Item], ledger: Ledger) -> list[SampleItem]:
    """Labels that an earlier sample made wrong, and that nobody has judged yet."""
    there = {(item.path, item.hash) for item in items}
    judged = {look.hash for look in ledger.looks if look.how == "known-wrong"}
    return [
        item
        for item in earlier["items"]
        if item["how"] == "known-wrong" and (item["path"], item["hash"]) in there and item["hash"] not in judged
    ]


def shown(item: Item, how: How, *, label: str | None = None, probability: float | None = None) -> SampleItem:
    """An item as a sample holds it, under its own label where no other is given."""
    return {
        "path": item.path,
        "hash": item.hash,
        "label": item.label if label is None else label,
        "how": how,
        "probability": probability,
    }


def lot(salt: str, what: str, item: Item) -> str:
    """An item's lot for a purpose: 64 hexadecimal digits that depend on salt, purpose and item alone."""
    text = f"{salt}\0{what}\0{item.hash}\0{item.first_label}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
