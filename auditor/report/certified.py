"""The certificate in the words of the page: what looks by people prove, and what more looks would prove."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.certificate.documents import CertificateDocument, NextLooks, ProvenShare
from auditor.certificate.wording import at_most, condition
from auditor.report.looks import Looks
from auditor.report.wording import percent
from auditor.result import AuditResult
from auditor.result.evidence import Proof

_BEGIN = "Open the sample in the review below, and answer as far as you like."


@dataclass(frozen=True)
class ClassRow:
    """What the looks prove of one class."""

    label: str
    n: int
    looks: int
    between: str
    at_most: str


@dataclass(frozen=True)
class CertificatePanel:
    """What the page says of looks. All sentences are whole.

    Attributes
    ----------
    proved
        The claim; before any look what looks would prove.
    facts
        The figures behind it, as pairs of a name and words.
    by_class
        Classes with enough looks.
    further
        What more looks would prove, or how to begin.
    assumes
        What must hold for the claim.
    notes
        What else a reader must know.
    """

    proved: str
    facts: tuple[tuple[str, str], ...]
    by_class: tuple[ClassRow, ...]
    further: tuple[str, ...]
    assumes: tuple[str, ...]
    notes: tuple[str, ...]


def at_least(share: float) -> str:
    """A lower bound as a percentage, rounded down."""
    return percent(math.floor(1e4 * share) / 1e4) if share < 0.9999 else percent(share)


def between(share: ProvenShare) -> str:
    """A two-sided interval in words."""
    low, high = share["interval"]
    return f"{at_least(low)} to {at_most(high)}"


def claim(certificate: CertificateDocument) -> str:
    """The certificate's one sentence, without its full stop: of the data as they lie, not as they might be."""
    today, looks = certificate["today"], certificate["looks"]
    counted = looks["drawn"] + looks["listed"]
    if today["at_most"] >= 0.995:
        return f"The {_looks(counted)} so far cannot exclude that all of these labels are wrong"
    return (
        f"At most {at_most(today['at_most'])} of these labels are wrong now, whatever kind of errors they are"
        f"{condition(looks['known_wrong'])} ({_looks(counted)}, {certificate['confidence']:.0%} confidence)"
    )


def waiting(certificate: CertificateDocument) -> str:
    """What is left once the corrections that were found are applied; empty where they are."""
    today, remaining = certificate["today"], certificate["remaining"]
    if remaining["count_at_most"] >= today["count_at_most"]:
        return ""
    return (
        f"Corrections that were found are not applied in these data. Once they are, at most "
        f"{at_most(remaining['at_most'])} are wrong."
    )


def panel(result: AuditResult, looks: Looks) -> CertificatePanel | None:
    """What the page says of looks; None where there is neither a certificate nor a sample."""
    if looks.certificate is not None:
        return _certified(looks.certificate, looks.notes)
    if not result.evidence["sample"] and looks.sample is None and not looks.notes:
        return None
    return CertificatePanel(
        "Nobody has looked at the sample yet, so nothing is proved",
        (),
        (),
        (
            *_would_prove(result.evidence["proves"]),
            _BEGIN,
        ),
        (),
        looks.notes,
    )


def _certified(certificate: CertificateDocument, notes: Sequence[str]) -> CertificatePanel:
    share, remaining, looks = certificate["share"], certificate["remaining"], certificate["looks"]
    most = math.ceil(remaining["count_at_most"] - 1e-9)
    facts = [
        ("Wrong before any correction", between(share)),
        (
            "Left after the corrections found",
            f"{between(remaining)}; at most {most:,} of {certificate['n']:,}",
        ),
        ("Looks", _counted(certificate)),
    ]
    if looks["known_wrong"]:
        facts.append(
            (
                "What reviewers miss",
                f"{looks['known_wrong_found']:,} of {looks['known_wrong']:,} labels made wrong were found",
            )
        )
    if looks["changed"]:
        facts.append(("New or changed since", f"{looks['changed']:,} items; each counts as wrong in the upper bound"))
    rows = [
        ClassRow(row["label"], row["n"], row["looks"], between(row["share"]), at_most(row["share"]["at_most"]))
        for row in certificate["by_class"]
    ]
    told = waiting(certificate)
    return CertificatePanel(
        claim(certificate),
        tuple(facts),
        tuple(rows),
        (*([told] if told else []), *(_next(row) for row in certificate["next"])),
        tuple(certificate["assumptions"]),
        (*certificate["notes"], *notes),
    )


def _counted(certificate: CertificateDocument) -> str:
    looks = certificate["looks"]
    words = [f"{looks['drawn']:,} drawn at random ({looks['wrong']:,} wrong, {looks['undecided']:,} undecided)"]
    if looks["listed"]:
        words.append(f"{looks['listed']:,} from the top of the list")
    if looks["drawn_beyond"]:
        words.append(f"{looks['drawn_beyond']:,} that count once those before them are looked at")
    return ", ".join(words)


def _next(row: NextLooks) -> str:
    target = at_most(row["target"])
    if row["looks"] is None:
        return f"No number of looks is known that proves {target} or less."
    if row["likely"] == row["looks"]:
        return f"{_looks(row['looks'], 'more ')} prove {target} or less, if none finds a wrong label."
    likely = "more than can be named" if row["likely"] is None else f"about {row['likely']:,}"
    so_far = f"{likely}, if wrong labels go on as so far"
    return f"{_looks(row['looks'], 'more ')} prove {target} or less, if none finds a wrong label; {so_far}."


def _would_prove(proofs: Sequence[Proof]) -> tuple[str, ...]:
    return tuple(
        f"{_looks(proof['looks'])} without a wrong label prove that at most {at_most(proof['at_most'])} are wrong."
        for proof in proofs
    )


def _looks(n: int, more: str = "") -> str:
    return f"{n:,} {more}look{'' if n == 1 else 's'}"
