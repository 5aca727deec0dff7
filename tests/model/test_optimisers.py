"""L-BFGS takes torch's steps, and does not bring torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from auditor.model.optimisers import Lbfgs


def _loss(point: torch.Tensor) -> torch.Tensor:
    target = torch.linspace(-2, 3, 12, dtype=point.dtype).reshape(3, 4)
    return ((point - target) ** 2 * (1 + target.abs())).sum() + point.abs().pow(3).sum()


def _gradient(point: torch.Tensor) -> torch.Tensor:
    point = point.detach().clone().requires_grad_()
    return torch.autograd.grad(_loss(point), point)[0]


def test_l_bfgs_is_torchs() -> None:
    found = []
    for kind in (Lbfgs, torch.optim.LBFGS):
        point = torch.zeros(3, 4)
        optimiser = kind([point], max_iter=20, line_search_fn="strong_wolfe")

        def closure(point: torch.Tensor = point) -> float:
            point.grad = _gradient(point)
            return float(_loss(point))

        optimiser.step(closure)
        found.append(point)
    assert torch.equal(*found)


def test_heads_at_the_minimum_are_trained_without_torchs_compiler() -> None:
    code = (
        "import sys, numpy as np;"
        "from auditor.model.softmax_head import SoftmaxHead;"
        "from auditor.detection.kernel_head import temperature;"
        "x, y = np.random.default_rng(0).normal(size=(40, 5)).astype('float32'), np.arange(40) % 3;"
        "head = SoftmaxHead.train(x, y, 3, 0.1); temperature(head.logits(x), y); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
