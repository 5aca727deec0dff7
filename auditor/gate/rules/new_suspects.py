"""The rule `new_suspects`: how many suspects no baseline entry covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd

from auditor.gate.facts import Decider, Facts, Levels, Measurement
from auditor.gate.looks import decided_by_looks
from auditor.gate.measure import Ends, cannot_tell, suspect_evidence, uncalibrated
from auditor.gate.rules.base import Rule
from auditor.system.arrays import Floats
from auditor.system.text import counted

_MISSED = 0.05
"""Where the audit cannot tell and lists nothing, a sample of so many looks is named as proves this share."""

_EXACT_UP_TO = 2000
"""Up to this many suspects the distribution of the wrong ones among them is computed exactly."""


def measure(facts: Facts, levels: Levels) -> Measurement:
    """How many suspects are new. The interval says how many of them are wrong if their probabilities hold.

    The interval leaves out the error of the estimated share, which the report's table of a review's finds counts in.
    With it the lower end would be 0 whenever the share's lower end is, and thirty new wrong labels among ten thousand
    would never fail.
    """
    certified, decider = facts.certificate is not None, _decider(facts, levels)
    reason = uncalibrated(facts)
    if facts.rows["p_mislabelled"].isna().all():
        none = Measurement(0.0, None, "the audit gives no probabilities, so it lists no suspect") if certified else None
        return Measurement(
            None, undecided=reason or "the audit gives no probabilities", decided_by=decider, instead=none
        )
    rows = new_suspect_rows(facts, levels)
    count = len(rows)
    known = int(rows["found_wrong"].sum())
    kind = "" if known else "new " if facts.has_baseline else "unreviewed "
    sentence = f"{counted(count, f'{kind}suspect', f'{kind}suspects')} with a probability of at least "
    sentence += f"{levels.probability:g}"
    if known:
        sentence += f"; people found {known:,} of them wrong: audit the data set that `auditor review apply` wrote"
    wrong = wrong_among(rows["p_mislabelled"].to_numpy(float))
    about = "wrong if the probabilities hold"
    found = Measurement(
        float(count),
        wrong,
        sentence,
        suspect_evidence(rows),
        reason,
        interval_of=about,
        cannot_pass="" if certified else cannot_tell(facts),
        decided_by=decider,
    )
    # A certificate bounds what the list misses. So a list of an audit that is too weak still warns, and proves nothing.
    weak = dataclasses.replace(found, undecided="", at_worst_warn=True)
    return dataclasses.replace(found, instead=weak) if certified else found


def _decider(facts: Facts, levels: Levels) -> Callable[[float], Decider]:
    """Looks at the new suspects decide. Where there is none, a drawn sample shows what the list may miss."""

    def decided(level: float) -> Decider:
        count = len(new_suspect_rows(facts, levels))
        if count:
            return Decider(
                f"{counted(count, 'look at this suspect decides', 'looks at these suspects decide')} it", count
            )
        return decided_by_looks(facts, _MISSED)

    return decided


def new_suspect_rows(facts: Facts, levels: Levels) -> pd.DataFrame:
    """The rows of the ranking that the rule counts, by rank. Images that somebody looked at have none."""
    rows = facts.rows
    unknown = rows["decision"].isna()
    if "looked" in rows:
        unknown &= ~rows["looked"].isin(("right", "wrong"))
    chosen = rows[(rows["p_mislabelled"] >= (levels.probability or 1.0)) & unknown]
    return chosen.sort_values(["rank", "path"]).reset_index(drop=True)


def wrong_among(probabilities: Floats) -> Ends:
    """Central 95% range of the number of wrong labels among independent suspects.

    The number follows the Poisson binomial distribution. Above `_EXACT_UP_TO` suspects the normal distribution takes
    its place.

    Parameters
    ----------
    probabilities
        Probability of a wrong label for each suspect [K].
    """
    n = len(probabilities)
    if n > _EXACT_UP_TO:
        mean, deviation = probabilities.sum(), np.sqrt((probabilities * (1 - probabilities)).sum())
        return max(0.0, float(mean - 1.96 * deviation)), min(float(n), float(mean + 1.96 * deviation))
    distribution = np.ones(1)
    for p in probabilities:
        distribution = np.convolve(distribution, (1 - p, p))
    below = np.cumsum(distribution)
    # The small allowance keeps a rounding error in the sum from moving an end by one.
    ends = np.searchsorted(below, (0.025 + 1e-12, 0.975 - 1e-12))
    return float(min(ends[0], n)), float(min(ends[1], n))


RULE = Rule(
    name="new_suspects",
    title="New suspects",
    about="Images whose label is wrong with at least this `probability` and that no baseline entry covers. Warns by "
    "their number. Fails when surely more than `fail` of them are wrong, and is undecided when perhaps more are. "
    "Without a baseline every suspect is new, so the default `fail` does not apply.",
    unit="count",
    at_most=True,
    levels=Levels(fail=10, warn=0, probability=0.9),
    measure=measure,
    advice="Review them in the audit's report and apply the decisions with `auditor review apply`. `auditor gate "
    "--update-baseline` accepts them without a look.",
    rests_on="recovery",
    fail_needs_baseline=True,
)
