"""What a user's network is, beside its weights: a digest of its code, its structure and its answers.

The feature cache counts it. Weights alone do not tell two networks apart: a stride, a constant or an edited helper
changes features and no parameter. Code is counted as files and as what Python made of them, so that a class from a
notebook counts too, and so that an edited file counts only for the code that really runs.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.model.weights import state_hash

_OURS = ("auditor", "torch", "numpy")
"""Packages whose versions are counted elsewhere, or whose code is no user's."""

_INSTALLED = ("site-packages", "dist-packages")

_DEEPEST = 8
"""How deep lists and objects in a network's attributes are followed."""

_PLAIN_MODULE = frozenset(vars(nn.Module()))
"""Attributes that every module has. Torch keeps parameters, buffers and hooks there."""


def fingerprint(network: nn.Module, answers: torch.Tensor) -> str:
    """A digest, in hexadecimal, of everything but a network's weights.

    Parameters
    ----------
    network
        The user's network. Its parameters are not counted, except those that its state dict leaves out.
    answers
        float32 [n, D], what it gives for images that are the same every time. Rounded sums are counted, so that
        another processor's rounding rarely shows.
    """
    digest, walk = hashlib.sha256(), _Walk()
    for name, module in network.named_modules():
        digest.update(f"{name}\0{_kind(module)}\0{walk.attributes(module)}\n".encode())
    classes = sorted({c for m in network.modules() for c in type(m).__mro__}, key=lambda c: (c.__module__, _name(c)))
    for cls in classes:
        if not _ignored(cls.__module__):
            digest.update(f"{walk.code(cls)}\n".encode())
    hidden = {f"{n}.{k}": m._buffers[k] for n, m in network.named_modules() for k in m._non_persistent_buffers_set}
    digest.update("".join(f"{k}{_bytes(v)}" for k, v in sorted(hidden.items()) if v is not None).encode())
    digest.update(sources(c.__module__ for c in classes).encode())
    digest.update(_summed(answers).encode())
    return digest.hexdigest()


def sources(names: Iterable[str]) -> str:
    """A digest, in hexadecimal, of the code behind loaded modules and behind what they import.

    A file of the user's counts with its bytes. A package that pip installed counts with its version.

    Parameters
    ----------
    names
        Names of modules in `sys.modules`. Others are left out.
    """
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if module is None or name in found or not file or _ignored(name):
            continue
        path = Path(file)
        if any(part in _INSTALLED for part in path.parts):
            found[name.partition(".")[0]] = _version(name.partition(".")[0])
            continue
        try:
            data = path.read_bytes()
        except OSError:
            continue
        found[name] = hashlib.sha256(data).hexdigest()
        waiting += [*_imports(data, module), name.rpartition(".")[0]]  # a package's own file is run before its modules
    # Module names of files depend on where they lie. Their bytes do not.
    return hashlib.sha256("\n".join(sorted(found.values())).encode()).hexdigest()


def _ignored(name: str) -> bool:
    top = name.partition(".")[0]
    return top in _OURS or (top in sys.stdlib_module_names and top != "__main__")


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
        return f"{package} {importlib.metadata.version(package)}"
    return f"{package} {getattr(sys.modules.get(package), '__version__', '')}"


def _imports(source: bytes, module: ModuleType) -> Iterator[str]:
    """Names of all modules that a module's source imports anywhere, as `sys.modules` knows them."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        package = getattr(module, "__package__", None) or ""
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = ".".join(part for part in (above if node.level else "", node.module or "") if part)
                yield base
                yield from (f"{base}.{name.name}" for name in node.names)


def _summed(answers: torch.Tensor) -> str:
    """A few sums of the answers with random signs, to three digits."""
    values = answers.double()
    signs = torch.randint(0, 2, (values.shape[1], 8), generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    sums = (values @ signs) / max(float(values.norm()), 1e-300)
    return f"{values.shape[1]} {values.norm():.3g} " + " ".join(f"{v + 0.0:.3f}" for v in sums.flatten().tolist())


def _name(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))


def _kind(thing: object) -> str:
    """A class by name. Its module counts only where it is no file of the user's, whose name says where it lies."""
    return type(thing).__qualname__


class _Walk:
    """Turns attributes and functions into texts that are equal in every process. Nothing is visited twice."""

    def __init__(self) -> None:
        self._seen: dict[int, object] = {}  # the objects too, so that no id is used again

    def attributes(self, thing: object, depth: int = 0) -> str:
        """The plain values among an object's attributes."""
        own = {k: v for k, v in getattr(thing, "__dict__", {}).items() if k not in _PLAIN_MODULE}
        return "{" + ",".join(f"{k}={self.value(v, depth + 1)}" for k, v in sorted(own.items())) + "}"

    def value(self, value: Any, depth: int = 0) -> str:
        """A value as a text. Of an object that says nothing of itself only the class is counted."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return f"{type(value).__name__}:{value!r}"
        if depth > _DEEPEST or id(value) in self._seen:
            return _kind(value)
        if isinstance(value, tuple | frozenset):  # Python may or may not make equal ones the same object
            listed = [self.value(v, depth + 1) for v in value]
            return f"({','.join(listed if isinstance(value, tuple) else sorted(listed))})"
        self._seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            return _bytes(value)
        if isinstance(value, np.ndarray):
            plain = value.dtype.kind in "biufc"
            return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest() if plain else ''}"
        if isinstance(value, nn.Module):
            return _kind(value) + self.attributes(value, depth) + ",".join(map(_bytes, value.state_dict().values()))
        if isinstance(value, list):
            return "[" + ",".join(self.value(v, depth + 1) for v in value) + "]"
        if isinstance(value, set):
            return "[" + ",".join(sorted(self.value(v, depth + 1) for v in value)) + "]"
        if isinstance(value, dict):
            pairs = (f"{self.value(k, depth + 1)}:{self.value(v, depth + 1)}" for k, v in value.items())
            return "[" + ",".join(sorted(pairs)) + "]"
        if isinstance(value, FunctionType | MethodType | type):
            return self.code(value)
        if dataclasses.is_dataclass(value):
            return _kind(value) + self.attributes(value, depth)
        return _kind(value)

    def code(self, thing: Any) -> str:
        """What Python made of a function or class, and of the user's functions that it names."""
        self._seen.setdefault(id(thing), thing)
        if isinstance(thing, MethodType):
            thing = thing.__func__
        if _ignored(getattr(thing, "__module__", "") or ""):
            return f"{thing.__module__}.{_name(thing)}"
        if isinstance(thing, FunctionType):
            cells = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
            given = [thing.__defaults__, thing.__kwdefaults__, *cells]
            named = [self.value(v) for v in _named(thing.__code__, thing.__globals__)]
            return self._compiled(thing.__code__) + ",".join(self.value(v) for v in given) + ",".join(named)
        if not isinstance(thing, type):
            return _name(thing)
        members = {k: getattr(v, "__func__", getattr(v, "fget", v)) for k, v in vars(thing).items()}
        listed = sorted((k, v) for k, v in members.items() if not (k.startswith("__") and k.endswith("__")))
        listed += [(k, members[k]) for k in ("__init__", "__call__") if k in members]
        return f"{_name(thing)}({','.join(f'{k}={self.value(v)}' for k, v in listed)})"

    def _compiled(self, code: CodeType) -> str:
        constants = [self._compiled(c) if isinstance(c, CodeType) else self.value(c) for c in code.co_consts]
        return f"{code.co_name}:{code.co_code.hex()}:{code.co_names}:{code.co_varnames}:{constants}"


def _bytes(value: Any) -> str:
    """A tensor's bytes as a digest; its shape where it has no plain bytes."""
    try:
        return state_hash({"": value.detach()})
    except Exception:  # sparse, quantised and empty ones raise many kinds
        return f"{type(value).__qualname__}{list(getattr(value, 'shape', ()))}"


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty cell raises
    except ValueError:
        return False
    return True


def _named(code: CodeType, scope: dict[str, Any]) -> Iterator[Any]:
    """The globals that code names, and what it takes of modules among them. Modules themselves say nothing."""
    for name in code.co_names:
        value = scope.get(name)
        if isinstance(value, ModuleType):
            if not _ignored(value.__name__):
                yield from (vars(value)[n] for n in code.co_names if n in vars(value))
        elif value is not None:
            yield value
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named(inner, scope)
