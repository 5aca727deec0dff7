"""The rules as one plain table: what each measures, in what unit, which way its levels point, and their defaults.

Levels are read from `[rules.NAME]` in `auditor.toml` or `[tool.auditor.rules.NAME]` in `pyproject.toml`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from auditor.gate import measure
from auditor.gate.facts import Facts, Levels, Measurement


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes
    ----------
    name, title, about
        The key in the configuration, the name for people, and what the rule is for.
    at_most
        True when the levels are upper limits, False when they are lower ones.
    unit
        "share" (0 to 1), "count" or "score" (0 to 1).
    measure
        Gives the figure, its interval and the evidence.
    estimated
        True when the figure rests on the audit's estimate, and so on its recovery and its influence solves.
    short_is
        What falling over the fail level means: FAIL, or UNDECIDED where it is the audit that is too weak.
    advice
        What a person does next where the rule did not pass.
    """

    name: str
    title: str
    about: str
    at_most: bool
    unit: Literal["share", "count", "score"]
    measure: Callable[[Facts, Levels], Measurement]
    levels: Levels
    estimated: bool = False
    short_is: Literal["FAIL", "UNDECIDED"] = "FAIL"
    advice: str = ""


RULES: tuple[Rule, ...] = (
    Rule(
        "wrong_labels",
        "Wrong labels",
        "Estimated share of wrong labels. Fails when the interval's lower end is above `fail`; warns when the estimate "
        "itself is above `warn`.",
        True,
        "share",
        measure.wrong_labels,
        Levels(0.05, 0.02),
        estimated=True,
        advice="Review the suspects in the audit's report from the top and apply the decisions with `auditor "
        "review apply`. A trusted `--reference` narrows the interval.",
    ),
    Rule(
        "new_suspects",
        "New suspects",
        "Images whose label is wrong with at least this `probability` and that no baseline entry covers. Warns by "
        "their number; fails when surely more than `fail` of them are wrong. Without a baseline every suspect is new, "
        "so then the default `fail` does not apply.",
        True,
        "count",
        measure.new_suspects,
        Levels(10, 0, probability=0.9),
        estimated=True,
        advice="Review them in the audit's report and apply the decisions with `auditor review apply`; `auditor "
        "gate --update-baseline` accepts them unseen.",
    ),
    Rule(
        "class_share",
        "Wrong labels in one class",
        "The same share in the worst class. Intervals are widened for the number of classes looked at.",
        True,
        "share",
        measure.class_share,
        Levels(0.2, 0.1),
        estimated=True,
        advice="Review this class's suspects first. More images of the class, or a trusted `--reference`, "
        "narrow the interval.",
    ),
    Rule(
        "recovery",
        "Planted labels found",
        "Share of the planted wrong labels found among as many images as were planted. Below `fail` (by the interval's "
        "lower end), or no better than chance, the audit is too weak to support a verdict: UNDECIDED.",
        False,
        "share",
        measure.recovery,
        Levels(0.2, 0.4),
        short_is="UNDECIDED",
        advice="Do not rely on this audit's list. More images, a trusted `--reference` or `--weights` trained "
        "on similar pictures let it find more.",
    ),
    Rule(
        "model_f1",
        "Model F1",
        "Weighted F1 of the model on the test split. Fails when the interval's upper end is below `fail`.",
        False,
        "score",
        measure.model_f1,
        Levels(0.2, 0.5),
        advice="See whether the pictures show their classes at all, and whether `--weights` fit them; after "
        "that, more images.",
    ),
    Rule(
        "f1_drop",
        "Drop in F1 under noise",
        "How much weighted F1 the planted noise costs. Fails when the interval's lower end is above `fail`.",
        True,
        "score",
        measure.f1_drop,
        Levels(0.2, 0.1),
        advice="A model of these data suffers much from wrong labels: correct them before training, or collect "
        "more images.",
    ),
    Rule(
        "unreadable",
        "Unreadable images",
        "Share of the entries that could not be used.",
        True,
        "share",
        measure.unreadable,
        Levels(0.01, 0.0),
        advice="Repair or remove these files.",
    ),
    Rule(
        "class_balance",
        "Class balance",
        "Images in the smallest class for each one in the largest.",
        False,
        "score",
        measure.class_balance,
        Levels(0.01, 0.1),
        advice="Collect images of the smallest class, or lower the level if the classes are meant to be that uneven.",
    ),
    Rule(
        "conflicting_duplicates",
        "Identical images, different labels",
        "Groups of identical image files under different labels that a person has not accepted.",
        True,
        "count",
        measure.conflicting_duplicates,
        Levels(0, None),
        advice="Decide which label is right and remove the other copies, or record in the baseline that both hold.",
    ),
    Rule(
        "leakage",
        "Leakage",
        "Identical image files in training and test. Where the audit drew the splits itself this only warns.",
        True,
        "count",
        measure.leakage,
        Levels(0, None),
        advice="Remove the copies from one side of the split.",
    ),
)
