"""Label Studio: tasks with predictions, and its JSON export with the annotations of any number of people.

The form is that of https://labelstud.io/guide/tasks and https://labelstud.io/guide/predictions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from auditor.errors import DecisionsError
from auditor.review.tools.contract import DROP, UNSURE, Answer, Answers, Task, Tasks
from auditor.system.files import reason
from auditor.system.text import display

_OURS = "auditor_id"
"""The field of a task's data that says which audit it comes from."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold in any way."""

_LABEL, _INSTEAD = "label", "instead"
"""Names of the two groups of choices in the labelling interface."""


class LabelStudio:
    """Tasks for Label Studio, and its answers."""

    name = "Label Studio"
    ending = ".json"
    embeds = True
    next_step = "paste the XML into a project's labelling interface, import the tasks, and export the answers as JSON"

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """The tasks as JSON, and the labelling interface as XML beside it."""
        text = json.dumps([_task(tasks, task) for task in tasks.tasks], indent=1, ensure_ascii=False)
        return text.encode() + b"\n", {".xml": _interface(tasks).encode()}

    def recognises(self, data: bytes) -> bool:
        """Whether it is a list of tasks of ours."""
        return data.lstrip()[:1] == b"[" and (b'"annotations"' in data or f'"{_OURS}"'.encode() in data)

    def answers(self, data: bytes, shown: str) -> Answers:
        """The answers of its export as JSON. An annotation that was skipped or is empty is no answer."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DecisionsError(f"{shown} is not valid JSON: {reason(error)}", hint=_EXPORT) from error
        if not isinstance(document, list) or not all(isinstance(task, dict) for task in document):
            raise DecisionsError(f"{shown} is no list of tasks", hint=_EXPORT)
        ids, answers, unanswered = set[str](), list[Answer](), 0
        for number, task in enumerate(document, start=1):
            where = f"{shown}, task {number}"
            values = task.get("data")
            if not isinstance(values, dict) or not isinstance(values.get(_OURS), str):
                raise DecisionsError(f"{where} does not come from `auditor export`", hint=_EXPORT)
            ids.add(values[_OURS])
            found = list(_annotations(task, values, where))
            answers += found
            unanswered += not found
        if len(ids) > 1:
            raise DecisionsError(f"{shown} mixes tasks of {len(ids)} audits", hint="export one project at a time")
        return Answers(next(iter(ids), ""), answers, unanswered)


_EXPORT = "in Label Studio choose Export, then JSON (not JSON-MIN), of a project that `auditor export` made"


def _task(tasks: Tasks, task: Task) -> dict[str, Any]:
    values: dict[str, Any] = {
        _OURS: tasks.audit_id,
        "path": task.path,
        "hash": task.hash,
        "given_label": task.shown,
        "list": task.listed,
        "rank": task.rank,
    }
    if task.link:
        values["image"] = task.link
    if task.text or not task.link:
        values["text"] = task.text or task.path
    if not task.suggested:
        return {"data": values}
    values["suggested_label"] = task.suggested
    result = {"from_name": _LABEL, "to_name": "item", "type": "choices", "value": {"choices": [task.suggested]}}
    prediction = {"model_version": f"auditor {tasks.audit_id}", "score": task.score, "result": [result]}
    return {"data": values, "predictions": [prediction]}


def _interface(tasks: Tasks) -> str:
    """The labelling interface: the item, its given label, all classes, and two ways out."""
    for name in tasks.classes:
        if _NOT_XML.search(name):
            raise DecisionsError(
                f"the class {name!r} holds a character that Label Studio's interface cannot hold",
                hint="rename the class, or use --to csv",
            )
    pictures = any(task.link for task in tasks.tasks)
    item = '<Image name="item" value="$image" zoom="true" zoomControl="true"/>'
    classes = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in tasks.classes)
    ways = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in (UNSURE, DROP))
    about = escape(display(tasks.name)).replace("--", "- -")
    return f"""<!-- {about}: paste this into the project's labelling interface. -->
<View>
  {item if pictures else '<Text name="item" value="$text"/>'}
  <Header value="Given label: $given_label. Which one is right?"/>
  <Choices name="{_LABEL}" toName="item" choice="single" showInline="true">
{classes}
  </Choices>
  <Header value="Or, if no class is right:" size="5"/>
  <Choices name="{_INSTEAD}" toName="item" choice="single" showInline="true">
{ways}
  </Choices>
</View>
"""


def _annotations(task: dict[str, Any], values: dict[str, Any], where: str) -> Iterator[Answer]:
    annotations = task.get("annotations")
    if not isinstance(annotations, list):
        raise DecisionsError(f"{where} has no list of annotations, so nobody's answers stand there", hint=_EXPORT)
    names = ("path", "hash", "given_label", "list")
    if not all(isinstance(values.get(name), str) for name in names):
        raise DecisionsError(f"{where} lacks one of {', '.join(names)}", hint=_EXPORT)
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        said = _said(annotation, where)
        if said is None:
            continue
        time = annotation.get("updated_at") or annotation.get("created_at") or ""
        who = _who(annotation.get("completed_by"))
        path, hash, shown, listed = (str(values[name]) for name in names)
        yield Answer(where, path, hash, shown, listed, said, who, str(time))


def _said(annotation: dict[str, Any], where: str) -> str | None:
    """The choice of an annotation; None where nothing was chosen."""
    results = annotation.get("result")
    chosen = [
        choice
        for result in (results if isinstance(results, list) else [])
        if isinstance(result, dict) and result.get("from_name") in (_LABEL, _INSTEAD)
        for choice in (result.get("value") or {}).get("choices", [])
    ]
    if len(chosen) > 1:
        raise DecisionsError(
            f"{where} has {len(chosen)} choices at once: {', '.join(map(display, map(str, chosen)))[:120]}",
            hint="keep one of them, and export again",
        )
    return str(chosen[0]) if chosen else None


def _who(value: object) -> str:
    """A person's name: the address where the export has it, else the number."""
    if isinstance(value, dict):
        found = value.get("email") or value.get("username") or value.get("id")
        return "" if found is None else str(found)
    return "" if value is None else f"annotator {value}"
