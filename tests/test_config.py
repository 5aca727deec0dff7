"""Settings: one flat mapping in, checked and typed settings out, clear sentences for everything else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.config import STUDY, AuditSettings, RunSettings, joined, read_file, settings_from
from auditor.errors import ConfigError, ExitCode


def test_defaults_are_the_reference_studys_set_up() -> None:
    audit, run = settings_from({})
    assert audit == AuditSettings() and run == RunSettings()
    assert (audit.epochs, audit.learning_rate, audit.train, audit.weights) == (50, 1e-3, "head", "imagenet")
    assert audit.trains_head_only


def test_the_study_preset_sets_its_values_and_gives_way_to_the_users() -> None:
    audit, _ = settings_from({"preset": "study"})
    assert {name: getattr(audit, name) for name in STUDY} == STUDY
    audit, _ = settings_from({"preset": "study", "noise_rate": 0.2})
    assert audit.noise_rate == 0.2 and audit.noise == "influential"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_rate", 0.0),
        ("noise_rate", 0.5),
        ("noise_rate", -0.1),
        ("noise_rate", float("nan")),
        ("noise_rate", "many"),
        ("noise_rate", True),
        ("noise_rate", None),
        ("noise_rate", [0.1]),
        ("noise", "loud"),
        ("engine", "magic"),
        ("preset", "fast"),
        ("device", "tpu"),
        ("train", "layers:"),
        ("train", "everything"),
        ("damping", "0"),
        ("damping", "-1"),
        ("damping", "a lot"),
        ("damping", "inf"),
        ("image_size", "7"),
        ("image_size", "1025"),
        ("image_size", "63.5"),
        ("image_size", "big"),
        ("classes", "a"),
        ("classes", "a,a"),
        ("classes", 3),
        ("classes", ["a", 3]),
        ("repeats", 0),
        ("repeats", 1.5),
        ("repeats", True),
        ("max_unreadable", False),
        ("epochs", 0),
        ("batch_size", 0),
        ("max_pixels", 0),
        ("examples", -1),
        ("thumbnails", -1),
        ("seed", -1),
        ("seed", 1 << 63),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("max_unreadable", 1.01),
        ("max_unreadable", -0.01),
        ("quiet", "yes"),
        ("quiet", 1),
    ],
)
def test_bad_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from({name: value})
    assert caught.value.exit_code == ExitCode.USAGE
    assert name in caught.value.message or "value" in caught.value.message


def test_whole_numbers_are_read_digit_by_digit() -> None:
    for spelt in ("9007199254740993", 9007199254740993):
        assert settings_from({"seed": spelt})[0].seed == 9007199254740993  # no float holds it
    for spelt in ("3.0", 3.0, "3e0"):
        assert settings_from({"seed": spelt})[0].seed == 3
    with pytest.raises(ConfigError, match="seed is 12345678901234567890123, but must be"):
        settings_from({"seed": "12345678901234567890123"})


def test_an_unknown_name_gets_the_near_one() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from({"noise_rat": 0.1}, where="auditor.toml")
    assert "auditor.toml: unknown setting 'noise_rat'" in caught.value.message
    assert "noise_rate" in caught.value.hint


@example({"seed": 3, "repeats": 2.0, "thumbnails": "7"})
@example({"damping": 0.5, "image_size": 64, "weights": 3})
@example({"classes": ["a", "b"], "quiet": True})
@given(
    st.dictionaries(
        st.sampled_from([f.name for s in (AuditSettings, RunSettings) for f in dataclasses.fields(s)]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=4))
        ),
        max_size=4,
    )
)
def test_any_mapping_gives_settings_or_a_config_error(values: dict[str, Any]) -> None:
    try:
        audit, run = settings_from(values)
    except ConfigError as error:
        assert error.message
        return
    for settings in (audit, run):
        for field in dataclasses.fields(settings):
            assert isinstance(getattr(settings, field.name), type(field.default))


@pytest.mark.parametrize(
    ("train", "engine", "serves"),
    [
        ("full", "ekfac", False),
        ("layers:fc", "ekfac", False),
        ("full", "direct", False),
        ("head", "ekfac", True),
        ("head", "direct", True),
        ("layers:layer4,fc", "direct", True),
        ("full", "nystroem", True),
    ],
)
def test_engines_that_cannot_serve_what_is_trained_are_refused_before_anything_is_read(
    train: str, engine: str, serves: bool
) -> None:
    if serves:
        assert settings_from({"train": train, "engine": engine})[0].engine == engine
        return
    with pytest.raises(ConfigError, match=f"engine {engine}") as caught:
        settings_from({"train": train, "engine": engine})
    assert "--engine auto" in caught.value.hint


def test_equal_settings_however_they_are_spelt() -> None:
    from_toml = settings_from({"classes": ["a", "b"], "damping": 0.001, "image_size": 64, "seed": 3.0})
    from_flags = settings_from({"classes": "a, b", "damping": "0.001", "image_size": "64", "seed": 3})
    assert from_toml == from_flags


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        AuditSettings().seed = 1  # type: ignore[misc]


def test_a_file_with_dashes_or_underscores(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text('[audit]\nnoise-rate = 0.2\nclasses = ["a", "b"]\n[gate]\nrules = []\n')
    assert read_file(path) == {"noise_rate": 0.2, "classes": ["a", "b"]}


def test_a_pyproject_table(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[project]\nname='x'\n[tool.auditor.audit]\nseed = 4\n")
    assert read_file(path) == {"seed": 4}
    path.write_text("[project]\nname='x'\n")
    assert read_file(path) == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", b"[audit\n"),
        ("a.toml", b"\xff\xfe"),
        ("a.toml", b"audit = 3\n"),
        ("pyproject.toml", b"tool = 3\n"),
        ("pyproject.toml", b"[tool]\nauditor = 3\n"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        read_file(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the configuration"):
            read_file(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat,dog", ("cat", "dog")),
        ('"hot dog, big",cat', ("hot dog, big", "cat")),
        ('cat, "a ""b"", c"', ("cat", 'a "b", c')),
        ('5" disc,3" disc', ('5" disc', '3" disc')),
        ("a\nb,c", ("a\nb", "c")),
    ],
)
def test_names_of_classes_may_hold_commas(text: str, names: tuple[str, ...]) -> None:
    assert settings_from({"classes": text})[0].classes == names
    assert settings_from({"classes": joined(names)})[0].classes == names
    assert settings_from({"classes": list(names)})[0].classes == names
