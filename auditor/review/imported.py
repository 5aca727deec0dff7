"""`auditor review import`: answers of a labelling tool become decisions, a file for each person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.agreement import agreement, one_each
from auditor.review.decision_files import FOLDER, document, file_name
from auditor.review.decisions import Audited, Decision, load_entries
from auditor.review.documents import How
from auditor.review.sample_file import read_sample
from auditor.review.tools import ANSWERING, Answer
from auditor.review.tools.contract import DROP, UNSURE, Answers
from auditor.system import files
from auditor.system.files import read_regular, reason
from auditor.system.text import counted, display, plain

LARGEST = 1 << 30
"""Bytes of the largest file that is read. Tools repeat embedded images in their answers."""


@dataclass(frozen=True)
class Imported:
    """The files of decisions, one for each person, and what to say of them."""

    files: tuple[Path, ...]
    text: str


def import_answers(out: str | Path, file: str | Path, *, folder: str | Path = "") -> Imported:
    """Write the decisions that the answers in a file come to.

    A person's earlier decisions in the folder stay, but for items that the file answers anew.

    Parameters
    ----------
    out
        The folder of the audit that the tasks came from.
    file
        What the tool exported.
    folder
        Where to write; empty means `decisions` in `out`, where `auditor review serve` keeps them too.

    Raises
    ------
    DecisionsError
        The file comes from no known tool or from another audit, or an answer does not fit. Nothing was written.
    ResultError
        `out` holds no finished audit.
    """
    result, shown = AuditResult.load(out), display(str(file))
    found = _read(file, shown)
    if found.audit_id != result.audit_id:
        raise DecisionsError(
            f"{shown} belongs to audit {display(found.audit_id)[:40] or 'nothing'}, but this is {result.audit_id}",
            hint="import answers into the audit whose tasks they answer",
        )
    by_person = _by_person(found.answers, result, out, shown)
    target = Path(folder) if folder else Path(out) / FOLDER
    written, everybody = list[Path](), dict[str, list[Decision]]()
    for person, decisions in sorted(by_person.items()):
        path = target / file_name(person)
        everybody[person] = _with_earlier(path, decisions, result)
        written.append(path)
    target.mkdir(parents=True, exist_ok=True)
    for path, (person, decisions) in zip(written, sorted(everybody.items()), strict=True):
        files.write_json(path, document(result.audit_id, person, decisions))
    return Imported(tuple(written), _said(written, by_person, everybody, found, out))


def _read(file: str | Path, shown: str) -> Answers:
    try:
        data = read_regular(str(file), limit=LARGEST)
    except OSError as error:
        raise DecisionsError(f"cannot read the answers {shown}: {reason(error)}", hint="check the path") from error
    tool = next((tool for tool in ANSWERING if tool.recognises(data)), None)
    if tool is None:
        raise DecisionsError(
            f"{shown} is of no tool whose answers are read",
            hint="give Label Studio's export as JSON, or the CSV of `auditor export --to csv` with its answers",
        )
    return tool.answers(data, shown)


def _by_person(
    answers: Sequence[Answer], result: AuditResult, out: str | Path, shown: str
) -> dict[str, list[Decision]]:
    """Each person's decisions, checked against the audit. Of two answers about one item the later counts."""
    audited = Audited.of(result, Path(shown))
    sample = read_sample(out)
    hows = {(item["path"], item["label"]): item["how"] for item in sample["items"]} if sample else {}
    found: dict[str, dict[tuple[str, str, How], Decision]] = {}
    for number, answer in enumerate(answers, start=1):
        how: How = hows.get((answer.path, answer.shown), "rank") if answer.listed == "sample" else "rank"
        if answer.listed == "sample" and (answer.path, answer.shown) not in hows:
            raise DecisionsError(
                f"{answer.where}: {display(answer.path)} is answered as part of the sample, and is not in sample.json",
                hint="draw the sample again with the same options, or export again",
            )
        word = {UNSURE: "unsure", DROP: "drop", answer.shown: "keep"}.get(answer.said, "relabel")
        if word == "relabel" and answer.said not in audited.classes:
            raise DecisionsError(
                f"{answer.where} ({display(answer.path)}): {answer.said!r} is no class of this audit",
                hint=f"its classes are {', '.join(sorted(audited.classes)[:12])}; or answer {UNSURE!r} or {DROP!r}",
            )
        value = {
            "path": answer.path,
            "hash": answer.hash,
            "label": answer.shown,
            "decision": word,
            "new_label": answer.said if word == "relabel" else None,
            "time": answer.time,
            "how": how,
        }
        decision = audited.check(value, number)
        mine = found.setdefault(plain(answer.reviewer, 80), {})
        key = (answer.path, answer.shown, how)
        if key not in mine or mine[key].time <= decision.time:
            mine[key] = decision
    return {person: list(decisions.values()) for person, decisions in found.items()}


def _with_earlier(path: Path, decisions: Sequence[Decision], result: AuditResult) -> list[Decision]:
    """A person's earlier decisions in that file, and after them the new ones."""
    if not path.exists():
        return list(decisions)
    _, earlier = load_entries(path, result)
    new = {(d.path, d.label, d.how) for d in decisions}
    return [*(d for d in earlier if (d.path, d.label, d.how) not in new), *decisions]


def _said(
    written: Sequence[Path],
    by_person: Mapping[str, Sequence[Decision]],
    everybody: Mapping[str, Sequence[Decision]],
    found: Answers,
    out: str | Path,
) -> str:
    lines = []
    for path, (person, decisions) in zip(written, sorted(by_person.items()), strict=True):
        words = Counter(decision.decision for decision in decisions)
        told = ", ".join(f"{words[word]} {word}" for word in ("keep", "relabel", "drop", "unsure") if words[word])
        lines.append(f"{person or 'somebody without a name'}: {told} -> {path}")
    if found.unanswered:
        lines.append(f"{counted(found.unanswered, 'task has', 'tasks have')} no answer.")
    looks = {person: one_each(decisions) for person, decisions in everybody.items()}
    for person in sorted(looks):
        others = {name: held for name, held in looks.items() if name > person}
        for one in agreement(looks[person], others):
            kappa = "" if one["kappa"] is None else f", Cohen's kappa {one['kappa']:.2f}"
            pair = f"{person or 'nobody by name'} and {one['reviewer']}"
            lines.append(f"{pair} agree about {one['agreed']} of {one['both']} items{kappa}.")
    if not written:
        return "\n".join([*lines, "nothing was written: no task has an answer"])
    given = " ".join(str(path) for path in written)
    return "\n".join([*lines, f"next: auditor review apply {Path(out)} {given}"])
