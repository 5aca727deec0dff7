"""Room for what an audit keeps when more than a head is trained: pixels, and what the frozen layers say of them."""

from __future__ import annotations

from auditor.compute.hardware import require
from auditor.config import AuditSettings
from auditor.errors import EngineError
from auditor.model.backbone import Backbone
from auditor.model.halves import map_bytes
from auditor.pipeline.tuned_features import halves_of, serves


def keeps_pixels(backbone: Backbone, settings: AuditSettings, n_images: int) -> bool:
    """Whether the pixels of n images are kept after their features were computed. `auto` keeps them where it can."""
    if settings.freezes_backbone:
        return False
    if settings.train != "auto":
        return True
    if not serves(backbone, settings):
        return False
    try:
        require_room(backbone, settings, n_images)
    except EngineError:
        return False
    return True


def require_room(backbone: Backbone, settings: AuditSettings, n_images: int) -> None:
    """Refuse more images than memory can hold.

    Raises
    ------
    EngineError
    """
    edge = backbone.transform.size
    if backbone.weights.pretrained and settings.freezes_backbone:
        return
    require(  # twice, because pixels are collected one by one and then laid side by side
        2 * 3 * edge**2 * n_images,
        f"keeping the pixels of {n_images} images of {edge} x {edge}",
        "cpu",
        "choose a smaller --image-size or fewer --classes; pretrained weights with --train head keep no pixels",
    )
    if not serves(backbone, settings):
        return
    require(
        map_bytes(halves_of(backbone, settings)) * n_images,
        f"keeping what the frozen layers say of {n_images} images of {edge} x {edge}",
        "cpu",
        "train later layers alone (their inputs are smaller), or choose a smaller --image-size or fewer --classes",
    )
