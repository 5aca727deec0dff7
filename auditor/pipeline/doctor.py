"""What an installation has and what it lacks, for a person who asks why something does not work."""

from __future__ import annotations

import importlib.util
import os
import textwrap
from pathlib import Path

from auditor import engines
from auditor.compute import hardware
from auditor.errors import AuditorError
from auditor.model import backbone_kind, backbone_names
from auditor.model.resnet import ResNet18
from auditor.model.torchvision_kinds import published, torchvision_names
from auditor.model.weights import cached_path
from auditor.system import machine, versions
from auditor.system.files import default_cache
from auditor.system.text import plain

OPTIONAL = {
    "pyarrow": "Parquet manifests (extra parquet)",
    "timm": "backbones timm:NAME (extra timm)",
    "sentence_transformers": "encoders of texts (extra sentences)",
    "starlette": "auditor review serve (extra serve)",
    "cleanlab": "the detection benchmark (extra bench)",
}


def examine() -> tuple[list[str], bool]:
    """Lines to print, and whether everything an audit needs is there."""
    lines, healthy = [], True
    for package, version in versions.installed().items():
        if package == "pydvl" and version == "missing":  # its engines and what it does on a cluster alone need it
            lines.append(f"{package:<14}not installed: engines beside auto, --dask and --save-matrix")
            lines.append(f"{'':<14}to add it: {engines.adding_pydvl()}")
            continue
        lines.append(f"{package:<14}{version}")
        healthy &= version != "missing"
    lines.append(f"{'device':<14}{hardware.device('auto')}, {machine.cores()} cores")
    lines += _backbones()
    cache = default_cache()
    lines.append(f"{'cache':<14}{cache} ({_size(cache) / 1e6:.0f} MB{'' if _writable(cache) else ', not writable'})")
    for package, use in OPTIONAL.items():
        there = importlib.util.find_spec(package) is not None
        lines.append(f"{package + ' ':<14}{'installed' if there else 'not installed'}: {use}")
    return lines, healthy


def _backbones() -> list[str]:
    """What `--backbone` takes, whether its weights are there, and what is missing."""
    known = torchvision_names()
    lines = [f"{'backbones':<14}resnet18 unless --backbone names another; {len(known)} of torchvision:"]
    lines += textwrap.wrap(", ".join(known), 106, initial_indent=" " * 14, subsequent_indent=" " * 14)
    for name in sorted({*backbone_names()} - {*known, ResNet18.name}):
        try:
            lines.append(f"{'':<14}{plain(name)}, from another package: {plain(backbone_kind(name).meaning)}")
        except AuditorError as error:
            lines.append(f"{'':<14}{plain(name)}, from another package, cannot be used: {plain(error.message, 200)}")
    if importlib.util.find_spec("timm") is not None:
        lines.append(f"{'':<14}timm:NAME, for every NAME in timm.list_models()")
    lines.append(f"{'':<14}FILE.py:FUNCTION or package.module:FUNCTION, your own network; this runs your code")
    weights = cached_path(ResNet18.published)
    found = "cached" if weights.exists() else "not cached: use --download, --weights PATH or --weights none"
    lines.append(f"{'imagenet':<14}resnet18 {found} ({weights})")
    others = [name for name in known if name != "resnet18" and _cached(name)]
    return [*lines, f"{'':<14}others in the cache: {', '.join([*others, *_timm_cached()]) or 'none'}"]


def _timm_cached() -> list[str]:
    """Networks of timm whose weights the Hugging Face cache holds."""
    home = Path(os.environ.get("HF_HOME", Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"))
    folder = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    found = [path for path in folder.glob("models--timm--*") if any(path.glob("snapshots/*/*"))]
    return sorted(f"timm:{plain(path.name.removeprefix('models--timm--'))}" for path in found)


def _cached(name: str) -> bool:
    """Whether torch's cache holds the published weights of a network of torchvision."""
    known = published(name)
    return known is not None and cached_path(known).exists()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _writable(folder: Path) -> bool:
    """True when the folder can be written to, or the nearest existing one above it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
