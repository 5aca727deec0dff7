"""What people found goes with an audit: its folder holds a copy of the ledger, which `review apply` extends.

Where a sample was drawn, the certificate about the audited data lies beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditor.data.ledger_file import ledger_digest
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.certify import certify, write_certificate
from auditor.review.ledger import LEDGER_NAME, Ledger


def carry(result: AuditResult, out: Path) -> tuple[str, ...]:
    """Write the ledger that an audit used into its folder, and its certificate. Give sentences about what did not fit.

    Looks that the folder's ledger holds already stay, if they are looks at this data set: `review apply` adds its looks
    there. A ledger of another data set, or one that cannot be read, is put aside under another name.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    use = result.summary["ledger"]
    if use is None:
        return ()
    if ledger_digest(Path(use["source"])) != use["sha256"]:
        return (f"the ledger {use['source']} has changed during the audit, so it was not copied; run the audit again",)
    ledger, said = _merged(Ledger.load(use["source"]), result, out / LEDGER_NAME)
    if ledger.plan is None:
        return said
    try:
        write_certificate(out, certify(result, ledger))
    except DecisionsError as error:
        return *said, f"no certificate: {error.message}"
    return said


def _merged(used: Ledger, result: AuditResult, target: Path) -> tuple[Ledger, tuple[str, ...]]:
    """Write `used` to `target`, joined with the looks that lie there. Give it, and sentences about what did not fit."""
    if not target.exists():
        used.save(target)
        return used, ()
    said: tuple[str, ...] = ()
    try:
        earlier = Ledger.load(target)
    except DecisionsError as error:
        earlier, said = None, (error.message,)
    if earlier is None or not _of_this_data(earlier, result):
        aside = next(place for place in _asides(target.parent) if not place.exists())
        target.rename(aside)
        used.save(target)
        return used, (*said, f"{target} was no ledger of this data set; it is {aside} now")
    merged, notes = used.merged(earlier)
    if merged != earlier:
        merged.save(target)
    return merged, notes


def _of_this_data(ledger: Ledger, result: AuditResult) -> bool:
    """Whether any look is at an item of the data set. A ledger without looks and plan is everybody's."""
    here = set(result.summary["dataset"]["hashes"].values())
    return (not ledger.looks and ledger.plan is None) or any(look.hash in here for look in ledger.looks)


def _asides(out: Path) -> Iterator[Path]:
    number = 1
    while True:
        yield out / f"{Path(LEDGER_NAME).stem}-{number}.json"
        number += 1
