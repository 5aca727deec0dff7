"""Networks of different families, with the features that a reader of their code would choose."""

from __future__ import annotations

NAMES: dict[str, tuple[str, tuple[tuple[str, int], ...], int]] = {
    "mobilenet_v3_small": ("classifier.3", (("features.8", 48), ("features", 576)), 1024),
    "resnet50": ("fc", (("layer2", 512), ("layer3", 1024)), 2048),
    "densenet121": ("classifier", (("features.denseblock2", 512), ("features.denseblock3", 1024)), 1024),
    "swin_t": ("head", (("features.3", 192), ("features.5", 384)), 768),
    "vit_b_16": ("heads.head", (), 768),
    "regnet_y_400mf": ("fc", (("trunk_output.block2", 104), ("trunk_output.block3", 208)), 440),
    "squeezenet1_1": ("classifier.1", (("features.4", 128), ("features.7", 256)), 512),
    "googlenet": ("fc", (("inception3b", 480), ("inception4e", 832)), 1024),
}
