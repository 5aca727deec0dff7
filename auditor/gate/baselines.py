"""The gate's baseline: which files it is, how they are read, and `--update-baseline`.

`--update-baseline` accepts what is there today. From then on only what is new counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from auditor.errors import ConfigError, DecisionsError
from auditor.gate.evaluate import gather
from auditor.gate.levels import Rules
from auditor.gate.rules import new_suspects
from auditor.result import AuditResult
from auditor.review import decisions
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.documents import LEDGER_KIND, BaselineWord
from auditor.review.folder import REVIEW_MARK, beside
from auditor.review.ledger import Ledger
from auditor.system.documents import read_document
from auditor.system.lock import locked

DEFAULT = "auditor-baseline.json"

ACCEPTED: Final = "accepted"
"""The decision of an entry that nobody has looked at: known, not confirmed. It leaves the estimated share alone."""

MARGIN = 0.5
"""Suspects are accepted from this part of the rule's probability on.

The next audit of nearly the same data gives nearly the same probabilities. An image just under the line today must not
count as new tomorrow.
"""

PATIENCE = 20.0
"""Seconds to wait for another process that updates the same baseline. One update takes far less than a second."""


def named(given: str | Path | Sequence[str | Path] | None) -> tuple[Path, ...]:
    """The baseline's files; the default one where none was given."""
    if not given:
        return (Path(DEFAULT),)
    return (Path(given),) if isinstance(given, str | Path) else tuple(Path(path) for path in given)


def load(paths: Sequence[Path], *, may_be_new: bool) -> Baseline | None:
    """All files as one baseline. Later files win over earlier ones.

    Parameters
    ----------
    paths
        The files.
    may_be_new
        The first file may be missing. None comes back where it is missing and the only one.

    Raises
    ------
    DecisionsError
        A file is missing, or is neither a baseline, nor a ledger, nor a reviewer's decisions.
    """
    known = None
    for number, path in enumerate(paths):
        if number or not may_be_new or path.exists():
            known = _joined(known or Baseline(), path)
    return known


def _joined(known: Baseline, path: Path) -> Baseline:
    if decisions.holds_decisions(path):
        return decisions.with_decisions(known, decisions.read_decisions(path))
    if _holds_looks(path):
        return known.merged(entries_of(Ledger.load(path)))
    return known.merged(Baseline.load(path).entries)


def entries_of(ledger: Ledger) -> tuple[BaselineEntry, ...]:
    """A ledger as a baseline: what its looks settle, by the label that each item should carry now.

    A label that was found wrong has its entry under the right one. So it stays a suspect until it is corrected.
    """
    latest = {look.item: look for look in ledger.looks}
    entries: dict[tuple[str, str], BaselineEntry] = {}
    for item, look in latest.items():
        standing = ledger.standings.get(item)
        word: BaselineWord = ACCEPTED if standing is None else standing.decision
        if standing is None and look.decision != ACCEPTED:
            continue
        label = standing.final_label if standing is not None and word == "relabel" else None
        entry = BaselineEntry(look.hash, label or look.label, word, look.path, look.time[:10])
        entries[entry.hash, entry.label] = entry
    return tuple(entries.values())


def _holds_looks(path: Path) -> bool:
    """Whether a file says that it is a ledger."""
    try:
        read_document(path, kind=LEDGER_KIND, version=None, error=DecisionsError, what="ledger")
    except DecisionsError:
        return False
    return True


def check_target(path: Path) -> None:
    """Refuse a file that `--update-baseline` could not write, before any work.

    Raises
    ------
    ConfigError
        There is no folder for it, or it holds a reviewer's decisions or a ledger.
    """
    if not path.parent.is_dir():
        raise ConfigError(
            f"the baseline {path} cannot be written: there is no folder {path.parent}",
            hint="make the folder, or name another file with --baseline",
        )
    if (decided := decisions.holds_decisions(path)) or _holds_looks(path):
        holds = "a reviewer's decisions" if decided else "what people found"
        raise ConfigError(
            f"{path} holds {holds} and cannot be updated",
            hint="name a baseline before it with --baseline",
        )


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Inside the block nobody else updates the baseline `path`, so nobody's entries are written over.

    `review apply` replaces its whole folder, and a baseline may lie in that folder. This baseline then has the lock of
    that command.

    Raises
    ------
    LockedError
        Another process held it for `PATIENCE` seconds.
    ConfigError
        Nothing can be written there.
    """
    folder, name = path.parent, f".{path.name}.lock"
    if (folder / REVIEW_MARK).exists():
        folder, name = folder.parent, f"{beside(folder)}lock"
    busy = f"another process is updating the baseline {path}"
    with locked(folder, name, busy, patience=PATIENCE, hint="wait for it to end and run the same command again"):
        yield


def updated(baseline: Baseline | None, result: AuditResult, rules: Rules, date: str) -> tuple[Baseline, int]:
    """The baseline with today's suspects and conflicting duplicates added, and how many entries are new.

    Entries that are there already keep their decision and date. Entries that match no image stay too: only a person
    knows whether an image is gone for good.
    """
    rows = gather(result, baseline).rows
    probability = rules[new_suspects.RULE.name].probability or 1.0
    conflicting = {
        (group["hash"], entry["label"])
        for group in result.summary["dataset"]["duplicates"]["conflicting"]
        for entry in group["entries"]
    }
    in_conflict = pd.Series([pair in conflicting for pair in zip(rows["hash"], rows["label"], strict=True)], rows.index)
    chosen = rows[rows["decision"].isna() & ((rows["p_mislabelled"] >= MARGIN * probability) | in_conflict)]
    first = chosen.sort_values("path").drop_duplicates(["hash", "label"])
    new = tuple(
        BaselineEntry(hash=hash, label=label, decision=ACCEPTED, path=path, date=date)
        for hash, label, path in first[["hash", "label", "path"]].itertuples(index=False)
    )
    return Baseline((*(baseline.entries if baseline else ()), *new)), len(new)
