"""The three figures at the head of the page: how many are wrong, what the list finds, what a review costs and fixes.

Each has its interval, on a scale of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.certificate.documents import CertificateDocument
from auditor.certificate.wording import at_most
from auditor.report.certified import between
from auditor.report.headline import TOP, found_at, found_of_possible
from auditor.report.sitting import RARE, Sitting, first_sitting, minutes_of
from auditor.report.wording import cannot_tell, percent, whole
from auditor.result.documents import AuditDocument
from auditor.result.figures import Estimate, RecoveryDocument, best_ranking


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
    calibration = audit["calibration"]
    shown = []
    if certificate is not None:
        shown.append(_certified(certificate))
    elif calibration and calibration["share"]:
        shown.append(_wrong_labels(calibration["share"], unknown=cannot_tell(calibration)))
    shown.append(_recovered(audit["recovery"]))
    sitting = first_sitting(calibration)
    if certificate is not None:  # the model's forecast knows nothing of the looks
        shown.extend(_further(certificate))
    elif sitting is not None:
        shown.append(_sitting(sitting))
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


def _recovered(recovery: RecoveryDocument) -> Tile:
    """How much of the planted noise the list found, beside what a perfect list and a random order find."""
    best, random = best_ranking(recovery["rankings"])[1], recovery["rankings"]["random"]
    found, by_chance = found_at(best, TOP), found_at(random, TOP)
    return Tile(
        f"Labels we flipped, found in the top {percent(TOP)}",
        found["share"],
        found["interval"],
        by_chance["share"],
        "at random",
        note=_against(found["share"], recovery),
    )


def _further(certificate: CertificateDocument) -> list[Tile]:
    """How many more looks prove less, the least of them; none where no number is known."""
    row = next((row for row in certificate["next"] if row["looks"]), None)
    if row is None or row["looks"] is None:
        return []
    made, more = certificate["looks"]["drawn"] + certificate["looks"]["listed"], row["looks"]
    return [
        Tile(
            f"To prove that at most {at_most(row['target'])} are wrong",
            made / (made + more),
            None,
            text=f"{more:,} more look{'' if more == 1 else 's'}",
            note=f"If none finds a wrong label. {minutes_of(more)}.",
        )
    ]


def _against(share: float, recovery: RecoveryDocument) -> str:
    """The same as a number, beside what a perfect list could hold. Labels that were wrong before take its places."""
    said = found_of_possible(share * recovery["n_planted"], recovery, TOP * recovery["n"])
    return f"{said} possible" if " of at most " in said else ""


def _sitting(sitting: Sitting) -> Tile:
    """What a review costs and fixes."""
    low, high = sitting.interval
    most = max(1, math.ceil(high))
    until = ""
    if sitting.stop is not None:
        until = f"After {sitting.stop:,} the model expects less than one more."
    elif sitting.rare is not None:
        until = f"After {sitting.rare:,} fewer than 1 look in {RARE} should find one."
    return Tile(
        f"The next {sitting.looks:,} looks should find",
        min(1.0, sitting.found / sitting.looks),
        [low / sitting.looks, high / sitting.looks],
        text=f"about {whole(sitting.found)} wrong" if round(sitting.found) else f"up to {whole(most)} wrong",
        between=f"{whole(math.floor(low))} to {whole(most)}",
        note=f"{minutes_of(sitting.looks)}. {until}".strip(),
    )
