"""The rule `recovery`: how many of the labels that the audit planted it found again."""

from __future__ import annotations

from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.measure import EVIDENCE_ROWS
from auditor.gate.rules.base import FIND_MORE, Rule


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Recall at k of the audit's best ranking. No better than a random order means that nothing was found."""
    found = facts.summary["recovery"]
    rankings = found["rankings"]
    best = rankings["suspicion"] or rankings["influence"]
    recall = best["recall_at_k"]
    chance = rankings["random"]["recall_at_k"]["value"]
    if recall["value"] is None or recall["interval"] is None or chance is None:
        return Measurement(None, undecided="the controlled experiment gave no figure")
    value, interval = float(recall["value"]), (float(recall["interval"][0]), float(recall["interval"][1]))
    sentence = f"{figure(value, 'share')} of {found['n_planted']} planted wrong labels were found (chance: "
    sentence += f"{figure(chance, 'share')})"
    reason = "" if interval[0] > chance else "the audit found no more of the planted labels than chance would"
    evidence: tuple[EvidenceRow, ...] = tuple(
        {"label": str(entry["label"]), "n_planted": entry["n_planted"], "n_clean": entry["n_clean"]}
        for entry in (found["by_class"] or [])[:EVIDENCE_ROWS]
    )
    return Measurement(value, interval, sentence, evidence, undecided=reason)


RULE = Rule(
    name="recovery",
    title="Planted labels found",
    about="Share of the planted wrong labels found among as many images as were planted. The rule is UNDECIDED where "
    "the interval's lower end is below `fail` or no better than chance: the audit is too weak for a verdict.",
    unit="share",
    at_most=False,
    levels=Levels(fail=0.2, warn=0.4),
    measure=measure,
    advice=FIND_MORE,
    rests_on="solves",
    short_is="UNDECIDED",
)
