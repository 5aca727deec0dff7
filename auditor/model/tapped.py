"""Where any network's features are: found by running it once and watching what each of its modules gives.

A network that classifies ends in a classifying layer. What enters that layer are the last features. Before it, most
networks shrink the picture in steps; the last maps of each step, pooled, are features of earlier layers. Running finds
them in every network that runs, also in those that no tracer of the source code can follow.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from auditor.errors import ConfigError


class NoFeatures(ConfigError):
    """A network gives no features. The message goes on after "the backbone NAME"."""


MOST_STAGES = 2
"""Earlier layers whose pooled maps stand beside the last features. Three steps of a ResNet18 find the most; the last of
them, pooled, is what enters its classifying layer."""


@dataclass(frozen=True)
class Taps:
    """Where features are taken.

    Attributes
    ----------
    classifier
        Name of the module whose input are the last features; empty where the network's own output is.
    n_features
        D of the last features.
    stages
        Names of earlier modules and the widths of their pooled maps, the earliest first.
    channels_last
        Names of stages that give maps [n, H, W, C]; the others give [n, C, H, W].
    """

    classifier: str
    n_features: int
    stages: tuple[tuple[str, int], ...]
    channels_last: frozenset[str]

    @property
    def n_columns(self) -> int:
        """D of all features."""
        return sum(width for _, width in self.stages) + self.n_features


def find_taps(network: nn.Module, classifier: str, example: torch.Tensor) -> Taps:
    """Run a network once and find its features.

    Parameters
    ----------
    network
        In eval mode. Nothing in it is changed. It may lie on torch's `meta` device, where a run costs nothing.
    classifier
        Name of the classifying layer; empty where the network's output are the features.
    example
        float32 [n, 3, S, S], the images of the run. `n` must differ from all widths.

    Raises
    ------
    NoFeatures
        Its output is a tuple or a dict, or its last features are no row for each image.
    """
    maps: list[tuple[str, torch.Size]] = []
    last: list[torch.Tensor] = []

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: Any, out: Any) -> None:
            if name == classifier and classifier:
                last.append(_first(given))
            elif not last and isinstance(out, torch.Tensor) and out.ndim == 4 and len(out) == len(example):
                maps.append((name, out.shape))

        return hook

    with torch.no_grad(), _hooks([(module, note(name)) for name, module in network.named_modules() if name]):
        out = network(example)
    if not classifier:
        last.append(_tensor(out))
    if not last:
        raise NoFeatures(f"never runs its classifying layer '{classifier}'", hint="give another network")
    features = pooled(last[-1])
    if features.ndim != 2 or len(features) != len(example):
        raise NoFeatures(
            f"gives last features of the shape {list(features.shape)} for {len(example)} images",
            hint="its forward must give one row of numbers for each image",
        )
    stages = _stages(maps, features.shape[1])
    return Taps(
        classifier,
        int(features.shape[1]),
        tuple((name, width) for name, width, _ in stages),
        frozenset(name for name, _, turned in stages if turned),
    )


def _stages(maps: list[tuple[str, torch.Size]], n_features: int) -> list[tuple[str, int, bool]]:
    """Name, width and whether channels come last, of one map at each size, without the one that is pooled last.

    A step of a network is a module that holds smaller ones. Of all maps at one size the outermost module's is taken,
    and of several such the last one's. Sizes that only deeper modules give are no step: a layer that pads makes them.
    """
    by_size: dict[int, tuple[str, int, bool]] = {}
    for name, shape in maps:
        turned = shape[1] == shape[2] != shape[3]
        edge, width = (shape[1], shape[3]) if turned else (shape[2], shape[1])
        if edge <= 1 or not (turned or shape[2] == shape[3]):
            continue
        if edge not in by_size or name.count(".") <= by_size[edge][0].count("."):
            by_size[edge] = (name, int(width), turned)
    outermost = min((name.count(".") for name, _, _ in by_size.values()), default=0)
    by_size = {edge: found for edge, found in by_size.items() if found[0].count(".") <= outermost + 1}
    if by_size and by_size[min(by_size)][1] == n_features:
        del by_size[min(by_size)]
    return [by_size[edge] for edge in sorted(by_size, reverse=True)][-MOST_STAGES:]


class Tapped(nn.Module):
    """A network that gives the features of its taps instead of its output: images [n, 3, S, S] to [n, `n_columns`]."""

    def __init__(self, network: nn.Module, taps: Taps) -> None:
        super().__init__()
        self.network, self.taps = copy.deepcopy(network), taps
        self.network.eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run the network and collect; a map is pooled at once, since the next layer may overwrite it."""
        seen: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(_: nn.Module, given: Any, out: Any) -> None:
                value = _first(given) if name == self.taps.classifier else out
                seen[name] = pooled(value, channels_last=name in self.taps.channels_last)

            return hook

        wanted = [name for name, _ in self.taps.stages] + [self.taps.classifier] * bool(self.taps.classifier)
        with _hooks([(self.network.get_submodule(name), keep(name)) for name in wanted]):
            out = self.network(images)
        if not self.taps.classifier:
            seen[""] = pooled(_tensor(out))
        names = [name for name, _ in self.taps.stages] + [self.taps.classifier]
        return torch.cat([seen[name] for name in names], dim=1)


@contextlib.contextmanager
def _hooks(hooks: list[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    # Nothing can watch the parts of a network that torch.jit made.
    plain = [(module, hook) for module, hook in hooks if not isinstance(module, torch.jit.ScriptModule)]
    handles = [module.register_forward_hook(hook) for module, hook in plain]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first(given: Any) -> torch.Tensor:
    return _tensor(given[0] if isinstance(given, tuple) else given)


def _tensor(out: Any) -> torch.Tensor:
    """A network's output, refused where it is no tensor."""
    if not isinstance(out, torch.Tensor):
        raise NoFeatures(
            f"returns {a_kind(out)} where a tensor belongs",
            hint="wrap it in a module whose forward returns one tensor, a row for each image",
        )
    return out


def a_kind(thing: object) -> str:
    """The name of an object's class behind its article: "a dict", "an int"."""
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def pooled(values: torch.Tensor, *, channels_last: bool = False) -> torch.Tensor:
    """[n, D] of maps [n, C, H, W] or [n, H, W, C], or of tokens [n, T, D]; rows [n, D] as they are."""
    if values.ndim == 4:
        return values.mean(dim=(1, 2)) if channels_last else values.mean(dim=(2, 3))
    return values.mean(dim=1) if values.ndim == 3 else values
