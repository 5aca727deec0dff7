"""The integrations as far as they run here: files against their schemas, scripts and hooks run for real.

The audit itself is replaced by one that writes a synthetic result; the gate is the real command. DVC, MLflow and
pre-commit are tested where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_result

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
INTEGRATIONS = ROOT / "integrations"
SHIM = """#!{python}
import json, sys
sys.path[:0] = [{root!r}, {tests!r}]
if sys.argv[1] == "audit":
    from pathlib import Path
    from builders import make_result
    out = Path(sys.argv[sys.argv.index("-o") + 1]); out.mkdir(parents=True, exist_ok=True)
    make_result(n=300, share_wrong={share}, thumbnails=0, examples=0).save(out)
    (out / "arguments.json").write_text(json.dumps(sys.argv[1:]))
else:
    from auditor.cli import main
    main()
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A current folder of its own and an `auditor` on the path whose data set has 30% wrong labels."""
    monkeypatch.chdir(tmp_path)
    return _with_auditor(tmp_path, share=0.3)


def _with_auditor(folder: Path, share: float) -> dict[str, str]:
    (folder / "bin").mkdir(exist_ok=True)
    shim = folder / "bin" / "auditor"
    shim.write_text(SHIM.format(python=sys.executable, root=str(ROOT), tests=str(ROOT / "tests"), share=share))
    shim.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("github/action.yml", "vendor.github-actions"),
        ("github/workflow.yml", "vendor.github-workflows"),
        ("gitlab/auditor.gitlab-ci.yml", "vendor.gitlab-ci"),
    ],
)
def test_the_templates_follow_their_systems_schemas(file: str, schema: str) -> None:
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(INTEGRATIONS / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _step(name: str) -> dict[str, object]:
    action = yaml.safe_load((INTEGRATIONS / "github" / "action.yml").read_text("utf-8"))
    return next(step for step in action["runs"]["steps"] if step["id"] == name)


def _bash(script: object, environment: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the runner does: `bash --noprofile --norc -eo pipefail`."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", str(script)]
    return subprocess.run(command, capture_output=True, text=True, env={**environment, **variables}, check=False)


def test_no_input_is_pasted_into_a_script() -> None:
    action = yaml.safe_load((INTEGRATIONS / "github" / "action.yml").read_text("utf-8"))
    assert not any("${{" in step["run"] for step in action["runs"]["steps"])


def test_the_github_action_audits_annotates_and_hands_on_its_verdict(
    environment: dict[str, str], tmp_path: Path
) -> None:
    options = "--noise-rate=0.2\n--classes=a,b $(touch owned)\n"
    audit = _bash(
        _step("audit")["run"],
        environment,
        AUDIT_SOURCE="my photos",
        AUDIT_OUT="out",
        AUDIT_OPTIONS=options,
        AUDIT_CACHE=".cache",
    )
    assert audit.returncode == 0, audit.stderr
    expected = ["audit", "my photos", "-o", "out", "--quiet", "--noise-rate=0.2", "--classes=a,b $(touch owned)"]
    assert json.loads((tmp_path / "out/arguments.json").read_text()) == [*expected, "--cache=.cache"]
    assert not (tmp_path / "owned").exists()
    files = {"GITHUB_OUTPUT": str(tmp_path / "outputs"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    done = _bash(_step("gate")["run"], environment, AUDIT_OUT="out", GATE_OPTIONS="", **files)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^::error title=auditor gate%3A wrong_labels FAIL::An estimated", done.stdout, re.M)
    assert (tmp_path / "outputs").read_text() == "verdict=FAIL\nsarif=out/verdict.sarif\n"
    assert "### Label audit: FAIL" in (tmp_path / "summary.md").read_text("utf-8")
    assert (tmp_path / "out/verdict.sarif").is_file()
    done = _bash(_step("gate")["run"], environment, AUDIT_OUT="out", GATE_OPTIONS="--exit-zero", **files)
    assert done.returncode == 0, done.stderr
    done = _bash(_step("gate")["run"], environment, AUDIT_OUT="nowhere", GATE_OPTIONS="", **files)
    assert done.returncode == 2
    assert (tmp_path / "outputs").read_text().count("verdict=") == 2


def test_the_gitlab_job_writes_the_reports_it_names(environment: dict[str, str], tmp_path: Path) -> None:
    job = yaml.safe_load((INTEGRATIONS / "gitlab" / "auditor.gitlab-ci.yml").read_text("utf-8"))["label-audit"]
    done = _bash("\n".join(job["script"]), environment, **job["variables"])
    assert done.returncode == 1, done.stderr
    for report in job["artifacts"]["reports"].values():
        assert (tmp_path / report).is_file()


def test_the_pre_commit_hooks_are_valid_and_the_installed_one_runs(environment: dict[str, str], tmp_path: Path) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    assert set(hooks) == {"auditor-gate", "auditor-gate-system"}
    assert all(hook["entry"] == "auditor gate --no-keep" and hook["pass_filenames"] is False for hook in hooks.values())
    pre_commit = shutil.which("pre-commit")
    if pre_commit is None:
        pytest.skip("pre-commit is not installed")
    subprocess.run([pre_commit, "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")], check=True)
    provider, user = tmp_path / "provider", tmp_path / "user"
    for repository in (provider, user):
        repository.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", provider)
    (user / "out").mkdir()
    make_result(n=300, share_wrong=0.3, thumbnails=0, examples=0).save(user / "out")
    for repository in (provider, user):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
        subprocess.run(["git", *who, "commit", "-qm", "x"], cwd=repository, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=provider, capture_output=True, text=True, check=True)
    (user / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {provider}\n  rev: {head.stdout.strip()}\n  hooks:\n"
        "  - {id: auditor-gate-system, args: [out]}\n"
    )
    environment["PRE_COMMIT_HOME"] = str(tmp_path / "home")
    done = subprocess.run(
        [pre_commit, "run", "--all-files"], cwd=user, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "FAIL wrong_labels" in done.stdout, done.stdout + done.stderr
    assert "files were modified" not in done.stdout


def test_the_dvc_stages_audit_when_data_change_and_judge_when_rules_change(tmp_path: Path) -> None:
    dvc = shutil.which("dvc")
    if dvc is None:
        pytest.skip("DVC is not installed")
    environment = _with_auditor(tmp_path, share=0.0)
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    (work / "data" / "a.txt").write_text("a")
    shutil.copy(INTEGRATIONS / "dvc" / "dvc.yaml", work)
    easy = "".join(f"[rules.{n}]\nenabled = false\n" for n in ("leakage", "conflicting_duplicates", "unreadable"))
    (work / "auditor.toml").write_text(easy)
    subprocess.run(["git", "init", "-q"], cwd=work, check=True)

    def run_dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([dvc, *arguments], cwd=work, env=environment, capture_output=True, text=True, check=False)

    assert run_dvc("init", "-q").returncode == 0
    done = run_dvc("repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((work / "verdict.json").read_text())["verdict"] in ("PASS", "WARN")
    assert "exit_code" in run_dvc("metrics", "show").stdout
    (work / "auditor.toml").write_text(easy + "[rules.class_balance]\nfail = 1.0\nwarn = 1.0\n")
    done = run_dvc("repro")
    assert "Stage 'label-audit' didn't change" in done.stdout + done.stderr
    (work / "auditor.toml").write_text("[rules.leakage]\nfail = 0\n")
    assert run_dvc("repro").returncode != 0


def test_the_mlflow_example_logs_figures_verdict_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    result = make_result(n=300, share_wrong=0.3, thumbnails=0, examples=0)
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    spec = importlib.util.spec_from_file_location("log_audit", INTEGRATIONS / "mlflow" / "log_audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mlflow.set_tracking_uri(f"file://{tmp_path / 'runs'}")
    with mlflow.start_run() as active:
        verdict = module.log_audit("out")
    logged = mlflow.get_run(active.info.run_id).data
    assert logged.tags["labels.verdict"] == str(verdict.verdict) == "FAIL"
    assert logged.metrics["labels.wrong_labels"] == pytest.approx(verdict.rules[0].measured)
    stored = {p.name for p in (tmp_path / "runs").rglob("label-audit/*")}
    assert stored == {"verdict.json", "verdict.md", "audit.json"}
