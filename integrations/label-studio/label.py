"""Puts an audit's suspects into Label Studio, and brings the answers back.

pip install label-studio label-studio-sdk      # an environment of its own
label-studio start                             # in another terminal; copy an access token from Account & Settings
export LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_API_KEY=...
auditor export OUT --to label-studio -o tasks.json
python label.py push tasks.json                # prints the project's number
python label.py pull NUMBER answers.json       # when people have labelled
auditor review import OUT answers.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from label_studio_sdk import LabelStudio


def push(client: LabelStudio, file: Path) -> int:
    """Make a project with the labelling interface beside the tasks, and import these. The value is its number."""
    interface = file.with_suffix(".xml").read_text(encoding="utf-8")
    project = client.projects.create(title=f"auditor: {file.stem}", label_config=interface)
    client.projects.import_tasks(id=project.id, request=json.loads(file.read_text(encoding="utf-8")))
    return int(project.id)


def pull(client: LabelStudio, project: int, file: Path) -> int:
    """Write the project's tasks with all annotations. The value is how many there are."""
    tasks = client.projects.exports.as_json(project)
    file.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    return len(tasks)


def main(words: list[str]) -> None:
    """`push TASKS` or `pull NUMBER FILE`."""
    client = LabelStudio(base_url=os.environ["LABEL_STUDIO_URL"], api_key=os.environ["LABEL_STUDIO_API_KEY"])
    if words[:1] == ["push"] and len(words) == 2:
        print(push(client, Path(words[1])))
    elif words[:1] == ["pull"] and len(words) == 3:
        print(f"{pull(client, int(words[1]), Path(words[2]))} tasks in {words[2]}")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
