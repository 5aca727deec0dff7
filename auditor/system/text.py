"""TODO auditor.system.text."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    # A part of a name, such as f1, is too short to be alike; every name that holds it is meant.
    near = near or [other for other in known if len(name) > 1 and name.lower() in other]
    meant = " or ".join(f"'{other}'" for other in near)
    return f"did you mean {meant}?" if near else f"known are: {', '.join(known)}"


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that a terminal obeys or a reader cannot see: controls, direction marks, surrogates, line ends."""

MAX_LABEL = 120


def plain(text: str, limit: int = MAX_LABEL) -> str:
    r"""`text` on one line with everything a terminal would obey shown as an escape such as `\x1b`; long text is cut."""
    shown = "".join(_visible(c) if unicodedata.category(c) in _HIDDEN else c for c in text[: limit + 1])
    return shown if len(text) <= limit else shown[: limit - 3] + "..."


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(n: int, singular: str, plural: str) -> str:
    """A number with its words: 1 group carries, 2 groups carry."""
    return f"{n} {singular if n == 1 else plural}"


def terminal_text(text: str) -> str:
    """Text that cannot steer a terminal: control characters become escapes, line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


_SURROGATE = re.compile("[\ud800-\udfff]")


def display(path: str) -> str:
    """`path` as text that UTF-8 can carry: bytes that are not UTF-8 appear as `\\xNN`, half characters as `\\uNNNN`."""
    return _SURROGATE.sub(lambda found: _spelled(ord(found[0])), path)


def _spelled(surrogate: int) -> str:
    return f"\\x{surrogate - 0xDC00:02x}" if 0xDC80 <= surrogate <= 0xDCFF else f"\\u{surrogate:04x}"


def printable(text: object) -> str:
    """Text as a page or a terminal may show it: control and bidirectional-override characters become visible codes."""
    return "".join(_symbol(c) if _hides(c) else c for c in str(text))


def _hides(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\u200c\u200d"


def _symbol(char: str) -> str:
    return chr(0x2400 + ord(char)) if ord(char) < 0x20 else f"\u27e8U+{ord(char):04X}\u27e9"
