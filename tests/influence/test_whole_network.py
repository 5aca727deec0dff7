"""The closed form on features equals pyDVL's own matrix on the whole frozen ResNet18, on real images if any."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from with_pydvl import CgInfluence, DirectInfluence

from auditor.influence import HeadProblem, NetworkProblem, engine
from auditor.model import vision

DATA = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[2] / "../shared/data")) / "tables-boats"
DAMPING = 0.05


def images(n_a_class: int) -> tuple[torch.Tensor, torch.Tensor]:
    """float64 [2 n, 3, 64, 64] and labels: photographs from `AUDITOR_DATA`, else noise of two brightnesses."""
    labels = torch.tensor([0, 1] * n_a_class)
    if not DATA.is_dir():
        generator = torch.Generator().manual_seed(0)
        return torch.randn(2 * n_a_class, 3, 64, 64, generator=generator).double() + labels[:, None, None, None], labels
    found = [sorted((DATA / "train" / name).glob("*"))[:n_a_class] for name in ("tables", "boats")]
    paths = [path for pair in zip(*found, strict=True) for path in pair]
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).double() / 127.5 - 1, labels


def test_average_is_the_mean_of_pydvls_matrix_on_the_whole_frozen_network():
    torch.manual_seed(0)
    model = vision.models().resnet18(weights=None)
    model.fc = nn.Linear(512, 2)
    model = model.double().eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    x, y = images(6)
    train, reference = (x[:8], y[:8]), (x[8:], y[8:])
    body = nn.Sequential(*[module for name, module in model.named_children() if name != "fc"], nn.Flatten())
    with torch.no_grad():
        features = body(x).numpy()
    # A few steps so that gradients are not those of a head that knows nothing.
    optimiser = torch.optim.Adam(model.fc.parameters(), 1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model.fc(torch.from_numpy(features[:8])), train[1]).backward()
        optimiser.step()
    head = HeadProblem(features[:8], train[1].numpy(), model.fc.weight.detach().numpy(), model.fc.bias.detach().numpy())
    average = engine(head, "auto", DAMPING).average(features[8:], reference[1].numpy())
    assert np.abs(average).max() > 1e-6

    loader = DataLoader(TensorDataset(*train), batch_size=8)
    upstream = CgInfluence(model, nn.functional.cross_entropy, DAMPING, rtol=1e-4, atol=1e-4, maxiter=60).fit(loader)
    matrix = upstream.influences(*reference, *train).detach().numpy()
    np.testing.assert_allclose(average, matrix.mean(0), atol=1e-4 * np.abs(average).max())
    through_network = engine(NetworkProblem(model, *train), "auto", DAMPING).average(*reference)
    np.testing.assert_allclose(through_network, average, atol=1e-6 * np.abs(average).max())


def test_rows_are_pydvls_direct_rows_on_features():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(30, 16, generator=generator).double(), torch.arange(30) % 3
    fc = nn.Linear(16, 3).double().eval()
    upstream = DirectInfluence(fc, nn.functional.cross_entropy, DAMPING).fit(DataLoader(TensorDataset(x, y), 30))
    head = HeadProblem(x.numpy(), y.numpy(), fc.weight.detach().numpy(), fc.bias.detach().numpy())
    found = engine(head, "auto", DAMPING).rows(x[:4].numpy(), y[:4].numpy())
    np.testing.assert_allclose(found, upstream.influences(x[:4], y[:4], x, y).detach().numpy(), rtol=1e-8, atol=1e-12)
