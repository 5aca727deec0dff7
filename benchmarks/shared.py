"""The shared data sets: where they lie, and features of their images as an audit computes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from auditor.model import BackboneKind, Weights

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AUDITOR_DATA", ROOT.parent / "shared" / "data"))
WEIGHTS = DATA / "weights" / "resnet18-tiny170.pth"
SIZE = 64


def need(name: str = "") -> None:
    """Stop with a message if the shared data are not there."""
    if not (DATA / name).is_dir():
        raise SystemExit(f"no data at {DATA / name}: set AUDITOR_DATA to the folder of the shared data")


@dataclass(frozen=True)
class Eyes:
    """A network with its weights, and the edge in pixels that it sees."""

    kind: BackboneKind
    weights: Weights
    size: int


def stand_in() -> Eyes:
    """The ResNet18 that stands in for ImageNet's, at the size that it was trained at."""
    from auditor.model.resnet import ResNet18
    from auditor.model.weights import load_weights

    return Eyes(ResNet18(), load_weights(str(WEIGHTS), ResNet18()), SIZE)


def eyes(backbone: str, size: str = "auto") -> Eyes:
    """What `--backbone` names, with its best weights, at a size in pixels or at its own."""
    from auditor.model import backbone_kind
    from auditor.model.weights import load_weights

    kind = backbone_kind(backbone)
    weights = load_weights("imagenet", kind)
    return Eyes(kind, weights, kind.image_size(size, np.array([SIZE]), weights))


def features(
    name: str,
    paths: Iterable[str],
    cache: Path | None = None,
    *,
    read: Callable[[str], bytes] | None = None,
    seen_by: Eyes | None = None,
) -> Any:
    """Features float32 [N, D] of the images at `paths` in the data set `name`, as an audit's detection sees them.

    The stand-in ResNet18 gives 896: those of layer2, layer3 and layer4, pooled. `read` gives the bytes of an image that
    is no file of its own.
    """
    from auditor.data.feature_cache import FeatureCache, default_cache
    from auditor.data.features import extract
    from auditor.model.backbone import Transform
    from auditor.sources.base import ImageTable

    root = DATA / name
    by = seen_by or stand_in()
    kind, weights, size = by.kind, by.weights, by.size
    mean, std = kind.normalisation("default", weights)
    network = kind.extractor(kind.build(weights, 2, size, 0))
    frame = pd.DataFrame({"path": list(paths), "label": "", "split": ""})
    table = ImageTable(name, str(root), frame, read or (lambda path: (root / path).read_bytes()))
    key = {**kind.cache_key(), "weights": weights.sha256, "size": size, "mean": mean, "std": std}
    store = FeatureCache(cache or default_cache(), key, kind.n_layered)
    read = extract(table, Transform(size, mean, std), network, cache=store)
    if len(read.rows) != len(frame):
        raise SystemExit(f"{len(frame) - len(read.rows)} images of {root} cannot be read")
    return np.asarray(read.values)


def class_folders(
    name: str, split: str, cache: Path | None = None, seen_by: Eyes | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, D] and labels [N] of `name/split/<class>/*`; labels number the sorted class names."""
    base = DATA / name
    folders = sorted(path for path in (base / split).iterdir() if path.is_dir())
    files = [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]
    paths = [path.relative_to(base).as_posix() for path, _ in files]
    return features(name, paths, cache, seen_by=seen_by), np.array([label for _, label in files])
