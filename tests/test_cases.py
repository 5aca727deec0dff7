"""Inputs that people met with such tools, each by the command: what is audited, what is refused, and what is said."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import small_audit
from PIL import Image

if TYPE_CHECKING:
    from click.testing import Result

pytestmark = pytest.mark.usefixtures("tiny")

Run = Callable[..., "Result"]
KINDS = ("disc", "square")
EACH = 12
NAMES = [(f"img/{kind}{i:02}.png", kind) for kind in KINDS for i in range(EACH)]


def picture(kind: str, seed: int) -> np.ndarray:
    """Grey levels float [16, 16] from 0 to 1: a light disc or square on dark noise."""
    rng = np.random.default_rng([seed, kind == "disc"])
    y, x = np.indices((16, 16)) - rng.integers(6, 10, (2, 1, 1))
    shape = np.hypot(x, y) < 4 if kind == "disc" else np.maximum(abs(x), abs(y)) < 4
    return np.clip(0.2 + 0.5 * shape + rng.normal(0, 0.03, (16, 16)), 0, 1)


def save(path: Path, kind: str, seed: int, deep: bool = False) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = picture(kind, seed)
    pixels = np.rint(levels * 1020).astype(np.uint16) if deep else np.rint(levels * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def lay(folder: Path, parts: Iterable[str], n: int = EACH) -> Path:
    for seed, part in enumerate(parts):
        for kind in KINDS:
            for i in range(n):
                save(folder / part / kind / f"{i:03}.png", kind, 1000 * seed + i)
    return folder


@pytest.fixture
def audit(tmp_path: Path, run_cli: Run) -> Callable[[Path], tuple[Result, dict[str, Any]]]:
    """The command on a source: what it said, and `audit.json` where there is one."""

    def run(source: Path) -> tuple[Result, dict[str, Any]]:
        short = ["--epochs", "1", "--examples", "0", "--thumbnails", "0", "--image-size", "16"]
        done = run_cli(*(word for word in small_audit(source, tmp_path / "out", *short) if word != "--quiet"))
        assert "Traceback" not in done.stderr and "unexpected" not in done.stderr
        found = tmp_path / "out" / "audit.json"
        return done, json.loads(found.read_text(encoding="utf-8")) if done.exit_code == 0 else {}

    return run


Audit = Callable[[Path], tuple["Result", dict[str, Any]]]


@pytest.mark.parametrize(("train", "test"), [("training_set", "test_set"), ("train", "eval"), ("seg_train", "seg_dev")])
def test_splits_by_other_names_are_splits(tmp_path: Path, audit: Audit, train: str, test: str) -> None:
    done, found = audit(lay(tmp_path / "data", [train, test]))
    assert done.exit_code == 0, done.stderr
    assert found["dataset"]["classes"] == list(KINDS)
    assert [found["dataset"]["splits"][part] for part in ("train", "test")] == [2 * EACH, 2 * EACH]


def test_a_wrapped_folder_is_named(tmp_path: Path, audit: Audit) -> None:
    inside = lay(tmp_path / "wrapped" / "My Data (Augmented)", ["train", "valid"], 4)
    done, _ = audit(tmp_path / "wrapped")
    assert done.exit_code == 2 and str(inside) in done.stderr


def test_dark_pictures_of_few_grey_levels_end_well(tmp_path: Path, audit: Audit) -> None:
    for kind in KINDS:
        for i in range(20):
            save(tmp_path / "dark" / kind / f"{i:03}.png", kind, i, deep=True)
    done, found = audit(tmp_path / "dark")
    assert done.exit_code == 0 and "40 of 40 images have grey levels of more than 8 bits" in done.stderr
    assert all(solve["converged"] for solve in found["influence"]["solves"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the images of `NAMES`, for a manifest beside them."""
    for path, kind in NAMES:
        save(tmp_path / "data" / path, kind, int(path[-6:-4]))
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["bool.parquet", "float.parquet", "hub.parquet", "bool.jsonl"])
def test_kinds_of_label_in_parquet_and_json(data: Path, audit: Audit, name: str) -> None:
    paths, yes = [path for path, _ in NAMES], [kind == "disc" for _, kind in NAMES]
    if name.endswith("parquet"):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        columns: dict[str, list[Any]] = {
            "bool": {"path": paths, "label": yes},
            "float": {"path": paths, "label": [float(y) for y in yes]},
            "hub": {
                "image": [{"bytes": (data / path).read_bytes(), "path": path} for path in paths],
                "label": [int(y) for y in yes],
            },
        }[name.split(".")[0]]
        pq.write_table(pa.table(columns), data / name)
    else:
        rows = (json.dumps({"path": path, "label": y}) for path, y in zip(paths, yes, strict=True))
        (data / name).write_text("\n".join(rows))
    done, found = audit(data / name)
    assert done.exit_code == 0, done.stderr
    assert found["dataset"]["classes"] == (["False", "True"] if name.startswith("bool") else ["0", "1"])
    assert found["dataset"]["n_images"] == len(NAMES)


ROWS = "".join(f"{path};{kind}\r\n" for path, kind in NAMES)
SHEETS = {
    "blank rows": "path;label\r\n" + ROWS + ";\r\n" * 4,
    "sep": "sep=;\r\npath;label\r\n" + ROWS,
    "blank after comma": "label, path\n" + "".join(f"{kind}, {path}\n" for path, kind in NAMES),
}


@pytest.mark.parametrize("sheet", SHEETS)
def test_what_spreadsheets_leave_is_read(data: Path, audit: Audit, sheet: str) -> None:
    (data / "labels.csv").write_text(SHEETS[sheet], newline="")
    done, found = audit(data / "labels.csv")
    assert done.exit_code == 0, done.stderr
    assert found["dataset"]["counts"] == {"disc": EACH, "square": EACH}


def test_what_a_table_lacks_is_said_with_the_remedy(data: Path, audit: Audit) -> None:
    (data / "labels.csv").write_text("".join(f"{path},{kind}\n" for path, kind in NAMES))
    done, _ = audit(data / "labels.csv")
    assert done.exit_code == 2 and "looks like data" in done.stderr and "put a row with the names" in done.stderr
    (data / "labels.csv").write_text("path,label\n" + "".join(f"{path[:-4]},{kind}\n" for path, kind in NAMES))
    done, _ = audit(data / "labels.csv")
    assert done.exit_code == 2 and "'img/disc00.png' exists: write each name with its ending" in done.stderr


def test_one_class_in_several_spellings_is_said_everywhere(data: Path, audit: Audit, tmp_path: Path) -> None:
    def spell(*spellings: Callable[[str], str]) -> None:
        rows = (f"{path},{spellings[i % len(spellings)](kind)}\n" for i, (path, kind) in enumerate(NAMES))
        (data / "labels.csv").write_text("path,label\n" + "".join(rows))

    spell(str, str.capitalize, lambda kind: kind + " ")
    done, found = audit(data / "labels.csv")
    assert done.exit_code == 0, done.stderr
    assert set(found["dataset"]["classes"]) == {"Disc", "disc", "Square", "square"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    for said in ("differ only in case, blanks, signs or Unicode form: 'Disc'", "surely one name"):
        assert all(said in text for text in (done.stderr, page, " ".join(found["notes"])))
    spell(str, str, str, str, str, str, str.capitalize)
    done, _ = audit(data / "labels.csv")
    assert done.exit_code == 2 and "class 'Disc' has 1 image, too few to split" in done.stderr
    assert "differ only in case" in done.stderr, "the likely reason stands before the error"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("x.xls", "save the sheet as CSV"), ("x.pkl", "unpickled"), ("x.txt", "path,label"), ("x.rar", "unpack")],
)
def test_a_file_that_no_source_reads_gets_a_remedy_of_its_own(data: Path, audit: Audit, name: str, remedy: str) -> None:
    (data / name).write_bytes(b"PK\x03\x04")
    done, _ = audit(data / name)
    assert done.exit_code == 2 and remedy in done.stderr


def test_names_composed_and_decomposed_are_one_file(tmp_path: Path, audit: Audit) -> None:
    composed, apart = (unicodedata.normalize(form, "façade") for form in ("NFC", "NFD"))
    for path, kind in NAMES:
        save(tmp_path / "nfd" / apart / path, kind, int(path[-6:-4]))
    manifest = tmp_path / "nfd" / "labels.csv"
    manifest.write_text("path,label\n" + "".join(f"{composed}/{p},{k}\n" for p, k in NAMES), encoding="utf-8")
    done, found = audit(manifest)
    assert done.exit_code == 0, done.stderr
    assert "24 paths of the manifest are spelled in another way on the disk" in done.stderr
    assert found["dataset"]["n_images"] == len(NAMES)
