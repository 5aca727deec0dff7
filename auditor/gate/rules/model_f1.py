"""The rule `model_f1`: how well the model classifies the test split."""

from __future__ import annotations

from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.measure import f1_draws, more_images, percentile_interval
from auditor.gate.rules.base import Rule


def measure(facts: Facts, levels: Levels) -> Measurement:
    """Weighted F1 on the test split. Its interval comes from resampling the images of the confusion matrix."""
    quality = facts.summary["model"]["clean"]["test"]
    value = quality["f1_weighted"]
    if value is None or not quality["n"]:
        return Measurement(None, undecided="there is no test image to measure the model on")
    sentence = f"the model reaches a weighted F1 of {value:.3f} on {quality['n']} test images"
    interval = percentile_interval(f1_draws(quality, seed=0), value)
    decider = more_images(float(value), interval, quality["n"])
    return Measurement(float(value), interval, sentence, decided_by=decider)


RULE = Rule(
    name="model_f1",
    title="Model F1",
    about="Weighted F1 of the model on the test split. Fails when the interval's upper end is below `fail`.",
    unit="score",
    at_most=False,
    levels=Levels(fail=0.2, warn=0.5),
    measure=measure,
    advice="Check whether the pictures show their classes at all, and whether `--weights` fit them. After that, add "
    "images.",
    when_undecided="Give the data set a test split.",
)
