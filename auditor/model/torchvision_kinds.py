"""Every classification network of torchvision, by its name there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from auditor.model import vision
from auditor.model.backbone import IMAGENET_MEAN, IMAGENET_STD, PublishedWeights
from auditor.model.traced_kind import TracedKind

USUAL_EDGE = 224
"""The edge in pixels of a network without published weights."""


def torchvision_names() -> list[str]:
    """Names of all classification networks of the installed torchvision, sorted."""
    models: Any = vision.models()
    return sorted(models.list_models(module=models))


def published(name: str) -> PublishedWeights | None:
    """The best published weights of a network of torchvision; None where there are none."""
    models: Any = vision.models()
    known = models.get_model_weights(name)
    if not len(known):
        return None
    url = str(known.DEFAULT.url)
    megabytes = max(1, round(known.DEFAULT.meta.get("_file_size", 1)))
    return PublishedWeights(url, Path(url).stem.rpartition("-")[2], megabytes)


class TorchvisionKind(TracedKind):
    """A network of torchvision, with its own size, normalisation and best published weights.

    Parameters
    ----------
    name
        One of `torchvision_names`.

    Raises
    ------
    ConfigError
        The network cannot be built or gives no features.
    """

    def __init__(self, name: str) -> None:
        models: Any = vision.models()
        self.name, self.meaning = name, f"torchvision's {name}"
        self.edge, self.mean, self.std = USUAL_EDGE, IMAGENET_MEAN, IMAGENET_STD
        known = models.get_model_weights(name)
        if len(known):
            best = known.DEFAULT
            preset = best.transforms()
            self.edge, self.mean, self.std = int(preset.crop_size[0]), tuple(preset.mean), tuple(preset.std)
            self.published = published(name)
        self.look()

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """See `BackboneKind`."""
        models: Any = vision.models()
        options: dict[str, Any] = {"weights": None, "num_classes": n_classes}
        if self.name in ("googlenet", "inception_v3"):
            # Their second output serves their own training, and their initialisation takes minutes.
            options |= {"aux_logits": False, "init_weights": False}
        if self.name.startswith("vit_"):
            options["image_size"] = self.edge if pretrained else image_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = models.get_model_builder(self.name)(**options)
        return network

    def unused(self, parameter: str) -> bool:
        """Parts of published files that serve their own training alone."""
        return parameter.startswith(("aux1.", "aux2.", "AuxLogits."))

    def library(self) -> str:
        """See `TracedKind`."""
        return f"torchvision {vision.version()}"
