"""The promises of SECURITY.md: nothing is unpickled or executed, and no network is touched without being asked for."""

from __future__ import annotations

import ast
import configparser
import os
import pickle
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import FIXTURES, PROJECT, small_audit, use_hasty_detection, use_sketched_figures

LISTENS = PROJECT / "auditor" / "serving" / "server.py"
"""The one module that opens a socket, at this machine's own address."""
REACHES = PROJECT / "auditor" / "sources" / "remote" / "web.py"
"""The one module that asks the web, where a person named an address there."""

MODULES = sorted((PROJECT / "auditor").rglob("*.py"))
FORBIDDEN_IMPORTS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "subprocess",
    "runpy",
    "pty",
}
FORBIDDEN_CALLS = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen|exec\w+|spawn\w+|posix_spawnp?|startfile)"
    r"|pandas\.read_pickle|yaml\.(?!safe_)\w*load\w*|torch\.(hub|jit|package)\.load|asyncio\.create_subprocess\w+"
)
NETWORK_IMPORTS = {"socket", "ssl", "requests", "http", "urllib", "ftplib", "smtplib", "aiohttp", "httpx"}


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call by its full name: `np.load`, and `load` after `from numpy import load`, are `numpy.load`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield names.get(first, first) + dot + rest, node


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _keyword(call: ast.Call, name: str) -> object:
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_module_unpickles_or_executes(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in _imports(tree):
        assert name.split(".")[0] not in FORBIDDEN_IMPORTS, f"imports {name}"
        listens = (name == "socket" and path == LISTENS) or (name == "aiohttp" and path == REACHES)
        assert name.split(".")[0] not in NETWORK_IMPORTS or name == "urllib.parse" or listens, f"imports {name}"
    for name, call in _calls(tree):
        assert not FORBIDDEN_CALLS.fullmatch(name), f"line {call.lineno}: {name}"
        if name == "torch.load":
            assert _keyword(call, "weights_only") is True, f"line {call.lineno}: torch.load without weights_only"
        if name == "numpy.load":
            assert _keyword(call, "allow_pickle") is False, f"line {call.lineno}: np.load that may unpickle"
        if name.startswith("tempfile.mktemp"):
            pytest.fail(f"line {call.lineno}: a temporary name that another can take")
        assert _keyword(call, "shell") is not True, f"line {call.lineno}: a shell"


def test_the_test_sees_what_it_forbids() -> None:
    tree = ast.parse("import pickle\nfrom urllib import request\ntorch.load(f)\nnp.load(f, allow_pickle=True)")
    assert set(_imports(tree)) == {"pickle", "urllib"}
    assert [_keyword(call, "weights_only") for _, call in _calls(tree)] == [None, None]
    other = ast.parse(
        "import numpy as np, os, pandas\nfrom os import system as run\nfrom torch import load\n"
        "np.load(f)\nload(f)\nrun(f)\nos.execv(f, [])\nos.posix_spawn(f, [], {})\npandas.read_pickle(f)\nre.compile(f)"
    )
    names = [name for name, _ in _calls(other)]
    assert names[:3] == ["numpy.load", "torch.load", "os.system"] and names[-1] == "re.compile"
    assert [bool(FORBIDDEN_CALLS.fullmatch(name)) for name in names] == [False] * 2 + [True] * 4 + [False]


class _Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_the_attack_works_where_pickles_are_trusted(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Malicious(tmp_path / "executed")))  # noqa: S301
    assert (tmp_path / "executed").exists()


def test_malicious_weights_execute_nothing(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    torch.save({"conv1.weight": _Malicious(tmp_path / "executed")}, tmp_path / "w.pth")
    command = small_audit(FIXTURES / "digits", tmp_path / "out", "--weights", str(tmp_path / "w.pth"))
    done = run_cli(*command)
    assert done.exit_code == 2 and "w.pth cannot be loaded as weights" in done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("tiny")
def test_malicious_cache_files_execute_nothing(
    tmp_path: Path, run_cli: Callable[..., Any], random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a filled cache is replaced. The same audit, run again, gives equal bytes and executes nothing."""
    from auditor.system.checkpoint import Checkpoints

    cache = tmp_path / "cache"
    more = ["--weights", str(random_weights), "--cache", str(cache), "--image-size", "32"]
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "clear", lambda self: None)  # as after a kill
        first = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "one", *more))
    assert first.exit_code == 0, first.stderr
    shards = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.relative_to(cache).parts[0] for path in shards} == {"features", "checkpoints", "remembered"}
    for path in shards:
        path.write_bytes(pickle.dumps(_Malicious(tmp_path / "executed")))
    second = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "two", *more))
    assert second.exit_code == 0 and not (tmp_path / "executed").exists()
    for name in ("ranking.csv", "planted.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@dataclass(frozen=True)
class _Watched:
    """What happened while a copy of the digits was audited and its report was made."""

    before: list[Any]
    after: list[Any]
    opened: list[object]


def _state(folder: Path) -> list[tuple[str, int, int, int, bytes]]:
    found = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_mode, status.st_mtime_ns, status.st_ino, content))
    return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Any]) -> _Watched:
    data, out = tmp_path_factory.mktemp("watched") / "data", tmp_path_factory.mktemp("out")
    shutil.copytree(FIXTURES / "digits", data)
    opened: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        opened.append(arguments)
        raise AssertionError("the network was touched")

    class Refused(socket.socket):
        def __init__(self, *arguments: Any, **_: Any) -> None:
            refuse(*arguments)

    before = _state(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", Refused)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket, "create_connection", refuse)
        use_hasty_detection(patch)
        use_sketched_figures(patch)
        done = run_cli(*small_audit(data, out))
        assert done.exit_code == 0, done.stderr
        assert run_cli("report", out).exit_code == 0
        assert run_cli(*small_audit(data, out, "--weights", "imagenet")).exit_code == 2
    return _Watched(before, _state(data), opened)


def test_an_audit_opens_no_socket(watched: _Watched) -> None:
    assert watched.opened == []


def test_files_of_the_users_are_never_changed(watched: _Watched) -> None:
    """An audit leaves contents, names, times and modes of its data set as they were."""
    assert watched.after == watched.before


def test_temporary_files_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.system import files

    modes = []
    real = os.fsync

    def look(handle: int) -> None:
        modes.append(os.fstat(handle).st_mode & 0o777)
        real(handle)

    monkeypatch.setattr(os, "fsync", look)
    files.write_text(tmp_path / "a", "x")
    assert modes == [0o600]


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", encoding="utf-8")
    groups = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    wanted = [line.partition(";")[0] for group in groups for line in group.splitlines() if line.strip()]
    assert len(wanted) > 12
    for line in wanted:
        assert ">=" in line and "<" in line.replace("<=", "<"), line
