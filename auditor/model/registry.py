"""Backbones by name: the package's own, those that a program registered, and those of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from auditor.errors import ConfigError
from auditor.model.backbone import BackboneKind
from auditor.model.resnet import ResNet18
from auditor.system.text import did_you_mean

GROUP = "auditor.backbones"
"""The group of entry points in which another package names its backbones."""

OWN: dict[str, BackboneKind] = {kind.name: kind for kind in (ResNet18(),)}
"""The backbones of this package. A new one of ours is added here."""

_registered: dict[str, BackboneKind] = {}


def register_backbone(kind: BackboneKind) -> None:
    """Let `--backbone` find `kind` in this process. A second one of the same name takes the place of the first.

    Raises
    ------
    ConfigError
        When the kind is incomplete, or has the name of one of our own.
    """
    _check(kind)
    if kind.name in OWN:
        raise ConfigError(f"the backbone name '{kind.name}' is taken", hint="give your backbone another name")
    _registered[kind.name] = kind


def unregister_backbone(name: str) -> None:
    """Take back `register_backbone`."""
    _registered.pop(name, None)


def backbone_names() -> list[str]:
    """Every name that `--backbone` takes, sorted."""
    return sorted({*OWN, *_registered, *(point.name for point in entry_points(group=GROUP))})


def backbone_kind(name: str) -> BackboneKind:
    """The backbone of that name.

    Raises
    ------
    ConfigError
        When there is none of that name, or its package cannot be imported.
    """
    known = OWN.get(name) or _registered.get(name)
    if known is not None:
        return known
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _load(point)
    raise ConfigError(f"unknown backbone '{name}'", hint=did_you_mean(name, backbone_names()))


def _load(point: EntryPoint) -> BackboneKind:
    try:
        loaded = point.load()
        kind: BackboneKind = loaded() if isinstance(loaded, type) else loaded
    except Exception as error:  # the code of another package may raise anything
        raise ConfigError(
            f"the backbone '{point.name}' cannot be loaded from {point.value}: {type(error).__name__}: {error}",
            hint="mend or update the package that brings it, or choose another --backbone",
        ) from error
    _check(kind)
    if kind.name != point.name:
        raise ConfigError(
            f"{point.value} is a backbone called '{kind.name}', but its entry point calls it '{point.name}'",
            hint="use one name for both",
        )
    return kind


def _check(kind: object) -> None:
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
