"""Weights of a backbone: found, checked and loaded, without pickle, and without the network unless the user asks."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch

from auditor.errors import WeightsError
from auditor.model.backbone import BackboneKind, PublishedWeights, Weights

_SAVED = "give a state_dict saved by torch.save"


def load_weights(spec: str, kind: BackboneKind, *, download: bool = False) -> Weights:
    """The weights that a user names.

    Parameters
    ----------
    spec
        `imagenet`, `none`, or the path of a state dict of `kind`, with a classifying layer of any size.
    download
        Fetch ImageNet's weights when torch's cache lacks them.

    Raises
    ------
    WeightsError
        When the file is missing or damaged, or ImageNet's weights are not in torch's cache. Whether the parameters
        fit the network shows in `BackboneKind.build`.
    """
    if kind.carries_weights:
        return _carried(spec, kind)
    if spec == "none":
        return Weights("none", None, "")
    if spec == "imagenet":
        return _imagenet(kind, download=download)
    path = Path(spec).expanduser()
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file {spec}", hint=f"--weights takes imagenet, none, or a {kind.name} state_dict"
        )
    return Weights(path.name, _read(path, kind.classifier), _sha256(path))


def _carried(spec: str, kind: BackboneKind) -> Weights:
    """The weights that a network comes with."""
    if spec != "imagenet":
        raise WeightsError(f"the backbone {kind.name} comes with weights of its own", hint="leave --weights out")
    state = kind.own_state()
    return Weights("its own", state, state_hash(state))


def state_hash(state: dict[str, torch.Tensor]) -> str:
    """sha256, in hexadecimal, over the names, dtypes, shapes and bytes of parameters."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name}\0{value.dtype}\0{list(value.shape)}\0".encode())
        digest.update(
            value.contiguous().cpu().view(torch.uint8).numpy().tobytes() if value.ndim else str(value).encode()
        )
    return digest.hexdigest()


def cached_path(published: PublishedWeights) -> Path:
    """Where torch keeps published weights on this machine (`TORCH_HOME` is honoured)."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name


def _imagenet(kind: BackboneKind, *, download: bool) -> Weights:
    fetched = kind.fetched(download=download)
    if fetched is not None:
        return Weights("imagenet", fetched, state_hash(fetched))
    published = kind.published
    if published is None:
        raise WeightsError(
            f"the backbone {kind.name} has no ImageNet weights",
            hint=f"use --weights FILE with a state_dict of {kind.name}, or --weights none --train full",
        )
    path = cached_path(published)
    if not path.exists():
        if not download:
            raise WeightsError(
                f"ImageNet weights are not in the cache ({path})",
                hint=f"add --download to fetch {published.megabytes} MB, copy the file there, or use --weights PATH "
                "or --weights none --train full",
            )
        _download(published, path)
    digest = _sha256(path)
    if not digest.startswith(published.sha256):
        raise WeightsError(
            f"{path} is damaged: its sha256 starts with {digest[:8]}, not {published.sha256}",
            hint="delete the file and fetch it again with --download",
        )
    return Weights("imagenet", _read(path, kind.classifier), digest)


def _download(published: PublishedWeights, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(published.url, str(path), hash_prefix=published.sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"ImageNet weights could not be fetched from {published.url}: {error}",
            hint=f"check the network, copy the file to {path}, or use --weights PATH",
        ) from error


def _read(path: Path, classifier: str) -> dict[str, torch.Tensor]:
    """A state dict without its classifying layer."""
    return {name: value for name, value in read_state(path).items() if not name.startswith(f"{classifier}.")}


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file. `weights_only` keeps pickle from executing code.

    Raises
    ------
    WeightsError
        The file is damaged, or holds something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of the file's pickle protocol, which the user cannot change
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or malicious file
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path} cannot be loaded as weights: {reason}", hint=_SAVED) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise WeightsError(f"{path} holds no state_dict", hint=_SAVED)
    for name, value in loaded.items():
        if not _is_plain(value):
            raise WeightsError(f"{path}: parameter {str(name)[:80]} is no plain array of real numbers", hint=_SAVED)
    return {str(name).removeprefix("module."): value for name, value in loaded.items()}


def _is_plain(value: torch.Tensor) -> bool:
    """Whether all numbers of a tensor stand in the file.

    A view with a stride of 0 claims terabytes in a kilobyte. Sparse, quantised and complex tensors fail at first use.
    """
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
