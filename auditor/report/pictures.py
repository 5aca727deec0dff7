"""Which thumbnails the page shows itself, and which ones its scripts get as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from auditor.system.text import printable

_PICTURE = re.compile(r"data:image/(?:jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+={0,2}\Z")


class Pictures:
    """Thumbnails by path. It remembers which ones the page holds, so that the scripts' data need not repeat them.

    Parameters
    ----------
    thumbnails
        Data URIs by path, as the audit wrote them. What is no picture is left out.
    rows
        The ranking's rows by path.

    Attributes
    ----------
    urls
        The data URIs that are pictures, by path.
    inlined
        Numbers of the pictures that the page's markup holds, by path.
    later
        Paths of the pictures for which the markup only keeps a place.
    """

    def __init__(self, thumbnails: Mapping[str, str], rows: Mapping[str, int]) -> None:
        # The file may have been changed by hand, so a value need not be text.
        self.urls = {p: u for p, u in thumbnails.items() if isinstance(u, str) and _PICTURE.match(u)}
        self.inlined: dict[str, int] = {}
        self.later: list[str] = []
        self._rows = rows

    def image(self, path: str, alt: str = "", *, later: bool = False) -> Markup:
        """An `img` element, or a place-holder where there is no picture.

        With `later` it is a place-holder too, and the scripts put the picture there when a reader opens that part. A
        hundred further examples show the same training images again and again, and most readers never open them.
        """
        url, alt = self.urls.get(path), printable(alt)
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

    def for_scripts(self, order: Iterable[int], paths: Sequence[str], left: int) -> dict[str, str | int]:
        """Pictures by row for the scripts' data: those wanted first, as long as there is room.

        Parameters
        ----------
        order
            Rows, the most wanted first. A row may come twice.
        paths
            Every row's path.
        left
            Bytes that the pictures may take.

        Returns
        -------
        dict
            By row number as text: a data URI, or the number of a picture that the page's markup holds.
        """
        chosen: dict[str, str | int] = {}
        for row in order:
            key, path = str(row), paths[row]
            if key in chosen or path not in self.urls:
                continue
            if path in self.inlined:
                chosen[key] = self.inlined[path]
            elif len(self.urls[path]) <= left:
                chosen[key] = self.urls[path]
                left -= len(self.urls[path])
        return chosen
