"""Which kind opens what, plug-ins, and what is said when nothing does."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from helpers import small_audit
from hostile import png

from auditor import sources
from auditor.errors import ExitCode, SourceError
from auditor.result import AuditResult
from auditor.sources import ImageTable, kinds, open_source
from auditor.sources.base import Columns, make_table


class CloudSource:
    """A plug-in as another package might have it."""

    name = "cloud"
    looks_for = "cloud://BUCKET"

    def accepts(self, spec: str) -> bool:
        return spec.startswith("cloud://")

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        images = Columns(["b.png", "a.png"], ["sun", "rain"], ["", "test"])
        return make_table("cloud", spec, images, read=lambda path: png())


class CrashingSource(CloudSource):
    name = "crashing"

    def accepts(self, spec: str) -> bool:
        raise RuntimeError("no connection")


Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def register(**plug_ins: str) -> None:
        points = EntryPoints(EntryPoint(name, value, sources.GROUP) for name, value in plug_ins.items())
        monkeypatch.setattr(sources, "entry_points", lambda group: points)

    register()
    return register


def test_the_kinds_are_registered_in_setup_cfg(fixtures: Path) -> None:
    import configparser

    setup = configparser.ConfigParser()
    setup.read(fixtures.parent / "setup.cfg")
    lines = setup["options.entry_points"]["auditor.sources"].split("\n")
    registered = {line.partition("=")[2].strip() for line in lines}
    own = {f"{type(kind).__module__}:{type(kind).__name__}" for kind in kinds() if "auditor." in type(kind).__module__}
    assert registered - {""} == own


def test_a_plug_in_opens_what_only_it_knows(install: Install) -> None:
    install(cloud=f"{__name__}:CloudSource")
    table = open_source("cloud://weather")
    assert list(table.frame["label"]) == ["rain", "sun"]


PLUG_IN = """
import io
from PIL import Image
from auditor.sources.base import Columns, make_table

def weather(path):
    label, number = path.split("/")
    picture = Image.new("RGB", (8, 8), (200 if label == "sun" else 20, 7 * int(number[:2]), 90))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()

class WeatherSource:
    name = "weather"
    looks_for = "the word weather://"

    def accepts(self, spec):
        return spec == "weather://"

    def open(self, spec, *, allow_outside=False):
        paths = [f"{label}/{number:02d}.png" for label in ("rain", "sun") for number in range(30)]
        return make_table("weather", spec, Columns(paths, [path[:-7] for path in paths]), read=weather)
"""


def test_a_source_of_another_package_is_one_file_and_one_registration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any], tiny: None
) -> None:
    """A package as pip installs it: a module, and its entry point. Then a whole audit of what only it can open."""
    (tmp_path / "weather_source.py").write_text(PLUG_IN)
    info = tmp_path / "weather_source-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weather-source\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[auditor.sources]\nweather = weather_source:WeatherSource\n")
    monkeypatch.syspath_prepend(tmp_path)
    done = run_cli(*small_audit("weather://", tmp_path / "out", "--gate", "--exit-zero"))
    assert done.exit_code in (ExitCode.OK, ExitCode.UNDECIDED), done.stderr
    result = AuditResult.load(tmp_path / "out")
    assert result.summary["dataset"]["source"] == "weather://" and result.classes == ["rain", "sun"]
    assert len(result.ranking) == 60
    assert "weather://" in run_cli("audit", "nowhere", "-o", tmp_path / "other").stderr


def test_a_broken_plug_in_stops_nothing_and_is_named_when_nothing_else_fits(install: Install) -> None:
    install(absent="no_such_module:Source", crashing=f"{__name__}:CrashingSource")
    assert len(open_source("digits").frame) == 1797
    with pytest.raises(SourceError, match=r"there is no folder or file cloud://weather") as caught:
        open_source("cloud://weather")
    assert "no_such_module" in caught.value.hint
    assert "no connection" in caught.value.hint


def test_kinds_that_are_registered_and_built_in_are_asked_once(install: Install) -> None:
    install(folder="auditor.sources.folder:FolderSource")
    assert [kind.name for kind in kinds()] == [
        "digits",
        "breast-cancer",
        "docstrings",
        "coco",
        "yolo",
        "voc",
        "manifest",
        "archive",
        "webdataset",
        "npz",
        "idx",
        "cifar",
        "saved",
        "tiny_imagenet",
        "folder",
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, r"there is no folder or file"),
        (lambda path: path.write_text("x"), r"a file of no kind that can be audited"),
        (os.mkfifo, r"neither a folder nor a file"),
        (lambda path: path.mkdir(), r"holds no labelled image"),
        (lambda path: path.symlink_to(path), r"neither a folder nor a file"),
    ],
)
def test_what_cannot_be_opened_says_what_could_be(
    tmp_path: Path, make: Callable[[Path], Any], words: str, install: Install
) -> None:
    make(tmp_path / "thing")
    with pytest.raises(SourceError, match=words) as caught:
        open_source(str(tmp_path / "thing"))
    assert caught.value.exit_code == ExitCode.USAGE
    assert "class folders" in caught.value.hint or "sub-folder a class" in caught.value.hint
    assert "manifest" in caught.value.hint


@pytest.mark.parametrize("spec", ["", "  ", "a\0b", os.fsdecode(b"caf\xe9"), "x" * 5000])
def test_sources_that_are_no_names(spec: str, install: Install) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    str(caught.value).encode("utf-8")


def test_a_root_whose_name_is_not_utf8(tmp_path: Path, install: Install) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    for label in "ab":
        (root / label).mkdir(parents=True)
        (root / label / "1.png").write_bytes(png())
    table = open_source(str(root))
    assert table.name == "caf\\xe9"
    table.root.encode("utf-8")
    assert table.read("a/1.png") == png()
    assert table.locate("a/1.png") is None


def test_a_folder_called_digits_is_reached_with_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install
) -> None:
    (tmp_path / "digits" / "a").mkdir(parents=True)
    (tmp_path / "digits" / "a" / "1.png").write_bytes(png())
    monkeypatch.chdir(tmp_path)
    assert len(open_source("digits").frame) == 1797
    assert len(open_source("./digits").frame) == 1
