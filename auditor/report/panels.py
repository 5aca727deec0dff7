"""The page's pictures of influence: histograms, the images at both ends of each class, and explained test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.report.histogram import Series, histogram
from auditor.report.wording import UNFELT
from auditor.result import AuditResult
from auditor.result.documents import QualityDocument
from auditor.result.evidence import ExampleDocument, ExtremesOfClass, PlantedHistogram
from auditor.result.nouns import Noun
from auditor.system.text import printable

ENOUGH = 30
"""Planted and untouched labels that a class's histogram needs: fewer make spikes, not a shape."""

MAX_PANELS = 12
"""So many classes get a histogram and a strip of extreme images. More would make a page that nobody reads."""


@dataclass(frozen=True)
class Panel:
    """A class's histogram of average influence: planted labels beside all others, and how many of each it shows."""

    label: str
    figure: Markup
    n_planted: int
    n_untouched: int


class ShownExample(ExampleDocument):
    """A test image explained.

    Attributes
    ----------
    figure
        Influence of the training images by label; None where there is nothing to draw.
    legend
        Each colour of the figure with its label; None stands for all other labels.
    unmoved
        Whether some training image influences this prediction, but none of them noticeably.
    """

    figure: Markup | None
    legend: list[tuple[str, str | None]]
    unmoved: bool


@dataclass(frozen=True)
class Examples:
    """Explained test images, how many of them are classified wrongly, and how many wrong ones there are in all."""

    shown: list[ShownExample]
    wrong_shown: int
    n_wrong: int | None


def first_classes(result: AuditResult) -> list[str]:
    """Every class, or with many classes those with the most to find.

    That is the most expected errors, or without an estimate the most images of negative average influence.
    """
    classes, calibration = result.classes, result.summary["calibration"]
    if len(classes) <= MAX_PANELS:
        return classes
    if calibration and calibration["by_class"]:
        weight = {row["label"]: row["count"] for row in calibration["by_class"]}
    else:
        bad = result.ranking[result.ranking["average_influence"] < 0]
        weight = {str(label): float(n) for label, n in bad["label"].value_counts().items()}
    return sorted(classes, key=lambda label: (-weight.get(label, 0.0), label))[:MAX_PANELS]


def panels(result: AuditResult) -> list[Panel]:
    """Histograms of average influence in the experiment, by class, where enough labels were planted to show a shape."""
    found = (_panel(label, result.evidence["histograms"]["corrupted"], result.noun) for label in first_classes(result))
    return [panel for panel in found if panel is not None]


def _panel(label: str, corrupted: PlantedHistogram, noun: Noun) -> Panel | None:
    planted, untouched = corrupted["planted"].get(label, []), corrupted["clean"].get(label, [])
    n_planted, n_untouched = sum(planted), sum(untouched)
    if min(n_planted, n_untouched) < ENOUGH:
        return None
    series = [Series(untouched, "clean"), Series(planted, "wrong")]
    what = f"{noun.many} trained as {printable(label)}: {n_planted} planted, {n_untouched} others"
    figure = histogram(corrupted["edges"], series, f"Average influence of {what}")
    return Panel(label, figure, n_planted, n_untouched)


def extremes(result: AuditResult) -> list[ExtremesOfClass]:
    """The images of highest and lowest average influence, by class."""
    wanted = set(first_classes(result))
    return [row for row in result.evidence["extremes"] if row["label"] in wanted]


def scale(result: AuditResult) -> float:
    """The strongest average influence of a training image."""
    images = (image for row in result.evidence["extremes"] for image in (*row["highest"], *row["lowest"]))
    return max((abs(image["average_influence"]) for image in images), default=0.0)


def examples(result: AuditResult) -> Examples:
    """The explained test images, in the order in which the page shows them."""
    strongest = scale(result)
    shown = [_shown(example, strongest, result.noun) for example in _wrong_early(result.evidence["examples"])]
    wrong_shown = sum(example["kind"] != "correct" for example in shown)
    return Examples(shown, wrong_shown, _n_wrong(result.summary["model"]["clean"]["test"]))


def _n_wrong(test: QualityDocument) -> int | None:
    """How many test images are classified wrongly; None where nothing was tested."""
    return round(test["n"] * (1 - test["accuracy"])) if test["n"] else None


def _wrong_early(found: Sequence[ExampleDocument]) -> list[ExampleDocument]:
    """Two correct ones to compare with, then every wrong one, then the rest."""
    right = [example for example in found if example["kind"] == "correct"]
    return [*right[:2], *(example for example in found if example["kind"] != "correct"), *right[2:]]


def _shown(example: ExampleDocument, strongest: float, noun: Noun) -> ShownExample:
    series, legend = _groups(example)
    edges, figure = example["histogram"]["edges"], None
    if series:
        of, named = f"training {noun.many} on a test {noun.one}", printable(example["label"])
        label = f"Influence of the {of} labelled {named}, by label"
        figure = histogram(edges, series, label, of="influence on this prediction")
    images = (image["influence"] for image in (*example["most"], *example["least"]))
    most = max((abs(value) for value in (*images, *edges)), default=0.0)
    return {**example, "figure": figure, "legend": legend, "unmoved": 0 < most <= UNFELT * strongest}


def _groups(example: ExampleDocument) -> tuple[list[Series], list[tuple[str, str | None]]]:
    """The histogram's groups and its legend: the image's own label, the predicted one, and all others together."""
    counts = example["histogram"]["counts"]
    colours = {example["predicted"]: "wrong", example["label"]: "clean"}
    named = [label for label in (example["label"], example["predicted"]) if label in counts]
    series = [Series(counts[label], colours[label]) for label in dict.fromkeys(named)]
    legend: list[tuple[str, str | None]] = [(colours[label], label) for label in dict.fromkeys(named)]
    others = [label for label in counts if label not in colours]
    if others:
        together = [sum(column) for column in zip(*(counts[label] for label in others), strict=True)]
        series.insert(0, Series(together, "muted", outline=True))
        legend.append(("muted", others[0] if len(others) == 1 else None))
    return series, legend
