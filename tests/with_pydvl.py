"""What tests take from pyDVL. Where it is not installed, a module that imports this one is skipped with the reason."""

from __future__ import annotations

import pytest
from helpers import NO_PYDVL

_torch = pytest.importorskip("pydvl.influence.torch", reason=NO_PYDVL)

CgInfluence = _torch.CgInfluence
DirectInfluence = _torch.DirectInfluence
EkfacInfluence = _torch.EkfacInfluence
