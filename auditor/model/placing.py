"""Networks and images on a device, in the memory order that serves there, and the proof that the device can be trusted.

A processor and CUDA are quickest with channels last. On Apple's GPU (`mps`) several releases of torch give wrong
gradients in that order without a word (pytorch#142344, #175189), so everything lies there with channels first. Nobody
tried this program on such hardware. Before work is done there, the device answers a few images, and so does the
processor: where they differ, the device is refused.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from auditor.compute import hardware
from auditor.errors import ConfigError

IMAGES = 4
"""Made images that an untried device is asked about."""

LARGEST_DIFFERENCE = {"float32": 1e-2, "bfloat16": 1e-1}
"""Relative difference of two vectors by precision. Rounding of deep networks stays far below; wrong kernels do not."""


def placed(network: nn.Module, device: str) -> nn.Module:
    """The network itself, moved to a device; in the memory order that it has, if the device was tried."""
    if hardware.tried(device):
        return network.to(device)
    moved: nn.Module = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return moved.to(device)


def images_on(images: torch.Tensor, device: str) -> torch.Tensor:
    """Images float32 [n, 3, S, S] on a device."""
    return images.to(device) if hardware.tried(device) else images.contiguous().to(device)


def require_agreement(
    network: nn.Module, device: str, image_size: int, *, gradients: bool = False, dtype: str = "float32"
) -> None:
    """Refuse an untried device that does not give the processor's numbers for a few made images.

    Parameters
    ----------
    network
        Takes images [n, 3, S, S] and gives [n, D]. It stays as it is.
    image_size
        S.
    gradients
        Compare too how a loss changes with the parameters that are trained.
    dtype
        The precision that the network computes in.

    Raises
    ------
    ConfigError
        The numbers differ, or are not finite.
    """
    if hardware.tried(device):
        return
    images = torch.randn(IMAGES, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    there, here = (_answers(network, images, place, gradients) for place in (device, "cpu"))
    for ours, theirs in zip(here, there, strict=True):
        off = float((ours - theirs).norm() / ours.norm().clamp_min(1e-12))
        if not off <= LARGEST_DIFFERENCE[dtype]:
            what = "gradients" if gradients else "features"
            raise ConfigError(
                f"the device {device} gives other {what} than the processor: they differ by {off:.0%}",
                hint="use --device cpu; a newer torch or system may mend the device",
            )


def _answers(network: nn.Module, images: torch.Tensor, device: str, gradients: bool) -> list[torch.Tensor]:
    """Outputs, and gradients of the trained parameters, each as one float32 vector on the processor."""
    asked = placed(copy.deepcopy(network), device).eval()
    if not gradients:
        with torch.inference_mode():
            return [asked(images_on(images, device)).float().cpu().flatten()]
    for module in asked.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()  # its gradient is the one that was wrong; dropout stays off, for it differs by device
    out = asked(images_on(images, device))
    labels = torch.arange(len(images)) % out.shape[1]
    nn.functional.cross_entropy(out, labels.to(device)).backward()
    found = [p.grad for p in asked.parameters() if p.grad is not None]
    return [out.detach().cpu().flatten(), torch.cat([grad.cpu().flatten() for grad in found])]
