"""`sample.json`: the items drawn to be looked at, and the plan that drew them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from auditor.certificate.documents import PlanDocument
from auditor.errors import DecisionsError
from auditor.review.baseline import is_hash
from auditor.review.documents import HOWS, SAMPLE_KIND, SCHEMA_VERSION, SampleDocument, SampleItem
from auditor.review.ledger import refuse_conflict_marks
from auditor.review.ledger_rows import is_share, plan_of
from auditor.review.plans import plan_text
from auditor.system import files
from auditor.system.documents import read_document

SAMPLE_NAME = "sample.json"

_KEYS = set(SampleItem.__annotations__)
_AGAIN = "take the file back from version control; or move it away, and `auditor review sample` draws the same sample"


def write_sample(folder: str | Path, sample: SampleDocument) -> Path:
    """Write `sample.json`, whole or not at all, with one item a line."""
    path = Path(folder) / SAMPLE_NAME
    head = json.dumps({key: sample[key] for key in ("schema_version", "kind", "audit_id")})
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in sample["items"])
    items = f"[\n{lines}\n]" if lines else "[]"
    files.write_text(path, f'{head[:-1]}, "plan": {plan_text(sample["plan"])},\n"items": {items}}}\n')
    return path


def read_sample(folder: str | Path) -> SampleDocument | None:
    """The sample in an audit's folder. None where none was drawn.

    Raises
    ------
    DecisionsError
        The file holds marks of a merge conflict, is damaged, has another version, or is no sample.
    """
    path = Path(folder) / SAMPLE_NAME
    if not path.exists():
        return None
    refuse_conflict_marks(path, "sample")
    document = read_document(
        path, kind=SAMPLE_KIND, version=SCHEMA_VERSION, error=DecisionsError, what="sample", hint=_AGAIN
    )
    if not isinstance(document.get("audit_id"), str) or not isinstance(document.get("items"), list):
        raise DecisionsError(f"the sample {path} has no audit_id or no list of items", hint=_AGAIN)
    plan: PlanDocument = plan_of(document.get("plan"), f"the sample {path}")
    for number, item in enumerate(document["items"], start=1):
        if not _is_item(item):
            raise DecisionsError(
                f"item {number} of the sample {path} needs {', '.join(sorted(_KEYS))}, and nothing else", hint=_AGAIN
            )
    return cast(SampleDocument, {**document, "plan": plan})


def _is_item(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != _KEYS or value["how"] not in HOWS:
        return False
    texts = all(isinstance(value[key], str) for key in ("path", "hash", "label"))
    return texts and is_hash(value["hash"]) and (value["probability"] is None or is_share(value["probability"]))
