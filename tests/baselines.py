"""Baselines for tests."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.review.baseline import Baseline, BaselineEntry


def baseline_of(entries: Iterable[tuple[str, str, str]]) -> Baseline:
    """A baseline of (hash, label, decision)."""
    return Baseline(
        tuple(
            BaselineEntry(hash=hash, label=label, decision=decision, path=f"{hash[:6]}.png", date="2025-01-01")
            for hash, label, decision in entries
        )
    )
