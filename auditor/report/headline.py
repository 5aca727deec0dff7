"""TODO auditor.report.headline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from auditor.report.wording import name_markup, percent, percents, whole
from auditor.result import AuditResult


def headline(result: AuditResult) -> str:
    """The report's first sentence as plain text, for a terminal."""
    return str(verdict_context(result.summary)["sentence"].striptags())


def best_ranking(rankings: Mapping[str, Any]) -> tuple[str, Any]:
    """The audit's best ranking: by suspicion where there is one, else by influence."""
    name = "suspicion" if rankings.get("suspicion") else "influence"
    return name, rankings[name]


def verdict_context(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The sentences a reader takes away, and the state: `suspects`, `unclear`, `clean` or `undecided`."""
    data, recovery, calibration = summary["dataset"], summary["recovery"], summary["calibration"]
    name, best = best_ranking(recovery["rankings"])
    count = calibration["count"] if calibration and calibration["decided"] else None
    if count and count["value"] is None:
        count = None
    open_question = ""
    if not calibration:
        open_question = "This audit does not estimate a number: the list below has an order, but no probabilities."
    elif not count:
        open_question = calibration["reason"]
    estimate, caught = _estimate(data, count, tried=bool(calibration)), _caught(recovery, best)
    return {
        "state": _state(data, count) if count else "undecided",
        "sentence": Markup("{}; {}.").format(estimate, caught),
        "estimate": estimate,
        "caught": caught,
        "test": _against_chance(recovery, best),
        "trusted": _beats_chance(recovery, best),
        "open": open_question,
        "ranking": name,
    }


def _state(data: Mapping[str, Any], count: Mapping[str, Any]) -> str:
    low, high = count["interval"]
    return "suspects" if low >= 1 else "clean" if high < 0.01 * data["n_images"] else "unclear"


def _estimate(data: Mapping[str, Any], count: Mapping[str, Any] | None, *, tried: bool) -> Markup:
    """How many labels are probably wrong, with the interval, or that this could not be decided."""
    n, name = f"{data['n_images']:,}", name_markup(data["name"])
    if count is None:
        outcome = "could not be decided" if tried else "was not estimated"
        return Markup("How many of the {} labels in {} are wrong <strong>{}</strong>").format(n, name, outcome)
    low, high = count["interval"]
    if round(count["value"]) == 0:
        none = Markup("<strong>At most {} of {}</strong> labels in {} are probably wrong, perhaps none")
        return none.format(whole(high), n, name)
    some = Markup("About <strong>{} of {}</strong> labels in {} are probably wrong (between {} and {})")
    return some.format(whole(count["value"]), n, name, whole(low), whole(high))


def _caught(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """How much of the planted noise was found."""
    planted, tenth = recovery["n_planted"], found_at(best, 0.1)
    what = f"{planted:,} labels" if planted != 1 else "1 label"
    return f"of {what} flipped to test the audit, the first tenth of its list holds {percent(tenth['share'])}"


def _against_chance(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """What that find is worth: its interval, and what a list without knowledge would hold."""
    tenth, chance = found_at(best, 0.1), found_at(recovery["rankings"]["random"], 0.1)
    said = (
        f"The 95% interval of that find is {percents(tenth['interval'])}; a tenth drawn at random holds "
        f"{percent(chance['share'])}."
    )
    if _beats_chance(recovery, best):
        return said
    return f"{said} The list is no better than chance as far as this test can tell: do not rely on its order."


def _beats_chance(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    tenth, chance = found_at(best, 0.1), found_at(recovery["rankings"]["random"], 0.1)
    return bool(tenth["interval"] and tenth["interval"][0] > chance["share"])


def found_at(ranking: Mapping[str, Any], inspected: float) -> Any:
    return min(ranking["found"], key=lambda row: abs(row["inspected"] - inspected))
