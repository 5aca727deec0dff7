"""A user's own network: a function without arguments that returns a `torch.nn.Module`, named on the command line.

`FILE.py:FUNCTION` runs a file, `package.module:FUNCTION` imports a module. Either runs the user's code.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from auditor.errors import AuditorError, ConfigError
from auditor.model.backbone import IMAGENET_MEAN, IMAGENET_STD, BackboneKind, Channels, Weights
from auditor.model.tapped import Tapped, Taps, find_taps, pooled
from auditor.system.arrays import Array
from auditor.system.files import reason

USUAL_EDGE = 224
"""The edge in pixels where the function gives no transform."""

_HEAD = "fc"


@dataclass(frozen=True)
class Preparation:
    """How a network wants its images: edge in pixels, and mean and standard deviation of each colour."""

    edge: int
    mean: Channels
    std: Channels


class OwnKind(BackboneKind):
    """A network of the user's, with the weights that it comes with.

    Where it ends in a linear layer, the features are what enters that layer. Where it does not, they are its output.
    Pooled maps of two earlier layers stand before them where it has such (`tapped.find_taps`).

    Parameters
    ----------
    name
        What the user wrote, for messages.
    made
        A module, or a module and a transform. A transform says its edge, mean and standard deviation: one of
        torchvision's presets, or a `Compose` with `Resize` or `CenterCrop` and `Normalize`.
    code
        A text that changes with the user's code; the feature cache counts it.

    Raises
    ------
    ConfigError
        `made` is nothing of the kind, or the network gives no features.
    """

    carries_weights = True

    def __init__(self, name: str, made: object, code: str = "") -> None:
        network, transform = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        if not isinstance(network, nn.Module):
            raise ConfigError(
                f"the backbone {name} is a {type(network).__name__}, not a torch.nn.Module",
                hint="return the module, or the module and its transform",
            )
        self.name, self.meaning, self.classifier = name, "a network of the user's", _HEAD
        self._own, self._code = copy.deepcopy(network).cpu().float().eval(), code
        self._preparation = preparation(transform, name)
        self.smallest_pretrained = self.smallest_fresh = self._preparation.edge
        ending = _last_linear(self._own)
        self._taps = self._try(ending)
        self.n_features, self.n_layered = self._taps.n_features, self._taps.n_columns

    def own_state(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of the network as the function gave them, named as in `network`."""
        network = self.network(2, self._preparation.edge, pretrained=True)
        return {k: v.detach().clone() for k, v in network.state_dict().items() if not k.startswith(f"{_HEAD}.")}

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """The network with a new classifying layer on its features."""
        return _Headed(copy.deepcopy(self._own), self._taps, n_classes)

    def extractor(self, network: nn.Module) -> nn.Module:
        """See `BackboneKind`."""
        return Tapped(network.get_submodule("body"), self._taps)

    def image_size(self, setting: str, edges: Array, weights: Weights) -> int:
        """The edge that the transform names, 224 where there is none."""
        return int(float(setting)) if setting != "auto" else self._preparation.edge

    def normalisation(self, preset: str, weights: Weights) -> tuple[Channels, Channels]:
        """What the transform says; ImageNet's where there is none."""
        if preset == "study":
            return super().normalisation(preset, weights)
        return self._preparation.mean, self._preparation.std

    def cache_key(self) -> dict[str, object]:
        """The user's code and the places of the features; the weights are counted beside it."""
        taps = [name for name, _ in self._taps.stages] + [self._taps.classifier]
        return {"backbone": "own", "version": self.version, "code": self._code, "taps": taps}

    def _try(self, ending: str) -> Taps:
        """Find the features in a run on grey images."""
        edge = self._preparation.edge
        example = torch.zeros(3, 3, edge, edge)
        try:
            with torch.no_grad():
                out = self._own(example)
            # A linear layer deep inside, such as one of attention, is no classifying layer: its output is not the end.
            if ending and not _ends_in(self._own, ending, example, out):
                ending = ""
            taps = find_taps(self._own, ending, example)
            with torch.no_grad():
                found = Tapped(self._own, taps)(example)
        except AuditorError as error:
            raise ConfigError(f"the backbone {self.name}: {error.message}", hint=error.hint) from error
        except Exception as error:
            raise ConfigError(
                f"the backbone {self.name} fails on images of {edge} x {edge} pixels: {reason(error)}",
                hint="return a transform that names the right size as the function's second value",
            ) from error
        if not torch.isfinite(found).all():
            raise ConfigError(
                f"the backbone {self.name} gives NaN or infinity for a grey image", hint="check its weights"
            )
        return taps


class _Headed(nn.Module):
    """A user's network with a new classifying layer `fc` on its last features, in place of its own if it has one."""

    def __init__(self, body: nn.Module, taps: Taps, n_classes: int) -> None:
        super().__init__()
        self.body, self.fc = body.requires_grad_(True), nn.Linear(taps.n_features, n_classes)
        if taps.classifier:
            self.body.set_submodule(taps.classifier, _Passing())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 [n, 3, S, S] to logits [n, C]."""
        logits: torch.Tensor = self.fc(pooled(self.body(images)))
        return logits


class _Passing(nn.Identity):
    """Stands where the user's classifying layer was. Its input are the last features."""


def own_kind(spec: str) -> OwnKind:
    """The backbone that `FILE.py:FUNCTION` or `package.module:FUNCTION` names. This runs the user's code.

    Raises
    ------
    ConfigError
        The file or module cannot be loaded, has no such function, the function fails, or gives no network.
    """
    where, _, function = spec.rpartition(":")
    module = _from_file(Path(where), spec) if where.endswith(".py") else _imported(where, spec)
    make = getattr(module, function, None)
    if not callable(make):
        known = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))[:8]
        raise ConfigError(
            f"{where} has no function '{function}'", hint=f"it has {', '.join(known)}" if known else "name a function"
        )
    try:
        made = make()
    except Exception as error:
        raise ConfigError(
            f"the backbone {spec} fails when it is called: {reason(error)}",
            hint="the function must need no arguments and return a torch.nn.Module",
        ) from error
    return OwnKind(spec, made, _code(module))


def _from_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path} for --backbone {spec}", hint="check the path")
    name = f"auditor_backbone_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python", hint="give a .py file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickling look a module up by its name
    return _run(lambda: found.loader.exec_module(module), module, str(path))  # type: ignore[union-attr]


def _imported(name: str, spec: str) -> ModuleType:
    module: list[ModuleType] = []
    _run(lambda: module.append(importlib.import_module(name)), sys.modules[__name__], f"{name} of --backbone {spec}")
    return module[0]


def _run(load: Callable[[], Any], module: ModuleType, what: str) -> ModuleType:
    try:
        load()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what} cannot be loaded: {reason(error)}", hint="run it with Python alone first") from error
    return module


def _code(module: ModuleType) -> str:
    """sha256 of the user's file; empty where it has none."""
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""


def _last_linear(network: nn.Module) -> str:
    """Name of the last linear layer below the network; empty where it has none or is one."""
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear) and name]
    return names[-1] if names else ""


def _ends_in(network: nn.Module, name: str, example: torch.Tensor, out: object) -> bool:
    """Whether the network's output is the output of that layer."""
    seen: list[torch.Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda _, __, value: seen.append(value))
    try:
        with torch.no_grad():
            network(example)
    finally:
        handle.remove()
    return bool(seen) and isinstance(out, torch.Tensor) and seen[-1].shape == out.shape and torch.equal(seen[-1], out)


def preparation(transform: object, name: str) -> Preparation:
    """What a transform says of size and normalisation, ImageNet's where it is None.

    Raises
    ------
    ConfigError
        The transform does not say it.
    """
    if transform is None:
        return Preparation(USUAL_EDGE, IMAGENET_MEAN, IMAGENET_STD)
    parts = list(getattr(transform, "transforms", [transform]))
    edge = _number([getattr(p, "crop_size", None) for p in parts] + [getattr(p, "size", None) for p in reversed(parts)])
    mean = next((tuple(map(float, p.mean)) for p in reversed(parts) if getattr(p, "mean", None) is not None), None)
    std = next((tuple(map(float, p.std)) for p in reversed(parts) if getattr(p, "std", None) is not None), None)
    if edge is None or mean is None or std is None or len(mean) != 3 or len(std) != 3:
        raise ConfigError(
            f"the transform of the backbone {name} does not say its size and its normalisation",
            hint="return one of torchvision's presets, or a Compose with CenterCrop or Resize, and Normalize",
        )
    return Preparation(edge, mean, std)


def _number(values: list[Any]) -> int | None:
    """The first that is a number or a list of numbers."""
    for value in values:
        first = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(first, int) and first > 0:
            return first
    return None
