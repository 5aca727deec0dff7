"""The plugin in real pytest sessions of their own: items, outcomes, fixture, options, and nothing when not asked."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_result

ROOT = Path(__file__).parents[1]
RULES = 10


def session(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in `folder` as a user of the plugin would."""
    installed = any(point.name == "auditor" for point in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "auditor.pytest_plugin"]
    others = [f"-pno:{name}" for name in ("cacheprovider", "zarr", "xdist", "anyio", "hypothesispytest")]
    command = [sys.executable, "-m", "pytest", *others, *plugin, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished audit of bad data in `out`."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "out").mkdir()
    make_result(n=300, share_wrong=0.3, thumbnails=0, examples=0).save(folder / "out")
    return folder


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    last = done.stdout.strip().splitlines()[-1]
    return {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last.split(" in ")[0])}


def test_one_item_a_rule_that_fails_with_its_sentence_and_no_traceback(bad: Path) -> None:
    done = session(bad, "--audit-result", "out", "-v")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(re.findall(r"^label-audit::\w+ ", done.stdout, re.M)) == RULES
    assert "FAIL wrong_labels: An estimated" in done.stdout
    assert re.search(r"  train/.*: labelled '.*', looks like '.*', wrong with probability", done.stdout)
    assert "  Next: Review the suspects" in done.stdout
    assert "Traceback" not in done.stdout and "pytest_plugin.py:" not in done.stdout.split("warnings summary")[0]
    assert "LabelAuditWarning: new_suspects" in done.stdout


def test_items_are_selected_like_any_other(bad: Path) -> None:
    done = session(bad, "--audit-result", "out", "-k", "model_f1 or class_balance")
    assert done.returncode == 0, done.stdout
    assert counts(done) == {"passed": 2, "deselected": RULES - 2}


def test_undecided_is_not_a_pass(tmp_path: Path) -> None:
    make_result(calibrated=False, thumbnails=0, examples=0).save(tmp_path)
    done = session(tmp_path, "--audit-result", ".", "-k", "wrong_labels")
    assert done.returncode == 1
    assert "UNDECIDED wrong_labels" in done.stdout


def test_levels_come_from_the_configuration_and_switched_off_rules_are_no_items(bad: Path) -> None:
    off = "".join(f"[rules.{name}]\nenabled = false\n" for name in ("leakage", "conflicting_duplicates", "unreadable"))
    (bad / "levels.toml").write_text(f"{off}[rules.wrong_labels]\nfail = 0.9\n[rules.class_share]\nfail = 0.9\n")
    done = session(bad, "--audit-result", "out", "--audit-config", "levels.toml", "-W", "ignore")
    assert done.returncode == 0, done.stdout
    assert counts(done)["passed"] == RULES - 3


def test_the_fixture_gives_the_result_and_the_verdict_beside_other_tests(bad: Path, tmp_path: Path) -> None:
    (tmp_path / "test_labels.py").write_text(
        "def test_share(label_audit):\n"
        "    assert label_audit.verdict.verdict == 'FAIL'\n"
        "    assert label_audit.rules['wrong_labels'].measured > 0.2\n"
        "    assert len(label_audit.result.ranking) == 300\n"
    )
    done = session(tmp_path, "--audit-result", str(bad / "out"), "-k", "test_share")
    assert done.returncode == 0, done.stdout
    done = session(tmp_path, "-rs")
    assert done.returncode == 0 and "label_audit needs --audit-source" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--audit-result", "a", "--audit-source", "b"), "exclude each other"),
        (("--audit-result", "out", "--audit-config", "none.toml"), "cannot read the configuration none.toml"),
        (("--audit-source", "x", "--audit-baseline", "none.json"), "cannot read the baseline none.json"),
        (("--audit-source", "x", "--audit-option", "seed"), "is not NAME=VALUE"),
        (("--audit-source", "x", "--audit-option", "wieghts=none"), "did you mean 'weights'?"),
    ],
)
def test_bad_options_are_usage_errors(bad: Path, arguments: tuple[str, ...], says: str) -> None:
    done = session(bad, *arguments)
    assert done.returncode == 4
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_audit_is_one_sentence(tmp_path: Path) -> None:
    done = session(tmp_path, "--audit-result", "nowhere", "-k", "leakage")
    assert done.returncode == 1
    assert "nowhere holds no finished audit" in done.stdout and "Traceback" not in done.stdout


def test_without_the_options_nothing_is_imported_or_collected(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\ndef test_light():\n    assert not {'torch', 'pandas', 'auditor.gate'} & set(sys.modules)\n"
    )
    done = session(tmp_path)
    assert done.returncode == 0, done.stdout
    assert counts(done) == {"passed": 1}


def test_a_source_is_audited_once_for_all_rules_and_the_fixture(tmp_path: Path) -> None:
    """With the audit itself replaced by one that counts its calls."""
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "import auditor\nfrom builders import make_result\n"
        "def audit(source, **options):\n"
        "    with open('calls', 'a') as calls: print(source, sorted(options.items()), file=calls)\n"
        "    return make_result(n=300, thumbnails=0, examples=0)\n"
        "auditor.audit = audit\n"
    )
    (tmp_path / "test_it.py").write_text("def test_it(label_audit): assert label_audit.result.classes\n")
    done = session(tmp_path, "--audit-source", "photos", "--audit-option", "noise-rate=0.2", "--audit-option", "seed=3")
    assert (tmp_path / "calls").read_text() == "photos [('noise_rate', '0.2'), ('seed', '3')]\n", done.stdout
    assert sum(counts(done).get(k, 0) for k in ("passed", "failed")) == RULES + 1
