"""One pass over the pixels, and a cache that can be truncated, foreign or shared without costing correctness."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from auditor.data import feature_cache, features, images
from auditor.data.feature_cache import FeatureCache
from auditor.data.features import ReadOptions, extract
from auditor.model import resnet
from auditor.model.backbone import Transform, Weights
from auditor.sources.base import ImageTable

TRANSFORM = Transform(8, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
KEY: dict[str, object] = {"weights": "w", "size": 8}


class _Means(nn.Module):
    """A backbone anyone can compute by hand: the mean of each channel in each quarter of the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def _png(seed: int, size: int = 8, mode: str = "RGB") -> bytes:
    shape = (size, size, 3) if mode == "RGB" else (size, size)
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def _table(data: dict[str, bytes | Exception]) -> ImageTable:
    paths = sorted(data)

    def read(path: str) -> bytes:
        found = data[path]
        if isinstance(found, Exception):
            raise found
        return found

    return ImageTable("t", "t", pd.DataFrame({"path": paths, "label": "a", "split": ""}), read)


@pytest.fixture
def table() -> ImageTable:
    return _table({f"{i:03d}.png": _png(i) for i in range(70)})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for every image that is decoded."""
    calls: list[int] = []
    real = images.decode

    def counting(*arguments: object, **options: object) -> Image.Image:
        calls.append(1)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "decode", counting)
    return calls


def test_normalise_is_its_definition() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    ours = TRANSFORM.normalise(pixels).numpy()
    assert ours.shape == (3, 3, 8, 8) and ours.dtype == np.float32
    for channel in range(3):
        theirs = (pixels[..., channel] / 255 - TRANSFORM.mean[channel]) / TRANSFORM.std[channel]
        assert np.allclose(ours[:, channel], theirs, atol=1e-5)


def test_features_are_the_backbones_of_each_image_in_order(table: ImageTable) -> None:
    found = extract(table, TRANSFORM, _Means(), ReadOptions(keep_pixels=True))
    assert found.rows.tolist() == list(range(70)) and found.skipped == () and found.n_cached == 0
    assert found.values is not None and found.values.shape == (70, 12) and found.values.dtype == np.float32
    for row in (0, 13, 63, 64, 69):
        pixels = np.asarray(Image.open(io.BytesIO(table.read(f"{row:03d}.png"))))
        one = _Means()(TRANSFORM.normalise(pixels[None]))
        assert np.allclose(found.values[row], one[0], atol=1e-5)
        assert found.hashes[row] == images.content_hash(table.read(f"{row:03d}.png"))
        assert found.pixels is not None and (found.pixels.values[row] == pixels).all()


def test_an_images_features_do_not_depend_on_its_company(table: ImageTable) -> None:
    network = resnet.ResNet18().build(Weights("none", None, ""), 2, 8, seed=0)
    backbone = resnet.feature_extractor(network)
    whole = extract(table, TRANSFORM, backbone).values
    few = ImageTable("t", "t", table.frame.iloc[60:68].reset_index(drop=True), table.read)
    part = extract(few, TRANSFORM, backbone).values
    assert whole is not None and part is not None
    assert whole[60:68].tobytes() == part.tobytes()


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(table: ImageTable, workers: int) -> None:
    one, more = (extract(table, TRANSFORM, _Means(), ReadOptions(workers=n)).values for n in (1, workers))
    assert one is not None and more is not None and one.tobytes() == more.tobytes()


def test_unreadable_images_are_skipped_with_their_reason() -> None:
    table = _table(
        {
            "a.png": _png(0),
            "b.png": b"",
            "c.png": b"text",
            "d.png": PermissionError(13, "Permission denied"),
            "e.png": _png(1)[:60],
            "f.png": _png(2),
        }
    )
    found = extract(table, TRANSFORM, _Means())
    assert found.rows.tolist() == [0, 5] and len(found.hashes) == 2
    assert [s.path for s in found.skipped] == ["b.png", "c.png", "d.png", "e.png"]
    assert all(s.reason for s in found.skipped)
    assert "Permission denied" in found.skipped[2].reason


def test_no_readable_image_at_all() -> None:
    found = extract(_table({"a.png": b""}), TRANSFORM, _Means(), ReadOptions(keep_pixels=True))
    assert found.values is None and found.pixels is None and len(found.rows) == 0


def test_grey_images_are_dropped_only_where_asked() -> None:
    table = _table({"a.png": _png(0), "b.png": _png(1, mode="L")})
    assert extract(table, TRANSFORM, _Means()).grey.tolist() == [False, True]
    found = extract(table, TRANSFORM, _Means(), ReadOptions(drop_grey=True))
    assert found.rows.tolist() == [0] and found.skipped[0].reason.startswith("grey-scale")


def test_a_second_pass_decodes_nothing(table: ImageTable, tmp_path: Path, decoded: list[int]) -> None:
    first = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert len(decoded) == 70 and first.n_cached == 0
    second = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert len(decoded) == 70 and second.n_cached == 70
    assert first.values is not None and second.values is not None
    assert first.values.tobytes() == second.values.tobytes()
    assert first.hashes == second.hashes and (first.grey == second.grey).all()


def test_only_what_is_new_is_computed(table: ImageTable, tmp_path: Path, decoded: list[int]) -> None:
    half = ImageTable("t", "t", table.frame.iloc[::2].reset_index(drop=True), table.read)
    extract(half, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    found = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert len(decoded) == 70 and found.n_cached == 35
    plain = extract(table, TRANSFORM, _Means())
    assert found.values is not None and plain.values is not None and found.values.tobytes() == plain.values.tobytes()


def test_the_cache_serves_when_pixels_are_kept_too(table: ImageTable, tmp_path: Path) -> None:
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    found = extract(table, TRANSFORM, _Means(), ReadOptions(keep_pixels=True), cache=FeatureCache(tmp_path, KEY, 12))
    assert found.n_cached == 70 and found.pixels is not None and len(found.pixels.values) == 70


@pytest.mark.parametrize("change", [{"weights": "v"}, {"size": 9}, {"mean": 0}])
def test_another_key_finds_nothing(table: ImageTable, tmp_path: Path, change: dict[str, object]) -> None:
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, {**KEY, **change}, 12)).n_cached == 0


def test_another_version_of_the_cache_finds_nothing(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    monkeypatch.setattr(feature_cache, "CACHE_VERSION", feature_cache.CACHE_VERSION + 1)
    assert extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12)).n_cached == 0


def test_a_changed_image_is_computed_again(table: ImageTable, tmp_path: Path) -> None:
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    data = {p: table.read(p) for p in table.frame["path"]} | {"005.png": _png(999)}
    found = extract(_table(data), TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert found.n_cached == 69


def test_twins_of_different_name_share_their_features(tmp_path: Path) -> None:
    table = _table({"a.png": _png(0), "b.png": _png(0), "c.png": _png(1)})
    found = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    assert found.values is not None and (found.values[0] == found.values[1]).all()


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


class _Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _rewrite(**changes: np.ndarray) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with np.load(path, allow_pickle=False) as shard:
            content = {**{k: shard[k] for k in shard.files}, **changes}
        np.savez(path, **content)

    return damage


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def _objects(path: Path) -> None:
    np.savez(path, hashes=np.array([_Malicious(path.parents[3] / "executed")], dtype=object), values=1, traits=1)


def _huge(path: Path) -> None:
    """A header that claims a terabyte."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 512), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("hashes", "values", "traits"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "a flipped bit": _flip,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(_Malicious(path.parents[3] / "executed"))),
    "pickled objects": _objects,
    "another shape": _rewrite(values=np.zeros((3, 2), np.float32)),
    "another number of features": _rewrite(values=np.zeros((70, 5), np.float32)),
    "NaN": _rewrite(values=np.full((70, 12), np.nan, np.float32)),
    "words": _rewrite(values=np.full((70, 12), "x")),
    "numbers for hashes": _rewrite(hashes=np.arange(70)),
    "hashes that are no text": _rewrite(hashes=np.full(70, b"\xff\xfe")),
    "another precision": _rewrite(values=np.zeros((70, 12), np.float64)),
    "flags of another kind": _rewrite(traits=np.full(70, "yes")),
    "a huge shape": _huge,
    "a folder": _folder,
    "a dangling link": _dangling,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_costs_time_never_correctness(table: ImageTable, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    first = extract(table, TRANSFORM, _Means(), cache=FeatureCache(cache, KEY, 12))
    (shard,) = _shards(cache)
    DAMAGES[damage](shard)
    second = extract(table, TRANSFORM, _Means(), cache=FeatureCache(cache, KEY, 12))
    assert first.values is not None and second.values is not None
    assert second.values.dtype == np.float32 and first.values.tobytes() == second.values.tobytes()
    assert second.grey.tolist() == first.grey.tolist()
    assert not (tmp_path / "executed").exists()


def test_damage_is_repaired_for_the_next_time(table: ImageTable, tmp_path: Path, decoded: list[int]) -> None:
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    _truncate(_shards(tmp_path)[0])
    extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    decoded.clear()
    assert extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12)).n_cached == 70
    assert not decoded


def test_a_cache_that_cannot_be_written_is_no_error(table: ImageTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    found = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path / "file", KEY, 12))
    assert found.values is not None and (tmp_path / "file").read_text() == "x"


def test_the_cache_is_private(table: ImageTable, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", KEY, 12)
    extract(table, TRANSFORM, _Means(), cache=cache)
    (shard,) = _shards(tmp_path)
    assert cache.folder.stat().st_mode & 0o077 == shard.stat().st_mode & 0o077 == 0


def test_what_a_killed_audit_left_half_written_goes_after_a_day(tmp_path: Path) -> None:
    folder = FeatureCache(tmp_path, KEY, 12).folder
    folder.mkdir(parents=True)
    for name, age in (("old", feature_cache.ABANDONED + 60), ("young", feature_cache.ABANDONED - 60)):
        (folder / f".auditor-{name}.tmp").write_bytes(b"half")
        os.utime(folder / f".auditor-{name}.tmp", 2 * (time.time() - age,))
    FeatureCache(tmp_path, KEY, 12)
    assert [path.name for path in folder.iterdir()] == [".auditor-young.tmp"] and feature_cache.ABANDONED == 24 * 3600


def test_a_pass_that_is_killed_keeps_its_finished_chunks(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "CHUNK", 16)
    monkeypatch.setattr(features, "BATCH", 16)
    calls = []

    class Dying(_Means):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        extract(table, TRANSFORM, Dying(), cache=FeatureCache(tmp_path, KEY, 12))
    assert extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12)).n_cached == 48


def _fill(folder: Path, start: int) -> None:
    torch.set_num_threads(1)  # a forked process must not touch its parent's pool of threads
    table = _table({f"{i:03d}.png": _png(i) for i in range(start, start + 40)})
    extract(table, TRANSFORM, _Means(), ReadOptions(workers=1), cache=FeatureCache(folder, KEY, 12))


def test_two_audits_at_once_on_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(tmp_path, start)) for start in (0, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    table = _table({f"{i:03d}.png": _png(i) for i in range(60)})
    found = extract(table, TRANSFORM, _Means(), cache=FeatureCache(tmp_path, KEY, 12))
    plain = extract(table, TRANSFORM, _Means())
    assert found.n_cached == 60
    assert found.values is not None and plain.values is not None and found.values.tobytes() == plain.values.tobytes()
    shutil.rmtree(tmp_path)


def test_edges_are_peeked_from_headers_and_unreadable_ones_passed_over() -> None:
    data: dict[str, bytes | Exception] = {f"{i}.png": _png(i, size=8 + i) for i in range(5)}
    data |= {"x.png": b"", "y.png": OSError(5, "Input/output error")}
    assert sorted(features.peek_edges(_table(data), 10**6)) == [8, 9, 10, 11, 12]
    many = _table({f"{i:04d}.png": _png(0) for i in range(300)})
    assert len(features.peek_edges(many, 10**6)) <= 80
