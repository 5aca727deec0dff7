"""What `audit.json` says of the model: what made the features, what classifies, and how well."""

from __future__ import annotations

from auditor.config import AuditSettings
from auditor.experiment.run import Learner, Run
from auditor.model.backbone import Encoder
from auditor.result.documents import FitDocument, ModelDocument

CONVERGED = (
    "The model that classifies is a softmax regression on the standardised features. It was trained to the minimum of "
    "its loss with weight decay {:g}, the one with which left-out labels were told best; planted noise gets one of its "
    "own. So it has no epochs, and --epochs, --learning-rate and --batch-size do not count."
)


def model_document(encoder: Encoder, runs: tuple[Run, Run], learner: Learner, settings: AuditSettings) -> ModelDocument:
    """The model and its two runs: on the given labels, and on those with planted noise."""
    clean, seen = runs[0], encoder.transform
    return {
        "architecture": encoder.name,
        "weights": encoder.weights,
        "weights_sha256": encoder.sha256,
        "image_size": None if seen is None else seen.size,
        "normalisation": None if seen is None else {"mean": list(seen.mean), "std": list(seen.std)},
        "trained": settings.trained,
        "n_features": encoder.n_features,
        "n_parameters": learner.n_parameters,
        "epochs": settings.epochs if clean.weight_decay is None else 0,
        "clean": _fit(clean),
        "corrupted": _fit(runs[1]),
    }


def _fit(one: Run) -> FitDocument:
    return {
        "loss": {"train": list(one.losses.train), "val": list(one.losses.val)},
        "test": {
            "n": one.quality.n,
            "accuracy": one.quality.accuracy,
            "f1_weighted": one.quality.f1_weighted,
            "confusion": [list(row) for row in one.quality.confusion],
        },
    }


def head_notes(clean: Run) -> list[str]:
    """What must be said of a head that was trained to the minimum of its loss."""
    return [] if clean.weight_decay is None else [CONVERGED.format(clean.weight_decay)]
