"""From several reviewers' files to one ledger, and the freezing of the sample's plan at the first drawn look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.certificate import item_id, salt_of
from auditor.certificate.documents import PlanDocument
from auditor.errors import DecisionsError
from auditor.result import AuditResult
from auditor.review.decisions import Decision, ReviewFile, heavier, load_review
from auditor.review.documents import SAMPLE_KIND, SCHEMA_VERSION, SampleDocument
from auditor.review.items import items_of
from auditor.review.ledger import LEDGER_NAME, Ledger
from auditor.review.looks import Look
from auditor.review.made_wrong import made_label
from auditor.review.plans import ids_of, joined, same_draw, without
from auditor.review.sample_file import SAMPLE_NAME, read_sample
from auditor.review.sampling import own_plan
from auditor.system.text import counted, plain


@dataclass(frozen=True)
class Gathered:
    """What all reviewers said of an audit.

    Attributes
    ----------
    ledger
        The earlier ledger, extended by the files.
    reviews
        The files, each with a reviewer's name where several have none.
    notes
        Sentences about what the user must know of the files.
    """

    ledger: Ledger
    reviews: tuple[ReviewFile, ...]
    notes: tuple[str, ...]


def gather(out: str | Path, result: AuditResult, decisions: Sequence[str | Path], *earlier: str | Path) -> Gathered:
    """Extend the ledger of an audit by reviewers' files.

    Parameters
    ----------
    out
        The audit's folder. Its ledger and its sample are read where they exist.
    decisions
        The reviewers' files.
    earlier
        More ledgers, or baselines of earlier versions. Files that do not exist are passed over.

    Raises
    ------
    DecisionsError
        See `load_review`, `Ledger.load` and `read_sample`. Or drawn items were looked at, and nothing tells the draw.
    """
    reviews, notes = _named([load_review(path, result) for path in decisions])
    ledger = Ledger()
    for path in (Path(out) / LEDGER_NAME, *map(Path, earlier)):
        if path.exists():
            ledger, said = ledger.merged(Ledger.load(path))
            notes += list(said)
    if ledger.looks and not {look.hash for look in ledger.looks} & set(result.summary["dataset"]["hashes"].values()):
        notes.append(
            f"None of the {len(ledger.looks):,} earlier looks is about this data set. They stay in the ledger."
        )
    sample = read_sample(out)
    plan, said = _plan(out, ledger, sample or _of_the_report(result, ledger, reviews), reviews)
    shown = sample["items"] if sample else result.evidence["sample"]
    chances = {item["path"]: item["probability"] for item in shown}
    reviews, foreign = _without_unshown(reviews, result, ledger, sample)
    labels = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
    converter = _Converter(ledger, labels, chances)
    looks = [look for review in reviews for look in converter.looks(review)]
    return Gathered(Ledger(plan, ledger.looks).with_looks(tuple(looks)), reviews, (*notes, *said, *foreign))


def _without_unshown(
    reviews: Sequence[ReviewFile], result: AuditResult, ledger: Ledger, sample: SampleDocument | None
) -> tuple[tuple[ReviewFile, ...], list[str]]:
    """The files without judgements of labels that no sample of this audit made wrong, and a sentence about those.

    A label that is made wrong follows from the item, so it is known after its sample has gone on.
    """
    if not any(review.made for review in reviews):
        return tuple(reviews), []
    shown = {(i["path"], i["label"]) for i in (sample["items"] if sample else ()) if i["how"] == "known-wrong"}
    plan = sample["plan"] if sample else ledger.plan
    salt = salt_of(result.summary["dataset"]["content_hash"]) if plan is None else plan["salt"]
    shown |= {(item.path, made_label(item, result.classes, salt) or "") for item in items_of(result, ledger)}
    kept = tuple(
        replace(review, made=tuple(d for d in review.made if (d.path, d.label) in shown)) for review in reviews
    )
    lost = sum(len(review.made) for review in reviews) - sum(len(review.made) for review in kept)
    if not lost:
        return kept, []
    return kept, [
        f"{counted(lost, 'judgement', 'judgements')} of a label made wrong left out, because no sample of this audit "
        "shows that label."
    ]


def _named(reviews: list[ReviewFile]) -> tuple[tuple[ReviewFile, ...], list[str]]:
    """The files with names for reviewers who gave none, where several gave none: those of their files."""
    nameless = [review for review in reviews if not review.reviewer]
    if len(nameless) < 2:
        return tuple(reviews), []
    taken = Counter(review.reviewer for review in reviews)
    found = []
    for review in reviews:
        name = review.reviewer or review.path.stem
        if not review.reviewer:
            while taken[name]:
                name += "'"
            taken[name] += 1
        found.append(replace(review, reviewer=name))
    names = ", ".join(plain(review.reviewer) for review in found if review.path in {r.path for r in nameless})
    return tuple(found), [
        f"{len(nameless)} files name no reviewer. Each counts as a person of its own: {names}. If one person wrote "
        "them, name the reviewer in the report and export again."
    ]


def _of_the_report(result: AuditResult, ledger: Ledger, reviews: Sequence[ReviewFile]) -> SampleDocument | None:
    """The sample that the audit drew itself and its report shows, where these files look at it; else None.

    It has no file of its own, because it follows from the audit.
    """
    items = result.evidence["sample"]
    drawn = {(d.path, d.hash) for review in reviews for d in review.decisions if d.how == "drawn"}
    if ledger.plan is not None or not drawn or not drawn <= {(item["path"], item["hash"]) for item in items}:
        return None
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": SAMPLE_KIND,
        "audit_id": result.audit_id,
        "plan": own_plan(result, ledger),
        "items": items,
    }


def _plan(
    out: str | Path, ledger: Ledger, sample: SampleDocument | None, reviews: Sequence[ReviewFile]
) -> tuple[PlanDocument | None, tuple[str, ...]]:
    """The plan after these files, and sentences about it.

    It is frozen when the first drawn item was looked at. What was looked at before that leaves the draw: these items
    are known, and nothing about the sample chose them. What was looked at later stays: the sample's answers may have
    chosen it.
    """
    if sample is None:
        if ledger.plan is None and any(decision.how == "drawn" for review in reviews for decision in review.decisions):
            raise DecisionsError(
                f"drawn items were looked at, but {Path(out) / SAMPLE_NAME} is gone",
                hint="draw the sample again with `auditor review sample` and the same options: it is the same sample",
            )
        return ledger.plan, ()
    drawn = sample["plan"]
    if ledger.plan is not None:
        if not same_draw(ledger.plan, drawn):
            return ledger.plan, (
                f"{Path(out) / SAMPLE_NAME} comes from another draw than the ledger's. The ledger's plan is kept.",
            )
        return joined(ledger.plan, set(ledger.standings), drawn, ())
    before = _before_the_draw(ledger, reviews, ids_of(drawn))
    if before is None:
        return None, ()
    return without(drawn, before), ()


def _before_the_draw(ledger: Ledger, reviews: Sequence[ReviewFile], population: set[str]) -> set[str] | None:
    """Ids of the items that were looked at before the first drawn one; None where no drawn one was looked at.

    Files and decisions stand in the order in which they were given.
    """
    before = {item_id(*item) for item in ledger.standings}
    for decision in _in_order(reviews):
        item = item_id(decision.hash, ledger.first_label(decision.hash, decision.label))
        if decision.how == "drawn" and item in population:
            return before
        if decision.how == "rank":
            before.add(item)
    return None


def _in_order(reviews: Sequence[ReviewFile]) -> Iterator[Decision]:
    for review in reviews:
        yield from review.decisions


@dataclass(frozen=True)
class _Converter:
    """Turns decisions about an audit into looks: `labels` by path, and `chances` of drawn items by path."""

    ledger: Ledger
    labels: dict[str, str]
    chances: dict[str, float | None]

    def looks(self, review: ReviewFile) -> list[Look]:
        """One look for each item of a file. Of copies, a right label outweighs a dropped copy (see `heavier`)."""
        chosen: dict[tuple[object, ...], Decision] = {}
        for decision in (*review.decisions, *review.made):
            key = (decision.hash, self._first(decision), decision.how == "known-wrong")
            if key not in chosen or heavier(decision, chosen[key]):
                chosen[key] = decision
        return [self._look(decision, review.reviewer) for decision in chosen.values()]

    def _first(self, decision: Decision) -> str:
        return self.ledger.first_label(decision.hash, self.labels[decision.path])

    def _look(self, decision: Decision, reviewer: str) -> Look:
        first, word, final = self._first(decision), decision.decision, decision.new_label
        if decision.how != "known-wrong" and word in ("keep", "relabel"):
            word, final = ("keep", None) if decision.final_label == first else ("relabel", decision.final_label)
        chance = self.chances.get(decision.path) if decision.how == "drawn" else None
        return Look(decision.hash, first, word, final, reviewer, decision.time, decision.how, chance, decision.path)
