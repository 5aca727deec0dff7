"""The tests on every Python of this machine: `make test-pythons`, or one of them: `.venv/bin/nox -s tests-3.13`.

Each Python gets an environment in `.nox/` that is kept for the next time: pip's download for one is up to 3 GB, and it
takes 6 GB of disk. Words after `--` go to pytest: `make test-pythons TESTS="tests/gate tests/test_cli.py"`.

- `tests-3.X` is what `pip install -e '.[test]'` brings. On 3.11 and 3.12 that is pyDVL with numpy 1, on later ones
  neither.
- `newest-3.X` is numpy 2 and today's pyarrow without pyDVL, on a Python where pyDVL would be installed.
- `pydvl-3.X` adds pyDVL without its own requirements, as `auditor doctor` says. It runs the tests of influence.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
WITH_PYDVL = ("3.11", "3.12")
"""Where `setup.cfg` asks for pyDVL."""
ADD_PYDVL = (["pyDeprecate"], ["--no-deps", "pydvl>=0.10,<0.11"])
INFLUENCE = ("tests/influence", "tests/detection/test_influence.py")

nox.options.sessions = ["tests", "newest", "pydvl"]
nox.options.reuse_existing_virtualenvs = True
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# pyenv's Pythons first: its shims stand on the path for all of them, and fail for all but the chosen one.
_PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
_HOMES = [str(home) for version in PYTHONS for home in sorted(_PYENV.glob(f"{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([*_HOMES, os.environ["PATH"]])


def _run(session: nox.Session, *chosen: str) -> None:
    """Say what is installed, then run the tests chosen."""
    session.run("python", "-m", "auditor", "doctor")
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    words = ("-m", "pytest", "-n", cores, "--dist", "loadfile", "-rs", *(session.posargs or chosen))
    session.run("python", *words, env={"OMP_NUM_THREADS": "1"})


@nox.session(python=PYTHONS, venv_backend="venv")
def tests(session: nox.Session) -> None:
    """The suite on what pip chooses for this Python."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pip", "check")
    _run(session)


@nox.session(python=WITH_PYDVL[:1], venv_backend="venv")
def newest(session: nox.Session) -> None:
    """The suite with numpy 2 and today's pyarrow, and without pyDVL, which forbids both."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pip", "uninstall", "-q", "-y", "pydvl")
    session.install("--upgrade", "numpy>=2,<3", "pyarrow>=26,<30", "zarr", "numcodecs")
    _run(session)


@nox.session(python=[python for python in PYTHONS if python not in WITH_PYDVL], venv_backend="venv")
def pydvl(session: nox.Session) -> None:
    """The tests of influence with pyDVL beside a numpy that it does not ask for."""
    session.install("-e", ".[test]")
    for words in ADD_PYDVL:
        session.install(*words)
    _run(session, *INFLUENCE)
