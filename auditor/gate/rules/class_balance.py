"""The rule `class_balance`: the size of the smallest class over that of the largest."""

from __future__ import annotations

from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.rules.base import Rule
from auditor.system.text import plain


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Images in the smallest class over images in the largest."""
    counts = {name: facts.summary["dataset"]["counts"].get(name, 0) for name in facts.result.classes}
    if not counts or not max(counts.values()):
        return Measurement(None, undecided="the data set is empty")
    order = sorted(counts, key=lambda name: (counts[name], name))
    smallest, largest = order[0], order[-1]
    sentence = f"the smallest class '{plain(smallest)}' has {counts[smallest]} images, the largest "
    sentence += f"'{plain(largest)}' {counts[largest]}"
    evidence: tuple[EvidenceRow, ...] = tuple({"label": name, "n": counts[name]} for name in (smallest, largest))
    return Measurement(counts[smallest] / counts[largest], None, sentence, evidence)


RULE = Rule(
    name="class_balance",
    title="Class balance",
    about="Images in the smallest class for each image in the largest.",
    unit="score",
    at_most=False,
    levels=Levels(fail=0.01, warn=0.1),
    measure=measure,
    advice="Collect images of the smallest class. If the classes are meant to be this uneven, lower the level.",
    when_undecided="Audit a data set that holds images.",
)
