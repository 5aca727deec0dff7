"""COCO's results: images, categories and one annotation for each suggestion, with its score.

The form is that of https://cocodataset.org/#format-results. An image has no box here, as for classification.
"""

from __future__ import annotations

import json

from auditor.review.tools.contract import Tasks


class Coco:
    """Tasks as COCO's JSON."""

    name = "COCO"
    ending = ".json"
    embeds = False
    next_step = "look at them there, and bring the answers back as CSV (--to csv has the columns)"

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """Ids count from 1. What the audit knows beside stands in `attributes`."""
        number = {name: at for at, name in enumerate(tasks.classes, start=1)}
        annotations = [
            {
                "id": at,
                "image_id": at,
                "category_id": number[task.suggested or task.shown],
                "score": task.score,
                "attributes": {"given_label": task.shown, "rank": task.rank, "hash": task.hash},
            }
            for at, task in enumerate(tasks.tasks, start=1)
        ]
        document = {
            "info": {"description": f"suspects of {tasks.name}", "audit_id": tasks.audit_id},
            "images": [{"id": at, "file_name": task.path} for at, task in enumerate(tasks.tasks, start=1)],
            "categories": [{"id": at, "name": name} for name, at in number.items()],
            "annotations": annotations,
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n", {}
