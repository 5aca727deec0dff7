"""FiftyOne: the labels of a FiftyOneImageClassificationDataset.

The form is that of https://docs.voxel51.com/user_guide/import_datasets.html (FiftyOneImageClassificationDataset).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePosixPath

from auditor.errors import DecisionsError
from auditor.review.tools.contract import Tasks
from auditor.system.text import display


class FiftyOne:
    """Tasks as `labels.json`: the suggested label with its score, and what the audit knows as attributes."""

    name = "FiftyOne"
    ending = ".json"
    embeds = False
    next_step = "look at them there, and bring the answers back as CSV (--to csv has the columns)"

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """`Dataset.from_dir(dataset_type=FiftyOneImageClassificationDataset, data_path=ROOT, labels_path=FILE)`."""
        stems = [str(PurePosixPath(task.path).with_suffix("")) for task in tasks.tasks]
        twice = next((stem for stem, n in Counter(stems).items() if n > 1), None)
        if twice is not None:
            raise DecisionsError(
                f"FiftyOne knows an image by its name without the ending, and {display(twice)} stands for several",
                hint="rename them, or export --to coco",
            )
        labels = {
            stem: {
                "label": task.suggested or task.shown,
                "confidence": task.score,
                "attributes": {"given_label": task.shown, "path": task.path, "hash": task.hash, "rank": task.rank},
            }
            for stem, task in zip(stems, tasks.tasks, strict=True)
        }
        document = {"classes": list(tasks.classes), "labels": labels}
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n", {}
