"""What a program gives `auditor.audit`: arrays, frames, data sets, networks, estimators; and what it must not give."""

from __future__ import annotations

import importlib
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import FIXTURES, PROJECT
from PIL import Image
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

import auditor
from auditor.config import AuditSettings
from auditor.data.objects import out_of_fold, table_from
from auditor.errors import AuditorError, ConfigError, SourceError
from auditor.model import vision
from auditor.result import AuditResult
from auditor.sources.base import IN_MEMORY, Columns, ImageTable, make_table
from auditor.sources.objects import Objects

pytestmark = pytest.mark.usefixtures("hasty")

QUICK: dict[str, Any] = {"weights": "none", "epochs": 2, "repeats": 1, "examples": 1, "thumbnails": 5}
X, Y = load_wine(return_X_y=True)
EXAMPLES = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


def _image_folder() -> Any:
    vision.models()  # beside a torch of another build, torchvision can be imported only after this
    return importlib.import_module("torchvision.datasets").ImageFolder


def _table(source: object = None, given: Objects | None = None, **settings: Any) -> ImageTable:
    found = table_from(source, given, AuditSettings(**settings))
    assert isinstance(found, ImageTable)
    return found


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `photos` below the current one."""
    shutil.copytree(FIXTURES / "digits", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: re.findall(r"(?:from|import) (\w+)", text)[-1])
def test_each_example_of_the_page_runs(
    example: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "datasets import" in example.replace("sklearn.datasets", "").replace("torchvision.datasets", ""):
        pytest.importorskip("datasets")
    real: Callable[..., AuditResult] = auditor.audit

    def quick(*given: Any, **named: Any) -> AuditResult:
        quickly = {name: value for name, value in QUICK.items() if not (name == "weights" and "backbone" in named)}
        return real(*given, **{**quickly, "cache": str(tmp_path / "cache"), **named})

    monkeypatch.setattr(auditor, "audit", quick)
    _image_folder()
    made: dict[str, Any] = {}
    exec(example, made)
    result = made["result"]
    assert isinstance(result, AuditResult) and len(result.ranking) and result.ranking["rank"].notna().any()
    assert len(example.strip().splitlines()) <= 8


# What a table is made of


def test_numbers_keep_their_labels_names_and_groups() -> None:
    names, groups = [f"bottle {i}" for i in range(len(Y))], ["a", "a", *[""] * (len(Y) - 2)]
    table = _table(given=Objects(X, None, Y, names, groups))
    rows = {path: row for row, path in enumerate(table.frame["path"])}
    assert table.kind == "features" and table.root == IN_MEMORY and table.given is not None
    for at in (0, 77, 177):
        row = rows[names[at]]
        assert table.frame["label"][row] == str(Y[at])
        assert table.given.features is not None and np.allclose(table.given.features[row], X[at])
    assert table.groups is not None and table.groups[rows["bottle 1"]] == "a"


@pytest.mark.parametrize("form", [torch.as_tensor, pd.DataFrame, np.asarray, lambda x: x.astype(np.float16)])
def test_features_come_in_every_usual_form(form: Callable[[Any], Any]) -> None:
    table = _table(given=Objects(form(X), None, list(Y)))
    assert table.given is not None and table.given.features is not None
    assert table.given.features.dtype == np.float32 and np.allclose(table.given.features, X, rtol=1e-3)


def test_items_without_a_label_are_skipped_and_named() -> None:
    labels: list[Any] = [*Y]
    labels[3], labels[5], labels[8] = None, float("nan"), pd.NA
    table = _table(given=Objects(X, None, labels))
    assert [(s.path, s.reason) for s in table.skipped] == [
        (name, "it has no label") for name in ("000003", "000005", "000008")
    ]
    assert len(table.frame) == len(Y) - 3


def test_names_that_are_files_show_their_pictures(photos: Path) -> None:
    files = sorted(str(path.relative_to(photos.parent)) for path in (photos / "train").rglob("*.png"))[:20]
    table = _table(given=Objects(X[:20], None, Y[:20] * 0 + np.arange(20) % 2, files))
    assert table.kind == "image" and table.read(files[0]).startswith(b"\x89PNG")


class _Pairs(torch.utils.data.Dataset[Any]):
    """A torch data set of tensors."""

    classes = ("bat", "cat")

    def __init__(self, images: Any, targets: list[int]) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int) -> tuple[Any, int]:
        return self.images[at], self.targets[at]


PICTURES = np.random.default_rng(5).random((12, 3, 9, 9)).astype(np.float32)
PAIRS = _Pairs(torch.as_tensor(PICTURES), [0, 1] * 6)


def test_a_torch_data_set_gives_its_pictures_and_the_names_of_its_classes(tmp_path: Path) -> None:
    table = _table(PAIRS)
    assert table.frame["label"].tolist() == ["bat", "cat"] * 6 and table.kind == "image"
    (tmp_path / "one.png").write_bytes(table.read("000004"))
    shown = np.asarray(Image.open(tmp_path / "one.png"))
    assert np.array_equal(shown, np.round(np.moveaxis(PICTURES[4], 0, 2) * 255))
    part = _table(torch.utils.data.Subset(PAIRS, [7, 2, 3]))
    assert part.frame["label"].tolist() == ["cat", "bat", "cat"] and part.read("000001") == table.read("000002")
    with pytest.raises(OSError, match="no such item"):
        table.read("900000")


def test_an_image_folder_is_read_file_by_file(photos: Path) -> None:
    table = _table(_image_folder()(str(photos / "train"), transform=lambda image: 1 / 0))
    assert table.frame["path"][0] == "3/000.png"
    assert table.read("3/000.png") == (photos / "train" / "3" / "000.png").read_bytes()
    assert set(table.frame["label"]) == {"3", "8"}


@pytest.mark.parametrize(
    ("frame", "settings", "kind", "paths"),
    [
        ({"path": ["train/3/000.png", "train/8/000.png"], "label": [3, 8]}, {"root": "photos"}, "image", None),
        ({"text": ["good", "bad"], "label": ["a", "b"]}, {}, "text", ["row-000001", "row-000002"]),
        ({"x": [1.0, 2.0], "kind": ["a", "b"]}, {"label": "kind"}, "table", ["row-000001", "row-000002"]),
    ],
)
def test_a_frame_is_images_texts_or_rows_by_its_columns(
    photos: Path, frame: dict[str, Any], settings: dict[str, Any], kind: str, paths: list[str] | None
) -> None:
    table = _table(pd.DataFrame(frame), **settings)
    assert table.kind == kind and table.frame["path"].tolist() == (paths or frame["path"])
    assert table.source == IN_MEMORY


def test_a_hugging_face_data_set_is_images_or_texts_by_its_columns() -> None:
    datasets = pytest.importorskip("datasets")
    pictures = [Image.fromarray(np.full((8, 8), 10 * i, np.uint8)) for i in range(8)]
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["bat", "cat"])}
    seen = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1] * 4}, features=datasets.Features(kinds))
    table = _table(seen)
    assert table.frame["label"].tolist() == ["bat", "cat"] * 4 and table.kind == "image"
    assert Image.open(io.BytesIO(table.read("000003"))).getpixel((0, 0)) == 30
    said = datasets.Dataset.from_dict(
        {"text": ["good", "bad", "fine", "poor"], "mood": [0, 1, 0, 1]},
        features=datasets.Features(
            {"text": datasets.Value("string"), "mood": datasets.ClassLabel(names=["up", "down"])}
        ),
    )
    texts = _table(datasets.DatasetDict({"train": said, "test": said}))
    assert texts.kind == "text" and texts.frame["split"].tolist() == ["train"] * 4 + ["test"] * 4
    assert texts.frame["label"].tolist() == ["up", "down"] * 4 and texts.read("row-000002") == b"bad"
    with pytest.raises(SourceError, match="0 columns of classes"):
        _table(seen.remove_columns("label"))
    with pytest.raises(SourceError, match="brings its own labels"):
        _table(seen, Objects(labels=[0, 1] * 4))


def test_an_estimator_judges_no_item_that_it_has_seen() -> None:
    class ByHeart(LogisticRegression):  # type: ignore[misc]
        def fit(self, x: Any, y: Any) -> Any:
            self.seen = {row.tobytes() for row in x}
            return super().fit(x, y)

        def predict_proba(self, x: Any) -> Any:
            assert not any(row.tobytes() in self.seen for row in x)
            return super().predict_proba(x)

    labels = np.array(["b", "a", "c"])[Y]
    found = out_of_fold(Objects(X / X.std(axis=0), ByHeart(max_iter=500), labels), 0)
    agrees = np.array(["a", "b", "c"])[found.argmax(axis=1)] == labels
    assert found.shape == (len(Y), 3) and np.allclose(found.sum(axis=1), 1) and agrees.mean() > 0.9


# What is refused, in a sentence


def _table_of_two() -> ImageTable:
    return make_table("t", "t", Columns(["a", "b"], ["x", "y"]), read=lambda path: b"")


class _Random(_Pairs):
    def __getitem__(self, at: int) -> tuple[Any, int]:
        return torch.rand(3, 9, 9), self.targets[at]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "there is nothing to audit"),
        ({"features": X}, "without labels"),
        ({"features": X, "labels": Y[:-1]}, "177 labels for 178 rows"),
        ({"features": X, "labels": np.eye(3)[Y]}, "argmax"),
        ({"features": X, "labels": X[:, 0]}, "which names no class"),
        ({"features": X, "labels": "label"}, "not one label an item"),
        ({"features": X[:, 0], "labels": Y}, r"has the shape \[178\]"),
        ({"features": X, "labels": Y, "items": ["x"] * len(Y)}, "two items are called 'x'"),
        ({"features": X, "labels": Y, "items": ["x"]}, "1 names of items for 178"),
        ({"features": X, "labels": Y, "groups": ["x"]}, "1 groups for 178"),
        ({"source": X}, "give an array as features="),
        ({"source": torch.nn.Linear(2, 2)}, "give a network as backbone="),
        ({"source": torch.utils.data.DataLoader(PAIRS)}, "loader.dataset"),
        ({"source": [1, 2, 3]}, "not a pair of image and label"),
        ({"source": 7}, "no data set that can be audited"),
        ({"source": "photos", "labels": [1]}, "a path brings its own labels"),
        ({"source": "photos", "groups": ["a"]}, "a path brings its own groups, so groups= would not be used"),
        ({"source": _table_of_two(), "items": ["a", "b"]}, "a table brings its own items"),
        ({"source": _Pairs(PICTURES * 3, [0, 1] * 6)}, "outside 0 to 1"),
        ({"source": _Pairs(PICTURES[:, :2], [0, 1] * 6)}, "cannot be shown"),
        ({"source": _Random(PICTURES, [0, 1] * 6)}, "another image each time"),
        ({"source": pd.DataFrame({"a": [1, 2]})}, "no column 'label'"),
        ({"source": pd.DataFrame({"label": [1, 2]}), "labels": [1, 2]}, "a column 'label' of its own"),
        ({"source": PAIRS, "backbone": np.zeros(3)}, "not a torch.nn.Module"),
        ({"features": X, "labels": Y, "backbone": torch.nn.Linear(3, 2)}, "backbone"),
        ({"features": X, "labels": Y, "train": "full"}, "no network to train"),
        ({"features": np.where(X > 2, np.nan, X), "labels": Y}, "NaN or infinite"),
        ({"features": X * 0, "labels": Y}, "are the same"),
        ({"labels": Y, "probabilities": LogisticRegression()}, "nothing to learn from"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(given: dict[str, Any], said: str) -> None:
    with pytest.raises(AuditorError, match=said) as caught:
        auditor.audit(**{**QUICK, **given})
    assert caught.value.hint or "\n" in str(caught.value)


def test_an_estimator_that_fails_is_named() -> None:
    class Broken(LogisticRegression):  # type: ignore[misc]
        def fit(self, x: Any, y: Any) -> Any:
            raise RuntimeError("out of luck")

    with pytest.raises(ConfigError, match="Broken failed: RuntimeError: out of luck"):
        out_of_fold(Objects(X, Broken(), Y), 0)
    with pytest.raises(ConfigError, match="a class has 1 item"):
        out_of_fold(Objects(X[:3], LogisticRegression(), [0, 0, 1]), 0)


def test_settings_of_unknown_names_are_still_refused() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'nois'"):
        auditor.audit(features=X, labels=Y, nois=0.1)


def test_a_path_with_numbers_of_a_program(photos: Path) -> None:
    files = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    values = pd.DataFrame({"path": files, "x": np.arange(len(files)), "y": 1})
    table = _table("photos", Objects(values))
    assert table.given is not None and table.given.features is not None and table.kind == "image"
    with pytest.raises(SourceError, match="no order of its own"):
        _table("photos", Objects(np.zeros((len(files), 2))))
