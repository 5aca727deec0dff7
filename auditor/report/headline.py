"""The report's first sentences: how many labels are probably wrong, and what the audit found in its own test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from auditor.certificate.documents import CertificateDocument
from auditor.report.certified import claim, waiting
from auditor.report.wording import cannot_tell, name_markup, percent, percents, whole
from auditor.result import AuditResult
from auditor.result.ceiling import against_ceiling
from auditor.result.documents import AuditDocument, DatasetDocument
from auditor.result.figures import (
    CalibrationDocument,
    Estimate,
    FoundDocument,
    RankingDocument,
    RankingName,
    RecoveryDocument,
    best_ranking,
)
from auditor.result.nouns import Noun, noun_in
from auditor.result.wording import CANNOT_TELL, NO_ANSWER

TOP = 0.1
"""The part of the list that the headline speaks of."""

"""What the list is ordered by."""

State = Literal["suspects", "unclear", "certified", "undecided"]
"""What is known: some errors are expected, few or none were found, looks by people proved a bound, or nothing."""


@dataclass(frozen=True)
class Headline:
    """What a reader takes away from the page.

    Attributes
    ----------
    state
        What the estimate says, in one word.
    estimate
        How many labels are probably wrong. A sentence without its full stop, as all sentences here but `chance`.
    test
        How many planted labels the top of the list held.
    chance
        What that is worth: its interval, and what checking at random would find.
    beats_chance
        Whether the whole interval of that find lies above what a random order finds.
    open_question
        Why there is no figure, or what would make it one; empty where neither is needed. Whole sentences.
    ranking
        What orders the list.
    """

    state: State
    estimate: Markup
    test: str
    chance: str
    beats_chance: bool
    open_question: str
    ranking: RankingName


def headline(result: AuditResult, certificate: CertificateDocument | None = None) -> str:
    """The report's first two sentences as plain text, for a terminal."""
    said = headline_of(result.summary, certificate)
    return str(Markup("{}. {}.").format(said.estimate, said.test).striptags())


def headline_of(audit: AuditDocument, certificate: CertificateDocument | None = None) -> Headline:
    """The first sentences about an audit, and what they rest on. A certificate takes the place of the estimate."""
    recovery, calibration = audit["recovery"], audit["calibration"]
    name, best = best_ranking(recovery["rankings"])
    count = calibration["count"] if calibration and calibration["decided"] else None
    return Headline(
        state="certified" if certificate else _state(calibration, count),
        estimate=_certified(audit["dataset"], certificate) if certificate else _estimate(audit["dataset"], calibration),
        test=_test(recovery, best),
        chance=_chance(recovery, best, noun_in(audit["dataset"])),
        beats_chance=_beats_chance(recovery, best),
        open_question=waiting(certificate) if certificate else _open_question(calibration, count),
        ranking=name,
    )


def found_at(ranking: RankingDocument, inspected: float) -> FoundDocument:
    """What was found in the first `inspected` part of the list, or in the nearest part that was measured."""
    return min(ranking["found"], key=lambda row: abs(row["inspected"] - inspected))


def _state(calibration: CalibrationDocument | None, count: Estimate | None) -> State:
    if count is None or cannot_tell(calibration):
        return "undecided"
    return "suspects" if count["interval"][0] >= 1 else "unclear"


def _certified(data: DatasetDocument, certificate: CertificateDocument) -> Markup:
    """What looks by people prove."""
    said = claim(certificate)
    return Markup("{}: <strong>{}</strong>").format(name_markup(data["name"]), said[0].lower() + said[1:])


def _estimate(data: DatasetDocument, calibration: CalibrationDocument | None) -> Markup:
    """How many labels are probably wrong, with the interval, or that this is not known."""
    n, name = f"{data['n_images']:,}", name_markup(data["name"])
    count = calibration["count"] if calibration and calibration["decided"] else None
    if count is None:
        outcome = "We did not estimate" if calibration is None else "We could not decide"
        return Markup("<strong>{}</strong> how many of the {} labels in {} are wrong").format(outcome, n, name)
    value, low, high = round(count["value"]), math.floor(count["interval"][0]), math.ceil(count["interval"][1])
    if cannot_tell(calibration):
        strong = Markup("<strong>{}</strong>").format(CANNOT_TELL)
        labels = Markup("of the {} labels in {}").format(n, name)
        return Markup(NO_ANSWER).format(cannot_tell=strong, labels=labels, low=whole(low), high=whole(high))
    if value == 0:
        none = Markup(
            "The model found no clear errors among the {} labels in {}. <strong>Up to {}</strong> may be wrong, if the "
            "assumptions below hold"
        )
        return none.format(n, name, whole(max(1, high)))
    some = Markup("About <strong>{} of {}</strong> labels in {} {} probably wrong (between {} and {})")
    return some.format(whole(value), n, name, "is" if value == 1 else "are", whole(low), whole(high))


def _open_question(calibration: CalibrationDocument | None, count: Estimate | None) -> str:
    if calibration is None:
        return "The list below has an order, but no probabilities."
    if count is None:
        return calibration["reason"]
    if cannot_tell(calibration):
        return "Errors that look right to the model leave no trace in it. Looks at the sample below can tell."
    return ""


def _test(recovery: RecoveryDocument, best: RankingDocument) -> str:
    """How many planted labels the top of the list held, and how many it could hold."""
    planted, top = recovery["n_planted"], found_at(best, TOP)
    found = top["share"] * planted  # a mean over the plantings, so it may lie between two whole numbers
    possible = found_of_possible(found, recovery, TOP * recovery["n"])
    if " of at most " in possible:
        possible = f"{possible.replace(' of at most ', ' (at most ')} were possible)"
    about = "" if abs(found - round(found)) < 1e-6 else "about "
    return (
        f"In a test with {planted:,} label{'' if planted == 1 else 's'} we flipped ourselves, checking the top "
        f"{percent(TOP)} of the list found {about}{possible}"
    )


def found_of_possible(found: float, recovery: RecoveryDocument, inspected: float) -> str:
    """How many planted labels were found, and how many could be where that is fewer than all: "66 of at most about 67".

    A list that finds more than one that takes all wrong labels alike is better than the ceiling; nothing limits it.
    """
    planted = recovery["n_planted"]
    said = against_ceiling(found, planted, recovery.get("ceiling"), inspected)
    if " of at most " not in said:
        said = against_ceiling(found, planted, None, inspected)
    return said if " of at most " in said else whole(found)


def _chance(recovery: RecoveryDocument, best: RankingDocument, noun: Noun) -> str:
    """What that find is worth: its interval, and what checking at random would find."""
    top, random = found_at(best, TOP), found_at(recovery["rankings"]["random"], TOP)
    said = (
        f"That is {percent(top['share'])} of the flipped labels (plausible range {percents(top['interval'])}). "
        f"Checking {percent(TOP)} of the {noun.many} at random would find {percent(random['share'])}."
    )
    if _beats_chance(recovery, best):
        return said
    return f"{said} This test does not show that the list is better than chance. Do not rely on its order."


def _beats_chance(recovery: RecoveryDocument, best: RankingDocument) -> bool:
    top, random = found_at(best, TOP), found_at(recovery["rankings"]["random"], TOP)
    return bool(top["interval"] and top["interval"][0] > random["share"])
