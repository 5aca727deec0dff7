"""The result of a stage as bytes, and back: JSON for its structure, arrays for its numbers, never pickle.

Frozen dataclasses of this package are written by their fields. A stage may hand on a new dataclass without a change
here. A value that cannot be written (a function, an open file) is refused at once, not when it is read.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from auditor.system.interrupts import held

_STRUCTURE = "structure"

_PACKAGE = "auditor."


class Unserialisable(Exception):
    """A value that cannot be written as JSON and arrays."""


class Damaged(Exception):
    """Bytes that are not what `dumps` writes."""


def dumps(value: Any) -> bytes:
    """A value as bytes.

    Parameters
    ----------
    value
        None, a number, text, a tuple, list, dict, array or data frame, or a frozen dataclass of this package; each may
        hold others.

    Raises
    ------
    Unserialisable
        The value holds something else.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    structure = json.dumps(_encode(value, arrays))
    return packed({_STRUCTURE: np.frombuffer(structure.encode(), dtype=np.uint8), **arrays})


def packed(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Arrays by name as the bytes of an npz file.

    An interrupt waits for its end: a zip file that is left half written complains when it is thrown away.
    """
    buffer = io.BytesIO()
    with held():
        np.savez(buffer, **arrays)
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """The inverse of `dumps`.

    Raises
    ------
    Damaged
        Something is wrong with the bytes, whatever it is.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        return _decode(json.loads(arrays.pop(_STRUCTURE).tobytes()), arrays)
    except Exception as error:  # a damaged archive raises nearly every kind of error
        raise Damaged(f"{type(error).__name__}: {error}") from error


def _encode(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """A value as JSON. What JSON does not have becomes an object that names its kind under `is`."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _encode_array(value, arrays)
    if isinstance(value, pd.DataFrame):
        return _encode_frame(value, arrays)
    if isinstance(value, tuple | list):
        return {"is": type(value).__name__, "of": [_encode(part, arrays) for part in value]}
    if isinstance(value, dict):
        return {"is": "dict", "of": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    kind = type(value)
    if dataclasses.is_dataclass(kind) and kind.__module__.startswith(_PACKAGE) and _class(_name(kind)) is kind:
        fields = {f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value) if f.init}
        return {"is": _name(kind), "of": fields}
    raise Unserialisable(f"{kind.__module__}.{kind.__qualname__}")


def _encode_array(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    array = np.asarray(value)
    if array.dtype.hasobject:
        return {"is": "objects", "shape": list(array.shape), "of": [_encode(part, arrays) for part in array.ravel()]}
    name = f"a{len(arrays)}"
    arrays[name] = array
    return {"is": "number" if isinstance(value, np.generic) else "array", "of": name}


def _encode_frame(frame: pd.DataFrame, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    index = frame.index
    if not isinstance(index, pd.RangeIndex) and not pd.api.types.is_integer_dtype(index.dtype):
        raise Unserialisable(f"a data frame with an index of {index.dtype}")
    parts = [_encode(frame[name].to_numpy(), arrays) for name in frame.columns]
    at = [index.start, index.stop, index.step] if isinstance(index, pd.RangeIndex) else None
    return {
        "is": "frame",
        "columns": [_encode(name, arrays) for name in frame.columns],
        "of": parts,
        "kinds": [str(kind) for kind in frame.dtypes],
        "range": at,
        "index": None if at else _encode(index.to_numpy(), arrays),
    }


def _decode(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    kind, of = value["is"], value["of"]
    if kind in ("array", "number"):
        return arrays[of] if kind == "array" else arrays[of][()]
    if kind == "frame":
        return _decode_frame(value, arrays)
    if kind == "dict":
        return {_decode(k, arrays): _decode(v, arrays) for k, v in of}
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(_decode(part, arrays) for part in of)
    if kind == "objects":
        objects = np.empty(len(of), dtype=object)
        objects[:] = [_decode(part, arrays) for part in of]
        return objects.reshape(value["shape"])
    found = _class(kind)
    if found is None:
        raise Damaged(f"no dataclass {kind}")
    return found(**{name: _decode(part, arrays) for name, part in of.items()})


def _decode_frame(value: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    index = pd.RangeIndex(*value["range"]) if value["range"] else pd.Index(_decode(value["index"], arrays))
    columns = [_decode(name, arrays) for name in value["columns"]]
    parts = [pd.Series(_decode(part, arrays), index=index) for part in value["of"]]
    frame = pd.DataFrame(dict(enumerate(parts)), index=index)
    frame = frame.astype(dict(enumerate(value["kinds"])))
    frame.columns = pd.Index(columns)
    return frame


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str) -> Any:
    """A frozen dataclass of this package by its name. It must be loaded already: a file cannot make us import."""
    module, _, kind = name.partition(":")
    if not module.startswith(_PACKAGE) or module not in sys.modules:
        return None
    found = getattr(sys.modules[module], kind, None)
    parameters = getattr(found, "__dataclass_params__", None)
    return found if isinstance(found, type) and parameters is not None and parameters.frozen else None
