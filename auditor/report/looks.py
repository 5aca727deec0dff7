"""What people looked at, as the page knows it: the sample that it offers, and the certificate that it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.certificate.documents import CertificateDocument
from auditor.errors import AuditorError
from auditor.result import AuditResult
from auditor.review.certify import read_certificate
from auditor.review.documents import How, SampleItem
from auditor.review.sample_file import read_sample

BATCH = 25
"""So many drawn items are shuffled among each other. A reviewer who stops has looked at whole batches but the last."""

Place = tuple[int, int, How]
"""A drawn item: its row in the ranking, the class whose label is judged, and how it came to be looked at."""


@dataclass(frozen=True)
class Looks:
    """What lies beside an audit's files.

    Attributes
    ----------
    sample
        The items of `sample.json` in drawing order; None where nobody drew more than the audit did itself.
    certificate
        What `certificate.json` holds; None where there is none for this audit.
    notes
        What a reader must know of files that could not be used.
    """

    sample: Sequence[SampleItem] | None = None
    certificate: CertificateDocument | None = None
    notes: tuple[str, ...] = ()


def looks_in(folder: str | Path, result: AuditResult) -> Looks:
    """What people looked at, from the files beside an audit. A file that cannot be used gets a note and hides nothing.

    Parameters
    ----------
    folder
        The audit's folder, with `sample.json` and `certificate.json` where there are any.
    """
    notes: list[str] = []
    sample = certificate = None
    try:
        document = read_sample(folder)
        if document is not None and document["audit_id"] == result.audit_id:
            sample = document["items"]
        elif document is not None:
            notes.append("The sample in sample.json was drawn from another audit, so it is not shown.")
    except AuditorError as error:
        notes.append(f"The sample cannot be used: {error}.")
    try:
        certificate = read_certificate(folder, result, notes.append)
    except AuditorError as error:
        notes.append(f"The certificate cannot be used: {error}.")
    return Looks(sample, certificate, tuple(notes))


def sample_of(result: AuditResult, looks: Looks) -> Sequence[SampleItem]:
    """The drawn items that the page shows: those of `sample.json`, else those that the audit drew itself."""
    return result.evidence["sample"] if looks.sample is None else looks.sample


def shuffled(items: Sequence[SampleItem]) -> list[SampleItem]:
    """The items in the order in which a reviewer sees them: shuffled within batches of `BATCH`.

    The drawing order begins with what is suspicious, and that would tell. The order here is a fixed function of the
    items' contents and labels, so it tells nothing and is the same in every page.
    """
    batches = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    return [item for batch in batches for item in sorted(batch, key=_place_of)]


def _place_of(item: SampleItem) -> str:
    return hashlib.sha256(f"shown\0{item['hash']}\0{item['path']}".encode()).hexdigest()


def places(result: AuditResult, items: Sequence[SampleItem], row_of: Mapping[str, int]) -> list[Place]:
    """The items as the scripts know them. What is not in this audit, or has another content there, is left out."""
    index = {name: number for number, name in enumerate(result.classes)}
    hashes = result.summary["dataset"]["hashes"]
    return [
        (row_of[item["path"]], index[item["label"]], item["how"])
        for item in shuffled(items)
        if item["path"] in row_of and item["label"] in index and hashes.get(item["path"]) == item["hash"]
    ]
