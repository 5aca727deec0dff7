"""The rule `recovery`: how many of the labels that the audit planted it found again."""

from __future__ import annotations

import dataclasses

from auditor.config import PICKED_NOISE
from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.measure import EVIDENCE_ROWS, Ends
from auditor.gate.rules.base import FIND_MORE, Rule
from auditor.result.ceiling import against_ceiling, at_random, ceiling_of
from auditor.result.figures import CeilingDocument, Estimate, best_ranking


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Recall at k of the ranking that orders the list, over what a perfect list could find.

    Labels that were wrong before stand at the top of the list too and leave less room for planted ones. No better than
    a random order means that nothing was found.
    """
    found = facts.summary["recovery"]
    rankings = found["rankings"]
    _, best = best_ranking(rankings)
    recall = best["recall_at_k"]
    chance = rankings["random"]["recall_at_k"]["value"]
    if recall["value"] is None or recall["interval"] is None or chance is None:
        return Measurement(None, undecided="the controlled experiment gave no figure")
    value, ends = float(recall["value"]), (float(recall["interval"][0]), float(recall["interval"][1]))
    reason = "" if ends[0] > chance else "the audit found no more of the planted labels than chance would"
    sentence = f"{figure(value, 'share')} of {found['n_planted']} planted wrong labels were found (chance: "
    sentence += f"{figure(chance, 'share')})"
    ceiling, k = _ceiling(facts), found["n_planted"]
    if ceiling is not None and round(k * ceiling["share"]["interval"][1]) < k:
        sentence = f"{against_ceiling(value * k, k, ceiling, k)} planted wrong labels were found, as labels that were "
        sentence += f"wrong before crowd them out (chance: {figure(chance, 'share')} of {k})"
        value, ends = _of_the_possible(value, ends, ceiling["share"])
    evidence: tuple[EvidenceRow, ...] = tuple(
        {"label": str(entry["label"]), "n_planted": entry["n_planted"], "n_clean": entry["n_clean"]}
        for entry in (found["by_class"] or [])[:EVIDENCE_ROWS]
    )
    measured = Measurement(value, ends, sentence, evidence, undecided=reason)
    if facts.certificate is None:
        return measured
    # A certificate does not rest on the audit's list. So a weak list is a warning and leaves nothing undecided.
    certified = dataclasses.replace(measured, at_worst_warn=True)
    return dataclasses.replace(certified, instead=dataclasses.replace(certified, undecided=""))


def _ceiling(facts: Facts) -> CeilingDocument | None:
    """What a perfect list could find, by the certificate where there is one. Earlier audits have no ceiling."""
    found, certificate = facts.summary["recovery"], facts.certificate
    n, k, n_classes = found["n"], found["n_planted"], len(facts.result.classes)
    if certificate is None or found["noise"] in PICKED_NOISE or n_classes < 2:
        return found.get("ceiling")
    today = certificate["today"]
    return ceiling_of(n, k, [at_random(n, k, n_classes)], {"value": today["value"], "interval": today["interval"]})


def _of_the_possible(value: float, ends: Ends, share: Estimate) -> tuple[float, Ends]:
    """The found share over the possible one. Each end takes the end of the ceiling that makes the range wider."""
    most, (low, high) = share["value"], share["interval"]
    parts = (_over(value, most), _over(ends[0], high), _over(ends[1], low))
    return parts[0], (min(parts[0], parts[1]), max(parts[0], parts[2]))


def _over(found: float, possible: float) -> float:
    return min(1.0, found / possible) if possible > 0 else 0.0


RULE = Rule(
    name="recovery",
    title="Planted labels found",
    about="Share of the planted wrong labels found among as many images as were planted, of what a perfect list could "
    "find there. The rule is UNDECIDED where the interval's lower end is below `fail` or no better than chance: the "
    "audit is too weak for a verdict.",
    unit="share",
    at_most=False,
    levels=Levels(fail=0.2, warn=0.4),
    measure=measure,
    advice=FIND_MORE,
    rests_on="solves",
    short_is="UNDECIDED",
)
