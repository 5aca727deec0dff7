"""Weights: any resnet18 state dict of torch.save, nothing else, and nothing executed."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from auditor.errors import ExitCode, WeightsError
from auditor.model import vision, weights
from auditor.model.resnet import ResNet18

RESNET18 = ResNet18()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return dict(vision.models().resnet18(num_classes=4).state_dict())


def test_none_is_a_fresh_start() -> None:
    loaded = weights.load_weights("none", RESNET18)
    assert loaded.state is None and not loaded.pretrained and loaded.sha256 == ""


def test_a_file_is_loaded_without_its_head_and_named_by_its_hash(random_weights: Path) -> None:
    loaded = weights.load_weights(str(random_weights), RESNET18)
    assert loaded.pretrained and loaded.name == random_weights.name
    assert loaded.sha256 == hashlib.sha256(random_weights.read_bytes()).hexdigest()
    assert loaded.state is not None and not any(name.startswith("fc.") for name in loaded.state)
    network = RESNET18.build(loaded, 3, 64, seed=0)
    for name, value in network.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, loaded.state[name]), name
    assert network.fc.out_features == 3


def test_wrapped_and_data_parallel_state_dicts(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, path)
    loaded = weights.load_weights(str(path), RESNET18)
    assert loaded.state is not None and torch.equal(loaded.state["conv1.weight"], state["conv1.weight"])


def test_counters_of_batches_may_be_missing(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "w.pth"
    torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path)
    RESNET18.build(weights.load_weights(str(path), RESNET18), 2, 64, seed=0)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    cases = {
        "lacks parameter layer4.": {k: v for k, v in state.items() if not k.startswith("layer4.")},
        "has an unknown parameter layer5.weight": {**state, "layer5.weight": torch.zeros(2)},
        "has another shape of parameter conv1.weight": {**state, "conv1.weight": torch.zeros(64, 1, 7, 7)},
    }
    for words, other in cases.items():
        path = tmp_path / "other.pth"
        torch.save(other, path)
        with pytest.raises(WeightsError) as caught:
            RESNET18.build(weights.load_weights(str(path), RESNET18), 2, 64, seed=0)
        assert words in caught.value.message and "other.pth is not a resnet18" in caught.value.message


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "nan.pth"
    torch.save({**state, "layer1.0.conv1.weight": state["layer1.0.conv1.weight"] * float("nan")}, path)
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv1\.weight"):
        RESNET18.build(weights.load_weights(str(path), RESNET18), 2, 64, seed=0)


class _Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("kind", ["torch", "pickle", "inside"])
def test_a_malicious_file_executes_nothing(tmp_path: Path, kind: str) -> None:
    mark, path = tmp_path / "executed", tmp_path / "w.pth"
    if kind == "torch":
        torch.save(_Malicious(mark), path)
    elif kind == "inside":
        torch.save({"conv1.weight": torch.zeros(2), "extra": _Malicious(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(_Malicious(mark)))
    with pytest.raises(WeightsError, match=r"w\.pth cannot be loaded as weights"):
        weights.load_weights(str(path), RESNET18)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(40), bytes(1000)])
def test_files_that_are_no_weights(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.pth"):
        weights.load_weights(str(path), RESNET18)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_whose_numbers_do_not_stand_in_the_file_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    kinds = {
        "terabytes in a kilobyte": torch.zeros(1).expand(10**12),
        "sparse": torch.zeros(64, 3, 7, 7).to_sparse(),
        "complex": torch.zeros(64, 3, 7, 7, dtype=torch.complex64),
        "nowhere": torch.zeros(64, 3, 7, 7, device="meta"),
        "quantised": torch.quantize_per_tensor(torch.zeros(64, 3, 7, 7), 0.1, 0, torch.qint8),
    }
    for number, value in enumerate(kinds.values()):
        path = tmp_path / f"{number}.pth"
        torch.save({**state, "conv1.weight": value}, path)
        with pytest.raises(WeightsError, match=r"conv1\.weight is no plain array"):
            weights.load_weights(str(path), RESNET18)


def test_a_view_of_a_part_of_what_the_file_holds_is_read(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({**state, "conv1.weight": torch.ones(128, 3, 7, 7)[64:]}, tmp_path / "w.pth")
    assert weights.load_weights(str(tmp_path / "w.pth"), RESNET18).state["conv1.weight"].shape == (64, 3, 7, 7)


@pytest.mark.parametrize("value", [torch.zeros(3), [torch.zeros(3)], {"a": 1}, {}])
def test_tensors_that_are_no_state_dict(tmp_path: Path, value: object) -> None:
    path = tmp_path / "w.pth"
    torch.save(value, path)
    with pytest.raises(WeightsError):
        RESNET18.build(weights.load_weights(str(path), RESNET18), 2, 64, seed=0)


def test_a_truncated_file(tmp_path: Path, random_weights: Path) -> None:
    path = tmp_path / "w.pth"
    data = random_weights.read_bytes()
    for length in (10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"w\.pth"):
            weights.load_weights(str(path), RESNET18)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(WeightsError, match="there is no weights file"):
            weights.load_weights(str(path), RESNET18)


def test_imagenet_without_a_cache_says_what_to_do_and_fetches_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(WeightsError) as caught:
        weights.load_weights("imagenet", RESNET18)
    assert caught.value.exit_code == ExitCode.USAGE
    assert all(way in caught.value.hint for way in ("--download", "copy the file", "--weights none"))
    assert not (tmp_path / "torch").exists()


def test_a_damaged_imagenet_file_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights.cached_path(RESNET18.published).parent.mkdir(parents=True)
    weights.cached_path(RESNET18.published).write_bytes(b"not them")
    with pytest.raises(WeightsError, match="is damaged"):
        weights.load_weights("imagenet", RESNET18)


def test_download_is_asked_for_by_url_and_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refused(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        assert url.startswith("https://") and hash_prefix == "f37072fd"
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.load_weights("imagenet", RESNET18, download=True)
