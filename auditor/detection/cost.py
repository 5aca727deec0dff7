"""What detection costs, for whoever has to say so before it starts."""

from __future__ import annotations

from auditor.detection.likelihood import ENTRIES

TABLE_BYTES = 160
"""Memory of one entry of a table of images and classes, all tables together: 4.1 GB measured at 9,000 by 3,000."""

SECONDS_LABELS, SECONDS_STACK, SECONDS_HEADS, SECONDS_TABLES = 4e-7, 4e-8, 5e-8, 2e-8
"""Processor seconds of an audit (detection and the suspicions of three plantings) by what each part grows with,
measured on one core at 200, 300 and 600 classes of three images."""

COPIES = 3
"""Times that features are held: as they are, standardised or as a basis, and the part of them that a head is trained
on. Beside the basis of landmarks and the tables that is 0.85 GiB for 50,000 images of 896 features in ten classes,
where 0.82 were measured."""


def memory_bytes(n_images: int, n_classes: int, n_features: int, landmarks: int) -> int:
    """Memory that detection takes: features, bases and tables."""
    return n_images * (4 * (COPIES * n_features + min(landmarks, n_images)) + TABLE_BYTES * n_classes)


def processor_seconds(n_images: int, n_classes: int, n_features: int) -> float:
    """About how long detection and the experiment's suspicions take where there are more classes than a hundred."""
    labels = min(n_images, max(ENTRIES // n_classes, 1000)) * n_classes**2
    stack = n_images * 2 * n_classes * n_classes
    heads = n_images * n_classes * (n_features + 1)
    tables = n_images * n_classes**2
    return SECONDS_LABELS * labels + SECONDS_STACK * stack + SECONDS_HEADS * heads + SECONDS_TABLES * tables
