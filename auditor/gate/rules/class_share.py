"""The rule `class_share`: the share of wrong labels in the worst class."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

from auditor.certificate.documents import CertificateDocument
from auditor.gate.documents import EvidenceRow
from auditor.gate.facts import Decider, Facts, Levels, Measurement
from auditor.gate.figures import figure
from auditor.gate.looks import SLACK, decided_by_looks
from auditor.gate.measure import EVIDENCE_ROWS, Ends, cannot_tell, reviewed, uncalibrated, with_settled
from auditor.gate.rules.base import Rule
from auditor.system.text import plain


@dataclass(frozen=True)
class _Class:
    """One class: its share, and the bounds that are compared with the levels.

    `certified` says whether looks prove the upper bound, `estimated` whether the lower one is the audit's estimate.
    """

    value: float
    ends: Ends
    label: str
    n: int
    certified: bool = False
    estimated: bool = True

    @property
    def sentence(self) -> str:
        """The figure in words."""
        name = f"the labels '{plain(self.label)}'"
        said = [f"an estimated {figure(self.value, 'share')} of {name} are wrong"] if self.estimated else []
        if self.certified:
            about = "of them" if self.estimated else f"of {name} are wrong"
            said.append(f"at most {figure(self.ends[1], 'share')} {about}, certified by looks (95%, one-sided)")
        return ", ".join(said)


def measure(facts: Facts, levels: Levels) -> Measurement:
    """The class that decides: of the classes that surely fail the surest one, or else the one that may be worst.

    The worst of C estimates is looked at. Every interval is therefore widened from 1.96 standard errors to the normal
    quantile of 1 - 0.025 / C (Bonferroni). Where looks prove an upper bound, it takes the place of the estimate's.
    """
    reason, estimated = uncalibrated(facts), _estimated(facts)
    if facts.certificate is None:
        if not estimated:
            return Measurement(None, undecided=reason or "the audit gives no share by class")
        return _worst(facts, levels, estimated, reason)
    alone = _worst(facts, levels, _certified(facts, facts.certificate, []), "")
    both = _worst(facts, levels, _certified(facts, facts.certificate, estimated), reason)
    return dataclasses.replace(both, instead=alone)


def _worst(facts: Facts, levels: Levels, classes: list[_Class], reason: str) -> Measurement:
    """The measurement of the class that decides."""
    fail = float("inf") if levels.fail is None else levels.fail
    sure = [one for one in classes if one.ends[0] > fail]
    if sure:
        worst = max(sure, key=lambda one: (one.ends[0], one.label))
    else:
        worst = max(classes, key=lambda one: (one.ends[1], one.value, one.label))
    shown = sorted(classes, key=lambda one: (-one.value, one.label))[:EVIDENCE_ROWS]
    evidence: tuple[EvidenceRow, ...] = tuple(
        {"label": one.label, "share": one.value, "interval": list(one.ends)} for one in shown
    )
    return Measurement(
        worst.value,
        worst.ends,
        worst.sentence,
        evidence,
        undecided=reason,
        ends=worst.ends if worst.certified else None,
        cannot_pass="" if worst.certified else cannot_tell(facts),
        decided_by=partial(_decided, facts, worst),
    )


def _estimated(facts: Facts) -> list[_Class]:
    """Share and widened interval of every class, corrected by what people have reviewed."""
    calibration = facts.summary["calibration"]
    by_class = calibration["by_class"] if calibration else []
    widening = NormalDist().inv_cdf(1 - 0.025 / len(by_class)) / NormalDist().inv_cdf(0.975) if by_class else 1.0
    found = []
    for entry in by_class:
        share, label = entry["share"], entry["label"]
        ends = [share + widening * (end - share) for end in entry["share_interval"]]
        rows = facts.rows[facts.rows["label"] == label]
        value, interval = reviewed(*with_settled(share, ends, rows), rows)
        found.append(_Class(value, interval or (value, value), label, entry["n"]))
    return found


def _certified(facts: Facts, certificate: CertificateDocument, estimated: list[_Class]) -> list[_Class]:
    """What looks prove of every class. The estimate may still fail a class of which they prove little.

    A class holds no more wrong labels than the whole data set, and no more than it held before the corrections and
    those that are new or changed since.
    """
    own = {row["label"]: row["share"] for row in certificate["by_class"]}
    model = {one.label: one for one in estimated}
    untouched = certificate["share"] == certificate["today"]
    one_of_many = NormalDist().inv_cdf(1 - 0.05 / max(1, len(own))) / NormalDist().inv_cdf(0.95)
    found = []
    for label, n in sorted(facts.summary["dataset"]["counts"].items()):
        if not n:
            continue
        most, least, value = certificate["today"]["count_at_most"], 0.0, min(1.0, certificate["today"]["value"])
        if label in own:
            proven = own[label]
            most = min(most, proven["count_at_most"] + certificate["looks"]["changed"])
            value = proven["value"] if untouched else min(proven["value"], value)
            if untouched:
                least = proven["value"] - one_of_many * (proven["value"] - proven["at_least"])
        elif label in model:
            value, least = model[label].value, model[label].ends[0]
        high = min(1.0, most / n)
        low = min(max(0.0, least), high)
        by_model = label in model and label not in own
        found.append(_Class(min(max(value, low), high), (low, high), label, n, certified=True, estimated=by_model))
    return found


def _decided(facts: Facts, worst: _Class, level: float) -> Decider:
    """A bound on all labels bounds a class too, and a look at the whole class settles it: the cheaper one is named."""
    sample = decided_by_looks(facts, int(level * worst.n + SLACK) / max(1, len(facts.rows)))
    if sample.looks is not None and sample.looks < worst.n:
        return sample
    name = plain(worst.label)
    return Decider(f"looks at all {worst.n} images labelled '{name}' decide it", worst.n)


RULE = Rule(
    name="class_share",
    title="Wrong labels in one class",
    about="The same share in the worst class. Intervals are widened for the number of classes.",
    unit="share",
    at_most=True,
    levels=Levels(fail=0.2, warn=0.1),
    measure=measure,
    advice="Review this class's suspects first.",
    rests_on="recovery",
)
