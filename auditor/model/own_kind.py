"""A user's own network as a backbone: an `nn.Module` with the weights that it comes with."""

from __future__ import annotations

import copy
import hashlib

import torch
from torch import nn

from auditor.errors import ConfigError
from auditor.model.backbone import BackboneKind, Channels, Weights, in_order
from auditor.model.fingerprint import fingerprint
from auditor.model.foreign import untouched, words
from auditor.model.preparation import preparation
from auditor.model.tapped import NoFeatures, Tapped, Taps, a_kind, pooled
from auditor.model.trial import Tried, Unreadable, examples, try_network, what_it_reads
from auditor.system.arrays import Array
from auditor.system.text import counted

_HEAD = "fc"


class OwnKind(BackboneKind):
    """A network of the user's, with the weights that it comes with.

    Where it ends in a linear layer, the features are what enters that layer. Where it does not, they are its output.
    Pooled maps of two earlier layers stand before them where it has such (`tapped.find_taps`).

    Parameters
    ----------
    name
        What the user wrote, for messages.
    made
        A module, or a module and a transform; see `preparation.preparation`.

    Raises
    ------
    ConfigError
        `made` is nothing of the kind, or the network gives no features.
    """

    carries_weights = True

    def __init__(self, name: str, made: object) -> None:
        network, transform = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        if not isinstance(network, nn.Module):
            raise ConfigError(
                f"the backbone {name} is {a_kind(network)}, not a torch.nn.Module",
                hint="return the module, or the module and its transform",
            )
        self.name, self.meaning, self.classifier = name, "a network of the user's", _HEAD
        self._preparation = preparation(transform, name)
        self.smallest_pretrained = self.smallest_fresh = self._preparation.edge
        with untouched():
            self._own = _copied(network, name)
            tried, self._failure = self._first_try()
            self.code = fingerprint(self._own, tried.answers)
        self._taps, self._edge = tried.taps, tried.edge
        self.n_features, self.n_layered = self._taps.n_features, self._taps.n_columns

    def count(self, code: str) -> None:
        """Count one more text in the feature cache: a digest of code that made the network."""
        self.code = hashlib.sha256(f"{self.code}\n{code}".encode()).hexdigest()

    def own_state(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of the network as the function gave them, named as in `network`."""
        network = self.network(2, self._edge, pretrained=True)
        return {k: v.detach().clone() for k, v in network.state_dict().items() if not k.startswith(f"{_HEAD}.")}

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """The network with a new classifying layer on its features."""
        return _Headed(copy.deepcopy(self._own), self._taps, n_classes)

    def extractor(self, network: nn.Module) -> nn.Module:
        """See `BackboneKind`."""
        return Tapped(network.get_submodule("body"), self._taps)

    def image_size(self, setting: str, edges: Array, weights: Weights) -> int:
        """The edge that was set, else the one that the transform names, else 224.

        Raises
        ------
        ConfigError
            The network cannot read images of that size. The message names one that it reads.
        """
        edge = int(float(setting)) if setting != "auto" else self._preparation.edge
        if edge == self._edge:
            return edge
        if self._failure is not None and edge == self._preparation.edge:
            raise self._failure
        try:
            with untouched(), torch.inference_mode():
                Tapped(self._own, self._taps)(examples(edge))
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(
                f"the backbone {self.name} fails on images of {edge} x {edge} pixels: {words(error)}",
                hint=f"set --image-size {self._edge}, which it reads",
            ) from error
        return edge

    def normalisation(self, preset: str, weights: Weights) -> tuple[Channels, Channels]:
        """What the transform says; ImageNet's where there is none."""
        if preset == "study":
            return super().normalisation(preset, weights)
        return self._preparation.mean, self._preparation.std

    def cache_key(self) -> dict[str, object]:
        """The network's code and answers, and the places of the features. The weights are counted beside it."""
        taps = [name for name, _ in self._taps.stages] + [self._taps.classifier]
        return {"backbone": "own", "version": self.version, "code": self.code, "taps": taps}

    def _first_try(self) -> tuple[Tried, ConfigError | None]:
        """The network at its own edge; where it cannot read that, at one that it reads, and what is wrong at its own.

        Raises
        ------
        ConfigError
            It gives no features.
        """
        edge = self._preparation.edge
        try:
            return self._tried(edge), None
        except Unreadable as error:
            reads = what_it_reads(self._own, edge)
            failure = ConfigError(f"the backbone {self.name} {error.message}", hint=_advice(error, reads))
            if reads is None or reads[0] != 3:
                raise failure from error
        except NoFeatures as error:
            raise ConfigError(f"the backbone {self.name} {error.message}", hint=error.hint) from error
        try:
            return self._tried(reads[1]), failure
        except NoFeatures as error:
            raise ConfigError(f"the backbone {self.name} {error.message}", hint=error.hint) from error

    def _tried(self, edge: int) -> Tried:
        """`try_network`. A network that asks for one order of its input's memory gets that one from here on."""
        try:
            return try_network(self._own, edge)
        except Unreadable:
            if isinstance(self._own, torch.jit.ScriptModule):  # nothing can be put before it
                raise
            handle = self._own.register_forward_pre_hook(in_order)
        try:
            return try_network(self._own, edge)
        except Unreadable:
            handle.remove()
            raise


def module_kind(network: object, transform: object = None, *, name: str = "") -> OwnKind:
    """A backbone made of an `nn.Module` object, with the weights that it has now.

    The module is copied. Changing it later changes nothing.

    Register it to use it by its name: `with register_backbone(module_kind(net)) ...`.

    Parameters
    ----------
    network
        An `nn.Module` that maps images float32 [n, 3, S, S] to logits or features [n, D]. Where it ends in a linear
        layer, the features are what enters that layer.
    transform
        How it wants its images; see `preparation.preparation`. None takes 224 pixels and ImageNet's normalisation.
    name
        The backbone's name in `audit.json`; `module:CLASS` unless you give one.

    Raises
    ------
    ConfigError
        It is no module, or gives no features. The message says what to do.
    """
    return OwnKind(name or f"module:{type(network).__name__}", (network, transform))


def _advice(error: ConfigError, reads: tuple[int, int] | None) -> str:
    """What to do about a network that fails on images of its own size."""
    if reads is None:
        return error.hint
    channels, edge = reads
    if channels == 3:
        return f"it reads {edge} x {edge}: set --image-size {edge}, or return a transform that names its size"
    read = counted(channels, "channel", "channels")
    mend = "x.mean(dim=1, keepdim=True)" if channels == 1 else "what it needs"
    return f"it reads {read}, and images here have 3: write a module whose forward gives it {mend}"


def _copied(network: nn.Module, name: str) -> nn.Module:
    """A copy on the processor, in float32 and in eval mode.

    Raises
    ------
    ConfigError
        It cannot be copied, or has parameters without values.
    """
    network = getattr(network, "_orig_mod", network)  # what torch.compile was given
    for key, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_meta or nn.parameter.is_lazy(value):
            raise ConfigError(
                f"the backbone {name} has a parameter without values: {key}",
                hint="load its weights, and run it once on an image where it has lazy layers, before you return it",
            )
    try:
        own = copy.deepcopy(network)
        for step in (own.cpu, own.float, own.eval):  # one by one, since a user's own eval may return nothing
            step()
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(
            f"the backbone {name} cannot be copied: {words(error)}",
            hint="return the network inside it alone, without trainer, loggers or open files",
        ) from error
    return own


class _Headed(nn.Module):
    """A user's network with a new classifying layer `fc` on its last features, in place of its own if it has one."""

    def __init__(self, body: nn.Module, taps: Taps, n_classes: int) -> None:
        super().__init__()
        self.body, self.pool, self.fc = body, _Pooled(), nn.Linear(taps.n_features, n_classes)
        for parameter in body.parameters():
            parameter.requires_grad_(True)
        if taps.classifier:
            self.body.set_submodule(taps.classifier, _Passing())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 [n, 3, S, S] to logits [n, C]."""
        logits: torch.Tensor = self.fc(self.pool(self.body(images)))
        return logits


class _Passing(nn.Identity):
    """Stands where the user's classifying layer was. Its input are the last features."""


class _Pooled(nn.Module):
    """Rows [n, D] of what a network gives. A module of its own: torch.fx does not look into it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return pooled(values)
