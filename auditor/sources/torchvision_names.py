"""SOURCE as `torchvision:NAME:ROOT`: a data set of torchvision's on the disk, found where torchvision keeps it."""

from __future__ import annotations

import os

from auditor.errors import SourceError
from auditor.system.text import did_you_mean, display, short

START = "torchvision:"

_PLACES: dict[str, tuple[str, ...]] = {
    "CIFAR10": ("cifar-10-batches-bin", "cifar-10-batches-py"),
    "CIFAR100": ("cifar-100-binary", "cifar-100-python"),
    "Country211": ("country211",),
    "EuroSAT": ("eurosat/2750",),
    "FashionMNIST": ("FashionMNIST/raw",),
    "ImageFolder": ("",),
    "Imagenette": ("imagenette2", "imagenette2-320", "imagenette2-160"),
    "KMNIST": ("KMNIST/raw",),
    "MNIST": ("MNIST/raw",),
    "RenderedSST2": ("rendered-sst2",),
}
"""Where each data set lies below ROOT, in a form that is opened without unpickling. The first that is there counts."""

_PICKLED = ("cifar-10-batches-py", "cifar-100-python")


def place_of(spec: str) -> str:
    """The folder that `torchvision:NAME:ROOT` means; every other SOURCE as it is.

    Raises
    ------
    SourceError
        The name is unknown, nothing lies there, or only pickles do.
    """
    if not spec.startswith(START) or os.path.lexists(spec):
        return spec
    name, _, root = spec.removeprefix(START).partition(":")
    known = {one.lower(): one for one in _PLACES}
    if name.lower() not in known:
        raise SourceError(
            f"torchvision's data set '{short(name)}' is not known by name",
            hint=f"{did_you_mean(name, _PLACES)}; others from Python: auditor.audit(torchvision.datasets.NAME(ROOT))",
        )
    places = [os.path.join(root or ".", below) if below else root or "." for below in _PLACES[known[name.lower()]]]
    found = next((place for place in places if os.path.isdir(place)), None)
    if found is None:
        raise SourceError(
            f"{display(root or '.')} does not hold torchvision's {known[name.lower()]}: no {display(places[0])}",
            hint=f"write it as {START}NAME:ROOT, with the ROOT that torchvision was given",
        )
    if os.path.basename(found) in _PICKLED:
        raise SourceError(
            f"{display(found)} is CIFAR's Python version, whose files are pickles. They run code and are not opened",
            hint="unpack the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz) beside it, or audit from "
            f"Python: auditor.audit(torchvision.datasets.{known[name.lower()]}(ROOT))",
        )
    return found
