"""The served page is made once, and again when something in the audit's folder has changed."""

import threading

import pytest

from auditor.serving.kept_page import KeptPage


@pytest.fixture
def kept(tmp_path):
    made = []

    def make(folder):
        made.append(sorted(path.name for path in folder.iterdir()))
        return f"page {len(made)} ä"

    (tmp_path / "audit.json").write_text("{}")
    return KeptPage(tmp_path, make), made


def test_a_page_is_made_again_only_when_a_file_has_changed(kept, tmp_path):
    page, made = kept
    assert page() == page() == "page 1 ä".encode() and len(made) == 1
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions/ann.json").write_text("[]")
    assert page() == "page 1 ä".encode(), "decisions are no part of the page"
    (tmp_path / "certificate.json").write_text("{}")
    assert page() == "page 2 ä".encode()
    (tmp_path / "new").write_text("{}")
    (tmp_path / "new").replace(tmp_path / "certificate.json")
    assert page() == "page 3 ä".encode(), "another file of the same size"
    (tmp_path / "certificate.json").unlink()
    assert page() == "page 4 ä".encode()


def test_a_page_that_cannot_be_made_is_tried_again(tmp_path):
    def make(folder):
        return (folder / "audit.json").read_text()

    page = KeptPage(tmp_path, make)
    with pytest.raises(FileNotFoundError):
        page()
    (tmp_path / "audit.json").write_text("here")
    assert page() == b"here"
    (tmp_path / "audit.json").unlink()
    with pytest.raises(FileNotFoundError):
        page()


def test_browsers_that_come_together_wait_for_one_page(kept):
    page, made = kept
    threads = [threading.Thread(target=page) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
