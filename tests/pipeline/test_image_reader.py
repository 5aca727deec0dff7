"""What the network sees of an image: itself, or itself and its mirror image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import FIXTURES, tiny_network, use_tiny_network
from PIL import Image, ImageOps

from auditor.config import AuditSettings, RunSettings
from auditor.pipeline import reading
from auditor.pipeline.job import Job
from auditor.system.checkpoint import Checkpoints
from auditor.system.progress import Progress


def _features(source: Path, weights: str, cache: Path, *, mirror: bool) -> np.ndarray:
    settings = AuditSettings(weights=weights, image_size="8", mirror=mirror)
    job = Job(settings, RunSettings(cache=str(cache)), Progress(quiet=True), Checkpoints(None))
    return np.asarray(reading.read(source, job)[0].data.features)


@pytest.mark.parametrize("pretrained", [True, False])
def test_features_are_means_over_an_image_and_its_mirror_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretrained: bool
) -> None:
    use_tiny_network(monkeypatch)
    source, mirrored, weights = tmp_path / "images", tmp_path / "mirrored", "none"
    for digit in ("3", "8"):
        for path in sorted((FIXTURES / "digits" / "train" / digit).glob("*.png"))[:12]:
            with Image.open(path) as image:
                for folder, shown in ((source, image), (mirrored, ImageOps.mirror(image))):
                    (folder / digit).mkdir(parents=True, exist_ok=True)
                    shown.save(folder / digit / path.name)
    if pretrained:
        weights = str(tmp_path / "w.pth")
        torch.save({k: v for k, v in tiny_network(2, 0).state_dict().items() if "fc." not in k}, weights)
    plain = _features(source, weights, tmp_path / "cache", mirror=False)
    found = _features(source, weights, tmp_path / "cache", mirror=True)
    assert not np.allclose(plain, found), "the cache keeps them apart"
    if pretrained:  # a network without weights is settled on its own images, and these differ
        np.testing.assert_allclose(
            found, (plain + _features(mirrored, weights, tmp_path / "cache", mirror=False)) / 2, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(found, _features(source, weights, tmp_path / "cache", mirror=True))
