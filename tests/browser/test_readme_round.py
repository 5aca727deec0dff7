"""The README's round on the digits. Its commands run as written. `make pictures` takes the README's pictures here."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from helpers import PROJECT

from auditor.cli import main
from auditor.report.looks import shuffled
from auditor.result import AuditResult

SEEN = 40
"""How far down the list our reviewer goes."""
PICTURES = os.environ.get("AUDITOR_SCREENSHOTS")
"""The folder for pictures, where they are wanted."""


def _commands() -> list[list[str]]:
    """The commands of the README's round, without those that make the environment."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    walk = re.search(r"\n## The whole round.*?(?=\n## )", readme, re.DOTALL)
    assert walk
    lines = "".join(re.findall(r"```sh\n(.*?)```", walk.group(), re.DOTALL)).splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [w for w in words if w[0] not in ("make", ".")]


def _run(words: list[str], folder: Path) -> str:
    """One command of the README. `auditor` is run in this process: each new one takes seconds to load torch."""
    with contextlib.chdir(folder):
        if words[0] == "auditor":
            ran = CliRunner().invoke(main, words[1:])
            assert ran.exit_code == 0, (words, ran.stdout, ran.stderr)
            return ran.stdout
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def _answers(items: Iterable[tuple[str, str]], truth: dict[str, str]) -> str:
    """What a reviewer types who is always right, for drawn images: path and shown label."""
    return "".join("k" if truth[path] == label else f"r{truth[path]}\ue007" for path, label in items)


def test_the_round_of_the_readme(page: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "fixtures").symlink_to(PROJECT / "fixtures")
    make, audit, apply, again, gate, draw, certify, last_gate = _commands()
    _run(make, tmp_path)
    with (tmp_path / "digits38.csv").open(encoding="utf-8") as file:
        truth = {row["path"]: row["true_label"] for row in csv.DictReader(file)}
    _run(audit, tmp_path)
    first = AuditResult.load(tmp_path / "round1")
    given = list(zip(first.ranking["path"], first.ranking["label"], strict=True))
    wrong = sum(label != truth[path] for path, label in given)
    assert wrong == 18

    report = page(first).open(width=1200)
    _picture(report, "round-1-verdict", "#verdict", 720)
    report.open(width=1200)
    keys = ["k" if truth[path] == label else "r" for path, label in given[:SEEN]]
    assert keys.count("r") == wrong  # all of them stand that high
    report.keys("".join(keys[:10]))
    _picture(report, "round-2-review", "#review", 860)
    report.keys("".join(keys[10:]))
    assert report.text(".rv-tally").startswith(f"{SEEN} of 357 reviewed: {SEEN - wrong} kept, {wrong} relabelled")
    report.click("[data-queue=sample]")
    _picture(report, "round-3-sample", "#review", 720)
    seen = {path for path, _ in given[:SEEN]}
    drawn = [(item["path"], item["label"]) for item in shuffled(first.evidence["sample"])]
    assert len(drawn) == 100
    report.keys(_answers([item for item in drawn if item[0] not in seen], truth))
    report.export().rename(tmp_path / "decisions.json")

    applied = _run(apply, tmp_path)
    assert f"{wrong} relabelled" in applied and "left after them: at most 3.7%" in applied
    said = _run(again, tmp_path)
    assert "cleaned.csv: at most 3.7% of these labels are wrong now, whatever kind of errors they are" in said
    second = AuditResult.load(tmp_path / "round2")
    assert dict(zip(second.ranking["path"], second.ranking["label"], strict=True)) == truth
    judged = _run(gate, tmp_path)
    assert judged.endswith("cleaned.csv: WARN\n") and "`auditor review sample OUT -n 45` draws them" in judged

    assert draw[-1] == "45"
    _run(draw, tmp_path)
    report.path.write_bytes((tmp_path / "round2" / "report.html").read_bytes())
    report.open(width=1200)
    assert f"Images: {wrong} relabelled." in report.text("#verdict")
    report.click("[data-queue=sample]")
    report.keys("k" * 45)
    report.export().replace(tmp_path / "decisions.json")
    assert "left after them: at most 2%" in _run(certify, tmp_path)
    report.path.write_bytes((tmp_path / "round2" / "report.html").read_bytes())
    report.open(width=1200, fresh=False)
    assert "At most 2% of these labels are wrong now" in report.text("#verdict")
    _picture(report, "round-4-certificate", "#verdict", 860)
    judged = _run(last_gate, tmp_path)
    assert judged.endswith("cleaned.csv: PASS\n"), judged
    assert report.errors() == []


@pytest.mark.skipif(not PICTURES, reason="a picture for the README, and a minute of audit: make pictures")
def test_the_report_of_the_demo_as_the_readme_shows_it(page: Callable[..., Any], tmp_path: Path) -> None:
    _run(["auditor", "demo", "-o", "demo-audit"], tmp_path)
    report = page(AuditResult.load(tmp_path / "demo-audit")).open(width=1080)
    _picture(report, "demo-report", "body", 1730, width=1080)
    assert report.errors() == []


def _picture(report: Any, name: str, selector: str, height: int, width: int = 1200) -> None:
    """A picture of the window for the README, where pictures are wanted."""
    if not PICTURES:
        return
    from PIL import Image

    window = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    report.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    report.run("document.querySelector(arguments[0]).scrollIntoView()", selector)
    picture = Image.open(io.BytesIO(report.driver.get_screenshot_as_png())).convert("RGB")
    picture.save(PROJECT / PICTURES / f"{name}.png", optimize=True)
