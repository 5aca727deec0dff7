"""What the code imports is what `setup.cfg` asks for: no more, no less."""

from __future__ import annotations

import ast
import configparser
import functools
import re
import sys
from collections.abc import Iterator

import pytest
from helpers import PROJECT

from auditor import engines

CALLED = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "sentence_transformers": "sentence-transformers",
}
"""Packages that are imported under another name than they are asked for."""
WORKSHOP = {"auditor": set(), "fixtures": set(), "tests": {"test", "fuzz"}, "benchmarks": {"bench"}, "docs": {"docs"}}
"""Each folder's extras for those who work on it, beside the users' extras and what every installation has."""
WRITTEN = {"mynet"}
"""Modules that a test writes before it imports them."""
HOST = {"auditor/pytest_plugin.py": {"pytest"}}
"""A plugin is loaded by its host alone, so that it asks for nothing."""
OPTIONAL_AT_THE_TOP = {"auditor/influence/pydvl/library.py", "auditor/serving/app.py"}
"""Modules that import at their top what is not everywhere. They are imported where pyDVL or a server was asked for."""


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


SETUP = _setup()


def _named(lines: str) -> set[str]:
    """The packages that a list of requirements names, as PyPI compares names."""
    found = (re.match(r"[\w.-]+", line.strip()) for line in lines.strip().splitlines())
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in found if name}


ALWAYS = _named(SETUP["options"]["install_requires"])
EXTRA = {name: _named(lines) for name, lines in SETUP["options.extras_require"].items()}
USERS = {name for extra in EXTRA.keys() - set().union(*WORKSHOP.values()) for name in EXTRA[extra]}
CONDITIONAL = _named("\n".join(line for line in SETUP["options"]["install_requires"].splitlines() if ";" in line))
"""What is asked for on some Pythons alone."""


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Top-level names of the packages a module imports, and whether that happens when the module is imported."""
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        dotted: list[str] = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            dotted = [node.module]
        elif isinstance(node, ast.Call) and _last_name(node.func).endswith(("import_module", "_library")):
            first = node.args[0]
            dotted = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        yield from ((name.split(".")[0], node not in inside) for name in dotted)


def _last_name(function: ast.expr) -> str:
    """`c` of a call of `a.b.c`."""
    return str(getattr(function, "attr", getattr(function, "id", "")))


@functools.cache
def _asked(folder: str) -> dict[tuple[str, str], bool]:
    """(file, requirement) of every import in a folder from outside it and the standard library: True at the top."""
    at_home = {"auditor"} | WRITTEN
    if folder != "auditor":  # scripts import their neighbours, and tests import the benchmarks' too
        at_home |= {path.stem for home in (folder, "benchmarks") for path in (PROJECT / home).rglob("*.py")}
    found: dict[tuple[str, str], bool] = {}
    for path in sorted((PROJECT / folder).rglob("*.py")):
        file = str(path.relative_to(PROJECT))
        for name, at_top in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            if name in sys.stdlib_module_names or name in at_home or name in HOST.get(file, ()):
                continue
            key = file, CALLED.get(name, name.replace("_", "-")).lower()
            found[key] = found.get(key, False) or at_top
    return found


@pytest.mark.parametrize("folder", WORKSHOP)
def test_what_is_imported_is_declared(folder: str) -> None:
    declared = ALWAYS.union(USERS, *(EXTRA[name] for name in WORKSHOP[folder]))
    undeclared = sorted(f"{file}: {name}" for file, name in _asked(folder) if name not in declared)
    assert not undeclared, f"add them to setup.cfg: {undeclared}"


def test_what_is_declared_is_imported() -> None:
    imported = {name for _, name in _asked("auditor")}
    assert not ALWAYS - imported, "nothing imports them"
    assert not USERS - imported, "no code serves these extras"


def test_the_package_can_be_imported_without_what_is_not_everywhere() -> None:
    at_top = sorted(
        f"{file}: {name}"
        for (file, name), top in _asked("auditor").items()
        if top and name not in ALWAYS - CONDITIONAL and file not in OPTIONAL_AT_THE_TOP
    )
    assert not at_top, f"import them where they are used: {at_top}"


def test_every_python_that_is_allowed_is_named() -> None:
    low, high = (int(n) for n in re.findall(r"3\.(\d+)", SETUP["options"]["python_requires"]))
    named = [int(n) for n in re.findall(r"Python :: 3\.(\d+)", SETUP["metadata"]["classifiers"])]
    assert named == list(range(low, high))


def test_nox_runs_every_python_and_adds_pydvl_as_the_messages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse((PROJECT / "noxfile.py").read_text(encoding="utf-8"))
    given = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and re.fullmatch("[A-Z][A-Z_]+", ast.unparse(node.targets[0]))
    }
    named = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    assert list(given["PYTHONS"]) == named
    (below,) = re.findall(r'pydvl.*python_version < "(3\.\d+)"', SETUP["options"]["install_requires"])
    assert list(given["WITH_PYDVL"]) == named[: named.index(below)]
    monkeypatch.setattr("auditor.engines.importlib.metadata.version", lambda name: "2.5.5")
    for words in given["ADD_PYDVL"]:
        assert all(word in engines.adding_pydvl() for word in words)


def test_the_packages_that_the_project_is_built_on_are_always_there() -> None:
    """Among them matplotlib draws every plot. A library does what libraries do, even where our own code is quicker."""
    mission = {"torch", "torchvision", "pydvl", "numpy", "pandas", "scikit-learn", "matplotlib", "jinja2", "click"}
    assert mission <= ALWAYS
