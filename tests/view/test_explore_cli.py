"""``cgaps explore`` as a process: it answers, keeps to this machine, and ends quietly."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from explorer_runs import Made
from typer.testing import CliRunner

from competency_gaps.cli import app as cli
from competency_gaps.util.errors import MissingExtraError, UserError, install_command
from competency_gaps.view.page import page_files as page_module
from competency_gaps.view.page import server
from competency_gaps.view.page.opened import open_runs
from core_helpers import seal


@contextmanager
def exploring(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A served explorer: the process, its port, and what it said."""
    command = [sys.executable, "-c", "from competency_gaps.cli.app import main; main()", "explore", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    try:
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)/", said)) is None:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"it ended: {process.stderr.read()}")
            said += line
        yield process, int(found[1]), said
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


needs_page = pytest.mark.skipif(not (page_module.PAGE / "app.js").is_file(), reason="the page was not built")


class Listening(NamedTuple):
    pid: int
    port: int
    said: str
    taken: int


@pytest.fixture(scope="module")
def listening(hostile: Made) -> Iterator[Listening]:
    """An explorer that several tests ask; the port that it was given is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asked = taken.getsockname()[1]
        with exploring(str(hostile.run), "--port", str(asked)) as (process, port, said):
            yield Listening(process.pid, port, said, asked)


@needs_page
def test_it_serves_and_ends_quietly(hostile: Made):
    with exploring(str(hostile.run), "--port", "0") as (process, port, said):
        assert "1 run at" in said
        status, content = get(port, "/data/runs.json")
        assert status == 200
        held = json.loads(content)
        assert [one["key"] for one in held["runs"]] == ["run"]
        assert get(port, "/")[1] == (page_module.PAGE / "index.html").read_bytes()
        table = get(port, "/data/run/concepts.parquet")[1]
        assert table[:4] == table[-4:] == b"PAR1"
        idle = socket.create_connection(("127.0.0.1", port))  # a browser's open connection holds nothing up
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        idle.close()
    assert time.monotonic() - start < 8
    assert (process.returncode, out, err) == (0, "", "")


@needs_page
def test_it_listens_on_this_machine_only(listening: Listening):
    pid, port, *_ = listening
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    own = {address for _, address, _, state, *_ in rows if state == "0A" and address.endswith(f":{port:04X}")}
    assert own == {f"0100007F:{port:04X}"}


@needs_page
@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"GET /data/runs.json HTTP/1.1\r\n\r\n", {400, 421}),
        (b"GET http://evil.example/data/runs.json HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400, 421}),
        (b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", {404}),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: evil.example\r\n\r\n", {400, 421}),
        (b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", {400, 404, 414, 431}),
    ],
    ids=["no-host", "absolute", "dots", "two-hosts", "long"],
)
def test_odd_requests_on_the_wire(listening: Listening, request_: bytes, statuses: set[int]):
    with socket.create_connection(("127.0.0.1", listening.port), timeout=10) as wire:
        wire.sendall(request_.replace(b"PORT", str(listening.port).encode()))
        found = wire.recv(65536)
    assert int(found.split()[1]) in statuses
    assert b"root:" not in found
    assert get(listening.port, "/data/runs.json")[0] == 200


@needs_page
def test_a_taken_port_is_passed_over(listening: Listening):
    assert f"Port {listening.taken} is" in listening.said
    assert listening.taken < listening.port < listening.taken + server.MAX_PORTS


def test_a_missing_package_is_named(hostile: Made, monkeypatch):
    monkeypatch.delitem(sys.modules, "competency_gaps.view.page.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = CliRunner().invoke(cli.app, ["explore", str(hostile.run)])
    assert isinstance(found.exception, MissingExtraError)
    assert install_command("explore") in str(found.exception)


def test_keys_tell_runs_apart(hostile: Made, tmp_path: Path):
    names = ["Über Run!", "a/run", "b/run", "b/RUN 2", "---", "x" * 90, "run.json"]
    opened = open_runs([_copied_manifest(hostile.run, tmp_path / name) for name in names])
    keys = [one.key for one in opened]
    assert keys == ["ber-run", "run", "run-2", "run-2-2", "run-3", "x" * 40, "run-json"]
    assert [one.title for one in opened][1:3] == ["a/run", "b/run"]
    assert all(re.fullmatch("[a-z0-9-]+", key) for key in keys)
    with pytest.raises(UserError, match="given 2 times"):
        open_runs([hostile.run] * 2)


def test_a_dictionary_serves_the_runs_that_it_is_about(hostile: Made, tmp_path: Path):
    other = _copied_manifest(hostile.run, tmp_path / "other", weights="f" * 64)
    assert [one.dictionary is not None for one in open_runs([hostile.run, other])] == [True, False]


def _copied_manifest(run: Path, to: Path, weights: str | None = None) -> Path:
    """A run that can be opened, without its tables."""
    to.mkdir(parents=True)
    manifest = json.loads((run / "manifest.json").read_text())
    if weights:
        manifest["sae"]["weights_sha256"] = weights
    (to / "manifest.json").write_text(json.dumps(manifest))
    seal(to)
    return to
