"""The rule `wrong_labels`: the estimated share of wrong labels."""

from __future__ import annotations

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.measure import reviewed, suspect_evidence, uncalibrated
from auditor.gate.rules.base import Rule


def measure(facts: Facts, levels: Levels) -> Measurement:
    """The calibrated share, corrected by what people have reviewed."""
    reason = uncalibrated(facts)
    share = (facts.summary["calibration"] or {"share": None})["share"]
    if share is None or share["value"] is None:
        return Measurement(None, undecided=reason or "the audit gives no share of wrong labels")
    value, interval = reviewed(share["value"], share["interval"], facts.rows)
    sentence = f"an estimated {figure(value, 'share')} of the labels are wrong"
    return Measurement(value, interval, sentence, suspect_evidence(facts.rows), undecided=reason)


RULE = Rule(
    name="wrong_labels",
    title="Wrong labels",
    about="Estimated share of wrong labels. Fails when the interval's lower end is above `fail`. Warns when the "
    "estimate itself is above `warn`.",
    unit="share",
    at_most=True,
    levels=Levels(fail=0.05, warn=0.02),
    measure=measure,
    advice="Review the suspects in the audit's report from the top. Apply the decisions with `auditor review apply`. "
    "A trusted `--reference` narrows the interval.",
    rests_on="recovery",
    says_what_is_open=True,
)
