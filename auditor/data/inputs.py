"""What an audit works on once everything is read: images, reference and backbone."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.data.dataset import Dataset
from auditor.data.reference import Reference
from auditor.model.backbone import Backbone
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Inputs:
    """The audited data set, the trusted reference where the user gave one, and the backbone that read both.

    `groups` are int64 [N], the family of each image (`data.families`); None where every image stands alone.
    """

    data: Dataset
    trusted: Reference | None
    backbone: Backbone
    groups: Array | None = None

    @property
    def reference_pair(self) -> tuple[Array, Array] | None:
        """Trusted features float32 [n, D] and labels int64 [n]; None without a reference."""
        return None if self.trusted is None else (self.trusted.features, self.trusted.labels)
