"""What `evidence.json` holds, key by key: pictures and examples for the report. No verdict depends on it."""

from __future__ import annotations

from typing import Literal, TypedDict


class HistogramDocument(TypedDict):
    """A histogram for each label, on common edges."""

    edges: list[float]
    counts: dict[str, list[int]]


class InfluencedImage(TypedDict):
    """A training image and its influence on another image."""

    path: str
    label: str
    influence: float


class SpeakingImage(InfluencedImage):
    """A training image that speaks for or against the label of a suspect.

    `without` is the probability of that label by a head that learnt from neither of the two; null where it was not
    asked for.
    """

    without: float | None


class ExampleDocument(TypedDict):
    """A test image, explained by its row of the influence matrix: the training images with most and least influence."""

    kind: Literal["correct", "wrong"]
    path: str
    label: str
    predicted: str
    probability: float
    histogram: HistogramDocument
    most: list[InfluencedImage]
    least: list[InfluencedImage]


class PlantedHistogram(TypedDict):
    """Histograms of average influence by label, for planted and for other labels, on common edges."""

    edges: list[float]
    planted: dict[str, list[int]]
    clean: dict[str, list[int]]


class HistogramsDocument(TypedDict):
    """Histograms of average influence in the two runs."""

    clean: HistogramDocument
    corrupted: PlantedHistogram


class ExtremeImage(TypedDict):
    """A training image and its average influence."""

    path: str
    average_influence: float


class ExtremesOfClass(TypedDict):
    """The training images of a class with the highest and the lowest average influence."""

    label: str
    highest: list[ExtremeImage]
    lowest: list[ExtremeImage]


class LowestImage(TypedDict):
    """An image with low average influence in the corrupted run: its given label, and the one that was trained."""

    path: str
    label: str
    trained_label: str
    planted: bool
    average_influence: float
    influence_rank: int


class NeighbourImage(TypedDict):
    """An image that looks like a suspect: among the nearest of its given label, or of its suggested one."""

    path: str
    label: str
    similarity: float


class LikelyClass(TypedDict):
    """A class that an item may show, and the probability that it is the true one."""

    label: str
    probability: float


class WhyDocument(TypedDict):
    """Training images that speak against a suspect's label and for it, and images that look like the suspect.

    `left_out` is the probability of its label by a head that did not learn from the suspect; null where it was not
    asked for.
    """

    against: list[SpeakingImage]
    in_favour: list[SpeakingImage]
    left_out: float | None
    neighbours: list[NeighbourImage]


class MapDocument(TypedDict):
    """Places of items on a plane: of the first `n` rows of `ranking.csv`.

    `points` is base64 of x and y of each row, whole numbers of 16 bits, the lower byte first.
    """

    n: int
    points: str


class DrawnImage(TypedDict):
    """An image of the sample that the audit drew, in the form of `sample.json`."""

    path: str
    hash: str
    label: str
    how: Literal["rank", "drawn", "again", "known-wrong"]
    probability: float | None


class Proof(TypedDict):
    """What looks at the sample would prove if none of them found a wrong label: at most this share is wrong (95%)."""

    looks: int
    at_most: float


class EvidenceDocument(TypedDict):
    """The whole of `evidence.json`. `sample` stands in drawing order.

    `thumbnails` are pictures by path. `excerpts` are what people read in their place: texts, and the cells of rows.
    """

    thumbnails: dict[str, str]
    excerpts: dict[str, str]
    examples: list[ExampleDocument]
    histograms: HistogramsDocument
    extremes: list[ExtremesOfClass]
    lowest_planted_run: list[LowestImage]
    why: dict[str, WhyDocument]
    near_duplicates: list[list[str]]
    map: MapDocument
    suggested_probability: dict[str, float]
    likeliest: dict[str, list[LikelyClass]]
    sample: list[DrawnImage]
    proves: list[Proof]


def no_evidence() -> EvidenceDocument:
    """Evidence that shows nothing. It fills in what an audit of an earlier version did not write."""
    return {
        "thumbnails": {},
        "excerpts": {},
        "examples": [],
        "histograms": {
            "clean": {"edges": [], "counts": {}},
            "corrupted": {"edges": [], "planted": {}, "clean": {}},
        },
        "extremes": [],
        "lowest_planted_run": [],
        "why": {},
        "near_duplicates": [],
        "map": {"n": 0, "points": ""},
        "suggested_probability": {},
        "likeliest": {},
        "sample": [],
        "proves": [],
    }
