"""The report's first sentences: how many labels are probably wrong, and what the audit found in its own test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from auditor.report.wording import name_markup, percent, percents, whole
from auditor.result import AuditResult
from auditor.result.documents import AuditDocument, DatasetDocument
from auditor.result.figures import (
    CalibrationDocument,
    Estimate,
    FoundDocument,
    RankingDocument,
    RankingsDocument,
    RecoveryDocument,
)

TOP = 0.1
"""The part of the list that the headline speaks of."""

NEARLY_ALL = 0.95
"""Where that part has room for fewer of the planted labels, the headline says for how many."""

RankingName = Literal["suspicion", "influence"]
"""What the list is ordered by."""

State = Literal["suspects", "unclear", "clean", "undecided"]
"""What the estimate says: some errors, perhaps some, few or none, or nothing."""


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
        Why there is no estimate; empty where there is one. A whole sentence.
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


def headline(result: AuditResult) -> str:
    """The report's first two sentences as plain text, for a terminal."""
    said = headline_of(result.summary)
    return str(Markup("{}. {}.").format(said.estimate, said.test).striptags())


def headline_of(audit: AuditDocument) -> Headline:
    """The first sentences about an audit, and what they rest on."""
    recovery, calibration = audit["recovery"], audit["calibration"]
    name, best = best_ranking(recovery["rankings"])
    count = calibration["count"] if calibration and calibration["decided"] else None
    return Headline(
        state=_state(audit["dataset"], count),
        estimate=_estimate(audit["dataset"], count, tried=calibration is not None),
        test=_test(recovery, best),
        chance=_chance(recovery, best),
        beats_chance=_beats_chance(recovery, best),
        open_question="" if count else _open_question(calibration),
        ranking=name,
    )


def best_ranking(rankings: RankingsDocument) -> tuple[RankingName, RankingDocument]:
    """The ranking that orders the list: by suspicion where there is one, else by influence."""
    if rankings["suspicion"]:
        return "suspicion", rankings["suspicion"]
    return "influence", rankings["influence"]


def found_at(ranking: RankingDocument, inspected: float) -> FoundDocument:
    """What was found in the first `inspected` part of the list, or in the nearest part that was measured."""
    return min(ranking["found"], key=lambda row: abs(row["inspected"] - inspected))


def _state(data: DatasetDocument, count: Estimate | None) -> State:
    if count is None:
        return "undecided"
    low, high = count["interval"]
    return "suspects" if low >= 1 else "clean" if high < 0.01 * data["n_images"] else "unclear"


def _estimate(data: DatasetDocument, count: Estimate | None, *, tried: bool) -> Markup:
    """How many labels are probably wrong, with the interval, or that this is not known."""
    n, name = f"{data['n_images']:,}", name_markup(data["name"])
    if count is None:
        outcome = "We could not decide" if tried else "We did not estimate"
        return Markup("<strong>{}</strong> how many of the {} labels in {} are wrong").format(outcome, n, name)
    value, (low, high) = round(count["value"]), count["interval"]
    if value == 0:
        # an end below one half is no promise that there is no error at all
        most = f"Up to {whole(high)} remain" if round(high) > 1 else "Up to 1 remains"
        none = Markup(
            "We found <strong>no clear errors</strong> among the {} labels in {}. "
            "{} plausible if the assumptions below hold"
        )
        return none.format(n, name, most)
    some = Markup("About <strong>{} of {}</strong> labels in {} {} probably wrong (between {} and {})")
    return some.format(whole(value), n, name, "is" if value == 1 else "are", whole(low), whole(high))


def _open_question(calibration: CalibrationDocument | None) -> str:
    if calibration is None:
        return "The list below has an order, but no probabilities."
    return calibration["reason"]


def _test(recovery: RecoveryDocument, best: RankingDocument) -> str:
    """How many planted labels the top of the list held, and how many it could hold."""
    planted, top = recovery["n_planted"], found_at(best, TOP)
    found = top["share"] * planted  # a mean over the plantings, so it may lie between two whole numbers
    about = "" if abs(found - round(found)) < 1e-6 else "about "
    possible = int(TOP * recovery["n"] + 1e-9)
    limit = f"; at most {possible:,} were possible" if possible < NEARLY_ALL * planted else ""
    return (
        f"In a test with {planted:,} label{'' if planted == 1 else 's'} we flipped ourselves, checking the top "
        f"{percent(TOP)} of the list found {about}{whole(found)} ({percent(top['share'])}{limit})"
    )


def _chance(recovery: RecoveryDocument, best: RankingDocument) -> str:
    """What that find is worth: its interval, and what checking at random would find."""
    top, random = found_at(best, TOP), found_at(recovery["rankings"]["random"], TOP)
    said = (
        f"The plausible range of that share is {percents(top['interval'])} (95% interval). "
        f"Checking {percent(TOP)} of the images at random would find {percent(random['share'])}."
    )
    if _beats_chance(recovery, best):
        return said
    return f"{said} This test does not show that the list is better than chance. Do not rely on its order."


def _beats_chance(recovery: RecoveryDocument, best: RankingDocument) -> bool:
    top, random = found_at(best, TOP), found_at(recovery["rankings"]["random"], TOP)
    return bool(top["interval"] and top["interval"][0] > random["share"])
