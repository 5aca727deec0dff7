"""One class under several spellings: Cat, cat and "cat " look alike to people and differ for a program.

Spellings become one class where nobody could mean two: the same text in another Unicode form, or with blanks around it,
and numbers or truth values written in two ways. Names that only look alike stay apart, and a note names them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from auditor.sources.no_label import named_missing
from auditor.system.text import short

_SHOWN = 3
"""How many groups of names a note shows."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.0+)?", re.ASCII)
_WHOLE_FLOAT = re.compile(r"([+-]?[0-9]{1,15})\.0+", re.ASCII)


_LATIN = str.maketrans(
    "АВЕКМНОРСТУХІЈЅЗԌԚԜаеорсухіјѕԁһԛԝӏкмтΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχϲıɡ",
    "ABEKMHOPCTYXIJS3GQWaeopcyxijsdhqwlkmtABEZHIKMNOPTYXaikvopuxcig",
)
"""Cyrillic and Greek letters that look like Latin ones, and these."""

_QUOTES = "\"'`´‘’‚‛“”„‟«»‹›「」『』＂＇"


def same(label: str) -> str:
    """The form that all spellings share which are surely one name: Unicode's NFC, without blanks around it."""
    return unicodedata.normalize("NFC", label).strip()


def resolve(name: str, present: Iterable[str]) -> str:
    """The one of the present names that is surely meant. The name itself where there is none, or more than one."""
    return resolved([name], present)[0]


def resolved(names: Sequence[str], present: Iterable[str]) -> list[str]:
    """Names as the present ones are spelled: in their Unicode form, their blanks, their way to write whole numbers."""
    present = list(present)
    numbers = all(_NUMBER.fullmatch(same(other)) for other in present)
    meant: dict[str, list[str]] = defaultdict(list)
    for other in present:
        meant[_plain(other, numbers)].append(other)
    known = set(present)
    answers = {
        name: name if name in known or len(meant[_plain(name, numbers)]) != 1 else meant[_plain(name, numbers)][0]
        for name in set(names)
    }
    return [answers[name] for name in names]


def _plain(label: str, numbers: bool) -> str:
    """The form that all spellings share. 1.0 is 1 only among whole numbers: beside 1.1 it may be a version."""
    text = same(label)
    whole = _WHOLE_FLOAT.fullmatch(text) if numbers else None
    return whole[1] if whole else text


def merged(labels: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """One name for all spellings that are surely the same class.

    Parameters
    ----------
    labels
        The label of each image. The shared form gives the class its name if the data set has it. Otherwise the spelling
        with most images does, and with equal numbers the first by code point.

    Returns
    -------
    tuple
        The name of the class by spelling, for each spelling that loses its own name. And the notes.
    """
    counts = Counter(labels)
    numbers = all(_NUMBER.fullmatch(same(label)) for label in counts)
    truths = all(same(label).casefold() in ("true", "false") for label in counts)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        text = _plain(label, numbers)
        groups[text.capitalize() if truths else text].append(label)
    renamed: dict[str, str] = {}
    merges = []
    for key, spellings in sorted(groups.items()):
        if len(spellings) > 1:
            spellings.sort(key=lambda label: (label != key, -counts[label], label))
            renamed.update(dict.fromkeys(spellings[1:], spellings[0]))
            merges.append(spellings)
    notes = []
    if merges:
        notes.append(
            f"Labels that are surely one name were read as one class: {_in_words(merges, counts)}. "
            "They differ only in blanks around them, in Unicode form, or in how a number or a truth value is written."
        )
    after = Counter({label: n for label, n in counts.items() if label not in renamed})
    for label, name in renamed.items():
        after[name] += counts[label]
    return renamed, (*notes, *_look_alike(after), *named_missing(after))


def _look_alike(counts: Mapping[str, int]) -> list[str]:
    """A note about classes that a person could take for one: Cat and cat, hot dog and hot_dog."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counts):
        groups[_skeleton(name)].append(name)
    alike = [spellings for key, spellings in sorted(groups.items()) if key and len(spellings) > 1]
    if not alike:
        return []
    return [
        f"Classes that differ only in case, blanks, signs or Unicode form: {_in_words(alike, counts)}. They count as "
        f"different classes.{_unseen(alike)} If each of these is one class, give it one name and audit again."
    ]


def _skeleton(name: str) -> str:
    """A name without case, width, marks that cannot be seen, and what stands between words: blank, _, - and full stop.

    Letters of other scripts become the Latin ones that they look like. Quotes around a name go. A name that was read
    in a wrong encoding is read again, and so is one with HTML's spelling of a sign.
    Beside digits these signs count: -1 is not 1, and 1.5 is not 15.
    """
    latin = unicodedata.normalize("NFKC", html.unescape(_read_again(name))).translate(_LATIN)
    text = unicodedata.normalize("NFKC", latin.casefold()).translate(_LATIN)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))
    text = text.strip()
    if text[:1] in tuple(_QUOTES):
        text = text.strip(_QUOTES) or text
    if any(c.isdigit() for c in text):
        return re.sub(r"(?<=\w)[\s-]+(?=\w)", " ", text.replace("_", " ")).strip(" .")
    return re.sub(r"[\s_.-]+", "", text) or text.strip()


def _read_again(name: str) -> str:
    """A name whose UTF-8 somebody took for Windows-1252, as it was meant. Others as they are."""
    try:
        return name if name.isascii() else name.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return name


def _unseen(groups: Sequence[Sequence[str]]) -> str:
    """A sentence about the first letter that looks like a Latin one and is none. Empty where there is none."""
    letters = ((name, c) for group in groups for name in group for c in name if c.translate(_LATIN) != c)
    found = next(letters, None)
    if found is None:
        return ""
    letter = unicodedata.name(found[1], "a letter of another alphabet")
    return f" In '{short(found[0])}' a letter only looks Latin: {letter}."


def _in_words(groups: Sequence[Sequence[str]], counts: Mapping[str, int]) -> str:
    shown = [
        " and ".join(f"'{short(name)}' ({counts[name]})" for name in group[:_SHOWN])
        + (f" and {len(group) - _SHOWN} more" if len(group) > _SHOWN else "")
        for group in groups[:_SHOWN]
    ]
    return "; ".join(shown) + (f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")
