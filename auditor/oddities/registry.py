"""The kinds of oddities. A kind is one file and one line in `KINDS`.

Another package adds one without a change here: it names a `Kind` in the entry-point group `auditor.oddities`, under the
kind's own name, or calls `register_kind`.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter

from auditor.errors import ConfigError
from auditor.oddities import classes, groups, marks, near_copies, pictures, strangers
from auditor.oddities.contract import Kind
from auditor.result import RANKING_COLUMNS
from auditor.system.plugins import Plugins, source_hash

GROUP = "auditor.oddities"

KINDS: tuple[Kind, ...] = (strangers.KIND, near_copies.KIND, groups.KIND, marks.KIND, pictures.KIND, classes.KIND)
"""This package's kinds, in the order in which the report shows them."""

_OWN = frozenset(kind.name for kind in KINDS)

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

_others: Plugins[Kind] = Plugins(GROUP, "kind of oddity", _OWN)


def register_kind(kind: Kind) -> contextlib.ExitStack:
    """Add a kind for this process.

    Returns
    -------
    A context that removes it at its end. Drop it to keep the addition.

    Raises
    ------
    ConfigError
        There is a kind of this name already.
    """
    return _others.register(kind.name, kind)


def remove_kind(name: str) -> None:
    """Take away what `register_kind` added."""
    _others.remove(name)


def all_kinds() -> tuple[Kind, ...]:
    """Every kind: our own in their order, then those from elsewhere by name.

    Raises
    ------
    ConfigError
        A kind of another package cannot be loaded, or its names are not usable.
    """
    kinds = (*KINDS, *(_others.called(name, Kind, "auditor.oddities.Kind") for name in _others.names()))
    columns = Counter([*RANKING_COLUMNS, *(kind.column.name for kind in kinds if kind.column is not None)])
    for kind in kinds:
        name = "" if kind.column is None else kind.column.name
        if columns[name] > 1 or any(part and not _NAME.match(part) for part in (kind.name, name)):
            raise ConfigError(
                f"the kind of oddity '{kind.name}' has a name or a column that is taken or not usable: '{name}'",
                hint="tell those who wrote it; names have small letters, digits and underscores",
            )
    return kinds


def identities() -> list[str]:
    """Name and source of every kind from elsewhere: kept stages rest on these too."""
    return [f"{kind.name} {source_hash(kind.find)}" for kind in all_kinds() if kind.name not in _OWN]
