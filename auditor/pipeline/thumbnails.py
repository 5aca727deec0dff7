"""What people see of the items that the evidence names: small pictures, or excerpts of texts and rows."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from auditor.data import shown
from auditor.data.images import UnreadableImage
from auditor.sources.base import ImageTable

THUMBNAIL_EDGE = 96
"""Longer side of a small picture, in pixels."""

SUSPECT_EDGE = 160
"""Longer side of a suspect's picture, which a person judges by."""

EXCERPT = 2000
"""Characters of a text or a row that are shown."""


def mentioned(evidence: Any) -> Iterable[str]:
    """Every path that a piece of evidence names, in the order of its first mention."""
    if isinstance(evidence, dict):
        if isinstance(evidence.get("path"), str):
            yield evidence["path"]
        for value in evidence.values():
            yield from mentioned(value)
    elif isinstance(evidence, list):
        for value in evidence:
            yield from mentioned(value)


def thumbnails(table: ImageTable, paths: Iterable[str], max_pixels: int, *, suspects: int = 0) -> dict[str, str]:
    """Small pictures as data URIs, the first `suspects` of them larger. What cannot be shown is left out.

    Items that are known by their features alone are shown where a picture of their name can be read.
    """
    if table.kind not in ("image", "features"):
        return {}
    found = {}
    for place, path in enumerate(dict.fromkeys(paths)):
        try:
            edge = SUSPECT_EDGE if place < suspects else THUMBNAIL_EDGE
            picture = shown.thumbnail(table.read(path), edge, max_pixels)
        except (OSError, UnreadableImage):
            continue
        text = base64.b64encode(picture).decode("ascii")
        found[path] = f"data:{shown.media_type(picture)};base64,{text}"
    return found


def excerpts(table: ImageTable, paths: Iterable[str]) -> dict[str, str]:
    """The beginning of each text or row, at most `EXCERPT` characters. An empty one is left out."""
    shown = {path: table.excerpt(path) for path in dict.fromkeys(paths)}
    return {path: text[:EXCERPT] + "…" * (len(text) > EXCERPT) for path, text in shown.items() if text}
