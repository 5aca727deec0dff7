"""Makes the JSON Schemas of our JSON files from their types: `python tests/schemas.py`.

Written by hand on purpose: pydantic refuses `typing.TypedDict` on Python 3.11, and its schemas differ by its version.
"""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import auditor.certificate
import auditor.result
import auditor.review
from auditor.certificate.documents import CertificateDocument
from auditor.result import AuditDocument, EvidenceDocument
from auditor.review.documents import LedgerDocument, SampleDocument

DOCUMENTS = {"audit": AuditDocument, "evidence": EvidenceDocument}
"""Files that every audit writes."""

OF_LOOKS = {"certificate": CertificateDocument, "auditor-ledger": LedgerDocument, "sample": SampleDocument}
"""Files that are there once people look."""

PACKAGES = {"certificate": auditor.certificate, "auditor-ledger": auditor.review, "sample": auditor.review}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document, by the name of its file. Every key is required, and no other key is allowed."""
    definitions: dict[str, Any] = {}
    top = _of({**DOCUMENTS, **OF_LOOKS}[name], definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}.json of auditor",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def text(name: str) -> str:
    """The content of the schema's file."""
    return json.dumps(schema(name), indent=1) + "\n"


def path(name: str) -> Path:
    """The schema's file, beside the types."""
    return Path(str(PACKAGES.get(name, auditor.result).__file__)).parent / f"{name}.schema.json"


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type. A TypedDict goes into `definitions`, and is referred to."""
    if is_typeddict(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # seen: a type may hold itself
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is types.UnionType:
        return {"anyOf": [_of(argument, definitions) for argument in arguments]}
    raise TypeError(f"no JSON Schema for {kind}")


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    marked = get_type_hints(kind, include_extras=True)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {key: _of(hint, definitions) for key, hint in hints.items()},
        "required": [key for key in hints if get_origin(marked[key]) is not NotRequired],
        "additionalProperties": False,
    }


if __name__ == "__main__":
    for document in (*DOCUMENTS, *OF_LOOKS):
        path(document).write_text(text(document), encoding="utf-8")
