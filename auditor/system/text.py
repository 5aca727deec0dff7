r"""Words for people: text made safe for each kind of reader, counted words, and "did you mean".

Names of files and classes come from anywhere. They can hold characters that steer a terminal, turn a line of a page
around, or break UTF-8. One function cleans text for each reader:

========================  ==========================================  ===========================
function                  reader                                      a control character becomes
========================  ==========================================  ===========================
`terminal_text`           a terminal, several lines                   `\x1b`; line ends stay
`plain`                   a terminal or a log, one line, cut short    `\x1b`
`printable`               a page (HTML comes after it)                a visible symbol
`readable`                a page, a text of several lines             a visible symbol; line ends stay
`display`                 a path in a file or a message               stays; only UTF-8 is mended
`short`                   a name in a sentence, cut short             stays; only UTF-8 is mended
========================  ==========================================  ===========================
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

LINE_LENGTH = 120
"""Characters of a name or a sentence that `plain` keeps unless it is told another number."""

NAME_LENGTH = 60
"""Characters of a class, a column or another name that a sentence shows."""

_HIDDEN_ON_A_LINE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a terminal obeys or a reader cannot see: controls, direction marks, surrogates, line ends."""

_HIDDEN_ON_A_PAGE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_JOINERS = "\u200c\u200d"
"""A page keeps these two: several scripts and emoji need them."""

_WRITING = frozenset("\u00ad\u061c\u200e\u200f\u06dd\u070f\u08e2\t\n" + "".join(map(chr, range(0x600, 0x606))))
"""What a text keeps beside the joiners: its line ends, soft hyphens, Arabic number signs, and the three marks that
steer no more than their neighbours. Overrides, embeddings and isolates turn whole words around, and become visible."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def terminal_text(text: str) -> str:
    """Text for a terminal, which it cannot steer: control characters become escapes, and line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def plain(text: str, limit: int = LINE_LENGTH) -> str:
    r"""Text for one line of a terminal or a log. Hidden characters become escapes such as `\x1b`; long text is cut."""
    shown = "".join(_escape(c) if unicodedata.category(c) in _HIDDEN_ON_A_LINE else c for c in text[: limit + 1])
    return shown if len(text) <= limit else shown[: limit - 3] + "..."


def printable(text: object) -> str:
    """Text for a page: control characters and direction marks become visible symbols. It does not escape HTML."""
    return "".join(_symbol(c) if _hides(c) else c for c in str(text))


def readable(text: object) -> str:
    """A text of several lines for a page: as `printable`, but with its line ends and tabs. It does not escape HTML."""
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(_symbol(c) if _hides(c) and c not in _WRITING else c for c in lines)


def display(path: str) -> str:
    r"""A path as text that UTF-8 can carry: bytes that are not UTF-8 become `\xNN`, half characters `\uNNNN`."""
    return _SURROGATE.sub(lambda found: _spelled(ord(found[0])), path)


def short(name: str) -> str:
    """A name for a sentence: as `display` gives it, and no longer than `NAME_LENGTH`."""
    return display(name)[:NAME_LENGTH]


def counted(n: int, singular: str, plural: str) -> str:
    """A number with its words: 1 group carries, 2 groups carry."""
    return f"{n} {singular if n == 1 else plural}"


def sentence(words: str) -> str:
    """Words as a sentence of their own: a capital first, and a full stop at the end. Empty words stay empty."""
    return f"{words[:1].upper()}{words[1:].removesuffix('.')}." if words else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the known names that were probably meant, or else all of them.

    A part of a name, such as `f1`, is too short for a comparison. It stands for every name that holds it.
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    near = near or [other for other in known if len(name) > 1 and name.lower() in other]
    meant = " or ".join(f"'{other}'" for other in near)
    return f"did you mean {meant}?" if near else f"known are: {', '.join(known)}"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _spelled(surrogate: int) -> str:
    return f"\\x{surrogate - 0xDC00:02x}" if 0xDC80 <= surrogate <= 0xDCFF else f"\\u{surrogate:04x}"


def _hides(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_ON_A_PAGE and character not in _JOINERS


def _symbol(character: str) -> str:
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else f"\u27e8U+{ord(character):04X}\u27e9"
