"""What the page shows of an item: a picture, an excerpt of a text, the cells of a row, or its name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from auditor.result import AuditResult
from auditor.result.nouns import IMAGE
from auditor.system.text import printable, readable

GLANCE = 320
"""Characters of a text that stand beside others. The card shows the whole excerpt."""

CELLS = 8
"""Cells of a row that stand beside others."""

_PICTURE = re.compile(r"data:image/(?:jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+={0,2}\Z")


@dataclass(frozen=True)
class ForScripts:
    """What the scripts' data hold of items, by row number as text.

    Attributes
    ----------
    pictures
        A data URI, or the number of a picture that the page's markup holds.
    excerpts
        Texts and cells of rows.
    """

    pictures: dict[str, str | int]
    excerpts: dict[str, str]


class Pictures:
    """What can be seen of items, by path. It remembers which pictures the page holds: data need not repeat them.

    Parameters
    ----------
    result
        Its evidence has thumbnails as data URIs and excerpts. What is neither picture nor text is left out.

    Attributes
    ----------
    urls
        The data URIs that are pictures, by path.
    excerpts
        The texts, by path.
    inlined
        Numbers of the pictures that the page's markup holds, by path.
    later
        Paths of the pictures for which the markup only keeps a place.
    """

    def __init__(self, result: AuditResult) -> None:
        evidence = result.evidence
        # The file may have been changed by hand, so a value need not be text.
        self.urls = {p: u for p, u in evidence["thumbnails"].items() if isinstance(u, str) and _PICTURE.match(u)}
        self.excerpts = {p: t for p, t in evidence["excerpts"].items() if isinstance(t, str) and t.strip()}
        self.inlined: dict[str, int] = {}
        self.later: list[str] = []
        self._rows = {str(path): row for row, path in enumerate(result.ranking["path"])}
        self._kind = result.noun.kind

    def show(self, path: str, alt: str = "", *, later: bool = False) -> Markup:
        """An `img` element, an excerpt, or a place-holder where there is neither.

        With `later` a picture is a place-holder too, and the scripts put it there when a reader opens that part. A
        hundred further examples show the same training images again and again, and most readers never open them.
        """
        url, alt = self.urls.get(path), printable(alt)
        if url is None and path in self.excerpts:
            return glance(self.excerpts[path], self._kind)
        if url is None and self._kind != IMAGE:
            return Markup('<p class="item-name"><bdi>{}</bdi></p>').format(printable(path))
        if url is None or (later and path in self._rows):
            row = Markup("")
            if url is not None:
                self.later.append(path)
                row = Markup(' data-row="{}"').format(self._rows[path])
            empty = Markup('<span class="no-picture" role="img" aria-label="{}" title="{}"{}>no picture</span>')
            return empty.format(alt or "no picture", printable(path), row)
        number = self.inlined.setdefault(path, len(self.inlined))
        return Markup('<img src="{}" alt="{}" title="{}" data-picture="{}" decoding="async">').format(
            url, alt, printable(path), number
        )

    def beginning(self, path: str) -> str:
        """The beginning of an item's text, ready to be escaped; empty where it has none."""
        return _short(readable(self.excerpts.get(path, "")).strip())

    def for_scripts(self, order: Iterable[int], paths: Sequence[str], left: int) -> ForScripts:
        """Pictures and excerpts for the scripts' data: those wanted first, as long as there is room.

        Parameters
        ----------
        order
            Rows, the most wanted first. A row may come twice.
        paths
            Every row's path.
        left
            Bytes that all this may take.
        """
        chosen = ForScripts({}, {})
        for row in order:
            key, path = str(row), paths[row]
            if path in self.urls and key not in chosen.pictures:
                if path in self.inlined:
                    chosen.pictures[key] = self.inlined[path]
                elif len(self.urls[path]) <= left:
                    chosen.pictures[key] = self.urls[path]
                    left -= len(self.urls[path])
            elif path in self.excerpts and key not in chosen.excerpts:
                size = len(json.dumps(self.excerpts[path]))
                if size <= left:
                    chosen.excerpts[key] = self.excerpts[path]
                    left -= size
        return chosen


def glance(text: str, kind: str) -> Markup:
    """The beginning of a text or of a row's cells, as markup. Any writing direction stays within it."""
    if kind == "table":
        lines = [line for line in readable(text).split("\n") if line.strip()]
        return _cells(lines[:CELLS], more=len(lines) > CELLS)
    return Markup('<div class="excerpt" dir="auto">{}</div>').format(_short(readable(text).strip()))


def _cells(lines: Sequence[str], *, more: bool) -> Markup:
    """A row's cells as a list of two columns. Each line is `name: value`."""
    pairs = [(name, value) if colon else ("", name) for name, colon, value in (ln.partition(": ") for ln in lines)]
    shown = Markup("").join(
        Markup('<div><dt><bdi>{}</bdi></dt><dd dir="auto">{}</dd></div>').format(name, _short(value, GLANCE // 4))
        for name, value in pairs
    )
    return Markup('<dl class="excerpt cells">{}{}</dl>').format(shown, Markup("<div><dt></dt><dd>…</dd></div>") * more)


def _short(value: str, limit: int = GLANCE) -> str:
    return value if len(value) <= limit else f"{value[:limit].rstrip()}…"
