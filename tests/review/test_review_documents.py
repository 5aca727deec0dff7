"""The files of a review and their types: what a writer writes fits, and a misspelt key does not."""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from builders import make_result
from helpers import PROJECT
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from review_files import decision, decisions_document, other_class, saved
from typing_extensions import TypedDict

from auditor.result.comparison import Comparison
from auditor.review import Baseline, BaselineEntry, apply, compare
from auditor.review.documents import (
    DECISIONS,
    DECISIONS_KIND,
    SCHEMA_VERSION,
    BaselineDocument,
    DecisionEntry,
    DecisionsDocument,
    ReviewMark,
)

Document = dict[str, Any]


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_closed(kind))


def _closed(kind: Any) -> Any:
    """The type with typing_extensions' TypedDict, as pydantic asks on Python 3.11; no unknown key is allowed."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        closed = TypedDict(kind.__name__, {key: _closed(hint) for key, hint in hints.items()})
        return with_config(ConfigDict(extra="forbid", strict=True))(closed)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (None, Literal):
        return kind
    inner = tuple(_closed(part) for part in parts)
    return reduce(or_, inner) if origin is UnionType else origin[inner if len(inner) > 1 else inner[0]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[type, Document]:
    """One document of each kind, as its writer writes it."""
    folder = tmp_path_factory.mktemp("review")
    result = saved(folder, make_result(n=40, share_wrong=0.2))
    said = [decision(result, 0, "keep"), decision(result, 1, "relabel", other_class(result, 1))]
    document = decisions_document(result, said)
    (folder / "decisions.json").write_text(json.dumps(document), encoding="utf-8")
    applied = apply(folder / "out", folder / "decisions.json")
    return {
        DecisionsDocument: document,
        BaselineDocument: json.loads(applied.baseline.read_text(encoding="utf-8")),
        ReviewMark: json.loads((applied.folder / "review.json").read_text(encoding="utf-8")),
        Comparison: dict(compare(result, make_result(n=40, planted_rate=0.2))),
    }


KINDS = [DecisionsDocument, BaselineDocument, ReviewMark, Comparison]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_fits_its_type(written: dict[type, Document], kind: type) -> None:
    assert _adapter(kind).validate_python(written[kind]) == written[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_key_does_not_fit_anywhere(written: dict[type, Document], kind: type) -> None:
    """Every key is misspelt in turn, at every depth. The settings of a comparison are named by the user's choice."""
    text, adapter = json.dumps(written[kind]), _adapter(kind)
    keys = set(re.findall(r'"(\w+)": ', text)) - {"noise_rate"}
    assert len(keys) > 5
    for key in keys:
        with pytest.raises(ValidationError, match=f"{key}x"):
            adapter.validate_python(json.loads(text.replace(f'"{key}": ', f'"{key}x": ')))


def test_a_baseline_of_nothing_fits_too() -> None:
    entry = BaselineEntry("a" * 64, "cat", "accepted")
    for baseline in (Baseline(), Baseline((entry,))):
        _adapter(BaselineDocument).validate_python(json.loads(baseline.to_text()))


def test_the_page_writes_the_same_keys_and_decisions() -> None:
    """The page writes its file in JavaScript. Its source is read here, since no type reaches so far."""
    script = (PROJECT / "templates" / "decisions.js").read_text(encoding="utf-8")
    body = script[script.index("function toDocument(") : script.index("function fromDocument(")]
    outer, inner = body.split("inOrder().map(")
    for text, kind, may_lack in (
        (outer, DecisionsDocument, {"reviewer"}),
        (inner, DecisionEntry, {"new_label", "time", "how"}),
    ):
        written, known = set(re.findall(r"^\s+(\w+)[:,]", text, re.MULTILINE)), set(kind.__annotations__)
        assert known - may_lack <= written <= known
    assert f'kind: "{DECISIONS_KIND}"' in outer and f"schema_version: {SCHEMA_VERSION}," in outer
    words = re.search(r"KINDS = \[(.*?)\]", script)
    assert words is not None and json.loads(f"[{words[1]}]") == list(DECISIONS)
