"""Logs whose values have any shape at all: each is read, left out with a reason, or refused in words."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from garak_log_helpers import attempt
from inspect_log_helpers import head, message, sample

from competency_gaps.benchmarks.item import SourceReport
from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.logs.detect import find_parts, reader

SEEDS = range(200)
JUNK = [None, 1, "x", [], {}, [1], {"a": 1}, True, -3.5, [None], {"text": 5}, "\ud800"]


def places(value: Any, before: tuple = ()) -> Iterator[tuple]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield (*before, key)
        yield from places(one, (*before, key))


def changed(value: Any, seed: int) -> Any:
    """A copy with one to three values taken out or replaced by anything."""
    rng = random.Random(seed)
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice(list(places(value)))
        node = value
        for key in path:
            node = node[key]
        if isinstance(node, dict) and rng.random() < 0.2:
            del node[last]
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return value


def read_whatever_it_is(path) -> int:
    """How many parts gave a report."""
    reports = 0
    try:
        for part in find_parts(path):
            entries = list(reader(part.format).read(part, LogSource(path=path)))
            reports += sum(isinstance(entry, SourceReport) for entry in entries)
    except UserError as error:
        assert str(error)
    return reports


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_inspect(tmp_path):
    called = [message("user", [{"type": "text", "text": "x"}]), message("assistant", "a", "generate", tool_calls=[{}])]
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 1}}}]}
    spec = {"dataset": {"sample_ids": [1, 2]}, "config": {"epochs": 1}}
    whole = {
        **head(eval=spec, results=results),
        "samples": [sample(1, choices=["a", "b"]), sample(2), sample(3, messages=[*called, message("tool", "x")])],
    }
    path = tmp_path / "log.json"
    found = 0
    for seed in SEEDS:
        path.write_text(json.dumps(changed(whole, seed)))
        found += read_whatever_it_is(path)
    assert found > len(SEEDS) / 2


def test_garak(tmp_path):
    turns = [{"role": "user", "content": {"text": "a"}}, {"role": "assistant", "content": {"text": "b"}}]
    rows = [
        {"entry_type": "start_run setup", "plugins.target_name": "m", "run.eval_threshold": 0.5},
        {"entry_type": "plugin_cache", "plugin_cache": {"probes": {"probes.dan.DUDE": {"tags": ["x"]}}}},
        attempt("u", {"a": [0, 1]}, conversations=[{"turns": turns}]),
        {"entry_type": "eval", "probe": "dan.DUDE", "detector": "a", "passed": 1, "total_evaluated": 2},
        {"entry_type": "digest", "eval": {"dan": {"dan.DUDE": {"_summary": {"probe_tags": ["a"]}}}}},
    ]
    path = tmp_path / "x.report.jsonl"
    found = 0
    for seed in SEEDS:
        path.write_text(lines(changed(rows, seed)))
        found += read_whatever_it_is(path)
    assert found > len(SEEDS) / 2


@pytest.mark.parametrize("which", [0, 1, 2])
def test_arena_hard(tmp_path, which):
    prompt = [{"role": "user", "content": "Which?"}]
    game = {"score": "A>B", "judgment": {"answer": "[[A>B]]"}, "prompt": prompt}
    said = [{"role": "system", "content": "s"}, {"role": "assistant", "content": {"answer": "x"}}]
    new = {"uid": "u", "model": "m", "judge": "j", "games": [game, game]}
    old = {"question_id": "b", "games": ["[[A>B]]", None]}
    turns = [{"content": "Old?"}]
    files = [
        [new, old],
        [{"uid": "u", "category": "c", "prompt": "Q?"}, {"question_id": "b", "turns": turns}],
        [{"uid": "u", "messages": said}, {"question_id": "b", "choices": [{"turns": turns}]}],
    ]
    bench = tmp_path / "bench"
    paths = [bench / "model_judgment" / "j" / "m.jsonl", bench / "question.jsonl", bench / "model_answer" / "m.jsonl"]
    found = 0
    for seed in SEEDS:
        for number, (path, rows) in enumerate(zip(paths, files, strict=True)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lines(changed(rows, seed) if number == which else rows))
        found += read_whatever_it_is(paths[0])
    assert found > len(SEEDS) / 2
