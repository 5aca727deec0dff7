"""Log a finished audit and its verdict to MLflow: `python log_audit.py OUT [--run-id ID]`.

Figures become metrics, the verdict becomes a tag, and the report and the JSON verdict become artifacts. Copy this into
a training script to tie a model to the state of its labels.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mlflow

from auditor import gate
from auditor.result import AuditResult


def log_audit(out: str | Path, *, config: str | None = None, baseline: str | None = None) -> gate.Verdict:
    """Log the audit in folder `out` to the active MLflow run and return the verdict."""
    result = AuditResult.load(out)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"{kind}={folder}/verdict.{end}" for kind, end in (("json", "json"), ("markdown", "md"))]
        verdict = gate.run(out, gate.GateRequest(config=config, baseline=baseline, outputs=outputs)).verdict
        mlflow.log_artifacts(folder, artifact_path="label-audit")
    for name in ("audit.json", "report.html"):
        if (Path(out) / name).is_file():
            mlflow.log_artifact(str(Path(out) / name), artifact_path="label-audit")
    mlflow.set_tags({"labels.verdict": str(verdict.verdict), "labels.audit_id": result.audit_id})
    for outcome in verdict.rules:
        if outcome.measured is not None:
            mlflow.log_metric(f"labels.{outcome.rule}", outcome.measured)
    return verdict


def main() -> None:
    """Log to a new run, or to the one named by `--run-id`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--run-id")
    arguments = parser.parse_args()
    with mlflow.start_run(run_id=arguments.run_id):
        print(log_audit(arguments.out).verdict)


if __name__ == "__main__":
    main()
