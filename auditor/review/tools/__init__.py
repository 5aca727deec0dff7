"""Tools where labels get fixed: one file each. Each turns tasks into the tool's files, and its answers into decisions.

To add a tool, write a class with the members of `contract.Tool` and name it in `TOOLS`; one whose answers can be
read has those of `contract.Answering`, and stands in `ANSWERING` too.
"""

from __future__ import annotations

from auditor.review.tools.coco import Coco
from auditor.review.tools.contract import Answer, Answering, Task, Tasks, Tool
from auditor.review.tools.fiftyone import FiftyOne
from auditor.review.tools.hugging_face import HuggingFace
from auditor.review.tools.label_studio import LabelStudio
from auditor.review.tools.spreadsheet import Spreadsheet

__all__ = ["ANSWERING", "TOOLS", "Answer", "Answering", "Task", "Tasks", "Tool"]

TOOLS: dict[str, Tool] = {
    "label-studio": LabelStudio(),
    "csv": Spreadsheet(),
    "fiftyone": FiftyOne(),
    "coco": Coco(),
    "hf": HuggingFace(),
}
"""The tools by the name that `--to` takes."""

ANSWERING: tuple[Answering, ...] = (LabelStudio(), Spreadsheet())
"""The tools whose answers `auditor review import` reads."""
