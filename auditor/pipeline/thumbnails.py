"""Small pictures of the images that the evidence names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from auditor.data import images

THUMBNAIL_EDGE = 96
"""Longer side of a small picture, in pixels."""

SUSPECT_EDGE = 160
"""Longer side of a suspect's picture, which a person judges by."""


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


def thumbnails(
    read: Callable[[str], bytes], paths: Iterable[str], max_pixels: int, *, suspects: int = 0
) -> dict[str, str]:
    """Small pictures as data URIs, the first `suspects` of them larger. Images that became unreadable are left out."""
    found = {}
    for place, path in enumerate(dict.fromkeys(paths)):
        try:
            edge = SUSPECT_EDGE if place < suspects else THUMBNAIL_EDGE
            picture = images.thumbnail(read(path), edge, max_pixels)
        except (OSError, images.UnreadableImage):
            continue
        text = base64.b64encode(picture).decode("ascii")
        found[path] = f"data:{images.media_type(picture)};base64,{text}"
    return found
