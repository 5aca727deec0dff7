"""Apple's GPU, simulated: tensors that say they lie on `mps` and refuse what Metal refuses. The processor computes.

Such a tensor refuses double precision, `numpy()`, the factorisations that Metal has not, company that lies elsewhere,
and BatchNorm in the memory order "channels last", where torch's gave wrong gradients (pytorch#175189).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

MPS = torch.device("mps")
_DOUBLE = (torch.float64, torch.complex128)
_ABSENT = {"eigh", "linalg_eigh", "linalg_qr", "linalg_cholesky", "cholesky_solve", "linalg_svd", "svd"}


class OnMps(torch.Tensor):
    """A tensor that says that it lies on `mps`."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _called(func, args, kwargs or {})


class Mps(TorchFunctionMode):
    """Inside, tensors can be moved to `mps`. `asked` counts the calls that computed there.

    Functions of the name `wrong` mix up the images.
    """

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.asked, self.wrong = 0, wrong

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        here = any(isinstance(value, OnMps) for value in _pytree.tree_leaves((args, kwargs)))
        self.asked += here
        if func is torch.device or not (here or _is_mps(_device(args, kwargs))):
            return func(*args, **kwargs)
        out = _called(func, args, kwargs)
        return out.roll(1, 0) if here and getattr(func, "__name__", "") == self.wrong else out


def use_mps(patch: pytest.MonkeyPatch, wrong: str = "") -> Mps:
    """This machine has an `mps` device inside `with`."""
    patch.setattr(torch.backends.mps, "is_available", lambda: True)
    patch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
    return Mps(wrong)


def _is_mps(device: Any) -> bool:
    return device in ("mps", MPS) if isinstance(device, str | torch.device) else False


def _device(args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    """The device that a call names."""
    named = [value for value in args if isinstance(value, torch.device)]
    named += [value for value in args if isinstance(value, str) and value in ("cpu", "mps")]
    return kwargs.get("device", named[0] if named else None)


def _called(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    name = getattr(func, "__name__", str(func))
    if name == "__get__" and getattr(func, "__self__", None) is torch.Tensor.device:
        return MPS
    if name == "_parse_to":
        return func(*args, **kwargs)
    with torch._C.DisableTorchFunctionSubclass():
        return _answered(func, name, args, kwargs)


def _answered(func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in _pytree.tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
    ours = [value for value in tensors if isinstance(value, OnMps)]
    device = _device(args, kwargs)
    moves = name in ("to", "cpu", "copy_", "as_tensor", "tensor", "_has_compatible_shallow_copy_type")
    if ours and not moves and any(t.dim() and not isinstance(t, OnMps) and t.numel() for t in tensors):
        raise RuntimeError(f"Expected all tensors to be on the same device ({name})")
    if name == "numpy":
        raise TypeError("can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() first")
    if name in _ABSENT:
        raise NotImplementedError(f"The operator '{name}' is not implemented for the MPS device")
    if name == "batch_norm" and not args[0].is_contiguous():
        raise RuntimeError("view size is not compatible with input tensor's size and stride")
    plain = _pytree.tree_map(_plain, (tuple(args), kwargs))
    out = func(*plain[0], **plain[1])
    if name == "cpu" or (device is not None and not _is_mps(device)) or (name == "copy_" and not _is_on(args[0])):
        return _pytree.tree_map(lambda v: v.as_subclass(torch.Tensor) if isinstance(v, OnMps) else v, out)
    return _pytree.tree_map(lambda value: _moved(value, args), out)


def _is_on(value: Any) -> bool:
    return isinstance(value, OnMps)


def _plain(value: Any) -> Any:
    return "cpu" if _is_mps(value) else value


def _moved(value: Any, args: Any) -> Any:
    """A result, on `mps` unless it is no tensor; the very same one where a call works in place."""
    if not isinstance(value, torch.Tensor) or _is_on(value):
        return value
    if value.dtype in _DOUBLE:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
    return value.as_subclass(OnMps)
