"""Backbone weights: finding, checking and loading them without pickle and without the network unless asked."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from auditor.errors import WeightsError

IMAGENET_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

STUDY_MEAN, STUDY_STD = (0.5, 0.5, 0.5), (0.225, 0.225, 0.225)


@dataclass(frozen=True)
class Weights:
    """Backbone parameters and where they come from.

    Attributes
    ----------
    name
        `imagenet`, `none` or the file's name.
    state
        The state dict without the classification head, or None for a fresh initialisation.
    sha256
        Of the file; empty for a fresh initialisation.
    """

    name: str
    state: dict[str, torch.Tensor] | None
    sha256: str

    @property
    def pretrained(self) -> bool:
        """True when the backbone has seen images before."""
        return self.state is not None


def load_weights(spec: str, *, download: bool = False) -> Weights:
    """The weights a user names: `imagenet`, `none`, or the path of a resnet18 state dict with a head of any size.

    Raises
    ------
    WeightsError
        When the file is missing, damaged or of another network, or ImageNet's weights are not in torch's cache.
    """
    if spec == "none":
        return Weights("none", None, "")
    if spec == "imagenet":
        path = imagenet_path()
        if not path.exists():
            path = _download(path) if download else _missing(path)
        digest = _sha256(path)
        if not digest.startswith("f37072fd"):
            raise WeightsError(
                f"{path} is damaged: its sha256 starts with {digest[:8]}, not f37072fd",
                hint="delete the file and fetch it again with --download",
            )
        return Weights("imagenet", _read(path), digest)
    path = Path(spec).expanduser()
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file {spec}", hint="--weights takes imagenet, none, or a resnet18 state_dict"
        )
    return Weights(path.name, _read(path), _sha256(path))


def imagenet_path() -> Path:
    """Where torch keeps ImageNet's resnet18 weights on this machine (`TORCH_HOME` is honoured)."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(IMAGENET_URL).name


def _missing(path: Path) -> Path:
    raise WeightsError(
        f"ImageNet weights are not in the cache ({path})",
        hint="add --download to fetch 45 MB, copy the file there, or use --weights PATH or --weights none --train full",
    )


def _download(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(IMAGENET_URL, str(path), hash_prefix="f37072fd", progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"ImageNet weights could not be fetched from {IMAGENET_URL}: {error}",
            hint=f"check the network, copy the file to {path}, or use --weights PATH",
        ) from error
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The backbone's part of a state dict; `weights_only` keeps pickle's code execution out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a foreign file's pickle protocol, which is no news to the user
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or malicious file
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{path} cannot be loaded as weights: {reason}", hint="give a state_dict saved by torch.save"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise WeightsError(f"{path} holds no state_dict", hint="give a state_dict saved by torch.save")
    for name, value in loaded.items():
        if not _is_plain(value):
            raise WeightsError(
                f"{path}: parameter {str(name)[:80]} is no plain array of real numbers",
                hint="give a state_dict saved by torch.save",
            )
    state = {str(name).removeprefix("module."): value for name, value in loaded.items()}
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _is_plain(value: torch.Tensor) -> bool:
    """Whether a tensor's numbers all stand in the file.

    A view with a stride of 0 claims terabytes in a kilobyte; sparse, quantised and complex ones fail at the first use.
    """
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
