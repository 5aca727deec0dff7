"""Every setting, once: its default, its help, its check; read from flags and from `auditor.toml`.

`AuditSettings` holds what decides an audit's result, `RunSettings` where and how it runs. Both are frozen; the
command line's options are made from their fields.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor import engines
from auditor.errors import ConfigError
from auditor.system.files import read_text
from auditor.system.text import did_you_mean

NOISE_KINDS = ("uniform", "influential", "confusion", "one-sided")

PICKED_NOISE = ("influential", "one-sided")
"""Noise whose points are not drawn at random. How many wrong labels it strikes must be estimated."""

PRESETS = ("default", "study")
RANKINGS = ("suspicion", "influence")
DTYPES = ("float32", "bfloat16")
ITEM_KINDS = ("image", "text", "table")
"""What SOURCE may hold."""

DEVICES = ("auto", "cpu", "cuda", "mps")

DEFAULT_BACKBONE = "resnet18"
"""Audits of earlier versions do not name their backbone. It was this one."""

MAX_PIXELS = 100_000_000
"""Images with more pixels are skipped as possible decompression bombs."""

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]
"""Values a setting may have, or a function that finds them when they are asked for."""


def _setting(default: Any, help: str, *, flag: str = "", metavar: str = "", choices: Choices = ()) -> Any:
    return field(default=default, metadata={"help": help, "flag": flag, "metavar": metavar, "choices": choices})


@dataclass(frozen=True)
class AuditSettings:
    """Settings that decide the result. Equal settings on equal data give equal bytes."""

    classes: tuple[str, ...] = _setting((), "Keep these classes only: two for the binary audit.", metavar="A,B,...")
    kind: str = _setting("", "What an item is  [default: told from SOURCE]", choices=ITEM_KINDS)
    label: str = _setting("", "The column of a table that holds the labels.", metavar="COLUMN")
    features: str = _setting(
        "",
        "Features of your own model, float [N, D] in .npy, .npz or Parquet: one row for each row of the manifest. No "
        "image is decoded for them.",
        metavar="FILE",
    )
    probabilities: str = _setting(
        "",
        "Class probabilities of your own model, float [N, C]: out of sample, columns in the sorted order of the class "
        "names or in that of --classes. They serve alone or beside features.",
        metavar="FILE",
    )
    noise_rate: float = _setting(0.1, "Share of training labels to flip in the controlled experiment (0 < r < 0.5).")
    noise: str = _setting("uniform", "Which labels to flip, and to what.", choices=NOISE_KINDS)
    backbone: str = _setting(
        DEFAULT_BACKBONE,
        "The network that reads the images: a classification network of torchvision by its name, timm:NAME, or your "
        "own as FILE.py:FUNCTION or package.module:FUNCTION, which runs your code. For texts: "
        "sentence-transformers:NAME, or a folder in place of the name.",
        metavar="NAME",
    )
    weights: str = _setting(
        "imagenet", "Backbone weights: imagenet, none, or a file with the backbone's state_dict.", metavar="W"
    )
    train: str = _setting(
        "head",
        "What to train: head, full, or layers:NAME,... (such as layers:layer4,fc), for detection too. "
        "auto: a head, and for detection later layers where they tell more.",
    )
    engine: str = _setting("auto", "Which engine inverts the Hessian.", choices=engines.names)
    damping: str = _setting("auto", "Hessian regularisation: auto (chosen by recovery of planted flips) or a number.")
    reference: str = _setting("", "A data set with trusted labels to measure influence on.", metavar="SOURCE")
    ledger: str = _setting(
        "",
        "What people looked at before; none for no ledger  [default: auditor-ledger.json beside SOURCE, if there]",
        metavar="FILE",
    )
    repeats: int = _setting(3, "How often the planting is repeated for intervals.")
    seed: int = _setting(0, "Seed of splits, planting and training.")
    image_size: str = _setting("auto", "Edge in pixels the backbone sees: auto or a number of at least 8.")
    mirror: bool = _setting(
        False, "Average features over an image and its mirror image; twice the time. Not for digits."
    )
    dtype: str = _setting(
        "float32",
        "Precision of the backbone's pass over the images. bfloat16 took six tenths of the time on a "
        "processor with AVX512-BF16, and nine times as long on one without. Features differ by half a per cent.",
        choices=DTYPES,
    )
    epochs: int = _setting(
        50, "Training epochs. The head on given features, texts and rows has none: it goes to the minimum of its loss."
    )
    learning_rate: float = _setting(1e-3, "Adam's learning rate.")
    batch_size: int = _setting(768, "Training batch size.")
    rank_by: str = _setting(
        "suspicion", "What orders the list, the report and the gate; both ranks are in the files.", choices=RANKINGS
    )
    preset: str = _setting("default", "study repeats the reference study to the letter.", choices=PRESETS)
    max_pixels: int = _setting(MAX_PIXELS, "Skip images with more pixels than this (decompression bombs).")
    max_unreadable: float = _setting(0.1, "Stop when more than this share of the images cannot be read.")
    allow_outside: bool = _setting(False, "Follow links and manifest paths that leave the data set's folder.")
    root: str = _setting("", "Where a manifest's paths begin  [default: the manifest's folder]", metavar="DIR")
    columns: str = _setting("", "What a manifest's columns are called.", metavar="path=A,label=B,split=C")
    group_columns: tuple[str, ...] = _setting((), "Columns that name groups, such as cameras.", metavar="A,B,...")
    examples: int = _setting(
        3,
        "Correctly classified test images to explain by their influence rows. Up to 100 wrong ones are explained too "
        "(fewer with many classes), or up to this number where it is higher.",
    )
    thumbnails: int = _setting(500, "Suspects the report shows as pictures.")
    exact: int = _setting(0, "Suspects for which the head is trained again without each item that explains them.")

    def __post_init__(self) -> None:
        _check(0 < self.noise_rate < 0.5, "noise_rate", self.noise_rate, "above 0 and below 0.5")
        kinds = ("", *ITEM_KINDS)
        chosen = ("noise", NOISE_KINDS), ("rank_by", RANKINGS), ("preset", PRESETS), ("dtype", DTYPES), ("kind", kinds)
        for name, choices in chosen:
            _check(getattr(self, name) in choices, name, getattr(self, name), "one of " + ", ".join(choices))
        if not engines.known(self.engine):
            _check(False, "engine", self.engine, "one of " + ", ".join(engines.names()))
        known = self.train in ("head", "full", "auto") or (self.train.startswith("layers:") and len(self.train) > 7)
        _check(known, "train", self.train, "head, full, auto or layers:NAME,...")
        engines.kind(self.engine).check_train(self.trained)
        damped = self.damping == "auto" or _number(self.damping) > 0
        _check(damped, "damping", self.damping, "auto or a number above 0")
        size = 8 if self.image_size == "auto" else _number(self.image_size)
        _check(size == int(size) and 8 <= size <= 1024, "image_size", self.image_size, "auto or 8 to 1024")
        _check(len(self.classes) != 1, "classes", ",".join(self.classes), "at least two names")
        _check(len(set(self.classes)) == len(self.classes), "classes", ",".join(self.classes), "different names")
        for least, names in (
            (1, ("repeats", "epochs", "batch_size", "max_pixels")),
            (0, ("examples", "thumbnails", "exact", "seed")),
        ):
            for name in names:
                _check(getattr(self, name) >= least, name, getattr(self, name), f"at least {least}")
        _check(self.seed < 1 << 63, "seed", self.seed, "below 2 to the power of 63")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _check(0 <= self.max_unreadable <= 1, "max_unreadable", self.max_unreadable, "between 0 and 1")

    def as_json(self) -> dict[str, Any]:
        """Every setting as JSON keeps it."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @property
    def trained(self) -> str:
        """What influence and the experiment train: `auto` tunes layers for detection alone."""
        return "head" if self.train == "auto" else self.train

    @property
    def trains_head_only(self) -> bool:
        """True when influence and the experiment are those of a head on the frozen backbone's features."""
        return self.trained == "head"

    @property
    def freezes_backbone(self) -> bool:
        """True when nothing after the features needs the backbone."""
        return self.train == "head"

    @property
    def conditions_head(self) -> bool:
        """True when influences are those of a second head, fitted with the damping that detection chose."""
        return self.trains_head_only and self.damping == "auto" and self.preset != "study"


@dataclass(frozen=True)
class RunSettings:
    """Where and how an audit runs. None of this changes its result beyond floating-point order."""

    device: str = _setting("auto", "Where to compute; mps is a Mac's GPU, and auto never takes it.", choices=DEVICES)
    cache: str = _setting("", "Folder of the feature cache (default: the user's cache folder).", metavar="DIR")
    dask: str = _setting("", "Run on a Dask cluster: local:N workers, or tcp://host:port.", metavar="ADDRESS")
    save_matrix: str = _setting("", "Write the influence matrix (reference x training images) as zarr.", metavar="DIR")
    quiet: bool = _setting(False, "No progress on standard error.")
    log_file: str = _setting("", "Append stages and progress to this file, a JSON object a line.", metavar="FILE")
    remote_cache: float = _setting(20.0, "GiB that copies of s3://, https:// and the like may take; 0 keeps none.")

    def __post_init__(self) -> None:
        _check(self.device in DEVICES, "device", self.device, "one of " + ", ".join(DEVICES))
        _check(_number(self.remote_cache) >= 0, "remote_cache", self.remote_cache, "0 or more")


STUDY = {"damping": "0.001", "noise": "influential", "noise_rate": 0.1, "engine": "cg", "repeats": 1}
"""What `--preset study` sets. Its normalisation, split and dropped grey-scale images follow from the preset's name."""


def read_toml(path: str | Path) -> Mapping[str, Any]:
    """The part of a TOML file that is auditor's: all of it, or in a `pyproject.toml` the table `tool.auditor`.

    Raises
    ------
    ConfigError
        The file cannot be read, is not TOML, or has a value where a table belongs.
    """
    path = Path(path)
    try:
        document: Mapping[str, Any] = tomllib.loads(read_text(path))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise ConfigError(f"{path} is not valid TOML: not UTF-8 ({where})", hint="save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if path.name != "pyproject.toml":
        return document
    return _table(_table(document, "tool", path, "tool"), "auditor", path, "tool.auditor")


def _table(document: Mapping[str, Any], key: str, path: Path, name: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path}: '{name}' must be a table, written as [{name}]")
    return table


def read_file(path: str | Path) -> dict[str, Any]:
    """The `[audit]` table of a TOML file (`[tool.auditor.audit]` in a `pyproject.toml`), names with underscores."""
    path = Path(path)
    name = "tool.auditor.audit" if path.name == "pyproject.toml" else "audit"
    return {str(key).replace("-", "_"): value for key, value in _table(read_toml(path), "audit", path, name).items()}


def read_settings(path: str | Path | None = None) -> dict[str, Any]:
    """`read_file` of `path`, or of the first file here that has settings: auditor.toml, then pyproject.toml."""
    if path is not None:
        return _without_code(read_file(path), path)
    for name in ("auditor.toml", "pyproject.toml"):
        if Path(name).is_file() and (values := read_file(name)):
            return _without_code(values, name)
    return {}


def _without_code(values: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """The settings, if none of them would run code or call elsewhere. A file that came with a data set must not.

    A person who names a file of settings by `--config` has not yet named the code, or the address.

    Raises
    ------
    ConfigError
        The backbone is a function of the user's, the cluster is another machine's, or data lie at an address.
    """
    said = {name: str(values.get(name, "")) for name in ("backbone", "dask", "root", "reference")}
    elsewhere = bool(said["dask"]) and not said["dask"].startswith("local:")
    found = {"backbone": runs_code(said["backbone"]), "dask": elsewhere}
    for name, value in said.items():
        if found.get(name, "://" in value):
            what = "run code" if name in found else "read from elsewhere"
            raise ConfigError(
                f"{path}: {name} = {value} would {what}, which a file of settings may not ask for",
                hint=f"say --{name} {value} on the command line",
            )
    return values


def runs_code(backbone: str) -> bool:
    """Whether a backbone is a function of the user's: `FILE.py:FUNCTION` or `package.module:FUNCTION`."""
    return ":" in backbone and not backbone.startswith(("timm:", "sentence-transformers:"))


def settings_from(values: Mapping[str, Any], *, where: str = "settings") -> tuple[AuditSettings, RunSettings]:
    """Both settings from one flat mapping of names to values; unknown names and wrong types raise `ConfigError`."""
    audit, run = _fields(AuditSettings), _fields(RunSettings)
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in audit and name not in run:
            raise ConfigError(f"{where}: unknown setting '{name}'", hint=did_you_mean(name, [*audit, *run]))
        chosen[name] = _convert(name, value, (audit | run)[name].default)
    if chosen.get("preset") == "study":
        chosen = {**STUDY, **chosen}
    return (
        AuditSettings(**{k: v for k, v in chosen.items() if k in audit}),
        RunSettings(**{k: v for k, v in chosen.items() if k in run}),
    )


def _fields(settings: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {f.name: f for f in dataclasses.fields(settings)}


def _convert(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`. A TOML file and a Python caller may spell it in several ways."""
    if isinstance(default, tuple):
        parts = _names(value) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ConfigError(f"{name} must be a list of names, not {value!r}")
        return tuple(part.strip() for part in parts if part.strip())
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{name} must be true or false, not {value!r}")
        return value
    if isinstance(value, bool):
        raise ConfigError(f"{name} must be a {type(default).__name__}, not {value!r}")
    if isinstance(default, str):
        return str(value)
    return _whole(value, name) if isinstance(default, int) else _number(value, name)


def _names(text: str) -> list[str]:
    """Names between commas. A name that holds a comma stands in double quotes, as in a CSV file."""
    try:
        return next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        return text.split(",")


def joined(names: Sequence[str]) -> str:
    """Names as an option takes them; the inverse of reading them."""
    return ",".join('"' + n.replace('"', '""') + '"' if "," in n or n.startswith('"') else n for n in names)


def _whole(value: Any, name: str) -> int:
    """A whole number, however it is spelt. Digits count as they stand; a float would keep sixteen of them."""
    if isinstance(value, int | str):
        with contextlib.suppress(ValueError):
            return int(value)
    number = _number(value, name)
    _check(number == int(number), name, value, "a whole number")
    return int(number)


def _number(value: Any, name: str = "value") -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} must be a number, not {value!r}") from error
    if number != number or number in (float("inf"), float("-inf")):
        raise ConfigError(f"{name} must be finite, not {value!r}")
    return number


def _check(holds: bool, name: str, value: Any, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}, but must be {wanted}")
