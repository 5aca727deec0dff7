"""The types of `audit.json` and `evidence.json`, their JSON Schemas, the page about them, and real files agree."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import schemas
from builders import make_result
from helpers import PROJECT

from auditor.config import AuditSettings
from auditor.result.documents import SettingsDocument


def _faults(name: str, document: object) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schemas.schema(name))
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", [*schemas.DOCUMENTS, *schemas.OF_LOOKS])
def test_the_schema_beside_the_types_is_made_from_them(name: str) -> None:
    assert schemas.path(name).read_text(encoding="utf-8") == schemas.text(name), "run python tests/schemas.py"
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schemas.schema(name))


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_the_files_of_an_audit_have_exactly_these_keys_and_types(name: str, finished_folder: Path) -> None:
    assert _faults(name, json.loads((finished_folder / f"{name}.json").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_so_have_the_results_that_tests_make(name: str, calibrated: bool, tmp_path: Path) -> None:
    make_result(60, calibrated=calibrated).save(tmp_path)
    assert _faults(name, json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))) == []


def test_the_schema_sees_a_key_too_many_one_too_few_and_a_wrong_type(finished_folder: Path) -> None:
    document = json.loads((finished_folder / "audit.json").read_text(encoding="utf-8"))
    assert _faults("audit", {**document, "extra": 1})
    assert _faults("audit", {key: value for key, value in document.items() if key != "notes"})
    assert _faults("audit", {**document, "dataset": {**document["dataset"], "n_images": "many"}})


def test_settings_are_the_fields_of_audit_settings() -> None:
    assert list(get_type_hints(SettingsDocument)) == [field.name for field in dataclasses.fields(AuditSettings)]


@pytest.mark.parametrize("name", [*schemas.DOCUMENTS, *schemas.OF_LOOKS])
def test_the_page_names_every_key(name: str) -> None:
    page = set(re.findall(r"\w+", (PROJECT / "docs" / "schema.md").read_text(encoding="utf-8")))
    objects = schemas.schema(name)["$defs"]
    objects.pop("SettingsDocument", None)  # the page says "every field of AuditSettings"
    assert {key for found in objects.values() for key in found["properties"]} - page == set()


MISSPELT = """
from auditor.result.documents import AuditDocument

def images(document: AuditDocument) -> int:
    return document["dataset"]["n_imagse"]
"""


def test_mypy_sees_a_misspelt_key(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    # Only what the types need is copied: with pandas' stubs mypy would take ten times as long.
    for module in ("result/documents.py", "result/figures.py", "system/machine.py", "system/memory.py", "errors.py"):
        (tmp_path / "auditor" / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "auditor" / module, tmp_path / "auditor" / module)
    for folder in ("auditor", "auditor/result", "auditor/system"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "snippet.py").write_text(MISSPELT)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=cache", "snippet.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'no key "n_imagse"' in done.stdout and "Found 1 error" in done.stdout, done.stdout + done.stderr
