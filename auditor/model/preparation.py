"""How a user's network wants its images, as his transform says it or shows it on plain pictures.

An audit resizes and normalises images itself: it never runs a user's transform on a data set. So what the transform
does must be a size, a mean and a standard deviation. Three plain pictures show whether it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from auditor.errors import AuditorError, ConfigError
from auditor.model.backbone import IMAGENET_MEAN, IMAGENET_STD, Channels
from auditor.model.foreign import words

USUAL_EDGE = 224
"""The edge in pixels where the function gives no transform."""

_COLOURS = ((0, 0, 0), (255, 255, 255), (51, 102, 204))
"""Two plain pictures tell mean and standard deviation. The third checks them, and its channels differ."""

_EDGES = (300, 330)
"""Edges of the plain pictures. A transform that fixes a size makes both equal."""

_CLOSE = 1e-3
"""The most by which two normalised values may differ and count as one."""

_RETURN = "return one of torchvision's presets, or a Compose with CenterCrop or Resize, ToTensor and Normalize"


@dataclass(frozen=True)
class Preparation:
    """How a network wants its images: edge in pixels, and mean and standard deviation of each colour."""

    edge: int
    mean: Channels
    std: Channels


def preparation(transform: object, name: str) -> Preparation:
    """What a transform does to an image, ImageNet's way where it is None.

    Parameters
    ----------
    transform
        Takes a PIL image, or a float tensor [3, H, W] in 0..1, and gives a float tensor [3, S, S]. An object that
        cannot be called must name its size, mean and standard deviation as torchvision's transforms do.
    name
        What the user calls the backbone, for messages.

    Raises
    ------
    ConfigError
        The transform fails, gives something else, or does more than resize, crop and normalise.
    """
    if transform is None:
        return Preparation(USUAL_EDGE, IMAGENET_MEAN, IMAGENET_STD)
    said = _said(transform)
    if not callable(transform):
        if said is None:
            raise ConfigError(
                f"the transform of the backbone {name} does not say its size and its normalisation", hint=_RETURN
            )
        return said
    try:
        shown = _shown(transform)
    except ConfigError as error:
        raise ConfigError(f"the transform of the backbone {name} {error.message}", hint=error.hint) from error
    return said if said is not None and _alike(said, shown) else shown


def _said(transform: object) -> Preparation | None:
    """What a transform's attributes say, as torchvision names them; None where something is missing."""
    parts = list(getattr(transform, "transforms", [transform]))
    edge = _number([getattr(p, "crop_size", None) for p in parts] + [getattr(p, "size", None) for p in reversed(parts)])
    mean, std = (
        next((v for part in reversed(parts) if (v := _channels(getattr(part, key, None))) is not None), None)
        for key in ("mean", "std")
    )
    return None if edge is None or mean is None or std is None else Preparation(edge, mean, std)


def _number(values: list[Any]) -> int | None:
    """The first that is a number or a list of numbers."""
    for value in values:
        first = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(first, int) and first > 0:
            return first
    return None


def _channels(value: Any) -> Channels | None:
    """Three numbers; None where the value is anything else."""
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 3 else None


def _shown(transform: Callable[[Any], Any]) -> Preparation:
    """What a transform does to plain pictures.

    Raises
    ------
    ConfigError
        Its message goes on after the transform's name.
    """
    takes = _input(transform)
    black, white, other = (_plain(transform, takes(colour, _EDGES[0])) for colour in _COLOURS)
    edge = black[1]
    if _plain(transform, takes(_COLOURS[0], _EDGES[1]))[1] != edge:
        raise ConfigError("does not fix the size of the image", hint="add Resize and CenterCrop before Normalize")
    slope = white[0] - black[0]
    if not bool((slope > 0).all()):
        raise ConfigError("does not keep bright pixels bright", hint=_RETURN)
    std, mean = 1 / slope, -black[0] / slope
    expected = (torch.tensor(_COLOURS[2]).double() / 255 - mean) / std
    if not torch.allclose(expected, other[0], atol=_CLOSE, rtol=_CLOSE):
        raise ConfigError(
            "changes colours by more than a mean and a standard deviation",
            hint="do that in the network's forward, and keep Resize, CenterCrop, ToTensor and Normalize here",
        )
    return Preparation(edge, _rounded(mean), _rounded(std))


def _input(transform: Callable[[Any], Any]) -> Callable[[tuple[int, int, int], int], Any]:
    """What makes a plain picture that the transform takes: a PIL image, or a tensor where it takes no PIL image."""
    try:
        transform(_picture(_COLOURS[0], _EDGES[0]))
    except Exception as error:  # the user's code may raise anything
        try:
            transform(_pixels(_COLOURS[0], _EDGES[0]))
        except Exception:
            raise ConfigError(f"fails on a picture: {words(error)}", hint="it must take a PIL image") from error
        return _pixels
    return _picture


def _picture(colour: tuple[int, int, int], edge: int) -> Image.Image:
    return Image.new("RGB", (edge, edge), colour)


def _pixels(colour: tuple[int, int, int], edge: int) -> torch.Tensor:
    return (torch.tensor(colour).float() / 255).view(3, 1, 1).expand(3, edge, edge).clone()


def _plain(transform: Callable[[Any], Any], picture: object) -> tuple[torch.Tensor, int]:
    """The colour float64 [3] and the edge in pixels of what a transform makes of a plain picture."""
    try:
        made = transform(picture)
    except AuditorError:
        raise
    except Exception as error:
        raise ConfigError(f"fails on a picture: {words(error)}", hint="it must take a PIL image") from error
    if isinstance(made, Image.Image):
        raise ConfigError("returns a PIL image", hint="end it with ToTensor and Normalize")
    if not isinstance(made, torch.Tensor):
        raise ConfigError(f"returns a {type(made).__name__} where a tensor [3, S, S] belongs", hint=_RETURN)
    shape = list(made.shape)
    if not made.is_floating_point():
        raise ConfigError(
            f"returns {str(made.dtype).removeprefix('torch.')} numbers",
            hint="end it with ToTensor, or ToDtype(torch.float32, scale=True), and Normalize",
        )
    if made.ndim == 4:
        raise ConfigError(
            f"returns a batch of the shape {shape}", hint="leave out unsqueeze(0): it must give one image [3, S, S]"
        )
    if made.ndim != 3 or shape[0] != 3:
        raise ConfigError(
            f"returns the shape {shape} where [3, S, S] belongs",
            hint="leave out Grayscale and the like, and change the number of channels in the network's forward",
        )
    if shape[1] != shape[2]:
        raise ConfigError(
            f"makes images of {shape[1]} x {shape[2]} pixels", hint="audits give square images: use CenterCrop(SIZE)"
        )
    made = made.double()
    colour = made.mean(dim=(1, 2))
    if not bool(torch.isfinite(made).all()) or float((made - colour.view(3, 1, 1)).abs().max()) > _CLOSE:
        raise ConfigError(
            "makes a pattern of a plain picture", hint="leave out Pad, RandomErasing, noise and everything random"
        )
    return colour, shape[1]


def _rounded(values: torch.Tensor) -> Channels:
    """Six digits: what single precision leaves of a number that somebody wrote."""
    return tuple(float(f"{value:.6g}") if abs(value) > 1e-6 else 0.0 for value in values.tolist())


def _alike(one: Preparation, other: Preparation) -> bool:
    """Whether two say the same but for rounding."""
    values = zip((*one.mean, *one.std), (*other.mean, *other.std), strict=True)
    return one.edge == other.edge and all(abs(a - b) <= _CLOSE * max(1.0, abs(a)) for a, b in values)
