"""What else is wrong with a data set, beside its labels: one file for each kind.

A kind looks at what an audit knows already: features, facts of the pictures, families of copies, the estimate. It
changes no label, no rank and no estimate. It says "cannot tell" where the data cannot.

`contract` says what a kind gets and gives, `registry` lists them, `look` asks them all.
"""

from auditor.oddities.contract import Audited, Column, Item, Kind, Oddity
from auditor.oddities.look import look
from auditor.oddities.registry import all_kinds, register_kind, remove_kind

__all__ = [
    "Audited",
    "Column",
    "Item",
    "Kind",
    "Oddity",
    "all_kinds",
    "look",
    "register_kind",
    "remove_kind",
]
