"""torchvision:NAME:ROOT opens what torchvision keeps below ROOT, and unpickles nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import few_images

from auditor.errors import SourceError
from auditor.sources import open_source


def test_a_data_set_of_torchvision_is_found_where_torchvision_keeps_it(tmp_path: Path) -> None:
    few_images(tmp_path / "eurosat" / "2750")
    table = open_source(f"torchvision:EuroSAT:{tmp_path}")
    assert set(table.frame["label"]) == {"3", "8"} and table.source == f"torchvision:EuroSAT:{tmp_path}"
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    rows = np.concatenate([np.r_[label, np.full(3072, 40 * label + n)] for label in (0, 1) for n in range(4)])
    (folder / "data_batch_1.bin").write_bytes(rows.astype(np.uint8).tobytes())
    named, plain = open_source(f"torchvision:cifar10:{tmp_path}"), open_source(str(folder))
    assert named.frame.equals(plain.frame) and len(named.frame) == 8


def test_what_is_not_there_or_pickled_or_unknown_is_said(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    for name, words in {"CIFAR100": "pickles", "MNIST": "does not hold", "SVHN": "is not known by name"}.items():
        with pytest.raises(SourceError, match=words):
            open_source(f"torchvision:{name}:{tmp_path}")
