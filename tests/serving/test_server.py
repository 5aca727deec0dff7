"""`auditor review serve`, by the command: it answers its own page, and refuses everybody else."""

import json
import re
import socket
import sys

import pytest
from served import audit_with_pictures, serving

CHANGE = {"decision": "keep", "new_label": None, "time": "2026-01-01T00:00:00.000Z", "how": "rank"}


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    return audit_with_pictures(tmp_path_factory.mktemp("audit"), edge=40)


@pytest.fixture(scope="module")
def server(audited):
    with serving(audited[1]) as running:
        yield running


def body(result, row=0, **more):
    entry = result.ranking.iloc[row]
    change = {"path": entry["path"], "label": entry["label"], **CHANGE}
    return {"audit": result.audit_id, "reviewer": "ann", "changes": [change], **more}


def test_the_page_may_load_from_its_own_server_and_from_nowhere_else(server):
    page = server.ask()
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.text)[1]
    assert "default-src 'none'; img-src data: 'self'; connect-src 'self';" in policy
    assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY" and "server" not in page.headers


def test_an_item_is_shown_under_its_audit(server, audited):
    item = server.ask(f"item/{audited[0].audit_id}/3")
    assert (item.status, item.headers["content-type"]) == (200, "image/png")
    assert server.ask(f"item/{audited[0].audit_id}/400").status == 404
    assert server.ask("item/another/3").status == 409
    for path in ("item/../../3", f"item/{audited[0].audit_id}/..%2f..%2fout%2faudit.json", "audit.json", "%2e%2e/"):
        assert server.ask(path).status == 404


def test_decisions_are_kept_and_told(server, audited):
    result, out = audited
    start = server.ask("decisions?reviewer=ann").document
    answer = server.ask("decisions", body(result))
    assert [d["path"] for d in answer.document["decisions"]] == [result.ranking["path"][0]]
    assert json.loads((out / "decisions" / "ann.json").read_text())["reviewer"] == "ann"
    assert server.ask(f"decisions?reviewer=ann&since={start['revision']}").status == 200
    assert server.ask(f"decisions?reviewer=ann&since={answer.document['revision']}").status == 204


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "no JSON object"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        ({"audit": "another"}, 409, "run again"),
        ({"reviewer": 3}, 400, "must be text"),
        ({"changes": {}}, 400, "no list"),
        ({"changes": [{"path": "../../etc/passwd", "label": "x", **CHANGE}]}, 400, "not an image of this audit"),
        (b" " * 9_000_000, 413, "more decisions"),
    ],
)
def test_a_request_that_is_wrong_gets_a_sentence(server, audited, sent, status, words):
    answer = server.ask("decisions", body(audited[0], **sent) if isinstance(sent, dict) else sent)
    assert answer.status == status and words in answer.text and "Traceback" not in answer.text


def test_strangers_are_refused(server, audited):
    sent = body(audited[0])
    place = server.root.removeprefix("http://").rstrip("/")
    port = place.rpartition(":")[2]
    for address in (server.root, f"{server.root}x/", f"{server.root}{'x' * 32}/", server.address.upper()):
        answer = server.ask(address=address.replace("HTTP", "http"))
        assert answer.status == 404 and "audit-data" not in answer.text
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"[::1]:{port}",
        f"127.0.0.1:{port}.evil.example",
    ):
        assert server.ask(Host=host).status == 403
    assert server.ask(Host=f"localhost:{port}").status == 200
    for origin in ("http://evil.example", "null", f"https://{place}", "http://127.0.0.1:1"):
        assert server.ask("decisions", sent, Origin=origin).status == 403
        assert server.ask(Origin=origin).status == 403
    assert server.ask("decisions", sent, Sec_Fetch_Site="cross-site").status == 403
    assert server.ask("decisions", sent, Sec_Fetch_Site="same-site").status == 403
    assert server.ask("decisions", sent, Origin=f"http://{place}", Sec_Fetch_Site="same-origin").status == 200
    form = server.ask("decisions", b"audit=1", Content_Type="application/x-www-form-urlencoded")
    assert form.status == 415  # what a foreign page can send without being asked first


def test_an_audit_that_is_gone_while_it_is_served_gets_a_sentence(tmp_path):
    result, out = audit_with_pictures(tmp_path, edge=8)
    with serving(out) as server:
        (out / "audit.json").rename(tmp_path / "audit.json")
        answer = server.ask()
        assert answer.status == 404 and "audit.json is missing" in answer.text
        (out / "decisions").write_text("a file where the folder should be")
        answer = server.ask("decisions", body(result))
        assert answer.status == 507 and "could not be written" in answer.text
        (out / "decisions").unlink()
        (tmp_path / "audit.json").rename(out / "audit.json")
        assert server.ask().status == 200 and server.ask("decisions", body(result)).status == 200
        assert "Traceback" not in server.said


def test_what_is_no_path_is_refused(server):
    host, port = server.root.removeprefix("http://").rstrip("/").split(":")
    for line in (b"OPTIONS * HTTP/1.1", b"GET http://evil.example/ HTTP/1.1", b"GET // HTTP/1.1", b"NONSENSE"):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(line + f"\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            status = connection.makefile("rb").readline().split()[1]
        assert status in (b"400", b"404")
    assert "Traceback" not in server.said


def test_a_second_server_of_the_same_audit_is_refused(server, audited, run_cli):
    done = run_cli("review", "serve", str(audited[1]))
    assert done.exit_code == 2 and "another server shows" in done.stderr


def test_it_ends_with_what_was_decided_and_the_next_command(tmp_path):
    result, out = audit_with_pictures(tmp_path, edge=8)
    with serving(out) as server:
        server.ask("decisions", body(result, reviewer="Ann O'Hara"))
        server.ask("decisions", body(result, 1, reviewer=""))
        assert server.stop() == 0
    assert str(out / "decisions") in server.said
    assert "Decisions: 1 by a reviewer without a name, 1 by Ann O'Hara." in server.said
    command = server.said.partition("Next: ")[2]
    assert command.startswith("auditor review apply ") and "unnamed.json" in command and "Traceback" not in server.said
    assert not (out / ".auditor-serve.lock").exists()


def test_a_data_set_that_is_gone_is_said_and_the_page_still_comes(tmp_path):
    result, out = audit_with_pictures(tmp_path, edge=8)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with serving(out) as server:
        assert server.ask().status == 200
        answer = server.ask(f"item/{result.audit_id}/0")
        assert answer.status == 404 and "cannot be opened" in answer.text
        assert "The data set cannot be opened, so nothing is shown at full size" in server.said
    with serving(out, "--source", str(tmp_path / "elsewhere")) as server:
        assert server.ask(f"item/{result.audit_id}/0").status == 200


def test_wrong_calls_get_a_sentence(tmp_path, run_cli, monkeypatch):
    done = run_cli("review", "serve", str(tmp_path))
    assert done.exit_code == 2 and "audit" in done.stderr
    _, out = audit_with_pictures(tmp_path, edge=8)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run_cli("review", "serve", str(out))
    assert done.exit_code == 2 and "pip install 'auditor[serve]'" in done.stderr


def test_a_port_that_is_taken_gets_a_sentence(server, tmp_path, run_cli):
    _, out = audit_with_pictures(tmp_path, edge=8)
    port = server.root.rstrip("/").rpartition(":")[2]
    done = run_cli("review", "serve", str(out), "--port", port)
    assert done.exit_code == 2 and f"port {port} of this machine cannot be used" in done.stderr
