"""Bounds in words, for terminal and page alike."""

from __future__ import annotations

import math


def at_most(share: float) -> str:
    """An upper bound as a percentage with two digits that count, rounded up: it never promises more than was proved."""
    if share <= 0:
        return "0%"
    size = 10.0 ** (math.floor(math.log10(100 * share)) - 1)
    value = min(100.0, math.ceil(100 * share / size - 1e-9) * size)
    places = max(0, min(6, -round(math.log10(size))))
    text = f"{value:.{places}f}"
    return (text.rstrip("0").rstrip(".") if places else text) + "%"


def condition(known_wrong: int) -> str:
    """What an upper bound depends on where no labels known to be wrong were shown: reviewers may miss wrong ones."""
    return "" if known_wrong else ", if no look missed a wrong label"
