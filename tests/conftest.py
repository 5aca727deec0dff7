"""What all tests share; its being here also puts `tests/` on the import path, for `helpers` and its neighbours."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import (
    FIXTURES,
    LONGEST_FIRST,
    small_audit,
    use_figures_once,
    use_hasty_detection,
    use_light_machine,
    use_sketched_figures,
    use_tiny_network,
)
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

if TYPE_CHECKING:
    from click.testing import Result

    from auditor.result import AuditResult

# Small problems on several threads, beside other work on the same cores, spend most of their time waiting for threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Deadlines measure the machine's other work, not ours.
hypothesis_settings.register_profile(
    "auditor", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("auditor")


def pytest_configure(config: pytest.Config) -> None:
    """pytest-xdist would begin with the files of most tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_collection_finish() -> None:
    """What was collected stays: no later search for circles in memory walks through thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def private_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the caches of the person who runs it, nor finds ImageNet's weights there."""
    home = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("TORCH_HOME", str(home / "torch"))
        yield


@pytest.fixture(scope="session", autouse=True)
def light_machine() -> Iterator[None]:
    """`use_light_machine`, for every test."""
    with pytest.MonkeyPatch.context() as patch:
        use_light_machine(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def drawn_figures() -> Iterator[dict[Any, Any]]:
    """The figures that reports drew so far; a report that has an equal one takes it from here."""
    with pytest.MonkeyPatch.context() as patch:
        yield use_figures_once(patch)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared data sets (`AUDITOR_DATA`, else `../shared/data`); skips where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUDITOR_DATA", default))
    if not (folder / "tables-boats").is_dir():
        pytest.skip(f"no shared data at {folder}: set AUDITOR_DATA")
    return folder


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The small data sets that the project makes itself (`fixtures/make.py`)."""
    return FIXTURES


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Result]:
    """`run_cli("audit", ...)`: the command in this process, with `exit_code`, `stdout` and `stderr`."""
    from click.testing import CliRunner

    from auditor.cli import main

    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits take a backbone of a thousandth of the work, and detect in haste: what is tested comes before or after."""
    use_tiny_network(monkeypatch)
    use_hasty_detection(monkeypatch)
    use_sketched_figures(monkeypatch)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits with their own backbone detect in haste and draw no figures."""
    use_hasty_detection(monkeypatch)
    use_sketched_figures(monkeypatch)


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Result]) -> Path:
    """The files of one finished small audit (with `tiny` beneath it); read only."""
    out = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        use_hasty_detection(patch)
        use_sketched_figures(patch)
        done = run_cli(*small_audit(FIXTURES / "digits", out))
    assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def finished(finished_folder: Path) -> AuditResult:
    """The result of one finished small audit; read only."""
    from auditor.result import AuditResult

    return AuditResult.load(finished_folder)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resnet18 state dict with random parameters and seven classes, as a user's file."""
    import torch

    from auditor.model import vision

    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(vision.models().resnet18(num_classes=7).state_dict(), path)
    return path


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`declared(group, name="module:object")`: as if an installed package had these entry points."""
    import importlib.metadata

    from auditor.system import plugins

    def declare(group: str, **points: str) -> None:
        found = [importlib.metadata.EntryPoint(name, value, group) for name, value in points.items()]
        ours = {group: found}
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **chosen: ours.get(chosen["group"], []))
        plugins._declared.cache_clear()

    yield declare
    plugins._declared.cache_clear()
