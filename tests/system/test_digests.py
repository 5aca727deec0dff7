"""Digests: every module of the program counts, and so do the type, the shape and the bytes of an array."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.system import digests


def test_what_differs_has_another_digest() -> None:
    one = np.arange(6.0)
    parts = [
        [one],
        [one.astype(np.float32)],
        [one.reshape(2, 3)],
        [one, one],
        [one[:5], one[5:]],
        [one.tolist()],
        [None],
    ]
    assert len({digests.digest(part) for part in parts}) == len(parts)
    assert digests.digest([np.asfortranarray(one.reshape(2, 3))]) == digests.digest([one.reshape(2, 3)])


def test_a_change_of_any_module_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deeper").mkdir()
    for name in ("one.py", "deeper/two.py"):
        (tmp_path / name).write_text("a = 1", encoding="utf-8")
    assert Path(auditor.__file__).parent == digests.PACKAGE
    monkeypatch.setattr(digests, "PACKAGE", tmp_path)
    found = [digests.code.__wrapped__()]
    for name, text in (("one.py", "a = 2"), ("deeper/two.py", "a = 3"), ("deeper/three.py", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        found.append(digests.code.__wrapped__())
    (tmp_path / "deeper" / "two.py").rename(tmp_path / "two.py")
    assert len({*found, digests.code.__wrapped__()}) == 5


def test_every_module_of_the_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = sorted(path.relative_to(digests.PACKAGE) for path in digests.PACKAGE.rglob("*.py"))
    assert {"errors.py", "gate", "influence", "pipeline", "system"} < {path.parts[0] for path in modules}
    copy = tmp_path / "auditor"
    shutil.copytree(digests.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "templates"))
    monkeypatch.setattr(digests, "PACKAGE", copy)
    real, read = Path.read_bytes, list[Path]()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or real(path))
    found = [digests.code.__wrapped__()]
    assert sorted(read) == [copy / module for module in modules]
    assert found[0] == digests.code(), "the copy is the same version"
    for module in modules[:: len(modules) // 20]:
        with (copy / module).open("a", encoding="utf-8") as file:
            file.write("# another version\n")
        found.append(digests.code.__wrapped__())
    assert len(set(found)) == len(found) > 20
