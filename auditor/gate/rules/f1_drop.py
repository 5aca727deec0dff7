"""The rule `f1_drop`: how much the planted noise costs the model."""

from __future__ import annotations

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import f1_draws, more_images, percentile_interval
from auditor.gate.rules.base import Rule


def measure(facts: Facts, levels: Levels) -> Measurement:
    """F1 without planted noise minus F1 with it. The two matrices are resampled apart, which widens the interval."""
    clean, corrupted = (facts.summary["model"][key]["test"] for key in ("clean", "corrupted"))
    if clean["f1_weighted"] is None or corrupted["f1_weighted"] is None or not clean["n"] or not corrupted["n"]:
        return Measurement(None, undecided="there is no test image to measure the models on")
    value = float(clean["f1_weighted"] - corrupted["f1_weighted"])
    draws = f1_draws(clean, seed=0) - f1_draws(corrupted, seed=1)
    sentence = f"the planted noise costs {value:.3f} of the model's weighted F1"
    interval = percentile_interval(draws, value)
    return Measurement(value, interval, sentence, decided_by=more_images(value, interval, clean["n"]))


RULE = Rule(
    name="f1_drop",
    title="Drop in F1 under noise",
    about="How much weighted F1 the planted noise costs. Fails when the interval's lower end is above `fail`.",
    unit="score",
    at_most=True,
    levels=Levels(fail=0.2, warn=0.1),
    measure=measure,
    advice="Wrong labels hurt a model of these data a lot. Correct them before training, or collect more images.",
    when_undecided="Give the data set a test split.",
)
