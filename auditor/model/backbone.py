"""What a backbone is: a kind of network, its weights, and how images reach it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auditor.compute.hardware import seeded
from auditor.config import MAX_PIXELS
from auditor.errors import AuditorError, ConfigError, WeightsError
from auditor.model.foreign import words
from auditor.model.placing import placed, require_agreement
from auditor.model.precision import Mirrored, in_precision
from auditor.model.tapped import NoFeatures
from auditor.system.arrays import Array

Channels = tuple[float, ...]
"""One number a colour channel: red, green, blue."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

STUDY_MEAN, STUDY_STD = (0.5, 0.5, 0.5), (0.225, 0.225, 0.225)
"""How the reference study normalises images."""

LARGEST_AUTO = 224
"""The largest edge in pixels that `--image-size auto` chooses."""


@dataclass(frozen=True)
class PublishedWeights:
    """ImageNet weights on the internet. torch keeps a copy in its cache.

    Attributes
    ----------
    url
        Where `--download` fetches them. The last part of the URL is their name in the cache.
    sha256
        The first eight digits of the file's sha256.
    megabytes
        The size of the file.
    """

    url: str
    sha256: str
    megabytes: int


@dataclass(frozen=True)
class Weights:
    """Backbone parameters and where they come from.

    Attributes
    ----------
    name
        `imagenet`, `none` or the file's name.
    state
        The state dict without the classifying layer. None for a backbone that starts from nothing.
    sha256
        Of the file; empty for a backbone that starts from nothing.
    """

    name: str
    state: dict[str, torch.Tensor] | None
    sha256: str

    @property
    def pretrained(self) -> bool:
        """True when the backbone has seen images before."""
        return self.state is not None


class BackboneKind(ABC):
    """A kind of network that reads images. Subclass it to add one; `resnet.ResNet18` is the example.

    Two methods must be written: `network` and `extractor`. The other methods are rules that a subclass may replace.

    Attributes
    ----------
    name
        What `--backbone` takes, and the `architecture` in `audit.json`.
    meaning
        One line that says what it is.
    n_features
        D of the last layer: what the classifying layer sees.
    n_layered
        D of all columns that the extractor gives.
    classifier
        Name of the classifying layer inside the network. Weights files may hold one of any size; it is left out.
    published
        ImageNet weights for `--weights imagenet`, or None where there are none.
    smallest_pretrained, smallest_fresh
        The smallest edges in pixels that `--image-size auto` chooses, with weights and without.
    version
        Raise it when the extractor's answers change. The feature cache then reads the images again.
    carries_weights
        True when the network comes with weights of its own. `--weights` then has nothing to add.
    code
        A digest of the network's code; empty where its name tells which network it is.
    """

    name: str
    meaning: str
    n_features: int
    n_layered: int
    classifier: str = "fc"
    published: PublishedWeights | None = None
    smallest_pretrained: int = 64
    smallest_fresh: int = 8
    version: int = 1
    carries_weights: bool = False
    code: str = ""

    def own_state(self) -> dict[str, torch.Tensor]:
        """Parameters that the network comes with, named as in `network`. Asked for where `carries_weights` is True."""
        return {}

    def fetched(self, *, download: bool) -> dict[str, torch.Tensor] | None:
        """ImageNet parameters that come by another way than `published`; None where there is no such way."""
        return None

    def unused(self, parameter: str) -> bool:
        """Whether a weights file may hold a parameter of this name that the network lacks."""
        return False

    @abstractmethod
    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """A new network that maps images float32 [n, 3, S, S] to logits [n, C].

        Draw its parameters from torch's global generator, which is seeded here. `build` fills in the weights.

        Parameters
        ----------
        image_size
            S, the edge of the images in pixels.
        pretrained
            True when weights come after. The network must then fit them.
        """

    @abstractmethod
    def extractor(self, network: nn.Module) -> nn.Module:
        """A network that maps images float32 [n, 3, S, S] to features [n, `n_layered`].

        The last `n_features` columns must be the last layer's. Columns before them may come from earlier layers.
        Copy `network` where you change it: it is used again.
        """

    def parts(self, network: nn.Module) -> list[tuple[str, nn.Module]]:
        """The network as named modules, one after another. Empty where it is no such chain: then nothing is kept of it.

        Tuning keeps the answers of the parts that are frozen. Names are those inside `network`.
        """
        return []

    def build(self, weights: Weights, n_classes: int, image_size: int, seed: int) -> nn.Module:
        """A network with `weights` in its backbone and a new classifying layer, in eval mode.

        Equal seeds give equal networks. torch's global generator is left as it was.

        Raises
        ------
        WeightsError
            When `weights` are damaged or do not fit.
        """
        with seeded(seed):
            network = self.network(n_classes, image_size, pretrained=weights.pretrained)
        if weights.state is not None:
            _fill(network, weights.state, weights.name, self)
        return network.eval()

    def image_size(self, setting: str, edges: Array, weights: Weights) -> int:
        """The edge in pixels that the backbone sees: the images' own, where the backbone can use it.

        Parameters
        ----------
        setting
            `auto` or a number.
        edges
            int64 [n], the shorter edges of some of the images in pixels.
        """
        if setting != "auto":
            return int(float(setting))
        own = int(np.median(edges)) if len(edges) else self.smallest_pretrained
        smallest = self.smallest_pretrained if weights.pretrained else self.smallest_fresh
        return min(max(own, smallest), LARGEST_AUTO)

    def normalisation(self, preset: str, weights: Weights) -> tuple[Channels, Channels]:
        """Mean and standard deviation a channel: the reference study's for its preset, else what the weights expect."""
        if preset == "study":
            return STUDY_MEAN, STUDY_STD
        if weights.pretrained:
            return IMAGENET_MEAN, IMAGENET_STD
        return (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def cache_key(self) -> dict[str, object]:
        """What sets this kind apart in the feature cache, beside weights and image size."""
        return {"backbone": self.name, "version": self.version}


@dataclass(frozen=True)
class Transform:
    """What happens to an image between its file and the backbone."""

    size: int
    mean: Channels
    std: Channels
    max_pixels: int = MAX_PIXELS

    def normalise(self, pixels: Array | torch.Tensor) -> torch.Tensor:
        """uint8 [n, S, S, 3] to float32 [n, 3, S, S], channels last in memory."""
        batch = torch.as_tensor(pixels).permute(0, 3, 1, 2).float()  # a view: channels-last already
        mean = torch.tensor(self.mean).view(1, 3, 1, 1)
        std = torch.tensor(self.std).view(1, 3, 1, 1)
        return batch.sub_(mean * 255).div_(std * 255)


@dataclass(frozen=True)
class Encoder:
    """What turned the items into features, as the result names it.

    Attributes
    ----------
    name, weights, sha256
        Its name, that of its weights, and the sha256 of these; `weights` and `sha256` may be empty.
    n_features
        D of the last columns, which the head sees.
    n_layered
        D of all columns, which detection sees.
    transform
        How images reach it; None where the items are no images or came with their features.
    code
        A digest of its code where its name does not tell which network it is; see `BackboneKind.code`.
    """

    name: str
    weights: str
    sha256: str
    n_features: int
    n_layered: int
    transform: Transform | None = None
    code: str = ""


@dataclass(frozen=True)
class Backbone:
    """The network that an audit starts from, and how images reach it."""

    kind: BackboneKind
    weights: Weights
    network: nn.Module
    transform: Transform
    device: str

    @property
    def encoder(self) -> Encoder:
        """The backbone, as the result names it."""
        kind, w = self.kind, self.weights
        return Encoder(kind.name, w.name, w.sha256, kind.n_features, kind.n_layered, self.transform, kind.code)

    def extractor(self, dtype: str, *, mirror: bool = False) -> nn.Module:
        """Images float32 [n, 3, S, S] to features float32 [n, `kind.n_layered`], on the device, in a precision.

        With `mirror` they are means over an image and its mirror image.
        """
        made = self.kind.extractor(self.network)
        made = Mirrored(made) if mirror else made
        require_agreement(in_precision(made, dtype), self.device, self.transform.size, dtype=dtype)
        return _Checked(in_precision(placed(made, self.device), dtype), self.kind).eval()


class _Checked(nn.Module):
    """An extractor that gives as many columns as its kind says, or one sentence that says why not."""

    def __init__(self, network: nn.Module, kind: BackboneKind) -> None:
        super().__init__()
        self.network, self.name, self.columns = network, kind.name, kind.n_layered

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self._given(images)
        if features.shape != (len(images), self.columns):
            raise ConfigError(
                f"the backbone {self.name} gives features of shape {list(features.shape)} for {len(images)} images, "
                f"but its n_layered is {self.columns}",
                hint="correct n_layered, or what the extractor returns",
            )
        return features

    def _given(self, images: torch.Tensor) -> torch.Tensor:
        try:
            features: torch.Tensor = self.network(images)
        except NoFeatures as error:
            raise ConfigError(f"the backbone {self.name} {error.message}", hint=error.hint) from error
        except (AuditorError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a network from elsewhere may raise anything
            raise ConfigError(
                f"the backbone {self.name} fails on {len(images)} images of {images.shape[2]} x {images.shape[3]} "
                f"pixels on {images.device}: {words(error)}",
                hint="try another --image-size or --device cpu, or run the network alone on such a tensor",
            ) from error
        return features


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its convolutions in the memory order that images have here."""
    moved: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def in_order(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Images with channels first in memory. `view` in a user's forward may need that; channels last is faster."""
    return tuple(value.contiguous() for value in given)


def _fill(network: nn.Module, state: dict[str, torch.Tensor], name: str, kind: BackboneKind) -> None:
    """Copy the parameters `state` of the weights called `name` into a network."""
    own = network.state_dict()
    wanted = {k: v.shape for k, v in own.items() if not k.startswith(f"{kind.classifier}.")}
    optional = {k for k in wanted if k.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - optional - set(state))
    extra = sorted(k for k in set(state) - set(wanted) if not kind.unused(k))
    wrong = sorted(k for k in set(wanted) & set(state) if state[k].shape != wanted[k])
    for what, names in (("lacks", missing), ("has an unknown", extra), ("has another shape of", wrong)):
        if names:
            raise WeightsError(
                f"{name} is not a {kind.name}: it {what} parameter {names[0]}"
                + (f" (and {len(names) - 1} more)" if len(names) > 1 else ""),
                hint=f"give the state_dict of a {kind.name}, saved by torch.save",
            )
    damaged = sorted(k for k, v in state.items() if not torch.isfinite(v).all())
    if damaged:
        raise WeightsError(f"{name} is damaged: parameter {damaged[0]} holds NaN or infinity", hint="give another file")
    network.load_state_dict(state, strict=False)
