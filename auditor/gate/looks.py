"""What people's looks decide: what a certificate proves, and how many looks an undecided rule still needs."""

from __future__ import annotations

from auditor.certificate import more_looks
from auditor.certificate.documents import CertificateDocument, ProvenShare
from auditor.certificate.wording import condition
from auditor.errors import DecisionsError
from auditor.gate.facts import Decider, Facts
from auditor.gate.figures import figure
from auditor.review.ledger import Ledger
from auditor.review.sampling import plan_for
from auditor.system.text import counted

SLACK = 1e-9
"""Two levels that differ by less are the same level."""


def draws(looks: int) -> str:
    """The command that draws a sample, as it stands in a sentence."""
    return f"`auditor review sample OUT -n {looks}` draws them"


def decided_by_looks(facts: Facts, level: float) -> Decider:
    """How many looks prove that at most `level` of the labels are wrong, if they find nothing more that is wrong.

    A certificate names them itself. Without one, they are those of a sample of this data set from its first look on.
    """
    if facts.certificate is not None:
        return _next(facts.certificate, level)
    looks = _first_looks(facts, level)
    if looks >= len(facts.rows):
        return Decider(f"only a look at all {looks} images decides", looks)
    said = f"{_looks(looks)} prove at most {figure(level, 'share')} if none finds a wrong label, and more do otherwise"
    return Decider(f"{said}: {draws(looks)}", looks)


def certified(certificate: CertificateDocument) -> str:
    """What a certificate proves of the data as they lie, on what it rests, and what it does not know yet."""
    proven, looks = certificate["today"], certificate["looks"]
    least, most = (figure(proven[key], "share") for key in ("at_least", "at_most"))
    said = f"at most {most} of the labels are wrong (95%, one-sided)"
    if proven["at_least"] > 0:
        said += f" and at least {least} (the same)"
    rests = f"{looks['drawn']} drawn {'look' if looks['drawn'] == 1 else 'looks'}"
    rests += f" and {looks['listed']} at the head of the list" if looks["listed"] else ""
    said += f"; certified by {rests}{condition(looks['known_wrong'])}"
    if looks["changed"]:
        said += f"; {counted(looks['changed'], 'image is', 'images are')} new or changed since and count as wrong"
    if proven["count_at_most"] - looks["changed"] > certificate["remaining"]["count_at_most"]:
        said += (
            "; corrections that were found are not applied here: audit the data set that `auditor review apply` wrote"
        )
    return said


def one_sided(proven: ProvenShare) -> tuple[float, float]:
    """The bounds that a rule compares with its levels. Each holds with 95% by itself."""
    return proven["at_least"], proven["at_most"]


def _next(certificate: CertificateDocument, level: float) -> Decider:
    """The certificate's own count for this level, or for the nearest stricter one that it names."""
    known = [row for row in certificate["next"] if row["target"] <= level + SLACK and row["looks"] is not None]
    best = max(known, key=lambda row: row["target"], default=None)
    if best is None or best["looks"] is None:
        return Decider("the certificate names no number of looks that would decide it")
    looks, target = best["looks"], figure(best["target"], "share")
    likely = best["likely"]
    said = f"{_looks(looks, more=True)} prove at most {target} if none finds a wrong label"
    said += f", about {likely} if wrong labels go on as so far" if likely is not None and likely > looks else ""
    return Decider(f"{said}: {draws(looks)}", looks)


def _looks(count: int, *, more: bool = False) -> str:
    return f"{count} {'more ' if more else ''}{'look' if count == 1 else 'looks'}"


def _first_looks(facts: Facts, level: float) -> int:
    """Looks until a first sample proves at most `level`, by the plan that `auditor review sample` would freeze."""
    n, target = len(facts.rows), int(level * len(facts.rows) + SLACK)
    if target >= n:
        return 0
    estimate = (facts.summary["calibration"] or {"share": None})["share"]
    known = estimate is not None and estimate["value"] is not None
    try:
        plan = plan_for(facts.result, Ledger(), target=None if known else level)
        looks = more_looks(plan, {}, target)[0]
    except DecisionsError:  # nothing is left to draw
        return n
    return n if looks is None else looks
