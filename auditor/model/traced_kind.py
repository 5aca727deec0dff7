"""A network out of a library, known by its name there: its features are found by a run that takes no memory."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from auditor.errors import ConfigError
from auditor.model.backbone import BackboneKind, Channels, Weights
from auditor.model.foreign import words
from auditor.model.tapped import NoFeatures, Tapped, Taps, find_taps
from auditor.system.arrays import Array


class TracedKind(BackboneKind):
    """A network that a library builds for any number of classes.

    Features are those that enter its classifying layer, behind the pooled maps of two earlier layers where it has
    such (`tapped.find_taps`). A subclass sets `name`, `meaning`, `edge`, `mean` and `std`, and then calls `look`.

    Attributes
    ----------
    edge
        The edge in pixels that the published weights were trained at.
    mean, std
        The normalisation that they expect.
    taps
        Where the features are.
    """

    edge: int
    mean: Channels
    std: Channels
    taps: Taps

    @abstractmethod
    def library(self) -> str:
        """The library and its version. Another one may give other features."""

    def look(self) -> None:
        """Find the classifying layer and the features.

        Raises
        ------
        ConfigError
            The network cannot be built, has no single classifying layer, or gives no features.
        """
        self.smallest_pretrained = self.smallest_fresh = self.edge
        network, other = self._for_free(7), self._for_free(11)
        try:
            self.classifier = _classifier(network, other)
            self.taps = self._taps(network, self.edge)
        except NoFeatures as error:
            raise ConfigError(f"the backbone {self.name} {error.message}", hint=error.hint) from error
        self.n_features, self.n_layered = self.taps.n_features, self.taps.n_columns

    def extractor(self, network: nn.Module) -> nn.Module:
        """See `BackboneKind`."""
        return Tapped(network, self.taps)

    def image_size(self, setting: str, edges: Array, weights: Weights) -> int:
        """The edge of the published weights, or the one that was set. Many of these networks take no other.

        Raises
        ------
        ConfigError
            The network cannot read images of the size that was set.
        """
        size = int(float(setting)) if setting != "auto" else self.edge
        if size != self.edge:
            try:
                self._taps(self._for_free(7, size, pretrained=weights.pretrained), size)
            except Exception as error:
                raise ConfigError(
                    f"the backbone {self.name} cannot read images of {size} x {size} pixels: {words(error)}",
                    hint=f"leave --image-size out; it reads {self.edge} x {self.edge}",
                ) from error
        return size

    def normalisation(self, preset: str, weights: Weights) -> tuple[Channels, Channels]:
        """What the published weights expect; the reference study's for its preset."""
        return super().normalisation(preset, weights) if preset == "study" else (self.mean, self.std)

    def cache_key(self) -> dict[str, object]:
        """See `BackboneKind`."""
        return {**super().cache_key(), "library": self.library(), "taps": [name for name, _ in self.taps.stages]}

    def _for_free(self, n_classes: int, size: int = 0, *, pretrained: bool = True) -> nn.Module:
        """The network without memory behind its parameters, where its library can build it so."""
        size = size or self.edge
        try:
            with torch.device("meta"):
                return self.network(n_classes, size, pretrained=pretrained).eval()
        except (NotImplementedError, RuntimeError):
            return self.network(n_classes, size, pretrained=pretrained).eval()  # RegNets compute their widths in torch

    def _taps(self, network: nn.Module, edge: int) -> Taps:
        example = torch.zeros(3, 3, edge, edge, device=next(network.parameters()).device)
        return find_taps(network, self.classifier, example)


def _classifier(one: nn.Module, other: nn.Module) -> str:
    """The layer whose size follows the number of classes."""
    shapes = {key: value.shape for key, value in other.state_dict().items()}
    differing = {key.rpartition(".")[0] for key, value in one.state_dict().items() if value.shape != shapes.get(key)}
    if len(differing) != 1:
        raise NoFeatures("has no single classifying layer", hint="choose another --backbone")
    return differing.pop()
