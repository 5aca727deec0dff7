"""The key figures at the head of the page, each with its interval, on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.certificate.documents import CertificateDocument
from auditor.certificate.wording import at_most
from auditor.report.certified import between
from auditor.report.headline import TOP, found_at, found_of_possible
from auditor.report.quality import accuracy_interval
from auditor.report.wording import cannot_tell, percent
from auditor.result.documents import AuditDocument
from auditor.result.figures import Estimate, Figure, RecoveryDocument, best_ranking
from auditor.result.nouns import noun_in


@dataclass(frozen=True)
class Tile:
    """A key figure.

    Attributes
    ----------
    title
        What it measures.
    value, interval
        A share and its 95% interval.
    against, word
        What it is compared with, and the words for that; None and empty where there is nothing to compare.
    top
        The share at the right end of the scale.
    text, note
        What stands in place of the value, and a line of its own below; empty for none.
    between
        The interval in words of its own; empty takes the usual ones.
    """

    title: str
    value: float | None
    interval: Sequence[float] | None
    against: float | None = None
    word: str = ""
    top: float = 1.0
    text: str = ""
    note: str = ""
    between: str = ""

    @property
    def at(self) -> str:
        """Where the value lies on the scale, as a CSS length."""
        return self._place(self.value or 0.0)

    @property
    def low(self) -> str:
        """Where the interval begins on the scale."""
        return self._place(self.interval[0] if self.interval else self.value or 0.0)

    @property
    def high(self) -> str:
        """Where the interval ends on the scale."""
        return self._place(self.interval[1] if self.interval else self.value or 0.0)

    @property
    def mark(self) -> str | None:
        """Where the compared share lies on the scale."""
        return None if self.against is None else self._place(self.against)

    def _place(self, share: float) -> str:
        return f"{100 * min(1.0, max(0.0, share / self.top)):.2f}%"


def tiles(audit: AuditDocument, certificate: CertificateDocument | None = None) -> list[Tile]:
    """The key figures of an audit, as far as it has them. A certificate takes the place of the model's estimate."""
    calibration, test = audit["calibration"], audit["model"]["clean"]["test"]
    shown = []
    if certificate is not None:
        shown.append(_certified(certificate))
    elif calibration and calibration["share"]:
        shown.append(_wrong_labels(calibration["share"], unknown=cannot_tell(calibration)))
    shown.extend(_recovered(audit["recovery"]))
    if test["n"]:
        guessing = 1 / len(audit["dataset"]["classes"])
        interval = accuracy_interval(test)
        many = noun_in(audit["dataset"]).many
        shown.append(Tile(f"Test {many} classified correctly", test["accuracy"], interval, guessing, "by guessing"))
    return shown


def _certified(certificate: CertificateDocument) -> Tile:
    """What looks by people prove of the data as they lie."""
    today = certificate["today"]
    title = f"Labels wrong now, at most ({certificate['confidence']:.0%})"
    top = _top(today["interval"][1])
    said = at_most(today["at_most"])
    return Tile(title, today["at_most"], today["interval"], top=top, text=said, between=between(today))


def _wrong_labels(share: Estimate, *, unknown: bool) -> Tile:
    """The model's estimate. It is no figure where the model cannot tell, and never a promise of none."""
    low, high = share["interval"]
    title, top = "Labels probably wrong", _top(high)
    if unknown:
        return Tile("Labels wrong, by the model alone", share["value"], [low, high], top=top, text="cannot tell")
    text = f"up to {at_most(high)}" if share["value"] < 0.0005 else ""
    return Tile(title, share["value"], [low, high], top=top, text=text)


def _top(high: float) -> float:
    """The end of the scale. A scale up to 100% would hide the interval, as most data sets have few wrong labels."""
    return max(0.05, min(1.0, 1.6 * high))


def _recovered(recovery: RecoveryDocument) -> list[Tile]:
    """How much of the planted noise the list found, beside what a random order finds."""
    best, random = best_ranking(recovery["rankings"])[1], recovery["rankings"]["random"]
    found, by_chance, k = found_at(best, TOP), found_at(random, TOP), recovery["n_planted"]
    precision: Figure = best["precision_at_k"]
    among = f"Planted labels among the top {k:,}" if k > 1 else "Planted label in the first place"
    return [
        Tile(
            f"Planted labels found in the top {percent(TOP)}",
            found["share"],
            found["interval"],
            by_chance["share"],
            "at random",
        ),
        Tile(
            among,
            precision["value"],
            precision["interval"],
            random["precision_at_k"]["value"],
            "at random",
            note=_against(precision["value"], recovery),
        ),
    ]


def _against(share: float | None, recovery: RecoveryDocument) -> str:
    """The same as a number, beside what a perfect list could hold. Labels that were wrong before take its places."""
    k = recovery["n_planted"]
    said = "" if share is None else found_of_possible(share * k, recovery, k)
    return f"{said} possible" if " of at most " in said else ""
