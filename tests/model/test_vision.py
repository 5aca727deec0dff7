"""torchvision opens beside any torch, and gives the network that the rest builds on."""

from __future__ import annotations

import subprocess
import sys

import torch

from auditor.model import vision


def test_models_build_and_run() -> None:
    network = vision.models().resnet18(num_classes=3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_door_is_one_object() -> None:
    assert vision.models() is vision.models()


def test_missing_compiled_operators_do_not_matter() -> None:
    """As beside a torch that torchvision's shared library does not match: no operator is registered."""
    code = (
        "import os, sys, torch\n"
        "load = torch.ops.load_library\n"
        "def refuse(path):\n"
        "    if 'torchvision' in str(path): raise OSError('not for this torch')\n"
        "    return load(path)\n"
        "torch.ops.load_library = refuse\n"
        "from auditor.model import vision\n"
        "print(vision.models().resnet18().fc.in_features)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "512\n", done.stderr
