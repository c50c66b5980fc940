"""Runs that are killed or interrupted midway go on, and pay for nothing twice but what was in flight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from endpoint_helpers import heard, quick, request

from competency_gaps.endpoint import AnswerStore, ask
from fake_endpoint import serve

COUNT, CONCURRENCY = 120, 5
SCRIPT = f"""
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from endpoint_helpers import heard, quick, request
from competency_gaps.endpoint import AnswerStore, ask
url, path = sys.argv[1:]
progress, said = heard()
try:
    requests, store = [request(i) for i in range({COUNT})], AnswerStore(Path(path))
    ask(requests, quick(url, concurrency={CONCURRENCY}), store, None, progress)
except KeyboardInterrupt:
    sys.exit(77)
finally:
    sys.stdout.write(said.getvalue())
"""


def start(url: str, path: Path) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    roots = os.pathsep.join(map(str, (here, here.parent, here.parents[1] / "src")))
    environment = {**os.environ, "PYTHONPATH": roots, "OPENAI_API_KEY": "sk-test-0123456789"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )


def wait_until_paid(fake, count: int, process: subprocess.Popen[str]) -> None:
    for _ in range(3_000):
        if fake.paid.total() >= count or process.poll() is not None:
            return
        time.sleep(0.005)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_twice_then_finished(tmp_path):
    path = tmp_path / "answers.jsonl"
    with serve(delay=0.02) as fake:
        for _ in range(2):
            paid = fake.paid.total()
            process = start(fake.url, path)
            wait_until_paid(fake, paid + 30, process)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        time.sleep(0.2)  # the server finishes what it was asked before the kill
        kept = {str(line["id"]) for line in lines(path)}
        paid_before = Counter(fake.paid)
        lost = {asked for asked in paid_before if asked.replace("question ", "r") not in kept}
        assert 50 <= len(kept) < COUNT and len(lost) <= CONCURRENCY
        answers = ask([request(i) for i in range(COUNT)], quick(fake.url), AnswerStore(path), None, heard()[0])
        assert len(answers) == COUNT and all(answer.text for answer in answers.values())
        assert sorted(str(line["id"]) for line in lines(path)) == sorted(f"r{i}" for i in range(COUNT))
        # Paid more than once: only what was in flight at a kill, at most the concurrency each time.
        extra = fake.paid.total() - COUNT
        assert set(fake.paid) == {f"question {i}" for i in range(COUNT)} and 0 <= extra <= 2 * CONCURRENCY
        for asked, times in fake.paid.items():
            assert times == 1 or paid_before[asked] >= 1
    assert b"sk-test" not in path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_one_interrupt_keeps_what_is_in_flight(tmp_path):
    path = tmp_path / "answers.jsonl"
    with serve(delay=0.1) as fake:
        process = start(fake.url, path)
        wait_until_paid(fake, 12, process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 77 and "in flight" in said
        assert 12 <= fake.paid.total() < COUNT
        assert {str(line["id"]).replace("r", "question ") for line in lines(path)} == set(fake.paid)
        assert set(fake.paid.values()) == {1}
