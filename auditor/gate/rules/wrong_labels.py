"""The rule `wrong_labels`: the share of wrong labels, as looks certify it or else as the audit estimates it."""

from __future__ import annotations

import dataclasses
from functools import partial

from auditor.certificate.documents import CertificateDocument
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.looks import certified, decided_by_looks, one_sided
from auditor.gate.measure import cannot_tell, reviewed, suspect_evidence, uncalibrated, with_settled
from auditor.gate.rules.base import Rule


def measure(facts: Facts, levels: Levels) -> Measurement:
    """What looks certify of the data as they lie, or else the calibrated share, corrected by what people reviewed."""
    if facts.certificate is not None:
        return _certified(facts, facts.certificate)
    reason, decider = uncalibrated(facts), partial(decided_by_looks, facts)
    share = (facts.summary["calibration"] or {"share": None})["share"]
    if share is None or share["value"] is None:
        return Measurement(None, undecided=reason or "the audit gives no share of wrong labels", decided_by=decider)
    value, interval = reviewed(*with_settled(share["value"], share["interval"] or (), facts.rows), facts.rows)
    sentence = f"an estimated {figure(value, 'share')} of the labels are wrong"
    return Measurement(
        value,
        interval,
        sentence,
        suspect_evidence(facts.rows),
        undecided=reason,
        cannot_pass=cannot_tell(facts),
        decided_by=decider,
    )


def _certified(facts: Facts, certificate: CertificateDocument) -> Measurement:
    """The certified share. No model's word is in it, so it stands whatever the audit is worth."""
    proven = certificate["today"]
    found = Measurement(
        proven["value"],
        (proven["interval"][0], proven["interval"][1]),
        certified(certificate),
        suspect_evidence(facts.rows),
        ends=one_sided(proven),
        decided_by=partial(decided_by_looks, facts),
    )
    return dataclasses.replace(found, instead=found)


RULE = Rule(
    name="wrong_labels",
    title="Wrong labels",
    about="Share of wrong labels. Fails when the whole interval lies above `fail`, passes when it lies within `warn`, "
    "and is undecided while it holds `fail`. Looks at a drawn sample (`auditor review sample`) certify it.",
    unit="share",
    at_most=True,
    levels=Levels(fail=0.05, warn=0.02),
    measure=measure,
    advice="Review the suspects in the audit's report from the top. Apply the decisions with `auditor review apply`.",
    rests_on="recovery",
)
