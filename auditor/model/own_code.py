"""A user's own network, named on the command line: a function without arguments that returns a `torch.nn.Module`.

`FILE.py:FUNCTION` runs a file, `package.module:FUNCTION` imports a module. Either runs the user's code.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from auditor.errors import AuditorError, ConfigError
from auditor.model import vision
from auditor.model.fingerprint import sources
from auditor.model.foreign import untouched, words
from auditor.model.own_kind import OwnKind
from auditor.system.text import plain

_MARK = "__auditor_backbone__"
"""An attribute of modules that a backbone's file imported from its own folder. The next backbone loads them anew."""


def own_kind(spec: str) -> OwnKind:
    """The backbone that `FILE.py:FUNCTION` or `package.module:FUNCTION` names. This runs the user's code.

    A file's own folder is on Python's path while it is run, as it is for `python FILE.py`.

    Raises
    ------
    ConfigError
        The file or module cannot be loaded, has no such function, the function fails, or gives no network.
    """
    where, _, function = spec.rpartition(":")
    file = Path(where).expanduser() if where.endswith(".py") else None
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no file {where} for --backbone {spec}", hint="check the path")
    vision.models()  # a user's file may import torchvision, which opens by this door alone
    with untouched(), _first_on_path(file):
        module = _imported(where, spec) if file is None else _run(file)
        kind = OwnKind(spec, _made(module, function, where, spec))
        kind.count(sources([module.__name__]))
    return kind


def _made(module: ModuleType, function: str, where: str, spec: str) -> object:
    """What the function returns, or a module that stands in its place.

    Raises
    ------
    ConfigError
        There is no such function, it needs arguments, or it fails.
    """
    make = getattr(module, function, None)
    if isinstance(make, nn.Module):
        return make
    if not callable(make):
        own = {n: v for n, v in vars(module).items() if callable(v) and not n.startswith("_")}
        known = sorted(n for n, v in own.items() if getattr(v, "__module__", "") == module.__name__)[:8]
        raise ConfigError(
            f"{where} has no function '{plain(function)}'",
            hint=f"it has {', '.join(known)}" if known else "name a function",
        )
    needed = _needed(make)
    if needed:
        raise ConfigError(
            f"the backbone {spec} needs the argument{'s' * (len(needed) > 1)} {', '.join(needed)}",
            hint="give them default values, or write a function without arguments that calls it",
        )
    try:
        return make()
    except AuditorError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the backbone {spec} fails when it is called: {words(error, _file(module))}",
            hint="call the function with Python alone first; it must return a torch.nn.Module",
        ) from error


def _needed(make: object) -> list[str]:
    """Names of the arguments that a function cannot be called without."""
    try:
        parameters = inspect.signature(make).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


def _run(path: Path) -> ModuleType:
    """The module that a file makes when it is run."""
    name = f"auditor_backbone_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python", hint="give a .py file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look a module up by its name
    with _told(str(path), path):
        found.loader.exec_module(module)
    return module


def _imported(name: str, spec: str) -> ModuleType:
    with _told(f"{name} of --backbone {spec}", None):
        return importlib.import_module(name)


@contextlib.contextmanager
def _told(what: str, file: Path | None) -> Iterator[None]:
    """Turn whatever loading raises into one sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{what} cannot be loaded: {words(error, file)}",
            hint="install that package, add its folder to PYTHONPATH, or name a file: FILE.py:FUNCTION",
        ) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{what} cannot be loaded: {words(error, file)}", hint="run it with Python alone first"
        ) from error


@contextlib.contextmanager
def _first_on_path(file: Path | None) -> Iterator[None]:
    """Put a file's folder first on Python's path, and load what lies in it anew.

    A helper that was loaded for an earlier backbone may have been edited since.
    """
    if file is None:
        yield
        return
    folder = str(file.resolve().parent)
    for name in [name for name, module in sys.modules.items() if getattr(module, _MARK, False)]:
        del sys.modules[name]
    before = set(sys.modules)
    importlib.invalidate_caches()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            lies_at = Path(getattr(sys.modules[name], "__file__", None) or "")
            own = lies_at.parent.is_relative_to(folder) and "site-packages" not in lies_at.parts
            if own and name.partition(".")[0] != "auditor":  # our own folder may lie there too
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(sys.modules[name], _MARK, True)


def _file(module: ModuleType) -> Path | None:
    return Path(module.__file__) if getattr(module, "__file__", None) else None  # type: ignore[arg-type]
