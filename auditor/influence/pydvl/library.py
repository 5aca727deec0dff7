"""The names of pyDVL that this package uses; importing this module imports pyDVL."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Being imported, pyDVL warns of its own decorators' future, in every process of a cluster anew.
    warnings.simplefilter("ignore", FutureWarning)
    from pydvl.influence import DaskInfluenceCalculator, InfluenceMode
    from pydvl.influence.array import NestedLazyChunkSequence
    from pydvl.influence.base_influence_function_model import InfluenceFunctionModel
    from pydvl.influence.torch import DirectInfluence, EkfacInfluence
    from pydvl.influence.torch.base import TensorOperator, TorchBatch
    from pydvl.influence.torch.batch_operation import HessianBatchOperation
    from pydvl.influence.torch.functional import LowRankProductRepresentation, operator_nystroem_approximation
    from pydvl.influence.torch.operator import (
        CgOperator,
        DirectSolveOperator,
        HessianOperator,
        InverseHarmonicMeanOperator,
        LissaOperator,
        LowRankOperator,
    )
    from pydvl.influence.torch.util import EkfacRepresentation, TorchNumpyConverter

__all__ = [
    "CgOperator",
    "DaskInfluenceCalculator",
    "DirectInfluence",
    "DirectSolveOperator",
    "EkfacInfluence",
    "EkfacRepresentation",
    "HessianBatchOperation",
    "HessianOperator",
    "InfluenceFunctionModel",
    "InfluenceMode",
    "InverseHarmonicMeanOperator",
    "LissaOperator",
    "LowRankOperator",
    "LowRankProductRepresentation",
    "NestedLazyChunkSequence",
    "TensorOperator",
    "TorchBatch",
    "TorchNumpyConverter",
    "operator_nystroem_approximation",
]
