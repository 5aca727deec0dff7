"""Addresses as data sets: a real S3 server and a web server on this machine, and what a hostile one gets."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import small_audit, use_figures_once, use_hasty_detection, use_tiny_network
from hostile import png
from stores import BUCKET, put, reply, s3_server, web_server

from auditor.cli import main
from auditor.config import AuditSettings, read_settings
from auditor.data.reopening import open_trusted, reopen
from auditor.errors import ConfigError, SourceError
from auditor.result import AuditResult
from auditor.sources import ImageTable, open_source
from auditor.sources.manifest import Layout
from auditor.sources.remote import Reach, address, copies, is_address, library, trouble, web, without_secrets
from auditor.sources.remote.store import Entry, Sink

FILES = {
    f"{split}/{label}/{n}.png": png(10 * n + level)
    for split in ("train", "test")
    for label, level in (("cat", 1), ("dog", 130))
    for n in range(3)
}
ROWS = "".join(f"{name},{name.split('/')[1]}\n" for name in FILES)
MANIFEST = f"path,label\n{ROWS}".encode()


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return made.getvalue()


def arrays() -> bytes:
    made = io.BytesIO()
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    np.savez(made, images=images, labels=["cat", "cat", "dog", "dog"])
    return made.getvalue()


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as client:
        put(client, FILES, "set/")
        put(client, FILES, "files/")
        put(client, {"files/labels.csv": MANIFEST, "files/set.zip": zipped(), "files/set.npz": arrays()})
        yield client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "PAUSES", (0.0, 0.0))


def opened(spec: str, folder: Path | None = None, *, root: str = "", limit: int = 1 << 30) -> ImageTable:
    reach = Reach(str(folder or "unused"), limit if folder else 0)
    return open_source(spec, layout=Layout(root=root, reach=reach))


def test_a_prefix_is_a_folder_and_its_second_reading_comes_from_the_copies(s3: Any, tmp_path: Path) -> None:
    table = opened(f"s3://{BUCKET}/set", tmp_path)
    assert dict(zip(table.frame["path"], map(table.read, table.frame["path"]), strict=True)) == FILES
    assert (table.name, table.root, table.source, table.address) == ("set", *[f"s3://{BUCKET}/set"] * 3)
    assert table.at_once > 8 and "12 objects fetched" in table.said() and "GB" in table.said()
    read = pickle.loads(pickle.dumps(table.read))  # noqa: S301 - our own; so it is sent to another process
    assert read("train/cat/0.png") == FILES["train/cat/0.png"]
    again = opened(f"s3://{BUCKET}/set/", tmp_path)
    assert [again.read(path) for path in again.frame["path"]] == [FILES[path] for path in again.frame["path"]]
    assert "0 objects fetched, 0 bytes, 12 more were on this machine" in again.said()
    for copy in (tmp_path / "objects").rglob("*"):
        if copy.is_file():
            copy.write_bytes(b"damaged" + copy.read_bytes()[7:])
    assert again.read("train/cat/0.png") == FILES["train/cat/0.png"]


def test_what_may_not_be_kept_is_not_kept(s3: Any, tmp_path: Path) -> None:
    for limit in (0, 40):  # no copy, and less than one of them
        table = opened(f"s3://{BUCKET}/set", tmp_path, limit=limit)
        assert table.read("train/cat/0.png") and opened(f"s3://{BUCKET}/files/set.zip", tmp_path, limit=limit)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_room_is_made_of_what_nobody_used_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = copies.Copies(Reach(str(tmp_path), 200))
    first, second = Entry("a", 100, "1"), Entry("b", 100, "1")
    one.add("place", first, bytes(100))
    one.add("place", second, bytes(100))
    assert one.get("place", first) == bytes(100) and one.get("place", second) is None
    monkeypatch.setattr(copies, "IN_USE", -1.0)
    one.add("place", second, bytes(100))
    assert one.get("place", first) is None and one.get("place", second) == bytes(100)


@pytest.mark.parametrize("name", ["labels.csv", "set.zip", "set.npz"])
def test_a_file_at_an_address_is_opened_as_it_would_be_here(name: str, s3: Any, tmp_path: Path) -> None:
    table = opened(f"s3://{BUCKET}/files/{name}", tmp_path)
    assert (
        table.name == name
        and table.source == f"s3://{BUCKET}/files/{name}"
        and set(table.frame["label"])
        == {
            "cat",
            "dog",
        }
    )
    if name != "set.npz":
        assert {path: table.read(path) for path in table.frame["path"]} == FILES
    assert str(tmp_path) not in f"{table.notes}{table.root}{table.skipped}"


def test_a_manifest_here_with_its_images_there(s3: Any, tmp_path: Path) -> None:
    lines = MANIFEST.decode().replace("train/cat/0.png", f"s3://{BUCKET}/set/train/cat/0.png")
    (tmp_path / "labels.csv").write_text(lines)
    table = opened(str(tmp_path / "labels.csv"), tmp_path, root=f"s3://{BUCKET}/set")
    assert {path: table.read(path) for path in table.frame["path"]} == FILES
    (tmp_path / "labels.csv").write_text(lines + "s3://other/x.png,cat\n")
    with pytest.raises(SourceError, match="row 14"):
        opened(str(tmp_path / "labels.csv"), tmp_path, root=f"s3://{BUCKET}/set")


def test_nothing_is_read_that_nobody_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **named: Any) -> Any:
        raise AssertionError("a connection")

    monkeypatch.setattr(library, "Library", refused)
    with pytest.raises(SourceError, match="only where a command names it"):
        open_source(f"s3://{BUCKET}/set")
    (tmp_path / "labels.csv").write_text("path,label\ns3://bucket/a.png,cat\ns3://bucket/b.png,dog\n")
    with pytest.raises(SourceError, match=r"cannot be used|upwards"):
        open_source(str(tmp_path / "labels.csv"))
    for name in ("root", "reference"):
        (tmp_path / "auditor.toml").write_text(f'[audit]\n{name} = "s3://bucket/set"\n')
        with pytest.raises(ConfigError, match="may not ask for"):
            read_settings(tmp_path / "auditor.toml")


HOSTILE = {
    "../up.png": "leads outside the root",
    "cat/../../up.png": "leads outside the root",
    "/cat/absolute.png": "leads outside the root",
    "cat\\b.png": "its name holds a backslash",
    "C:/cat.png": "leads outside the root",
}


def test_keys_that_lead_away_are_left_out(s3: Any) -> None:
    good = {"cat/1.png": png(1), "dog/1.png": png(2)}
    put(s3, {**good, **dict.fromkeys(HOSTILE, png(9)), "": b"", "cat/": b"", "dog//double.png": png(5)}, "hostile/")
    put(s3, {"hostile/dog/double.png": png(6)})
    table = opened(f"s3://{BUCKET}/hostile")
    assert set(table.frame["path"]) == {*good, "dog/double.png"}
    found = {entry.path: entry.reason for entry in table.skipped}
    assert HOSTILE.items() <= found.items()
    assert "several files of this name" in found["dog/double.png"]


def test_keys_with_control_characters_are_shown_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("cat/line\nend.png", "dog/\x1b[31m.png", "dog/a.png", "dog/half\ud800.png")
    fake = Fake(listed=[Entry(f"set/{name}", 8, "1") for name in names])
    monkeypatch.setattr(library, "_store", lambda address: fake)
    table = opened("s3://bucket/set")
    assert len(table.frame) == 3 and "not valid UTF-8" in table.skipped[0].reason


def test_an_object_that_changes_or_goes_after_it_was_listed_is_left_out(s3: Any, tmp_path: Path) -> None:
    put(s3, {"cat/1.png": png(1), "cat/2.png": png(2), "dog/1.png": png(3)}, "moving/")
    table = opened(f"s3://{BUCKET}/moving", tmp_path)
    put(s3, {"moving/cat/1.png": png(9)})
    s3.delete_object(Bucket=BUCKET, Key="moving/cat/2.png")
    for path, words in (("cat/1.png", "changed since it was listed"), ("cat/2.png", "no such object")):
        with pytest.raises(OSError, match=words):
            table.read(path)
    assert table.read("dog/1.png") == png(3)


class Fake:
    """A store that can misbehave as no real one would."""

    identity = "fake"

    def __init__(self, listed: Any = (), size: int = 8, parts: Any = (), error: Exception | None = None) -> None:
        self._listed, self.size, self.parts, self.error, self.tries = listed, size, parts, error, 0

    def listed(self, prefix: str) -> Iterator[Entry]:
        return iter(self._listed)

    def send(self, wanted: Entry, sink: Sink) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        if sink.begin(Entry(wanted.key, self.size, "1")):
            for part in self.parts:
                sink.take(part)


def with_fake(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> library.Library:
    monkeypatch.setattr(library, "_store", lambda address: fake)
    return library.Library(address.parsed("s3://bucket/set"), Reach("unused"))


def test_a_stream_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Fake(parts=itertools.repeat(bytes(1 << 20)))
    with pytest.raises(OSError, match="larger than was said"):
        with_fake(endless, monkeypatch).read(Entry("set/a.png", 8, "1"))
    monkeypatch.setattr(library, "MAX_FILE_BYTES", 1 << 22)
    unsaid = Fake(size=-1, parts=itertools.repeat(bytes(1 << 20)))
    with pytest.raises(OSError, match="larger than"):
        with_fake(unsaid, monkeypatch).read(Entry("set/a.png", -1, ""))
    with pytest.raises(SourceError, match="larger than the store says"):
        with_fake(endless, monkeypatch).file(Entry("set/a.zip", -1, ""))
    with pytest.raises(SourceError, match="more than there is room for"):
        with_fake(Fake(size=1 << 60), monkeypatch).file(Entry("set/a.zip", -1, ""))


def test_a_store_that_fails_stops_the_audit_and_an_object_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Fake(error=TimeoutError("https://bucket/?X-Amz-Signature=s3cr3t"))
    with pytest.raises(SourceError, match="does not answer in time, 3 times in a row") as caught:
        with_fake(late, monkeypatch).read(Entry("set/a.png", 8, "1"))
    assert late.tries == 3 and "s3cr3t" not in str(caught.value)
    broken = Fake(error=trouble.IncompleteBodyError("x"))
    with pytest.raises(SourceError, match="broke off"):
        with_fake(broken, monkeypatch).read(Entry("set/a.png", 8, "1"))
    with pytest.raises(OSError, match="access is denied"):
        with_fake(Fake(error=PermissionError()), monkeypatch).read(Entry("set/a.png", 8, "1"))


def test_a_million_keys_are_listed_and_more_than_the_limit_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Fake(listed=(Entry(f"set/{'cat' if n % 2 else 'dog'}/{n}.png", 8, "1") for n in range(20_000)))
    monkeypatch.setattr(library, "_store", lambda address: many)
    assert len(opened("s3://bucket/set").frame) == 20_000
    monkeypatch.setattr(library, "MOST_OBJECTS", 1_000)
    endless = Fake(listed=(Entry(f"set/cat/{n}.png", 8, "1") for n in itertools.count()))
    monkeypatch.setattr(library, "_store", lambda address: endless)
    with pytest.raises(SourceError, match="more than 1,000 objects"):
        opened("s3://bucket/set")


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_stores_are_read_through_the_file_systems_of_fsspec(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, memory = pytest.importorskip("fsspec.core"), pytest.importorskip("fsspec.implementations.memory")
    system = memory.MemoryFileSystem(skip_instance_cache=True)
    monkeypatch.setattr(system, "store", {}, raising=False)
    for name, data in FILES.items():
        system.pipe_file(f"/bucket/set/{name}", data)
    system.pipe_file("/bucket/set.zip", zipped())
    monkeypatch.setattr(core, "url_to_fs", lambda address: (system, address))
    for spec in (f"{scheme}://bucket/set", f"{scheme}://bucket/set.zip"):
        table = opened(spec, tmp_path)
        assert {path: table.read(path) for path in table.frame["path"]} == FILES and table.source == spec
    table = opened(f"{scheme}://bucket/set")
    system.rm_file("/bucket/set/train/cat/1.png")
    system.pipe_file("/bucket/set/train/cat/0.png", b"longer than it was" * 99)
    for path, words in (("train/cat/1.png", "no such object"), ("train/cat/0.png", "larger than was said")):
        with pytest.raises(OSError, match=words):
            table.read(path)


def test_the_hub_in_the_form_of_its_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="pip install 'auditor[cloud]'")

    def answer(handler: Any) -> None:
        path = handler.path.partition("?")[0]
        listed = [{"type": "file", "oid": "1" * 40, "size": len(data), "path": f"a/{k}"} for k, data in FILES.items()]
        if "/tree/main/" in path:
            reply(handler, json.dumps(listed).encode(), Content_Type="application/json")
        elif "/resolve/main/a/" in path:
            reply(handler, FILES[path.split("/resolve/main/a/")[1]], ETag='"1"', X_Repo_Commit="a" * 40)
        else:
            reply(handler, json.dumps({"id": "o/n", "sha": "a" * 40, "siblings": []}).encode())

    with web_server(answer) as base:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", base)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", base + "/{" + template.partition("/{")[2])
        table = opened("hf://datasets/o/n/a", tmp_path)
        assert {path: table.read(path) for path in table.frame["path"]} == FILES
        assert table.name == "a" and table.source == "hf://datasets/o/n/a"


def test_a_kind_whose_package_is_not_there_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pytest.importorskip("fsspec.core")

    def absent(address: str) -> None:
        raise ImportError("no module")

    monkeypatch.setattr(core, "url_to_fs", absent)
    for scheme, package in (("gs", "gcsfs"), ("az", "adlfs"), ("hf", "auditor")):
        with pytest.raises(SourceError, match="needs") as caught:
            opened(f"{scheme}://datasets/owner/name")
        assert package in caught.value.hint


def test_addresses_are_shown_without_what_is_secret() -> None:
    signed = "https://me:pw@host.example:8443/a/set.zip?X-Amz-Signature=abc#part"
    assert without_secrets(signed) == "https://host.example:8443/a/set.zip"
    assert without_secrets("s3://key:secret@bucket/a") == "s3://bucket/a" and without_secrets("a?b") == "a?b"
    found = address.parsed(signed)
    assert found.shown == "https://host.example:8443/a/set.zip" and found.name == "set.zip"
    assert found.secret == ("me:pw", "X-Amz-Signature=abc") and "abc" not in repr(found)
    assert is_address("S3://bucket") and not is_address("photos") and not is_address("file:///etc")
    wrong = (
        "s3://key:s3cr3t@bucket/a",
        "http://me:s3cr3t@host.example/a?s3cr3t",
        "hf://models/a",
        "s3:///a",
        "https://",
    )
    for spec in (*wrong, "s3://b/\\a", "s3://b/\x1ba"):
        with pytest.raises(SourceError) as caught:
            address.parsed(spec)
        assert "s3cr3t" not in str(caught.value)


def test_a_redirect_is_no_way_into_a_private_network() -> None:
    public, own = "https://host.example/a", "http://127.0.0.1:1/a"
    assert web.next_address(public, "https://cdn.example/b", nearest=web.PUBLIC) == "https://cdn.example/b"
    assert web.next_address(own, "/b", nearest=web.OWN) == "http://127.0.0.1:1/b"
    for start, location, nearest in (
        (public, "http://host.example/b", web.PUBLIC),
        (public, "file:///etc/passwd", web.PUBLIC),
        (public, "https://127.0.0.1/b", web.PUBLIC),
        (public, "https://[::ffff:10.0.0.1]/b", web.PUBLIC),
        (public, "https://localhost/b", web.PRIVATE),
        (own, "https://169.254.169.254/latest", web.OWN),
        (own, "http://host.example/b", web.OWN),
    ):
        with pytest.raises(trouble.RedirectError):
            web.next_address(start, location, nearest=nearest)


def test_a_signed_manifest_on_the_web_with_its_images_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    asked: list[tuple[str, str]] = []

    def answer(handler: Any) -> None:
        asked.append((handler.path, handler.headers.get("Authorization", "")))
        name = handler.path.partition("?")[0].removeprefix("/data/")
        if name in ("away.csv", "loop.csv"):
            where = "https://169.254.169.254/x" if name == "away.csv" else handler.path
            reply(handler, b"", 302, Location=where)
            return
        content = MANIFEST if name == "labels.csv" else FILES.get(name)
        reply(handler, content or b"", 200 if content else 404, ETag=f'"{name}"')

    with web_server(answer) as base:
        spec = f"{base.replace('//', '//me:pw@')}/data/labels.csv?X-Amz-Signature=abc"
        table = opened(spec, tmp_path)
        assert {path: table.read(path) for path in table.frame["path"]} == FILES
        assert (table.source, table.root) == (f"{base}/data/labels.csv", f"{base}/data")
        assert asked[0][0].endswith("?X-Amz-Signature=abc") and asked[0][1].startswith("Basic ")
        assert not any(user or "?" in path for path, user in asked[1:])
        for name, words in (("away.csv", "private network"), ("loop.csv", "more than 5"), ("none.csv", "no such")):
            with pytest.raises(SourceError, match=words):
                opened(f"{base}/data/{name}", tmp_path)
        with pytest.raises(SourceError, match="no file that can be audited"):
            opened(f"{base}/data/", tmp_path)


def test_an_audit_of_a_store_its_gate_its_review_and_its_next_audit(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_network(monkeypatch)
    use_hasty_detection(monkeypatch)
    use_figures_once(monkeypatch)
    files = {f"{'cat' if n % 2 else 'dog'}/{n:02d}.png": png(100 * (n % 2) + 2 * n) for n in range(32)}
    put(s3, files, "round/")
    for name, data in files.items():
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_bytes(data)
    spec, out = f"s3://{BUCKET}/round", tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    for source, place in ((tmp_path / "here", tmp_path / "plain"), (spec, out)):
        done = CliRunner().invoke(main, small_audit(source, place, "--cache", str(tmp_path / "cache")))
        assert done.exit_code == 0, done.output
    assert (out / "ranking.csv").read_bytes() == (tmp_path / "plain" / "ranking.csv").read_bytes()
    result = AuditResult.load(out)
    assert result.audit_id == AuditResult.load(tmp_path / "plain").audit_id
    assert "s3cr3t" not in (out / "audit.json").read_text() and result.summary["dataset"]["root"] == spec
    with pytest.raises(SourceError, match="only where a command names it"):
        reopen(result, out=out)
    runner = CliRunner()
    unnamed = runner.invoke(main, ["gate", str(out), "--strict-fresh"])
    assert unnamed.exit_code == 2 and f"--source {spec}" in unnamed.output
    assert "older" not in runner.invoke(main, ["gate", str(out), "--strict-fresh", "--source", spec]).output
    path, label = result.ranking.sort_values("rank")[["path", "label"]].iloc[0]
    decision = {"path": path, "hash": result.summary["dataset"]["hashes"][path], "label": label}
    other = "cat" if label == "dog" else "dog"
    document = {
        "schema_version": 1,
        "kind": "auditor-decisions",
        "audit_id": result.audit_id,
        "reviewer": "a",
        "decisions": [{**decision, "decision": "relabel", "new_label": other}],
    }
    (tmp_path / "decisions.json").write_text(json.dumps(document))
    applied = runner.invoke(main, ["review", "apply", str(out), "decisions.json", "--source", spec])
    assert applied.exit_code == 0, applied.output
    assert f"--root {spec}" in applied.output and not list((out / "reviewed").glob("**/*.png"))
    cleaned = opened(str(out / "reviewed" / "cleaned.csv"), root=spec)
    assert dict(zip(cleaned.frame["path"], cleaned.frame["label"], strict=True))[path] == other
    put(s3, {f"round/{path}": png(7)})
    assert "older" in runner.invoke(main, ["gate", str(out), "--strict-fresh", "--source", spec]).output


def test_settings_that_may_be_kept_hold_no_secret(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(MANIFEST)
    with pytest.raises(SourceError, match="would be kept") as caught:
        opened(str(tmp_path / "labels.csv"), root="https://host.example/a?sig=s3cr3t")
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(SourceError, match="would be kept"):
        open_trusted(AuditSettings(reference="https://host.example/a.zip?sig=s3cr3t"), "image", Reach())
