"""What a notebook or a user sets for other libraries does not decide whether, or how, an audit ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.system.environment import plain_environment

FIGURE = (
    "from auditor.report import plots\n"
    "print(plots._figure(lambda ax: ax.plot([0, 1]), 'a line', 'line'))\n"
    "import os; print(os.environ.get('MPLBACKEND'))"
)


def _figure(folder: Path, **variables: str) -> list[str]:
    env = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", FIGURE], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The figure where nothing is set."""
    return _figure(tmp_path_factory.mktemp("plain"))[:-1]


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg", "misspelt"])
def test_no_backend_is_needed_and_a_file_of_settings_changes_nothing(
    backend: str, plain: list[str], tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nbackend: misspelt\n", encoding="utf-8")
    *figure, left = _figure(tmp_path, MPLBACKEND=backend, MATPLOTLIBRC="/nowhere")
    assert figure == plain and left == backend, "and the user's variable is as it was"


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none" / "such")
    assert _figure(tmp_path, MPLCONFIGDIR="/proc/none", HOME=nowhere, TMPDIR=nowhere)[0].startswith("<svg")


def test_the_environment_is_as_it_was_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), plain_environment():
        assert "MPLBACKEND" not in os.environ
        raise ZeroDivisionError
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "variables",
    [
        {"MPLBACKEND": "misspelt", "PYTHONWARNINGS": "error"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "COLUMNS": "none", "TZ": "nonsense"},
        {"PYTHONOPTIMIZE": "2", "TERM": "dumb", "NO_COLOR": "1", "OMP_NUM_THREADS": "none"},
        {"TQDM_MININTERVAL": "x", "TQDM_NCOLS": "x", "TORCH_LOGS": "+nonsense", "HOME": "", "TMPDIR": "/proc/none"},
    ],
    ids=["notebook", "locale", "python", "libraries"],
)
def test_python_m_auditor_is_the_command_under_any_of_them(variables: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "auditor"]
    env = {**os.environ, **variables}
    said = subprocess.run([*command, "--version"], env=env, capture_output=True, text=True, check=False)
    assert said.returncode == 0 and said.stdout.startswith("auditor, version ") and not said.stderr
    gone = subprocess.run([*command, "gate", str(tmp_path)], env=env, capture_output=True, text=True, check=False)
    assert gone.returncode == 2 and "holds no finished audit" in gone.stderr and "Traceback" not in gone.stderr


def _audit(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """An audit of nothing, as far as the libraries are imported."""
    command = [sys.executable, "-m", "auditor", "audit", str(folder / "none"), "-o", str(folder / "out")]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_bars_of_another_library_do_not_keep_torch_from_being_imported(tmp_path: Path) -> None:
    words = {"TQDM_MININTERVAL": "often", "TQDM_NCOLS": "wide", "TQDM_POSITION": "left"}
    done = _audit(tmp_path, **words, GOMP_CPU_AFFINITY="none", OMP_PROC_BIND="maybe")  # two that libgomp hangs on
    assert done.returncode == 2 and "there is no folder or file" in done.stderr


@pytest.mark.parametrize(
    ("name", "library"), [("TORCH_DISTRIBUTED_DEBUG", "torch"), ("SKLEARN_WORKING_MEMORY", "sklearn")]
)
def test_a_value_that_a_library_refuses_is_named_with_its_variable(name: str, library: str, tmp_path: Path) -> None:
    done = _audit(tmp_path, **{name: "nonsense"})
    assert done.returncode == 2 and "Traceback" not in done.stderr and "unexpected" not in done.stderr
    assert f"the library {library} cannot be imported: ValueError" in done.stderr
    assert f"unset {name}, or correct the value" in done.stderr
