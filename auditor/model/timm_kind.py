"""Networks of the timm library (extra `timm`), by their name there: `--backbone timm:NAME`."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from auditor.errors import ConfigError, WeightsError
from auditor.model import vision
from auditor.model.traced_kind import TracedKind
from auditor.system.files import reason
from auditor.system.text import did_you_mean


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
                f"timm cannot build '{self._name}': {reason(error)}", hint="check the name and its tag"
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
        hub: Any = importlib.import_module("huggingface_hub")
        cached = any(
            isinstance(hub.try_to_load_from_cache(config.hf_hub_id, file), str)
            for file in ("model.safetensors", "pytorch_model.bin")
        )
        if not cached and not download:
            raise WeightsError(
                f"weights of {self.name} are not in the Hugging Face cache",
                hint=f"add --download to fetch {config.hf_hub_id}, or use --weights FILE, "
                "or --weights none --train full",
            )
        try:
            network = self._timm.create_model(self._name, pretrained=True)
        except Exception as error:  # the hub raises many kinds
            raise WeightsError(
                f"weights of {self.name} could not be loaded: {reason(error)}", hint="check the network and the cache"
            ) from error
        state: dict[str, torch.Tensor] = network.state_dict()
        return {name: value for name, value in state.items() if not name.startswith(f"{self.classifier}.")}

    def library(self) -> str:
        """See `TracedKind`."""
        return f"timm {self._timm.__version__}"


def _timm() -> Any:
    vision.models()  # timm imports torchvision, which opens by this door alone
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError("timm is not installed", hint="pip install 'auditor[timm]'") from error
