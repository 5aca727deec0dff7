"""The names of pyDVL that this package uses, and a way to keep its log quiet."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

with warnings.catch_warnings():
    # Trap 11: pyDVL's import warns of its own decorators' future, anew in every process of a cluster.
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
    "quiet",
]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence pyDVL's log inside the block. It reports what is dealt with here, such as a rank-deficient sketch."""
    logger = logging.getLogger("pydvl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
