"""The words of a text in any script, for encoders that count them."""

from __future__ import annotations

import functools
import itertools
import unicodedata

_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x1AAF),  # Khmer symbols, Buginese, Tai Tham
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x30FF),  # kana and marks of iteration
    (0x31F0, 0x31FF),  # more kana
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # more Myanmar
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Scripts that put no blanks between words. Each of their letters stands for itself, and pairs of them for words."""


class _Spaced(dict[int, str]):
    """What becomes of each character, filled in as characters are met. `str.translate` asks it."""

    def __missing__(self, code: int) -> str:
        self[code] = spaced = _spaced(code)
        return spaced


@functools.cache
def _spaced(code: int) -> str:
    character = chr(code)
    category = unicodedata.category(character)
    if category == "Cf":
        return ""  # marks of direction and joiners change no word
    if category in ("So", "Sk"):
        return f" {character} "  # an emoji is a word
    if category[0] in "LN":
        alone = any(first <= code <= last for first, last in _WITHOUT_BLANKS)
        return f" {character}" if alone else character
    return character if category[0] == "M" else " "


def words(text: str) -> list[str]:
    """The words of a text, in lower case and without regard to width; a letter each where a script has no blanks.

    A text of signs alone gives its signs.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = folded.translate(_Spaced()).split()
    return found or list("".join(folded.split()))


def terms(text: str) -> list[str]:
    """The words of a text, and each two that stand side by side."""
    found = words(text)
    return found + [f"{one} {other}" for one, other in itertools.pairwise(found)]
