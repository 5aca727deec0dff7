"""What an audit works on once everything is read: items, reference, and what made their features."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.compute import hardware
from auditor.data.dataset import Dataset
from auditor.data.near_pairs import NearPairs
from auditor.data.picture_facts import PictureFacts
from auditor.data.reference import Reference
from auditor.model.backbone import Backbone, Encoder
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Inputs:
    """The audited data set, the trusted reference where the user gave one, and what made the features of both.

    Attributes
    ----------
    encoder
        What made the features.
    device
        Where features are made and networks are trained.
    backbone
        The network, where the audit trains more than a head; else None.
    groups
        int64 [N], the family of each item (`data.families`); None where every item stands alone.
    facts
        What the picture files show without a network; None where the items are no pictures, or nobody looked.
    near
        Near copies; None where nobody looked for them.
    """

    data: Dataset
    trusted: Reference | None
    encoder: Encoder
    device: str
    backbone: Backbone | None = None
    groups: Array | None = None
    facts: PictureFacts | None = None
    near: NearPairs | None = None

    @property
    def exact_device(self) -> str:
        """Where second-order work is done, and everything that needs double precision."""
        return hardware.exact(self.device)

    @property
    def reference_pair(self) -> tuple[Array, Array] | None:
        """Trusted features float32 [n, D] and labels int64 [n]; None without a reference."""
        return None if self.trusted is None else (self.trusted.features, self.trusted.labels)
