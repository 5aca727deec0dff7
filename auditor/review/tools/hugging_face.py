"""Hugging Face's imagefolder: `metadata.jsonl` for `load_dataset("imagefolder", data_dir=ROOT)`.

The form is that of https://huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import json

from auditor.review.tools.contract import Tasks


class HuggingFace:
    """Tasks as `metadata.jsonl`, to lie at the top of the images."""

    name = "Hugging Face"
    ending = ".jsonl"
    embeds = False
    next_step = "look at them there, and bring the answers back as CSV (--to csv has the columns)"

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """One object a line: `file_name`, `label` and what the audit says of it."""
        lines = [
            {
                "file_name": task.path,
                "label": task.shown,
                "suggested_label": task.suggested,
                "score": task.score,
                "rank": task.rank,
                "hash": task.hash,
            }
            for task in tasks.tasks
        ]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(), {}
