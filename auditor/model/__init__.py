"""The network that reads the images, and how a model is trained and judged.

A backbone of your own is one class, `BackboneKind`, and one registration: call `register_backbone`, or name the class
in the entry-point group `auditor.backbones`. `--backbone NAME` then finds it.
`module_kind` makes one of an `nn.Module`.
"""

from __future__ import annotations

from auditor.model.backbone import BackboneKind, PublishedWeights, Weights
from auditor.model.own_kind import OwnKind, module_kind
from auditor.model.registry import backbone_kind, backbone_names, register_backbone, remove_backbone

__all__ = [
    "BackboneKind",
    "OwnKind",
    "PublishedWeights",
    "Weights",
    "backbone_kind",
    "backbone_names",
    "module_kind",
    "register_backbone",
    "remove_backbone",
]
