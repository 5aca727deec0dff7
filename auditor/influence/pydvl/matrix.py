"""The full influence matrix on disk, for those who ask for it: zarr, in chunks, written block by block by pyDVL.

The blocks go through the lazy sequence that pyDVL's sequential calculator returns. Each block of rows is one solve.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from auditor.engines import Listener
from auditor.errors import EngineError
from auditor.influence.base import InfluenceEngine, Inputs
from auditor.influence.pydvl.library import NestedLazyChunkSequence, TorchNumpyConverter

ROW_CHUNK = 64

COLUMN_CHUNK = 8192


def save_matrix(
    path: str | Path,
    engine: InfluenceEngine,
    x: Inputs,
    y: Inputs,
    *,
    attributes: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> tuple[int, int]:
    """Write the influence of every training point on every reference point as a zarr array [n, N], float32.

    Memory holds one block of rows. The array appears under `path` when it is whole. A `path` that exists is refused.

    Parameters
    ----------
    path
        Folder to make.
    engine
        Answers by `rows`.
    x, y
        Reference points, as for `InfluenceEngine.rows`.
    attributes
        Stored with the array (paths of rows and columns), JSON types only. Engine and damping are added.
    listener
        Told of the rows written.

    Returns
    -------
    tuple
        The matrix's shape (n, N).

    Raises
    ------
    EngineError
        When `path` exists or the disk refuses.
    """
    path = Path(path)
    if path.exists():
        raise EngineError(f"{path} exists already", hint="give another path, or remove it first")
    _sweep(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = NestedLazyChunkSequence(lambda: _blocks(engine, x, y, listener))
        blocks.to_zarr(str(draft), TorchNumpyConverter(), overwrite=True)
        array = zarr.open_array(str(draft), mode="r+")
        array.attrs.update(dict(attributes or {}) | {"engine": engine.name, "damping": engine.damping})
        draft.rename(path)
    except OSError as error:
        raise EngineError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(y), int(array.shape[1])


def author(path: str | Path) -> str | None:
    """The attribute `audit` of the matrix at `path`: which audit wrote it. None where it is none of ours."""
    try:
        found = zarr.open_array(str(path), mode="r").attrs.get("audit")
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, str) and found else None


def _blocks(
    engine: InfluenceEngine, x: Inputs, y: Inputs, listener: Listener | None
) -> Iterator[Iterator[torch.Tensor]]:
    """Blocks of rows, each as blocks of columns."""
    for start in range(0, len(y), ROW_CHUNK):
        part = slice(start, start + ROW_CHUNK)
        rows = torch.from_numpy(engine.rows(x[part], y[part]).astype(np.float32))
        yield (rows[:, c : c + COLUMN_CHUNK] for c in range(0, rows.shape[1], COLUMN_CHUNK))
        if listener:
            listener("writing the influence matrix", min(part.stop, len(y)), len(y))


def _sweep(path: Path) -> None:
    """Remove what processes that are gone left of this matrix."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        pid = draft.name.split(".")[-2]
        if pid.isdecimal() and not Path("/proc", pid).exists() and Path("/proc/self").exists():
            shutil.rmtree(draft, ignore_errors=True)
