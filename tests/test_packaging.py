"""What `pip install .` and a built wheel carry."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import PROJECT


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of a clean copy of the project, so that building leaves nothing here."""
    copy, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "auditor", "templates"):
        if (PROJECT / name).exists():
            (copy / name).symlink_to(PROJECT / name)
    code = f"from setuptools import build_meta; print(build_meta.build_wheel({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


def _packages_on_disk() -> set[str]:
    found = {
        str(path.parent.relative_to(PROJECT)).replace("/", ".") for path in (PROJECT / "auditor").rglob("__init__.py")
    }
    return found | {"auditor.templates"}


def test_setup_cfg_lists_the_packages_that_exist(setup_cfg: configparser.ConfigParser) -> None:
    listed = setup_cfg["options"]["packages"].split()
    assert len(listed) == len(set(listed))
    assert set(listed) == _packages_on_disk()


def test_the_wheel_has_every_module_template_and_data_file(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for path in (PROJECT / "auditor").rglob("*"):
        relative = path.relative_to(PROJECT)
        if path.is_file() and "__pycache__" not in relative.parts:
            assert str(relative) in names, f"{relative} is not in the wheel"
    templates = [path.name for path in (PROJECT / "templates").iterdir() if path.is_file()]
    assert templates
    for name in templates:
        assert f"auditor/templates/{name}" in names, f"template {name} is not in the wheel"
    assert "auditor/py.typed" in names


def test_the_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    for name in wheel.namelist():
        assert name.startswith("auditor/") or name.split("/")[0].endswith(".dist-info"), name


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
    points = configparser.ConfigParser()
    points.read_string(wheel.read(name).decode())
    assert points["console_scripts"]["auditor"] == "auditor.cli:main"
    assert {"digits", "folder", "manifest", "tiny_imagenet"} <= set(points["auditor.sources"])


def test_metadata(wheel: zipfile.ZipFile, setup_cfg: configparser.ConfigParser) -> None:
    (name,) = [n for n in wheel.namelist() if n.endswith("METADATA")]
    lines = wheel.read(name).decode().splitlines()
    requires = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist")]
    plain = [line for line in requires if "extra ==" not in line]
    assert len(plain) == len(setup_cfg["options"]["install_requires"].strip().splitlines())
    assert any(line.startswith("pydvl[influence]") for line in plain)
    assert all(">=" in line and "<" in line for line in plain), "every dependency has both bounds"
    assert any(line.startswith("Requires-Python: ") for line in lines)


RUN_FROM_WHEEL = """
import sys, runpy
from pathlib import Path
sys.path.insert(0, {wheel!r})
import auditor
assert {wheel!r} in auditor.__file__, auditor.__file__
from auditor import report
from auditor.result import AuditResult
print(report.write_report(AuditResult.load({finished!r}), {out!r}))
"""


def test_a_report_is_rendered_from_the_wheel_in_any_folder(
    wheel: zipfile.ZipFile, finished_folder: Path, tmp_path: Path
) -> None:
    installed, out = tmp_path / "installed", tmp_path / "out"
    wheel.extractall(installed)
    out.mkdir()
    code = RUN_FROM_WHEEL.format(wheel=str(installed), finished=str(finished_folder), out=str(out))
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!") and "</html>" in page
