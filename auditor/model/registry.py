"""Backbones by name: the package's own, those that a program registered, and those of other packages."""

from __future__ import annotations

import contextlib

from auditor.errors import ConfigError
from auditor.model.backbone import BackboneKind
from auditor.model.own_code import own_kind
from auditor.model.resnet import ResNet18
from auditor.model.torchvision_kinds import TorchvisionKind, torchvision_names
from auditor.system.plugins import Plugins
from auditor.system.text import did_you_mean

GROUP = "auditor.backbones"
"""The group of entry points in which another package names its backbones."""

OWN: dict[str, BackboneKind] = {kind.name: kind for kind in (ResNet18(),)}
"""The backbones of this package. A new one of ours is added here."""

_others: Plugins[BackboneKind] = Plugins(GROUP, "backbone", OWN)


def register_backbone(kind: BackboneKind) -> contextlib.ExitStack:
    """Let `--backbone` find `kind` in this process.

    Returns
    -------
    A context that removes it at its end. Drop it to keep the addition.

    Raises
    ------
    ConfigError
        When the kind is incomplete, or there is a backbone of that name already.
    """
    _check(kind)
    return _others.register(kind.name, kind)


def remove_backbone(name: str) -> None:
    """Take away what `register_backbone` added."""
    _others.remove(name)


def backbone_names() -> list[str]:
    """Every name that `--backbone` takes, sorted. A user's own network has no name here."""
    return sorted({*OWN, *_others.names(), *torchvision_names()})


def backbone_kind(name: str) -> BackboneKind:
    """The backbone of that name.

    Raises
    ------
    ConfigError
        When there is none of that name, or its package cannot be imported.
    """
    if name in OWN:
        return OWN[name]
    if name not in _others.names():
        return _by_rule(name)
    loaded: object = _others.get(name)
    kind: object = loaded() if isinstance(loaded, type) else loaded
    checked = _check(kind)
    if checked.name != name:
        raise ConfigError(
            f"a backbone is called '{checked.name}', but its entry point calls it '{name}'",
            hint="use one name for both",
        )
    return checked


def _by_rule(name: str) -> BackboneKind:
    """A backbone that no registration names: torchvision's, timm's, or the user's own."""
    prefix, _, rest = name.partition(":")
    if prefix == "timm" and rest:
        from auditor.model.timm_kind import TimmKind  # timm is an extra

        return TimmKind(rest)
    if rest:
        return own_kind(name)
    if name in torchvision_names():
        return TorchvisionKind(name)
    raise ConfigError(f"unknown backbone '{name}'", hint=did_you_mean(name, backbone_names()))


def _check(kind: object) -> BackboneKind:
    """Refuse a kind that lacks what the contract asks for."""
    if not isinstance(kind, BackboneKind):
        raise ConfigError(
            f"{kind!r} is not a backbone", hint="give an object of a class that inherits auditor.model.BackboneKind"
        )
    missing = [name for name in ("name", "meaning", "n_features", "n_layered") if not getattr(kind, name, None)]
    if missing:
        raise ConfigError(f"the backbone {type(kind).__name__} does not say its {missing[0]}", hint="set it")
    if not 0 < kind.n_features <= kind.n_layered:
        raise ConfigError(
            f"the backbone {kind.name} has n_features {kind.n_features} and n_layered {kind.n_layered}",
            hint="n_layered counts the last layer's n_features too, so it cannot be smaller",
        )
    return kind
