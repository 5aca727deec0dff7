"""By how much an item really changes what a head says of a suspect: the head is trained again without it.

Influence chooses the items and says so to first order. Here the answer is exact, for the few suspects that a user asks
for. The suspect itself is left out each time: what it taught about its own label would hide what others say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.data.dataset import Dataset
from auditor.experiment.run import LeaveOut, Without
from auditor.result.evidence import SpeakingImage, WhyDocument
from auditor.system.arrays import Ints
from auditor.system.progress import Update


def left_out_of(
    data: Dataset, leave_out: LeaveOut, why: dict[str, WhyDocument], suspects: Sequence[int], update: Update
) -> dict[str, WhyDocument]:
    """The same reasons, with the probability that each suspect's label has without each item that speaks of it.

    Parameters
    ----------
    why
        Reasons by path. The others stay as they are.
    suspects
        Rows of the data set, each among the reasons.
    """
    places = {data.paths[row]: place for place, row in enumerate(data.rows("train"))}
    asked, chosen = list[Without](), [data.paths[row] for row in suspects]
    for row, path in zip(suspects, chosen, strict=True):
        itself = [places[path]] if path in places else []
        asked.append((int(row), _positions(itself)))
        asked.extend((int(row), _positions([*itself, places[one["path"]]])) for one in _speaking(why[path]))
    found = leave_out(asked, update)
    probabilities = iter(found[np.arange(len(asked)), data.labels[[image for image, _ in asked]]].tolist())
    return why | {
        path: _told(why[path], [next(probabilities) for _ in (None, *_speaking(why[path]))]) for path in chosen
    }


def _positions(places: Sequence[int]) -> Ints:
    return np.array(places, dtype=np.int64)


def _speaking(why: WhyDocument) -> list[SpeakingImage]:
    return [*why["in_favour"], *why["against"]]


def _told(why: WhyDocument, probabilities: Sequence[float]) -> WhyDocument:
    """Reasons with probabilities: without the suspect alone, and then without each item too."""
    with_each = iter(probabilities[1:])
    in_favour: list[SpeakingImage] = [{**one, "without": next(with_each)} for one in why["in_favour"]]
    against: list[SpeakingImage] = [{**one, "without": next(with_each)} for one in why["against"]]
    return {**why, "in_favour": in_favour, "against": against, "left_out": probabilities[0]}
