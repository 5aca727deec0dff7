"""The parts of a ledger and of a sample, checked as they are read: a look, and a plan."""

from __future__ import annotations

import math
from typing import Any, cast, get_args

from auditor.certificate.documents import PlanDocument, Reading
from auditor.errors import DecisionsError
from auditor.review.baseline import is_hash
from auditor.review.documents import BASELINE_DECISIONS, HOWS, LookRow
from auditor.review.looks import Look
from auditor.system.text import display

_KEYS = set(LookRow.__annotations__)
_PLAN_KEYS, _MAY_LACK = set(PlanDocument.__annotations__), {"listed"}
_STRATUM_KEYS = {"weight", "share", "credit", "items"}
_ID_DIGITS = 16


def look_of(value: object, where: str) -> Look:
    """A look from its line.

    Raises
    ------
    DecisionsError
        The line is malformed. The message begins with `where`.
    """

    def refuse(what: str) -> DecisionsError:
        return DecisionsError(f"{where}: {what}", hint="correct the line, or remove it")

    if not isinstance(value, dict) or set(value) != _KEYS:
        raise refuse(f"a look has the keys {', '.join(sorted(_KEYS))}, and no others")
    texts = ("hash", "label", "decision", "reviewer", "time", "how", "path")
    if not all(isinstance(value[key], str) and display(value[key]) == value[key] for key in texts):
        raise refuse(f"{', '.join(texts)} must be text")
    if not is_hash(value["hash"]):
        raise refuse("the hash is not a SHA-256 in 64 hexadecimal digits")
    if value["decision"] not in BASELINE_DECISIONS:
        raise refuse(f"the decision {value['decision']!r} is none of {', '.join(BASELINE_DECISIONS)}")
    if value["how"] not in HOWS:
        raise refuse(f"how {value['how']!r} is none of {', '.join(HOWS)}")
    final, made = value["final_label"], value["how"] == "known-wrong"
    if value["decision"] == "relabel" and not (isinstance(final, str) and (made or final != value["label"])):
        raise refuse(f"relabelled to {final!r}, which is not another label")
    if value["decision"] != "relabel" and final is not None:
        raise refuse("only a relabelled item has a final label")
    if value["probability"] is not None and not is_share(value["probability"]):
        raise refuse("the probability must be a number from 0 to 1, or null")
    return Look(**cast(LookRow, value))


def plan_of(value: object, where: str) -> PlanDocument:
    """A plan from a file.

    Raises
    ------
    DecisionsError
        It is malformed. The message begins with `where`.
    """

    def refuse(what: str) -> DecisionsError:
        return DecisionsError(
            f"{where}: the plan of the sample is damaged: {what}", hint="take the file back from version control"
        )

    if not isinstance(value, dict) or set(value) | _MAY_LACK != _PLAN_KEYS:
        needed = ", ".join(sorted(_PLAN_KEYS - _MAY_LACK))
        raise refuse(f"it has the keys {needed} and at most {', '.join(_MAY_LACK)} beside them")
    if not isinstance(value["salt"], str) or value["reading"] not in get_args(Reading):
        raise refuse("its salt must be text, and its reading betting or stratified")
    if not is_share(value["spread"]) or value["spread"] == 0 or not is_share(value["expected"]):
        raise refuse("its spread and expected share must be numbers from 0 to 1")
    checkpoints = value["checkpoints"]
    if not isinstance(checkpoints, list) or not all(type(n) is int and n > 0 for n in checkpoints):
        raise refuse("its checkpoints must be numbers of looks")
    if checkpoints != sorted(set(checkpoints)) or bool(checkpoints) != (value["reading"] == "stratified"):
        raise refuse("its checkpoints must rise, and only a stratified reading has some")
    strata = value["strata"]
    if not isinstance(strata, list) or not all(_is_stratum(stratum) for stratum in strata):
        raise refuse("a stratum needs a weight above 0, a share, a credit, and the ids of its items")
    if not any(stratum["items"] for stratum in strata):
        raise refuse("it holds no item")
    listed = value.get("listed", [])
    if not isinstance(listed, list) or not all(map(_is_id, listed)):
        raise refuse("its listed items must be ids")
    return cast(PlanDocument, value)


def _is_stratum(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != _STRATUM_KEYS or not isinstance(value["items"], list):
        return False
    numbers = is_share(value["weight"]) and value["weight"] > 0 and is_share(value["share"])
    return bool(numbers and is_share(value["credit"]) and value["credit"] < 1 and all(map(_is_id, value["items"])))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == _ID_DIGITS and not set(value) - set("0123456789abcdef")


def is_share(value: Any) -> bool:
    """Whether a value is a number from 0 to 1. True and false are none."""
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 1
