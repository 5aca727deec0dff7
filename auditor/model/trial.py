"""A network that nobody knows is tried on a few images before an audit rests on it.

It must give one row of finite numbers for each image, the same row every time, whatever images come beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from auditor.model.foreign import words
from auditor.model.tapped import NoFeatures, Tapped, Taps, find_taps

SIZES = (224, 32, 64, 28, 96, 128, 160, 192, 240, 256, 288, 299, 300, 320, 336, 384, 448, 512)
"""Edges in pixels at which a network is tried where it fails at its own, to say what it reads."""

_IMAGES = 3

_SAME = 1e-3
"""Two answers to one image count as the same when they differ by less than this share of the largest number."""


class Unreadable(NoFeatures):
    """The network cannot read images of this size at all."""


@dataclass(frozen=True)
class Tried:
    """What a trial found.

    Attributes
    ----------
    edge
        The edge in pixels of the images.
    taps
        Where the features are.
    answers
        float32 [3, `taps.n_columns`], the features of the trial's images.
    """

    edge: int
    taps: Taps
    answers: torch.Tensor


def examples(edge: int, channels: int = 3, *, other: bool = False) -> torch.Tensor:
    """float32 [3, channels, edge, edge]: noise on three colours, the same every time.

    Of the `other` three only the first is the same. The rest are brighter, which statistics of a batch would show.
    """
    generator = torch.Generator().manual_seed(0)
    colours = torch.randn(2 * _IMAGES, channels, 1, 1, generator=generator)
    drawn = colours + torch.randn(2 * _IMAGES, channels, edge, edge, generator=generator)
    chosen = torch.cat([drawn[:1], 2 * drawn[_IMAGES + 1 :] + 1]) if other else drawn[:_IMAGES]
    return chosen.contiguous(memory_format=torch.channels_last)  # as an audit gives them


def try_network(network: nn.Module, edge: int) -> Tried:
    """Find a network's features in a few runs, and refuse one on which an audit cannot rest.

    Parameters
    ----------
    network
        In eval mode, on the processor. Nothing in it is changed unless it changes itself.

    Raises
    ------
    Unreadable
        It fails on images of this size.
    NoFeatures
        It answers with something else than features.
    """
    before = {name: value.detach().clone() for name, value in network.state_dict().items()}
    try:
        taps = find_taps(network, _classifier(network, edge), examples(edge))
        with torch.inference_mode():
            tapped = Tapped(network, taps)
            found, beside = tapped(examples(edge)), tapped(examples(edge, other=True))
            again = tapped(examples(edge))
    except NoFeatures:
        raise
    except Exception as error:  # foreign code may raise anything
        raise Unreadable(f"fails on images of {edge} x {edge} pixels: {words(error)}", hint=_advice(error)) from error
    _check_state(before, tapped.network)
    _check_answers(found, beside, again)
    return Tried(edge, taps, found.clone())


def what_it_reads(network: nn.Module, edge: int) -> tuple[int, int] | None:
    """Channels and edge in pixels of images that a network reads, where those of `edge` with 3 channels fail."""
    for channels in (3, 1, 4, 2):
        for size in dict.fromkeys((*((edge,) if channels != 3 else ()), *SIZES)):
            try:
                with torch.inference_mode():
                    network(examples(size, channels))
            except Exception:  # foreign code may raise anything
                continue
            return channels, size
    return None


def _advice(error: Exception) -> str:
    if isinstance(error, NotImplementedError):
        return "return the network inside it: this module has no forward of its own"
    return "it gets float32 [n, 3, S, S]: return a transform that names another S as second value, or set --image-size"


def _classifier(network: nn.Module, edge: int) -> str:
    """Name of the linear layer whose output is the network's; empty where there is none.

    A linear layer deep inside, such as one of attention, is no classifying layer: its output is not the end.
    """
    linear: list[str] = [name for name, module in network.named_modules() if isinstance(module, nn.Linear) and name]
    seen: list[torch.Tensor] = []
    handles = []
    if linear:
        last = network.get_submodule(linear[-1])
        handles.append(last.register_forward_hook(lambda _, __, value: seen.append(value)))
    try:
        with torch.no_grad():
            out = network(examples(edge))
    finally:
        for handle in handles:
            handle.remove()
    if isinstance(out, torch.Tensor) and not out.is_floating_point():
        raise NoFeatures(
            f"returns {str(out.dtype).removeprefix('torch.')} numbers",
            hint="return its features or its logits, as floating-point numbers; numbers of classes say too little",
        )
    if seen and isinstance(out, torch.Tensor) and seen[-1].shape == out.shape and torch.equal(seen[-1], out):
        return linear[-1]
    return ""


def _check_state(before: dict[str, torch.Tensor], network: nn.Module) -> None:
    """Refuse a network whose forward changes its own parameters or buffers."""
    after = network.state_dict()
    changed = sorted(name for name, value in before.items() if name not in after or not _equal(value, after[name]))
    if changed or after.keys() - before.keys():
        name = changed[0] if changed else min(after.keys() - before.keys())
        raise NoFeatures(
            f"changes its own state '{name}' while it reads images",
            hint="change it only where self.training is true; an audit runs networks in eval mode",
        )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and bool(((one == other) | ((one != one) & (other != other))).all())


def _check_answers(found: torch.Tensor, beside: torch.Tensor, again: torch.Tensor) -> None:
    """Refuse answers that are not finite, that vary, or that say nothing of an image."""
    if not bool(torch.isfinite(found).all()):
        raise NoFeatures("gives NaN or infinity", hint="check its weights, and what its forward divides by")
    near = _SAME * max(float(found.abs().max()), 1e-30)
    if not torch.allclose(found, again, rtol=0, atol=near):
        raise NoFeatures(
            "gives other features for the same images each time",
            hint="leave dropout and everything random to training: an audit runs networks in eval mode",
        )
    if not torch.allclose(found[0], beside[0], rtol=0, atol=near):
        raise NoFeatures(
            "gives an image other features beside other images",
            hint="BatchNorm must use its running statistics: keep track_running_stats, and do not call train()",
        )
    if torch.allclose(found, found[:1].expand_as(found), rtol=0, atol=1e-6 * float(found.abs().max())):
        raise NoFeatures(
            "gives the same features for every image", hint="check its weights, and what its forward returns"
        )
