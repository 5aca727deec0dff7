"""What the tools have in common: tasks that go out, and answers that come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

UNSURE, DROP = "cannot tell", "does not belong"
"""What people answer where no class is right."""

Listed = Literal["suspects", "sample"]
"""Where an item stands: on the list of suspects, or in the drawn sample. The sample shows no suggestion."""


@dataclass(frozen=True)
class Task:
    """An item to look at.

    Attributes
    ----------
    path, hash
        The item, and the sha256 of its content.
    shown
        The label to judge: the given one, unless the sample made it wrong.
    listed
        Where it stands.
    suggested
        The suggested label. Empty in a sample.
    score
        The probability that the given label is wrong; the suspicion where none is known. None in a sample.
    rank
        Its place on the list, from 1; in a sample its place there.
    link
        An address of the item for the tool; a data URI where it is embedded. Empty where there is none.
    text
        What people read in place of a picture. Empty for images.
    """

    path: str
    hash: str
    shown: str
    listed: Listed
    suggested: str
    score: float | None
    rank: int
    link: str
    text: str


@dataclass(frozen=True)
class Tasks:
    """Tasks of an audit, in the order in which people should look at them."""

    audit_id: str
    name: str
    classes: tuple[str, ...]
    tasks: Sequence[Task]


@dataclass(frozen=True)
class Answer:
    """What one person said of one item.

    Attributes
    ----------
    where
        Where in the file it stands, for messages.
    path, hash, shown, listed
        As in the task.
    said
        A class name, `UNSURE` or `DROP`.
    reviewer
        Who said it. Empty where the tool does not tell.
    time
        When, ISO 8601 or empty.
    """

    where: str
    path: str
    hash: str
    shown: str
    listed: str
    said: str
    reviewer: str
    time: str


@dataclass(frozen=True)
class Answers:
    """All answers of a file, and how many tasks nobody has answered."""

    audit_id: str
    answers: Sequence[Answer]
    unanswered: int


class Tool(Protocol):
    """A tool where labels get fixed.

    Attributes
    ----------
    name
        The name that people know.
    ending
        The ending of the file that `--to` writes.
    embeds
        Whether its file can hold the images themselves.
    next_step
        What people do with the file, in words.
    """

    name: str
    ending: str
    embeds: bool
    next_step: str

    def export(self, tasks: Tasks) -> tuple[bytes, dict[str, bytes]]:
        """The file for the tool, and files beside it by the ending of their names."""
        ...


class Answering(Tool, Protocol):
    """A tool whose answers are read."""

    def recognises(self, data: bytes) -> bool:
        """Whether a file seems to come from this tool."""
        ...

    def answers(self, data: bytes, shown: str) -> Answers:
        """The answers in a file of the tool.

        Raises
        ------
        DecisionsError
            The file is damaged, or does not come from tasks of ours.
        """
        ...
