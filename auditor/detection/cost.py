"""What detection costs in memory and time, said before it starts."""

from __future__ import annotations

from auditor.detection.likelihood import ENTRIES

TABLE_BYTES = 160
"""Bytes for one entry [image, class] in all tables together: 4.1 GB were measured at 9,000 images and 3,000 classes."""

SECONDS_LABELS, SECONDS_STACK, SECONDS_HEADS, SECONDS_TABLES = 4e-7, 4e-8, 5e-8, 2e-8
"""Processor seconds of detection and of the suspicions of three plantings, for each unit that a part grows with.

Measured on one core at 200, 300 and 600 classes of three images."""

COPIES = 3
"""Features are held three times: as they are, standardised or as a basis, and the part that a head is trained on. With
the basis of landmarks and the tables this gives 0.85 GiB for 50,000 images of 896 features in ten classes. Measured
were 0.82 GiB."""


def memory_bytes(n_images: int, n_classes: int, n_features: int, landmarks: int) -> int:
    """Estimate the bytes that detection takes for features, bases and tables."""
    return n_images * (4 * (COPIES * n_features + min(landmarks, n_images)) + TABLE_BYTES * n_classes)


def processor_seconds(n_images: int, n_classes: int, n_features: int) -> float:
    """Estimate the processor seconds of detection and of the experiment's suspicions, for more than 100 classes."""
    labels = min(n_images, max(ENTRIES // n_classes, 1000)) * n_classes**2
    stack = n_images * 2 * n_classes * n_classes
    heads = n_images * n_classes * (n_features + 1)
    tables = n_images * n_classes**2
    return SECONDS_LABELS * labels + SECONDS_STACK * stack + SECONDS_HEADS * heads + SECONDS_TABLES * tables
