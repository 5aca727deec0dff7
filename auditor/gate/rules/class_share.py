"""The rule `class_share`: the estimated share of wrong labels in the worst class."""

from __future__ import annotations

from statistics import NormalDist

from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.measure import EVIDENCE_ROWS, Ends, reviewed, uncalibrated
from auditor.gate.rules.base import Rule
from auditor.system.text import plain


def measure(facts: Facts, levels: Levels) -> Measurement:
    """The worst class's share: of the classes that surely fail the surest one, or else the highest estimate.

    The worst of C estimates is looked at. Every interval is therefore widened from 1.96 standard errors to the normal
    quantile of 1 - 0.025 / C (Bonferroni).
    """
    reason = uncalibrated(facts)
    shares = _shares(facts)
    if not shares:
        return Measurement(None, undecided=reason or "the audit gives no share by class")
    fail = float("inf") if levels.fail is None else levels.fail
    sure = [s for s in shares if s[1] is not None and s[1][0] > fail]
    value, interval, label = max(sure, key=lambda s: s[1][0] if s[1] else 0.0) if sure else max(shares)
    sentence = f"an estimated {figure(value, 'share')} of the labels '{plain(label)}' are wrong"
    shown = sorted(shares, key=lambda s: (-s[0], s[2]))[:EVIDENCE_ROWS]
    evidence: tuple[EvidenceRow, ...] = tuple(
        {"label": s[2], "share": s[0], "interval": None if s[1] is None else list(s[1])} for s in shown
    )
    return Measurement(value, interval, sentence, evidence, undecided=reason)


def _shares(facts: Facts) -> list[tuple[float, Ends | None, str]]:
    """Share, widened interval and label of every class, corrected by what people have reviewed."""
    calibration = facts.summary["calibration"]
    by_class = calibration["by_class"] if calibration else []
    if not by_class:
        return []
    widening = NormalDist().inv_cdf(1 - 0.025 / len(by_class)) / NormalDist().inv_cdf(0.975)
    shares: list[tuple[float, Ends | None, str]] = []
    for entry in by_class:
        ends = entry["share_interval"]
        if ends is not None:
            ends = [entry["share"] + widening * (end - entry["share"]) for end in ends]
        value, interval = reviewed(entry["share"], ends, facts.rows[facts.rows["label"] == entry["label"]])
        shares.append((value, interval, entry["label"]))
    return shares


RULE = Rule(
    name="class_share",
    title="Wrong labels in one class",
    about="The same share in the worst class. Intervals are widened for the number of classes.",
    unit="share",
    at_most=True,
    levels=Levels(fail=0.2, warn=0.1),
    measure=measure,
    advice="Review this class's suspects first. More images of the class, or a trusted `--reference`, narrow the "
    "interval.",
    rests_on="recovery",
)
