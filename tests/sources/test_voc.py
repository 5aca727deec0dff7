"""Pascal VOC's annotations as a source: what becomes an item, what is left out, and XML that is hostile."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from detections import save, scene, voc_set, voc_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import SourceError
from auditor.sources import ImageTable, open_source
from auditor.sources.amended_text import DROPPED
from auditor.sources.boxes.voc_xml import NotReadable, changed_xml, read_xml
from auditor.sources.manifest import Layout


def reasons(table: ImageTable) -> dict[str, str]:
    return {entry.path: entry.reason for entry in table.skipped}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two pictures with two objects each."""
    pictures, pasted = scene(2, 2)
    save(tmp_path / "JPEGImages", pictures)
    (tmp_path / "Annotations").mkdir()
    for name, picture in pictures.items():
        text = voc_xml(name, picture, [one for one in pasted if one.picture == name])
        (tmp_path / "Annotations" / f"{name[:-4]}.xml").write_text(text)
    return tmp_path


def test_each_object_is_an_item_with_the_split_of_its_picture(tmp_path: Path) -> None:
    folder, pasted = voc_set(tmp_path, 8, 3)
    table = open_source(f"{folder}::margin=0")
    wanted = [
        (f"JPEGImages/{one.picture}#{row % 3 + 1}", one.label, "val" if row // 3 % 4 == 3 else "train")
        for row, one in enumerate(pasted)
    ]
    assert list(table.frame.itertuples(index=False, name=None)) == sorted(wanted) and table.skipped == ()
    for (name, _, _), one in zip(wanted, pasted, strict=True):
        assert table.read(name).startswith(f"P5\n{one.box[2]} {one.box[3]}\n".encode())
    (folder / "JPEGImages").rename(folder / "elsewhere")
    with pytest.raises(SourceError, match="none can be used"):
        open_source(str(folder))
    again = open_source(f"{folder}::margin=0", layout=Layout(root=str(folder / "elsewhere")))
    assert [path.rpartition("/")[2] for path in again.frame["path"]] == [
        path.rpartition("/")[2] for path in table.frame["path"]
    ]


@pytest.mark.parametrize("kind", ["images", "beside", "no name", "no ending", "a path of Windows"])
def test_pictures_are_found_where_tools_put_them(kind: str, made: Path) -> None:
    if kind in ("images", "beside"):
        (made / "JPEGImages").rename(made / ("images" if kind == "images" else "Annotations/x"))
    if kind == "beside":
        for path in (made / "Annotations" / "x").iterdir():
            path.rename(made / "Annotations" / path.name)
    for path in (made / "Annotations").glob("*.xml"):
        text = path.read_text()
        named = {"no name": "", "no ending": path.stem}.get(kind, f"{path.stem}.png")
        path.write_text(text.replace(f"<filename>{path.stem}.png", f"<filename>{named}"))
    assert len(open_source(str(made)).frame) == 4


def test_a_folder_with_annotations_of_two_forms_asks_which(made: Path) -> None:
    whole = open_source(str(made))
    (made / "labels").mkdir()
    (made / "labels" / "000.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.4 0.4 0.2 0.2\n")
    (made / "JPEGImages").rename(made / "images")
    with pytest.raises(SourceError, match="in YOLO's form and in Pascal VOC's") as failed:
        open_source(str(made))
    assert f"{made}/labels or {made}/Annotations" in (failed.value.hint or "")
    assert open_source(f"{made}/Annotations/").frame["label"].equals(whole.frame["label"])
    assert open_source(f"{made}/labels").frame["path"].tolist() == ["images/000.png#1", "images/000.png#2"]
    (made / "data.yaml").write_text("names: [a, b]\ntrain: images\n")
    assert any("'Annotations' of Pascal VOC's form was not read" in note for note in open_source(str(made)).notes)


CASES = {
    "no area": ("<xmax>{}</xmax>", "<xmax>0</xmax>", "negative|no area"),
    "not a number": ("<xmax>{}</xmax>", "<xmax>nan</xmax>", "not four finite numbers"),
    "a word": ("<xmax>{}</xmax>", "<xmax>right</xmax>", "not four finite numbers"),
    "an underscore": ("<xmax>{}</xmax>", "<xmax>1_0</xmax>", "not four finite numbers"),
    "endless": ("<xmax>{}</xmax>", "<xmax>" + "9" * 500 + "</xmax>", "not four finite numbers"),
    "missing": ("<xmax>{}</xmax>", "", "not four finite numbers"),
    "outside": ("<xmin>{}</xmin>", "<xmin>97</xmin>", "negative|outside its picture|no area"),
    "no name": ("<name>{}</name>", "<name> </name>", "it has no name"),
}


@pytest.mark.parametrize("kind", CASES)
def test_an_object_that_is_no_box_is_named(kind: str, made: Path) -> None:

    old, new, words = CASES[kind]
    file = made / "Annotations" / "000.xml"
    pattern = old.replace("{}", "[^<]*")
    file.write_text(re.sub(pattern, lambda _: new, file.read_text(), count=1))
    table = open_source(str(made))
    assert len(table.frame) == 3 and re.search(words, reasons(table)["JPEGImages/000.png#1"])


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "an entity": ('<!DOCTYPE a [<!ENTITY x "3">]>', "declares entities"),
    "billion laughs": (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>', "declares entities"),
    "a file of the system": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "declares entities"),
    "a parameter": ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]>', "declares entities"),
    "a reference": ("&x;", "no valid XML"),
    "two roots": ("<a/>", "no valid XML"),
    "no XML": ("nothing", "no valid XML"),
    "an unknown encoding": ('<?xml version="1.0" encoding="klingon"?>', "encoding|no valid XML"),
    "nested": ("<a>" * 100_000, "nested too deep"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_xml_costs_its_own_boxes_and_gets_a_sentence(kind: str, made: Path) -> None:
    file, (before, words) = made / "Annotations" / "000.xml", HOSTILE[kind]
    file.write_text(before + file.read_text())
    table = open_source(str(made))

    assert len(table.frame) == 2 and list(reasons(table)) == ["Annotations/000.xml"]
    assert re.search(words, reasons(table)["Annotations/000.xml"])


def test_a_document_type_without_entities_is_read(made: Path) -> None:
    file = made / "Annotations" / "000.xml"
    file.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/voc.dtd">\n' + file.read_text()
    )
    assert len(open_source(str(made)).frame) == 4


def test_pictures_outside_and_files_of_one_picture(made: Path) -> None:
    outside = made.parent / "secret.png"
    outside.write_bytes((made / "JPEGImages" / "000.png").read_bytes())
    file = made / "Annotations" / "000.xml"
    text = file.read_text()
    file.write_text(text.replace("000.png", "../../secret.png"))
    assert reasons(open_source(str(made)))["JPEGImages/../../secret.png"].endswith("leads outside the root")
    file.write_text(text.replace("000.png", str(outside)))  # where a person had it; here its own name counts
    assert open_source(str(made)).frame["path"].iloc[0] == "JPEGImages/000.png#1"
    file.write_text(text)
    (made / "Annotations" / "000 (copy).xml").write_text(text)
    table = open_source(str(made))
    assert len(table.frame) == 4 and "is of the same picture" in reasons(table)["Annotations/000.xml"]
    outside.unlink()


def test_parts_of_an_object_are_not_taken_for_it() -> None:
    text = (
        b"<annotation><object><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part><name>person</name>"
        b"<bndbox><xmin>5</xmin></bndbox></object></annotation>"
    )
    (thing,) = read_xml(text).things
    assert (thing.name, thing.sides) == ("person", {"xmin": "5"})
    assert changed_xml(text, {1: "dog"}) == text.replace(b"person", b"dog")


NAMES = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cn", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@given(
    st.lists(st.tuples(NAMES, st.sampled_from(["keep", "drop", "change"])), min_size=1, max_size=6),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "us-ascii"]),
    st.sampled_from(["", "\n\t", "\r\n  "]),
)
@settings(max_examples=120, deadline=None)
def test_names_change_in_any_encoding_and_nothing_else_does(
    objects: list[tuple[str, str]], encoding: str, blank: str
) -> None:
    """The other file is parsed by the library that everybody uses."""

    body = "".join(
        f"{blank}<object a='<'><!-- <name> --><name>{blank}{escape(name)} </name></object>" for name, _ in objects
    )
    body = body.replace("a='<'", "a='&lt;>'")
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    said = "utf-16" if encoding.startswith("utf-16") else encoding
    text = f'{mark}<?xml version="1.0" encoding="{said}"?>{blank}<annotation>{body}{blank}</annotation>'
    data = text.encode(encoding, "xmlcharrefreplace")
    changes = {n: DROPPED if word == "drop" else "<ä&" for n, (_, word) in enumerate(objects, 1) if word != "keep"}
    found = ElementTree.fromstring(changed_xml(data, changes))
    wanted = ["<ä&" if word == "change" else name for name, word in objects if word != "drop"]
    assert [(one.text or "").strip() for one in found.iter("name")] == [name.strip() for name in wanted]
    assert changed_xml(data, {}) == data


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_an_annotation_or_a_reason(data: bytes) -> None:
    try:
        read_xml(b"<annotation><object>" + data + b"</object></annotation>")
    except NotReadable as error:
        assert str(error)
