"""What an item of a data set is called. Sentences of ours speak of images; here they learn the words of other kinds.

A sentence that a room writes about the data names images. `Noun.of` turns it into one about texts, rows or items. It
leaves alone what stands in quotes or backticks, as class names, file names and options do there. An audit of images
keeps every word.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.errors import AuditorError

IMAGE = "image"

_TOLD = re.compile(
    r"(?<!\w)'.*?'(?!\w)|`[^`]*`"
    r"|\b(?P<article>[Aa])n? (?P<after>image|picture)(?![-\w/\\]|\.\w)"
    r"|(?<![-\w/\\.])(?P<word>[Ii]mage|[Pp]icture)(?P<many>s| files)?(?![-\w/\\]|\.\w)",
    re.DOTALL,
)
"""What stands in quotes, then an image with its article, then images."""


@dataclass(frozen=True)
class Noun:
    """What an item is called.

    Attributes
    ----------
    kind
        The kind of item, one of `auditor.sources.base.KINDS`.
    one, many
        The word for one item and for several.
    shown
        The word for what people see of it: a picture, an excerpt.
    advice
        Words about images alone, and what to say in their place.
    """

    kind: str
    one: str
    many: str
    shown: str
    advice: tuple[tuple[str, str], ...] = ()

    @property
    def a(self) -> str:
        """One item with its article: an image, a text."""
        return f"{'an' if self.one[0] in 'aeiou' else 'a'} {self.one}"

    @property
    def title(self) -> str:
        """The word for several at the beginning of a line."""
        return self.many.capitalize()

    def count(self, n: int) -> str:
        """A number of items, such as "1 image" or "1,200 images"."""
        return f"{n:,} {self.one if n == 1 else self.many}"

    def of(self, text: str) -> str:
        """A sentence of ours about images, as one about items of this kind."""
        if self.kind == IMAGE:
            return text
        for ours, theirs in self.advice:
            text = text.replace(ours, theirs)
        return _TOLD.sub(self._word, text)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Errors that speak of images, told about items of this kind."""
        try:
            yield
        except AuditorError as error:
            error.message, error.hint = self.of(error.message), self.of(error.hint)
            error.args = (error.message,)
            raise

    def _word(self, found: re.Match[str]) -> str:
        if found["after"]:
            return self.a if found["article"] == "a" else self.a.capitalize()
        if not found["word"]:
            return found[0]
        word = self.many if found["many"] else self.one
        return word.capitalize() if found["word"][0].isupper() else word


_FEATURES = (
    ("or `--weights` trained on similar pictures let it find more", "or features of a better model let it find more"),
    ("and whether `--weights` fit them", "and whether the features fit them"),
)

_NOUNS = {
    noun.kind: noun
    for noun in (
        Noun(IMAGE, "image", "images", "picture"),
        Noun("text", "text", "texts", "excerpt", _FEATURES),
        Noun("table", "row", "rows", "excerpt", _FEATURES),
        Noun("features", "item", "items", "picture", _FEATURES),
    )
}


def noun_of(kind: str) -> Noun:
    """What an item of a kind is called. A kind that nobody knows has items."""
    return _NOUNS.get(kind, _NOUNS["features"])


def noun_in(dataset: Mapping[str, Any]) -> Noun:
    """What an item is called in the `dataset` part of `audit.json`. Earlier versions knew images alone."""
    return noun_of(str(dataset.get("kind", IMAGE)))
