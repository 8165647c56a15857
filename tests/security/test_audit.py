"""The audit of libraries says `not audited` where nobody could be asked, and names what somebody knows."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.security import __main__ as command
from deploy.security import audit
from deploy.security.audit import KNOWN_WEAK, SERVICE_URL
from deploy.security.scan import Result

NOBODY = "http://127.0.0.1:9/v1/query"
WEAK = {"id": "PYSEC-2020-96", "summary": "yaml", "aliases": ["CVE-2020-1747"]}
LOCKED = "bandit==1.9.4"


@contextmanager
def advisories(known: Callable[[str], list[dict[str, Any]]]) -> Iterator[str]:
    """A service that speaks as OSV does and knows this of a library."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": []}]
            body = json.dumps({"vulns": [{**each, "affected": affected} for each in known(name)]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def one_small_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "small.lock"
    lock.write_text(f"{LOCKED} --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(audit, "LOCKS", (str(lock),))


def result(monkeypatch: pytest.MonkeyPatch, url: str) -> Result:
    monkeypatch.setenv(SERVICE_URL, url)
    return audit.audit()


def test_nobody_who_answers_is_no_clean_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = result(monkeypatch, NOBODY)
    assert found.not_run.startswith("not audited: ")
    assert found.looked_at == "nothing"


def test_a_service_that_knows_nothing_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with advisories(lambda _: []) as url:
        found = result(monkeypatch, url)
    assert KNOWN_WEAK in found.not_run


def test_an_advisory_on_what_is_locked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with advisories(lambda _: [WEAK]) as url:
        found = result(monkeypatch, url)
    assert not found.not_run
    assert len(found.findings) == 1
    assert "bandit 1.9.4: PYSEC-2020-96" in found.findings[0]


def test_a_clean_lock_passes_where_the_service_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with advisories(lambda name: [WEAK] if name == "pyyaml" else []) as url:
        found = result(monkeypatch, url)
    assert found == Result(looked_at="1 libraries")


@pytest.mark.parametrize(
    ("told", "offline", "code", "says"),
    [
        (Result(looked_at="3 files"), False, 0, "1 passed, 0 failed, 0 skipped"),
        (Result(looked_at="3 files", findings=("a.py:1 x",)), True, 1, "0 passed, 1 failed, 0 skipped"),
        (Result(looked_at="nothing", not_run="not audited: no net"), False, 3, "0 passed, 0 failed, 1 skipped"),
        (Result(looked_at="nothing", not_run="not audited: no net"), True, 0, "0 passed, 0 failed, 1 skipped"),
    ],
)
def test_what_was_not_run_is_never_counted_as_passed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    told: Result,
    offline: bool,
    code: int,
    says: str,
) -> None:
    monkeypatch.setattr(command, "SCANS", {"audit": lambda: told})
    monkeypatch.setattr("sys.argv", ["security", "audit", *(["--offline"] if offline else [])])
    assert command.main() == code
    assert capsys.readouterr().out.endswith(f"security: {says}\n")
