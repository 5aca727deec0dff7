"""What the page's templates show: everything that is said about an audit, ready to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from auditor.report import certified, panels, plots, quality
from auditor.report.certified import CertificatePanel
from auditor.report.headline import TOP, Headline, found_at, headline_of
from auditor.report.looks import Looks
from auditor.report.oddities import ShownOddity, left_out, oddities
from auditor.report.panels import Examples, Panel
from auditor.report.quality import Minimum, RunQuality
from auditor.report.sitting import sitting_row
from auditor.report.tiles import Tile, tiles
from auditor.report.wording import number, percent
from auditor.result import AuditResult
from auditor.result.ceiling import possible_at
from auditor.result.documents import AuditDocument
from auditor.result.evidence import ExtremesOfClass, LowestImage
from auditor.result.figures import (
    CalibrationDocument,
    ClassEstimate,
    Interval,
    RankingDocument,
    RecoveryDocument,
    RecoveryOfClass,
    ReviewRow,
    best_ranking,
)
from auditor.result.nouns import Noun

STATIC_SUSPECTS = 24
"""So many suspects stand in the page itself, for paper and for readers without scripts."""


@dataclass(frozen=True)
class JudgedRule:
    """One rule's part of the gate's verdict."""

    rule: str
    verdict: str
    message: str


@dataclass(frozen=True)
class GateVerdict:
    """The gate's verdict about the audit."""

    verdict: str
    rules: list[JudgedRule]


@dataclass(frozen=True)
class Suspect:
    """A row of the ranking as the page shows it; None where a value is not known."""

    path: str
    label: str
    suggested_label: str | None
    average_influence: float | None
    p_mislabelled: float | None


class ComparedRanking(RankingDocument):
    """A ranking with its name and its title in the page."""

    name: str
    title: str


class ShownRecovery(RecoveryDocument):
    """The controlled experiment with its figure, and its rankings as rows of a table."""

    rows: list[ComparedRanking]
    figure: Markup


class ClassRow(RecoveryOfClass):
    """A class in the experiment, and how many of its labels are probably wrong."""

    estimate: ClassEstimate | None


@dataclass(frozen=True)
class Pair:
    """How many labels of one class may belong to another.

    Attributes
    ----------
    count, interval
        The expected number of wrong labels with its interval, or a number of images without one.
    cell
        Both classes by number, as the review's filters name them.
    """

    label: str
    suggested_label: str
    count: float
    interval: Interval | None
    cell: str


@dataclass(frozen=True)
class Pairs:
    """All pairs of classes.

    Attributes
    ----------
    kind
        What the counts are: expected wrong labels, or images whose average influence is negative.
    rows
        The pairs, the largest first.
    cells
        The same by given and suggested label.
    most
        The largest count, at least 1.
    """

    kind: Literal["expected", "negative influence"]
    rows: list[Pair]
    cells: dict[tuple[str, str], Pair]
    most: float


@dataclass(frozen=True)
class ReviewTable:
    """What reviewing the first suspects brings.

    Attributes
    ----------
    rows
        A few depths of the list.
    shares
        Whether shares of all wrong labels mean something: not where next to none are expected.
    next
        What a first sitting brings, where that is known.
    """

    rows: list[ReviewRow]
    shares: bool
    next: ReviewRow | None


@dataclass(frozen=True)
class Limits:
    """From how many classes or examples on the page shows a part of them."""

    planted: int = panels.ENOUGH
    panels: int = panels.MAX_PANELS
    matrix: int = quality.MAX_MATRIX
    examples: int = 6


@dataclass(frozen=True)
class PageContext:
    """The names that `templates/report.html` knows. `audit` is the whole of `audit.json`."""

    audit: AuditDocument
    audit_id: str
    noun: Noun
    takes_reference: bool
    classes: list[str]
    headline: Headline
    certificate: CertificatePanel | None
    tiles: list[Tile]
    gate: GateVerdict | None
    changes: list[str]
    suspects: list[Suspect]
    n_ranked: int
    recovery: ShownRecovery
    pairs: Pairs
    panels: list[Panel]
    by_class: list[ClassRow]
    lowest: list[LowestImage]
    extremes: list[ExtremesOfClass]
    scale: float
    examples: Examples
    quality: list[RunQuality]
    losses: Markup | None
    minima: list[Minimum]
    settings: dict[str, Any]
    validated: bool
    damping_chosen: bool
    damping: Markup | None
    review: ReviewTable
    decided: bool
    limits: Limits
    oddities: list[ShownOddity]
    not_looked_for: list[tuple[str, str]]


def page_context(
    result: AuditResult, gate: Mapping[str, Any] | None, comparison: Mapping[str, Any] | None, looks: Looks
) -> PageContext:
    """What the templates show of a result; the other arguments are those of `auditor.report.render`."""
    audit = result.summary
    model, calibration = audit["model"], audit["calibration"]
    return PageContext(
        audit=audit,
        noun=result.noun,
        takes_reference=result.takes_reference,
        audit_id=result.audit_id,
        classes=result.classes,
        headline=headline_of(audit, looks.certificate),
        certificate=certified.panel(result, looks),
        tiles=tiles(audit, looks.certificate),
        gate=_gate(gate) if gate else None,
        changes=list(comparison["sentences"]) if comparison else [],
        suspects=_suspects(result),
        n_ranked=int(result.ranking["rank"].notna().sum()),
        recovery=_recovery(audit["recovery"], result.noun),
        pairs=pairs(result),
        panels=panels.panels(result),
        by_class=_by_class(audit["recovery"]["by_class"], calibration),
        lowest=result.evidence["lowest_planted_run"],
        extremes=panels.extremes(result),
        scale=panels.scale(result),
        examples=panels.examples(result),
        quality=quality.run_qualities(model, result.classes),
        losses=quality.losses(model),
        minima=quality.minima(model),
        settings=quality.settings_that_count(audit),
        validated=quality.validated(model),
        damping_chosen=_damping_chosen(audit),
        damping=_damping(audit),
        review=_review(calibration),
        decided=calibration is not None and calibration["decided"],
        limits=Limits(),
        oddities=oddities(audit),
        not_looked_for=left_out(audit),
    )


def pairs(result: AuditResult) -> Pairs:
    """How many labels of each class probably belong to which other class.

    With a calibration these are its expected counts. Without one, images whose average influence is negative are
    counted, which is no estimate of wrong labels. `Pairs.kind` says which.
    """
    index = {name: number for number, name in enumerate(result.classes)}
    calibration = result.summary["calibration"]
    counted: list[tuple[str, str, float, Interval | None]]
    if calibration and calibration["by_pair"]:
        kind: Literal["expected", "negative influence"] = "expected"
        counted = [
            (row["label"], row["suggested_label"], row["count"], row["interval"])
            for row in calibration["by_pair"]
            if row["count"] or row["interval"][1] >= 0.5
        ]
    else:
        kind = "negative influence"
        bad = result.ranking[result.ranking["average_influence"] < 0]
        sizes = Counter(zip(bad["label"], bad["suggested_label"], strict=True))
        counted = [(label, suggested, count, None) for (label, suggested), count in sizes.items()]
    rows = [
        Pair(label, suggested, count, interval, f"{index[label]}:{index[suggested]}")
        for label, suggested, count, interval in counted
        if label in index and suggested in index
    ]
    rows.sort(key=lambda row: (-row.count, row.label, row.suggested_label))
    cells = {(row.label, row.suggested_label): row for row in rows}
    return Pairs(kind, rows, cells, most=max([1.0, *(row.count for row in rows)]))


def _gate(document: Mapping[str, Any]) -> GateVerdict:
    rules = [JudgedRule(rule["rule"], rule["verdict"], rule["message"]) for rule in document["rules"]]
    return GateVerdict(document["verdict"], rules)


def _suspects(result: AuditResult) -> list[Suspect]:
    """The first suspects."""
    rows = result.ranking[result.ranking["rank"].notna()].head(STATIC_SUSPECTS)
    columns = rows[["path", "label", "suggested_label", "average_influence", "p_mislabelled"]].astype(object)
    return [Suspect(*row) for row in columns.where(columns.notna(), None).itertuples(index=False)]


def _recovery(recovery: RecoveryDocument, noun: Noun) -> ShownRecovery:
    rankings = recovery["rankings"]
    compared = (
        ("suspicion", "Suspicion", rankings["suspicion"]),
        ("influence", "Influence alone", rankings["influence"]),
        ("random", "Random order", rankings["random"]),
    )
    rows: list[ComparedRanking] = [
        {**ranking, "name": name, "title": title} for name, title, ranking in compared if ranking
    ]
    found = percent(found_at(best_ranking(rankings)[1], TOP)["share"])
    perfect = _perfect(recovery)
    said = f"Recovery curve: checking the top {percent(TOP)} of the list finds {found} of the planted labels"
    figure = plots.recovery_curve(rankings, said, of=noun.many, perfect=perfect)
    return {**recovery, "rows": rows, "figure": figure}


def _perfect(recovery: RecoveryDocument) -> list[tuple[float, float]]:
    """What a perfect list finds: shares of the images checked and of the planted labels."""
    n, planted, ceiling = recovery["n"], recovery["n_planted"], recovery.get("ceiling")
    if not n or not planted:
        return []
    if ceiling is None:
        return [(0.0, 0.0), (planted / n, 1.0), (1.0, 1.0)]
    wrong = min(float(n), ceiling["still_wrong"]["value"] + ceiling["other_wrong"]["value"])
    return [(0.0, 0.0), (wrong / n, possible_at(ceiling, wrong)["value"] / planted), (1.0, 1.0)]


def _by_class(rows: Sequence[RecoveryOfClass], calibration: CalibrationDocument | None) -> list[ClassRow]:
    """The study's table of mean influence, with each class's estimate of wrong labels."""
    estimates = {row["label"]: row for row in calibration["by_class"]} if calibration else {}
    return [{**row, "estimate": estimates.get(row["label"])} for row in rows]


def _review(calibration: CalibrationDocument | None) -> ReviewTable:
    if calibration is None:
        return ReviewTable([], shares=True, next=None)
    rows, count = calibration["review"], calibration["count"]
    # Depths 1, 2, 5, 10, 20 and so on, and the last one: a table that one glance takes in.
    round_depths = [row for row in rows if str(row["k"]).rstrip("0") in ("1", "2", "5") or row is rows[-1]]
    shares = count is None or round(count["value"]) > 0
    return ReviewTable(round_depths, shares=shares, next=sitting_row(calibration))


def _damping_chosen(audit: AuditDocument) -> bool:
    """Whether the damping was chosen by what was found with it. That is done for the last layer alone."""
    automatic = audit["settings"]["damping"] == "auto"
    return bool(audit["damping_choice"]) and automatic and audit["model"]["trained"] == "head"


def _damping(audit: AuditDocument) -> Markup | None:
    """The figure of the dampings that were tried, where one of several was chosen."""
    tried, chosen = audit["damping_choice"] or [], audit["influence"]["damping"]
    if len(tried) < 2 or not _damping_chosen(audit):
        return None
    return plots.damping_choice(tried, chosen, f"Recovery of planted labels by damping; {number(chosen)} was chosen")
