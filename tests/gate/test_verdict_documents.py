"""The verdict's types, its JSON Schema and real verdicts say the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import reduce
from importlib import resources
from operator import or_
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from baselines import baseline_of
from builders import make_result
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from auditor.gate import VerdictDocument, default_rules, evaluate
from auditor.gate.documents import EvidenceRow, OutcomeDocument, StaleDocument, StaleReason, SuspectDocument, Unit
from auditor.gate.verdict import NEW_SUSPECT_COLUMNS, Judgement

Document = dict[str, Any]

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads(resources.files("auditor.gate.outputs").joinpath("verdict.schema.json").read_text("utf-8"))
RULE, SUSPECT = SCHEMA["$defs"]["rule"], SCHEMA["$defs"]["suspect"]


def closed(kind: Any) -> Any:
    """The type with typing_extensions' TypedDict, as pydantic asks on Python 3.11. No unknown key is allowed."""
    if is_typeddict(kind):
        fields = {key: closed(hint) for key, hint in get_type_hints(kind, include_extras=True).items()}
        typed = TypedDict(kind.__name__, fields, total=kind.__total__)
        return with_config(ConfigDict(extra="forbid", strict=True))(typed)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (None, Literal):
        return kind
    inner = tuple(closed(part) for part in parts)
    return reduce(or_, inner) if origin is UnionType else origin[inner]


ADAPTER: TypeAdapter[Any] = TypeAdapter(closed(VerdictDocument))
CASES: dict[str, dict[str, Any]] = {
    "few": {},
    "many": {"share_wrong": 0.4, "n": 600},
    "uncalibrated": {"calibrated": False},
    "hostile": {"hostile": True, "share_wrong": 0.3},
    "ten classes": {"classes": 10, "n": 400},
}


def document(**arguments: Any) -> Document:
    result = make_result(**{"n": 300, "thumbnails": 0, "examples": 0, **arguments})
    verdict = evaluate(result, default_rules(), baseline_of([("gone", "boats", "keep")]))
    loaded: Document = json.loads(verdict.to_json())
    assert loaded == verdict.to_document()
    return loaded


def fits_schema(value: Document) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(value))


def fits_types(value: Document) -> bool:
    try:
        ADAPTER.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("case", CASES)
def test_a_real_verdict_fits_the_types_and_the_schema(case: str) -> None:
    value = document(**CASES[case])
    assert fits_types(value) and fits_schema(value)
    assert {key for rule in value["rules"] for row in rule["evidence"] for key in row} <= set(
        EvidenceRow.__annotations__
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(verdict="MAYBE"),
        lambda d: d.update(surprise=1),
        lambda d: d.update(schema_version=2),
        lambda d: d.update(kind="other"),
        lambda d: d.pop("switched_off"),
        lambda d: d["dataset"].pop("name"),
        lambda d: d["rules"][0].update(unit="percent"),
        lambda d: d["rules"][0].update(measured="much"),
        lambda d: d["rules"][0].update(mesured=0.1),
        lambda d: d["rules"][0].pop("evidence"),
        lambda d: d["new_suspects"][0].pop("hash"),
        lambda d: d["new_suspects"][0].update(p_mislabelled=None),
        lambda d: d["stale_baseline_entries"][0].update(reason="why not"),
    ],
)
def test_what_is_no_verdict_fits_neither(spoil: Callable[[Document], object]) -> None:
    value = copy.deepcopy(document(share_wrong=0.3))
    assert fits_types(value) and fits_schema(value)
    spoil(value)
    assert not fits_types(value) and not fits_schema(value)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (VerdictDocument, SCHEMA),
        (get_type_hints(VerdictDocument)["dataset"], SCHEMA["properties"]["dataset"]),
        (OutcomeDocument, RULE),
        (SuspectDocument, SUSPECT),
        (StaleDocument, SCHEMA["properties"]["stale_baseline_entries"]["items"]),
    ],
)
def test_the_schema_has_the_keys_of_the_types_and_asks_for_all_of_them(kind: Any, schema: Document) -> None:
    assert set(schema["properties"]) == set(schema["required"]) == set(kind.__required_keys__)
    assert schema["additionalProperties"] is False


def test_the_schema_knows_the_words_of_the_types() -> None:
    stale = SCHEMA["properties"]["stale_baseline_entries"]["items"]["properties"]["reason"]
    assert SCHEMA["$defs"]["verdict"]["enum"] == [str(judgement) for judgement in Judgement]
    assert set(RULE["properties"]["unit"]["enum"]) == set(get_args(Unit))
    assert set(stale["enum"]) == set(get_args(StaleReason))
    assert set(SUSPECT["properties"]) == set(NEW_SUSPECT_COLUMNS)
