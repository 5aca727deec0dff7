"""The house keeps its plan: rooms by role, imports that run downward, nothing too long to read whole."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers import LONGEST_FIRST, PROJECT

PACKAGE = PROJECT / "auditor"
FLOORS = (
    ("__main__",),
    ("cli", "pytest_plugin"),
    ("serving",),
    ("__init__",),
    ("session",),
    ("pipeline", "gate", "report"),
    ("experiment", "review"),
    ("certificate", "oddities"),
    ("detection",),
    ("data",),
    ("influence", "model"),
    ("sources",),
    ("result",),
    ("config",),
    ("engines", "compute"),
    ("system",),
    ("errors", "_version"),
)
"""From the top down. A room imports from its own floor's lower rooms and from those below, as `MAY` says."""
BESIDE = {("gate", "review"), ("gate", "report"), ("influence", "model")}
"""Arrows between rooms of neighbouring roles that are meant."""
MOST_AT_THE_TOP = 8
LONGEST_MODULE, LONGEST_FUNCTION, MOST_PARAMETERS = 350, 60, 7


@functools.cache
def _modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name below `auditor`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def _imported(tree: ast.AST, *, typing: bool = True) -> Iterator[str]:
    """Dotted names that a module imports, in functions too; `typing=False` leaves out `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        else:
            yield from _imported(node, typing=typing)


def _room(name: str) -> str:
    return name.split(".")[0] or "__init__"


def _own(name: str) -> str:
    """The module below `auditor` that an imported name lies in; empty for other packages."""
    if name != "auditor" and not name.startswith("auditor."):
        return ""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in _modules():
        parts.pop()
    return ".".join(parts)


def _arrows() -> set[tuple[str, str]]:
    arrows = set()
    for name, tree in _modules().items():
        arrows |= {(name, own) for text in _imported(tree) if (own := _own(text)) and own != name}
    return arrows


def _floor(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_a_floor_and_the_top_is_small() -> None:
    assert {_room(name) for name in _modules()} == {room for floor in FLOORS for room in floor}
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_TOP


def test_imports_between_rooms_run_downward() -> None:
    rising = sorted(
        f"{one} -> {other}"
        for one, other in _arrows()
        if _room(one) != _room(other)
        and _floor(_room(one)) >= _floor(_room(other))
        and (_room(one), _room(other)) not in BESIDE
    )
    assert not rising


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = _arrows()
    below = {name: {other for one, other in arrows if one == name} for name in _modules()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name in done:
            return
        for other in sorted(below[name]):
            visit(other, (*way, name))
        done.add(name)

    for name in _modules():
        visit(name, ())


def test_pydvl_is_touched_in_one_room() -> None:
    outside = {
        name
        for name, tree in _modules().items()
        for text in _imported(tree)
        if text.split(".")[0] in ("pydvl", "zarr", "dask", "distributed") and not name.startswith("influence.pydvl")
    }
    assert outside <= {"data.features_on_dask"}, "Dask serves the feature pass too; pyDVL and zarr stay in their room"


READERS = ("certificate", "gate", "report", "review", "system", "result", "config", "engines", "session")


def test_readers_of_a_result_load_neither_torch_nor_pydvl() -> None:
    """One process for all rooms: what none has loaded after the last, none has loaded."""
    lines = ["import sys"]
    for room in READERS:
        names = [f"auditor.{name}" for name in _modules() if name == room or name.startswith(f"{room}.")]
        assert names, f"there is no room {room}"
        lines += [
            f"import {', '.join(names)}",
            "heavy = {'torch', 'torchvision', 'pydvl', 'sklearn'} & set(sys.modules)",
        ]
        lines += [f"assert not heavy, ({room!r}, heavy)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_modules_and_functions_can_be_read_whole() -> None:
    long = [
        str(path.relative_to(PROJECT))
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_MODULE
    ]
    for name, tree in _modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                wide = _parameters(node) > MOST_PARAMETERS and not _is_door(name, node)
                if lines > LONGEST_FUNCTION or wide:
                    long.append(f"{name}.{node.name}: {lines} lines, {_parameters(node)} parameters")
    assert not long


def _parameters(function: ast.FunctionDef) -> int:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    return len(given) + len(arguments.kwonlyargs) - (bool(given) and given[0].arg in ("self", "cls"))


def _is_door(module: str, function: ast.FunctionDef) -> bool:
    """A click command has a parameter for each of its options, and `auditor.audit` those that the design fixes."""
    return (module, function.name) == ("__init__", "audit") or any(
        ".command(" in ast.unparse(decorator) for decorator in function.decorator_list
    )


def test_the_formatter_has_the_last_word() -> None:
    files = [p for folder in ("auditor", "tests", "benchmarks", "fixtures") for p in (PROJECT / folder).rglob("*.py")]
    marks = ("# fmt:" + " skip", "# fmt:" + " off")
    assert not [str(p) for p in files if any(mark in Path(p).read_text(encoding="utf-8") for mark in marks)]


def test_the_files_that_begin_first_are_there() -> None:
    tests = PACKAGE.parent / "tests"
    assert [name for name in LONGEST_FIRST if not (tests / name).is_file()] == []
