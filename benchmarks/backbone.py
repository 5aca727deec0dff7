"""Features of the shared images as an audit computes and caches them, for every contender of a benchmark alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WEIGHTS = Path("weights") / "resnet18-tiny170.pth"
SIZE = 64


def features(data: Path, name: str, paths: Iterable[str], cache: Path | None = None) -> Any:
    """Features float32 [N, 896] of the images at `paths` in the folder `name` of the shared `data`.

    Those of layer2, layer3 and layer4, pooled, which is what an audit's detection sees.
    """
    from auditor.data.feature_cache import FeatureCache, default_cache
    from auditor.data.features import extract
    from auditor.model import backbone, resnet
    from auditor.model.backbone import Transform
    from auditor.model.weights import load_weights
    from auditor.sources.base import ImageTable

    root = data / name
    weights = load_weights(str(data / WEIGHTS))
    mean, std = backbone.normalisation("default", weights)
    network = resnet.layered_extractor(resnet.build_network(weights, 2, SIZE, 0))
    frame = pd.DataFrame({"path": list(paths), "label": "", "split": ""})
    table = ImageTable(name, str(root), frame, lambda path: (root / path).read_bytes())
    key = {"layers": "2,3,4", "weights": weights.sha256, "size": SIZE, "mean": mean, "std": std}
    store = FeatureCache(cache or default_cache(), key, resnet.N_LAYERED)
    read = extract(table, Transform(SIZE, mean, std), network, cache=store)
    if len(read.rows) != len(frame):
        raise SystemExit(f"{len(frame) - len(read.rows)} images of {root} cannot be read")
    return np.asarray(read.values)
