"""The certificate: from a ledger and an audit to shares of wrong labels that hold for any kind of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from auditor.certificate import CONFIDENCE, Plan, by_class, item_id, more_looks
from auditor.certificate.documents import (
    CERTIFICATE_KIND,
    SCHEMA_VERSION,
    CertificateDocument,
    ClassShare,
    LooksDocument,
    NextLooks,
)
from auditor.certificate.wording import at_most, condition
from auditor.errors import DecisionsError, ResultError
from auditor.result import AuditResult
from auditor.review.certificate_words import assumptions, method, notes
from auditor.review.items import Item, items_of
from auditor.review.ledger import Ledger
from auditor.review.tally import Ends, Tally
from auditor.system import files
from auditor.system.documents import read_document

CERTIFICATE_NAME = "certificate.json"

TARGETS = (0.05, 0.02, 0.01, 0.005, 0.001)
"""Shares of wrong labels that people want to prove."""

MOST_TARGETS = 3
"""So many targets are named at most, the easiest first."""


def certify(result: AuditResult, ledger: Ledger) -> CertificateDocument:
    """What the looks prove about the data set of an audit.

    Parameters
    ----------
    result
        The audit: the one whose items were drawn, or a later one of the same or of corrected data.
    ledger
        What people found, with the plan of their sample.

    Raises
    ------
    DecisionsError
        No sample was drawn, or it was drawn from another data set.
    ResultError
        The result lacks something.
    """
    return certify_items(result.audit_id, result.summary["dataset"]["content_hash"], items_of(result, ledger), ledger)


def certify_items(audit_id: str, content_hash: str, items: list[Item], ledger: Ledger) -> CertificateDocument:
    """`certify` for items that no audit has read yet, such as those of corrected data."""
    if ledger.plan is None:
        raise DecisionsError(
            "nothing can be certified: no drawn item was looked at yet",
            hint="draw items with `auditor review sample OUT -n 100`, look at them in the report, and export",
        )
    tally = Tally(Plan.from_document(ledger.plan), items, ledger)
    known = {known.id for known in tally.known}
    if not tally.population.keys() & ({item.id for item in items} | known):
        raise DecisionsError(
            "the sample in the ledger was drawn from another data set: none of its items is here",
            hint="move the ledger away, and draw a sample of this data set",
        )
    remaining = tally.remaining()
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": CERTIFICATE_KIND,
        "audit_id": audit_id,
        "content_hash": content_hash,
        "n": len(items),
        "confidence": CONFIDENCE,
        "reading": tally.plan.reading,
        "share": tally.before(),
        "remaining": remaining,
        "today": tally.today(),
        "by_class": _by_class(tally),
        "looks": _looks(tally),
        "next": _next(tally, remaining["at_most"]),
        "method": method(tally),
        "assumptions": assumptions(tally),
        "notes": notes(tally),
    }


def _looks(tally: Tally) -> LooksDocument:
    calls = [standing for standing in tally.ledger.standings.values() if standing.calls]
    found, shown = tally.hits or (0, 0)
    return {
        "drawn": tally.bounds.used,
        "drawn_beyond": tally.bounds.beyond,
        "listed": sum(item_id(*item) not in tally.population for item in tally.ledger.standings),
        "wrong": tally.bounds.wrong,
        "undecided": tally.bounds.undecided,
        "second": sum(standing.reviewers > 1 for standing in calls),
        "known_wrong": shown,
        "known_wrong_found": found,
        "changed": tally.changed,
    }


def _by_class(tally: Tally) -> list[ClassShare]:
    """Classes with enough looks, by the labels that items had at first. Items that are gone unseen are in no class."""
    ids: dict[str, set[str]] = {}
    for id, label in (*((item.id, item.label) for item in tally.items), *((k.id, k.label) for k in tally.known)):
        ids.setdefault(label, set()).add(id)
    rows: list[ClassShare] = []
    for label in sorted(ids):
        inside = ids[label] & tally.population.keys()
        found = by_class(tally.plan, tally.answers, inside, hits=tally.hits) if inside else None
        if found is None:
            continue
        outside = [known for known in tally.outside if known.label == label]
        n = found.n + sum(max(1, known.now) for known in outside)
        share = tally.with_outside(Ends.of(found), outside).share(n)
        rows.append({"label": label, "n": n, "looks": found.used, "share": share})
    return rows


def _next(tally: Tally, at_most: float) -> list[NextLooks]:
    rows: list[NextLooks] = []
    for target in [target for target in TARGETS if target < at_most][:MOST_TARGETS]:
        left = int(target * tally.n_left + 1e-9) - tally.beside
        looks, likely = more_looks(tally.plan, tally.answers, left, hits=tally.hits)
        # The target is not proved yet, so it takes a look at least.
        rows.append({"target": target, "looks": _one(looks), "likely": _one(likely)})
    return rows


def _one(looks: int | None) -> int | None:
    return None if looks is None else max(1, looks)


def write_certificate(folder: str | Path, document: CertificateDocument) -> Path:
    """Write `certificate.json`, whole or not at all."""
    path = Path(folder) / CERTIFICATE_NAME
    files.write_json(path, document)
    return path


def read_certificate(
    folder: str | Path, result: AuditResult, say: Callable[[str], object] = lambda _: None
) -> CertificateDocument | None:
    """The certificate in a folder. None where there is none, or where it speaks of another data set.

    Parameters
    ----------
    say
        Gets a sentence where the certificate speaks of another data set: other content, or other labels.

    Raises
    ------
    ResultError
        It is damaged, or has another version.
    """
    path = Path(folder) / CERTIFICATE_NAME
    if not path.exists():
        return None
    document = read_document(
        path, kind=CERTIFICATE_KIND, version=SCHEMA_VERSION, error=ResultError, what="certificate", hint=_AGAIN
    )
    lacking = sorted(CertificateDocument.__annotations__.keys() - document.keys())
    if lacking:
        raise ResultError(f"the certificate {path} lacks {', '.join(lacking)}", hint=_AGAIN)
    if document["content_hash"] != result.summary["dataset"]["content_hash"]:
        say(f"The certificate {path} speaks of another data set, so it is not used.")
        return None
    return cast(CertificateDocument, document)


_AGAIN = "write it again with `auditor review certify`"


def in_words(certificate: CertificateDocument) -> str:
    """The certificate in three or four lines for a terminal."""
    share, left, n = certificate["share"], certificate["remaining"], certificate["n"]
    looks = certificate["looks"]
    low, high = share["interval"]
    lines = [
        f"before the corrections: {percent(share['value'])} of the labels were wrong ({percent(low)} to "
        f"{percent(high)}), by {looks['drawn']:,} drawn looks and {looks['listed']:,} others",
        f"left after them: at most {at_most(left['at_most'])} ({left['count_at_most']:,.0f} of {n:,} labels), "
        f"{certificate['confidence']:.0%}, whatever kind of errors they are{condition(looks['known_wrong'])}",
    ]
    if certificate["today"]["count_at_most"] > left["count_at_most"]:
        lines.append(
            f"in this data set as it lies: at most {at_most(certificate['today']['at_most'])}, because corrections "
            "that were found are not applied there"
        )
    return "\n".join([*lines, _next_line(certificate["next"])])


def _next_line(rows: Iterable[NextLooks]) -> str:
    """The easiest target that looks can still prove."""
    rows = list(rows)
    if not rows:
        return "more looks: none are needed, every usual target is proved"
    for row in rows:
        if row["looks"] is not None:
            likely = "more than can be named" if row["likely"] is None else f"{row['likely']:,}"
            return (
                f"more looks: {row['looks']:,} bring it to {percent(row['target'])} or less if none finds a wrong "
                f"label, {likely} if wrong labels go on as so far"
            )
    return f"more looks: no number of looks is known that proves {percent(rows[0]['target'])}"


def percent(share: float) -> str:
    """A share for people: two digits that count, and never 0% for more than nothing."""
    if share <= 0:
        return "0%"
    return f"{100 * share:.0f}%" if share >= 0.0995 else f"{100 * share:.2g}%" if share >= 1e-5 else "0.001%"
