"""Mutated files are read or refused by every reader: no other error, nothing touched outside of their folder.

``validation/fuzz.py`` does the same for as long as is wanted, with limits of memory and time.
"""

from __future__ import annotations

import logging

import pytest
from fuzz_cases import Cases
from fuzz_readers import READERS, Reader
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = {"run": 6, "dictionary": 25, "SAE": 15}
"""Cases of the readers that take longest."""
SEEDS = st.integers(0, 2**32)


def drawn(examples: int):
    """Settings: the same cases every time; a seed cannot be made smaller."""
    phases = [Phase.explicit, Phase.generate]
    checks = list(HealthCheck)
    return settings(max_examples=examples, derandomize=True, deadline=None, phases=phases, suppress_health_check=checks)


@pytest.fixture(scope="module", params=list(READERS))
def cases(request, tmp_path_factory):
    made = Cases(request.param, tmp_path_factory.mktemp("fuzz"))
    made.whole()
    return made


@pytest.mark.slow
def test_mutated_files_are_read_or_refused(cases, monkeypatch):
    logging.disable(logging.CRITICAL)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    results = []

    @drawn(EXAMPLES.get(cases.name, 60))
    @given(SEEDS)
    def check(seed):
        outcome = cases.run(str(seed))
        assert outcome.result != "fault", f"{cases.name}, seed {seed}: {outcome.what} ({outcome.mutations})"
        results.append(outcome.result)

    try:
        check()
    finally:
        logging.disable(logging.NOTSET)
    assert results.count("refused") > len(results) / 20


def test_what_a_reader_must_not_do_is_seen(tmp_path, monkeypatch):
    def write(folder):
        (folder / "a.json").write_text('{"a": 1}')
        return [folder / "a.json"]

    def outside(path):
        (path.parents[1] / "outside" / "new.txt").write_text("x")

    def peeks(path):
        (path.parents[1] / "outside" / "table.csv").read_text()

    def starts(path):
        import os

        os.system("true")

    def fails(path):
        raise KeyError("a")

    words = {outside: "outside the folder", peeks: "outside the folder", starts: "os.system", fails: "KeyError"}
    for number, (read, word) in enumerate(words.items()):
        monkeypatch.setitem(READERS, "bad", Reader(write, read))
        outcome = Cases("bad", tmp_path / str(number)).run("0")
        assert outcome.result == "fault" and word in outcome.what
