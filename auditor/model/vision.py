"""The one door to torchvision. It opens beside any torch, even where torchvision's compiled operators do not fit.

torchvision registers its operators when it is imported. The import fails with `operator torchvision::nms does not
exist` when its shared library cannot be loaded: beside a CPU-only torch with the wheel from PyPI, or with mixed wheels.
Models and transforms need none of these operators. So where the import fails, they are declared first.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import warnings
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def models() -> ModuleType:
    """`torchvision.models`, with or without its compiled operators."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Failed to load image Python extension.*")
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        library = torch.library.Library("torchvision", "DEF")
        _KEPT.append(library)
        for schema in _SCHEMAS:
            library.define(schema)
        return importlib.import_module("torchvision.models")


def version() -> str:
    """The installed torchvision's version."""
    return importlib.metadata.version("torchvision")


_KEPT: list[torch.library.Library] = []
"""Declarations last as long as their library object: until the process ends."""
