"""Networks of the timm library (extra `timm`), by their name there: `--backbone timm:NAME`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditor.errors import ConfigError, WeightsError
from auditor.model import vision
from auditor.model.foreign import words
from auditor.model.traced_kind import TracedKind
from auditor.model.weights import read_state
from auditor.system.text import did_you_mean

FILES = ("model.safetensors", "pytorch_model.bin")
"""What a file of weights is called on the Hugging Face hub, the better one first."""


class TimmKind(TracedKind):
    """A network of timm, with its own size, normalisation and published weights.

    Parameters
    ----------
    name
        As timm has it, with a tag or without: `resnet10t`, `vit_tiny_patch16_224.augreg_in21k_ft_in1k`.

    Raises
    ------
    ConfigError
        timm is not installed, knows no such network, or it gives no features.
    """

    def __init__(self, name: str) -> None:
        self._timm = _timm()
        self._name = name
        if name.partition(".")[0] not in self._timm.list_models():
            raise ConfigError(f"timm has no network '{name}'", hint=did_you_mean(name, self._timm.list_models()))
        self.name, self.meaning = f"timm:{name}", f"timm's {name}"
        config = self._timm.data.resolve_data_config(model=self.network(2, 0, pretrained=True))
        self.edge = int(config["input_size"][-1])
        self.mean, self.std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
        self.look()

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """See `BackboneKind`."""
        try:
            network: nn.Module = self._timm.create_model(self._name, pretrained=False, num_classes=n_classes)
        except Exception as error:  # timm raises many kinds
            raise ConfigError(
                f"timm cannot build '{self._name}': {words(error)}", hint="check the name and its tag"
            ) from error
        return network

    def fetched(self, *, download: bool) -> dict[str, torch.Tensor] | None:
        """The published weights from the Hugging Face cache, or from the network where that is allowed.

        Raises
        ------
        WeightsError
            They are not in the cache, or cannot be fetched.
        """
        config = self._timm.get_pretrained_cfg(self._name)
        if config is None or not config.hf_hub_id:
            raise WeightsError(
                f"timm publishes no weights of '{self._name}'",
                hint="use --weights FILE, or --weights none --train full",
            )
        path = _cached(config.hf_hub_id)
        if path is None and not download:
            raise WeightsError(
                f"weights of {self.name} are not in the Hugging Face cache",
                hint=f"add --download to fetch {config.hf_hub_id}, or use --weights FILE, "
                "or --weights none --train full",
            )
        found = _loaded(path or _downloaded(config.hf_hub_id, self.name), self.name)
        try:  # timm names some parameters anew. Of itself it would ask the hub, also for a file in the cache.
            network = self._timm.create_model(self._name, pretrained=True, pretrained_cfg_overlay={"state_dict": found})
        except Exception as error:  # timm raises many kinds
            raise WeightsError(
                f"weights of {self.name} do not fit it: {words(error)}", hint="fetch them again with --download"
            ) from error
        state: dict[str, torch.Tensor] = network.state_dict()
        return {name: value for name, value in state.items() if not name.startswith(f"{self.classifier}.")}

    def library(self) -> str:
        """See `TracedKind`."""
        return f"timm {self._timm.__version__}"


def _cached(repository: str) -> Path | None:
    """The file of weights in the Hugging Face cache. The hub is not asked."""
    for file in FILES:
        path = _hub().try_to_load_from_cache(repository, file)
        if isinstance(path, str):
            return Path(path)
    return None


def _downloaded(repository: str, name: str) -> Path:
    """The file of weights, fetched from the Hugging Face hub."""
    failure: Exception | None = None
    for file in FILES:
        try:
            return Path(_hub().hf_hub_download(repository, file))
        except Exception as error:  # the hub raises many kinds
            failure = failure or error
    said = words(failure) if failure is not None else ""
    raise WeightsError(
        f"weights of {name} could not be fetched from {repository}: {said}", hint="check the network, or --weights FILE"
    ) from failure


def _loaded(path: Path, name: str) -> dict[str, torch.Tensor]:
    """All parameters in a file, read without pickle."""
    if path.suffix != ".safetensors":
        return read_state(path)
    try:
        state: dict[str, torch.Tensor] = importlib.import_module("safetensors.torch").load_file(path)
    except Exception as error:  # a damaged file raises many kinds
        raise WeightsError(
            f"weights of {name} are damaged ({path}): {words(error)}", hint="delete the file, and add --download"
        ) from error
    return state


def _hub() -> Any:
    return importlib.import_module("huggingface_hub")


def _timm() -> Any:
    vision.models()  # timm imports torchvision, which opens by this door alone
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise ConfigError(f"timm lacks a package: {words(error)}", hint="pip install 'auditor[timm]'") from error
        raise ConfigError("timm is not installed", hint="pip install 'auditor[timm]'") from error
    except Exception as error:  # beside a torch that it does not fit it may raise anything
        raise ConfigError(
            f"timm cannot be imported: {words(error)}", hint="pip install --upgrade 'auditor[timm]'"
        ) from error
