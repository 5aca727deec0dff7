"""The one door to torchvision, which must open even beside a torch its compiled operators do not match.

torchvision registers fake kernels for its operators at import and fails with `operator torchvision::nms does not
exist` when its shared library could not be loaded (CPU-only torch beside the PyPI wheel, or mixed wheels). Models and
transforms need none of these operators, so their schemas are declared first, and only when the import would fail.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def models() -> ModuleType:
    """`torchvision.models`, imported so that missing compiled operators do not matter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Failed to load image Python extension.*")
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        # The library lives as long as the registration must: until the process ends.
        library = torch.library.Library("torchvision", "DEF")
        _KEPT.append(library)
        for schema in _SCHEMAS:
            library.define(schema)
        return importlib.import_module("torchvision.models")


_KEPT: list[torch.library.Library] = []
