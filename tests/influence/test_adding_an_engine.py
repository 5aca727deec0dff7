"""An engine of another package or program is one file and one registration; the names are there without torch."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import FIXTURES, needs_pydvl, use_hasty_detection, use_sketched_figures, use_tiny_network

import auditor
from auditor import engines
from auditor.cli import main
from auditor.config import AuditSettings, settings_from
from auditor.engines import EngineKind, EngineOptions, EngineSize, Memory, register_engine, remove_engine
from auditor.errors import ConfigError, EngineError
from auditor.influence import HeadProblem, NetworkProblem, Solve, SummingEngine, engine, require_engine


class Plain(SummingEngine):
    """Gradient similarity: as if the Hessian were zero, so that the inverse is `1 / damping`."""

    def __init__(self, problem: HeadProblem, damping: float) -> None:
        super().__init__("plain", damping)
        self.problem, self.n_classes = problem, problem.n_classes

    def with_damping(self, damping: float) -> Plain:
        return Plain(self.problem, damping)

    def self_influence(self) -> np.ndarray:
        return (self._gradients(self.problem.features, self.problem.labels) ** 2).sum(1) / self.damping

    def _sums(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self._log.append(Solve(len(weights), None, 0.0, True, self.damping))
        train = self._gradients(self.problem.features, self.problem.labels)
        return weights @ self._gradients(x, y) @ train.T / self.damping

    def _gradients(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        logits = x @ self.problem.weight.T + self.problem.bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        residuals = p / p.sum(1, keepdims=True) - np.eye(self.n_classes)[y]
        return (residuals[:, :, None] * np.pad(x, ((0, 0), (0, 1)), constant_values=1.0)[:, None]).reshape(len(x), -1)


def open_plain(problem: HeadProblem, damping: float, options: EngineOptions) -> Plain:
    return Plain(problem, damping)


def needs_much(size: EngineSize) -> Memory:
    return Memory(1e18, f"a hoard of {size.n_parameters} parameters")


PLAIN = EngineKind("plain", "gradient similarity", open_plain, serves=("head",), hint="choose --engine cg")
"""What an entry point of the group `auditor.engines` would name."""


@pytest.fixture
def registered() -> Iterator[Callable[[EngineKind], EngineKind]]:
    """Registers engines and takes them away again."""
    added = []

    def register(kind: EngineKind) -> EngineKind:
        register_engine(kind)
        added.append(kind.name)
        return kind

    yield register
    for name in added:
        remove_engine(name)


def head() -> tuple[HeadProblem, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    return HeadProblem(x, y, rng.normal(size=(3, 4)), rng.normal(size=3)), rng.normal(size=(5, 4)), np.arange(5) % 3


def network() -> NetworkProblem:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)).eval()
    return NetworkProblem(model, torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]))


def test_an_engine_from_outside_answers_by_its_name(registered) -> None:
    registered(PLAIN)
    problem, x, y = head()
    found, damping = engine(problem, "plain", 1e9), 1e9
    exact = engine(problem, "auto", damping)  # with so much damping the Hessian is nothing beside it
    np.testing.assert_allclose(found.average(x, y), exact.average(x, y), rtol=1e-6)
    np.testing.assert_allclose(found.rows(x, y), exact.rows(x, y), rtol=1e-6)
    np.testing.assert_allclose(found.average_by_class(x, y, 3), exact.average_by_class(x, y, 3), rtol=1e-6)
    np.testing.assert_allclose(found.self_influence(), exact.self_influence(), rtol=1e-6)
    np.testing.assert_allclose(found.average_many(x, y, [1e9, 2e9])[1], found.average(x, y) / 2)
    assert len(found.solves) == 6 and all(solve.converged for solve in found.solves)


def test_it_is_offered_checked_and_gone_again() -> None:
    register_engine(PLAIN)
    assert engines.names()[-1] == "plain" and engines.names()[0] == "auto"
    assert settings_from({"engine": "plain"})[0] == AuditSettings(engine="plain")
    assert "|plain]" in CliRunner().invoke(main, ["audit", "--help"]).output
    with pytest.raises(ConfigError, match="engine plain does not serve train 'full'") as caught:
        settings_from({"engine": "plain", "train": "full"})
    assert caught.value.hint == "choose --engine cg"
    with pytest.raises(EngineError, match="serves linear layers only"):
        engine(network(), "plain", 0.1)
    with pytest.raises(ConfigError, match="engine 'plain' is there already"):
        register_engine(PLAIN)
    remove_engine("plain")
    remove_engine("plain")
    assert "plain" not in engines.names()
    with pytest.raises(ConfigError, match=r"engine is 'plain', but must be one of auto, cg, .*ihm"):
        settings_from({"engine": "plain"})
    assert "|plain]" not in CliRunner().invoke(main, ["audit", "--help"]).output


def test_a_whole_audit_takes_it(registered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registered(PLAIN)
    use_tiny_network(monkeypatch)
    use_hasty_detection(monkeypatch)
    use_sketched_figures(monkeypatch)
    small = {"weights": "none", "repeats": 1, "epochs": 4, "examples": 1, "cache": str(tmp_path)}
    result = auditor.audit(FIXTURES / "digits", engine="plain", **small)
    assert result.summary["influence"]["engine"] == "plain" and "--engine plain" in result.summary["command"]
    found = result.ranking["average_influence"].dropna()
    assert len(found) > 50 and found.nunique() > 20


def test_an_engine_says_what_it_needs_before_it_is_opened(registered) -> None:
    registered(EngineKind("greedy", "takes much", open_plain, needs_much))
    with pytest.raises(EngineError, match="a hoard of 7 parameters needs") as caught:
        require_engine("greedy", EngineSize(7, 7), "cpu")
    assert caught.value.hint == "choose --engine auto"
    registered(EngineKind("modest", "takes nothing", open_plain))
    require_engine("modest", EngineSize(10**9, 10**9), "cpu")


def test_what_is_no_engine_is_named(registered) -> None:
    problem, _, _ = head()
    registered(EngineKind("nothing", "opens a string", lambda *_: "engine"))
    with pytest.raises(EngineError, match="nothing opens a str"):
        engine(problem, "nothing", 0.1)
    registered(EngineKind("absent", "is not there", "no.such.module:open_engine"))
    with pytest.raises(EngineError, match="'absent' cannot be imported"):
        engine(problem, "absent", 0.1)
    registered(EngineKind("deep", "for networks", open_plain, serves=("layers", "full")))
    with pytest.raises(EngineError, match="not a linear head"):
        engine(problem, "deep", 0.1)


def test_another_package_adds_one_by_an_entry_point(declared: Callable[..., None]) -> None:
    declared(
        engines.GROUP,
        plain=f"{__name__}:PLAIN",
        broken="no.such.module:KIND",
        other=f"{__name__}:PLAIN.name",
        cg=f"{__name__}:PLAIN",
    )
    assert engines.names()[-3:] == ("broken", "other", "plain") and engines.names().count("cg") == 1
    assert engines.kind("plain") is PLAIN and engines.kind("cg").exact, "ours keep their names"
    assert settings_from({"engine": "plain"})[0].engine == "plain"
    problem, x, y = head()
    assert engine(problem, "plain", 0.1).average(x, y).shape == (30,)
    with pytest.raises(ConfigError, match="'broken' cannot be loaded"):
        settings_from({"engine": "broken"})
    with pytest.raises(ConfigError, match="declared by a str, which is no EngineKind"):
        settings_from({"engine": "other"})


def test_kept_work_depends_on_the_code_of_engines_from_outside(registered) -> None:
    assert engines.code("auto") == engines.code("cg") == ""
    registered(PLAIN)
    assert engines.code("plain") == engines.code("plain") and len(engines.code("plain")) == 64
    unknown = EngineKind("unknown", "its file cannot be told", np.dot)
    registered(unknown)
    assert engines.code("unknown") != engines.code("unknown")


@needs_pydvl
def test_every_engine_of_ours_can_be_imported() -> None:
    size = EngineSize(1026, 513)
    for kind in engines.OWN:
        assert callable(kind.opener()) and kind.meaning
        memory = kind.memory(size)
        assert memory is None or (memory.n_bytes > 0 and "1026" in memory.what and "--engine auto" in memory.hint)
    assert [kind.name for kind in engines.OWN if kind.exact] == ["auto", "cg", "direct"]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import auditor.engines, auditor.config, auditor.cli; assert auditor.engines.names()",
            {"torch", "pydvl", "zarr"},
        ),
        ("import auditor.influence; auditor.influence.engine", {"pydvl", "zarr", "dask", "distributed"}),
    ],
)
def test_names_come_without_torch_and_engines_without_pydvl(code: str, absent: set[str]) -> None:
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert not absent & set(done.stdout.split())


@pytest.fixture
def without_pydvl(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pyDVL were not installed, whatever this process has imported of it."""
    imported, found = importlib.import_module, importlib.util.find_spec

    def importing(name: str) -> object:
        if name.startswith("auditor.influence.pydvl"):
            raise ModuleNotFoundError("No module named 'pydvl'", name="pydvl")
        return imported(name)

    monkeypatch.setattr("auditor.engines.importlib.import_module", importing)
    monkeypatch.setattr(
        "auditor.engines.importlib.util.find_spec", lambda name: None if name == "pydvl" else found(name)
    )


@pytest.mark.usefixtures("without_pydvl")
def test_an_engine_of_pydvl_says_how_to_add_it() -> None:
    head = HeadProblem(np.eye(4), np.array([0, 1, 0, 1]), np.zeros((2, 4)), np.zeros(2))
    with pytest.raises(EngineError, match="pyDVL's, which is not installed") as refused:
        engine(head, "cg", 0.1)
    assert refused.value.hint == f"{engines.adding_pydvl()}, or choose --engine auto"
    assert engine(head, "auto", 0.1).damping == 0.1


@pytest.mark.usefixtures("without_pydvl")
@pytest.mark.parametrize("words", [["--engine", "cg"], ["--dask", "local:2"], ["--save-matrix", "matrix.zarr"]])
def test_the_command_says_it_before_the_work(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["audit", str(FIXTURES / "digits"), "-o", "out", "--weights", "none", *words])
    assert done.exit_code == 2 and "Traceback" not in done.output, done.output
    assert "pyDVL" in done.stderr and "pip install" in done.stderr and words[0] in done.stderr, done.stderr
    assert "Opening the data set" not in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("numpy", "command"),
    [
        ("1.26.4", "pip install 'pydvl[influence]>=0.10,<0.11'"),
        ("2.5.5", "pip install pyDeprecate and then pip install --no-deps 'pydvl>=0.10,<0.11'"),
    ],
)
def test_the_way_to_add_pydvl_follows_the_numpy_that_is_there(
    numpy: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.engines.importlib.metadata.version", lambda name: numpy)
    assert engines.adding_pydvl() == command
