"""Logs with values of any shape: each record is read, left out with a reason, or refused with a message."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from garak_log_helpers import attempt
from inspect_log_helpers import head, message, sample
from log_reading import sample as sample_of_lm_eval
from other_log_helpers import helm as helm_log
from other_log_helpers import helm_request, helm_stats, new_row, old_row
from other_log_helpers import lighteval as lighteval_log
from other_log_helpers import opencompass as opencompass_log

from competency_gaps.config import BenchmarkConfig
from competency_gaps.errors import UserError
from competency_gaps.logs.find import find_parts
from competency_gaps.stages.load import load_benchmark

SEEDS = range(150)
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


REFUSED = (
    r"outside \[0, 1\]|expected a number in \[0, 1\]|several values a sample|no single number|in no form|"
    "no metric|no statistic|no items|holds no samples|does not say per item"
)
"""Errors with which a single record may end the reading of a log."""


def survives(path: Path, damaged: Any, whole: Any, records: Callable[[Any], list[Any]], ids: list[str]) -> int:
    """Read whatever it is: as a benchmark, with every record that is as it was, or refused in words.

    Parameters
    ----------
    records
        The records in the content of a file.
    ids
        Item that each of them makes while it is whole.

    Returns
    -------
    int
        Records that had to become items, and did.
    """
    before, after = (_or_none(records, content) for content in (whole, damaged))
    fine: set[str] = set()
    # What stands around the records decides how they are read.
    if after is not None and _around(whole, records) == _around(damaged, records) and len(after) == len(before):
        fine = {name for name, one, two in zip(ids, before, after, strict=True) if dumped(one) == dumped(two)}
    kept = len(fine)
    try:
        parts = find_parts(path)
        for part in parts:
            source = {"kind": "log", "path": str(path), "format": part.format}
            named = {"benchmark": part.benchmark} if len(parts) > 1 else {}
            benchmark = load_benchmark(BenchmarkConfig(name="x", source=source | named))
            assert re.fullmatch("[0-9a-f]{64}", benchmark.content_hash())
            for item in benchmark.items:
                assert isinstance(item.group, str | None) and isinstance(item.response, str | None)
                assert item.choices is None or all(isinstance(one, str) for one in item.choices)
                assert item.identity["prompt_hash"]
            fine -= {item.id for item in benchmark.items}
            (report,) = benchmark.reports
            assert len(benchmark.items) == report.items
        assert not fine
    except UserError as error:
        assert not fine or re.search(REFUSED, str(error)), error
        return 0
    return kept


def _or_none(records: Callable[[Any], list[Any]], content: Any) -> Any:
    try:
        found = records(content)
    except (KeyError, IndexError, TypeError):
        return None
    return found if isinstance(found, list) else None


def _around(content: Any, records: Callable[[Any], list[Any]]) -> str:
    content = copy.deepcopy(content)
    found = records(content)
    found[:] = [None] * len(found)
    return dumped(content)


def dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_inspect(tmp_path):
    called = [message("user", [{"type": "text", "text": "x"}]), message("assistant", "a", "generate", tool_calls=[{}])]
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 1}}}]}
    spec = {"dataset": {"sample_ids": ["p", "q", "r"]}, "config": {"epochs": 1}}
    samples = [sample("p", choices=["a", "b"]), sample("q"), sample("r", messages=[*called, message("tool", "x")])]
    whole = {**head(eval=spec, results=results), "samples": samples}
    path = tmp_path / "log.json"
    kept = 0
    for seed in SEEDS:
        path.write_text(json.dumps(damaged := changed(whole, seed)))
        kept += survives(path, damaged, whole, lambda log: log["samples"], ["p", "q", "r"])
    assert kept > len(SEEDS) / 2


def test_garak(tmp_path):
    turns = [{"role": "user", "content": {"text": "a"}}, {"role": "assistant", "content": {"text": "b"}}]
    attempts = [
        attempt("u", {"a": [0, 1]}, conversations=[{"turns": turns}]),
        attempt("v", {"a": [0, 1], "b": [None]}, seq=1),
        attempt("w", {"a": [1]}, seq=2),
    ]
    rows = [
        {"entry_type": "start_run setup", "plugins.target_name": "m", "run.eval_threshold": 0.5},
        {"entry_type": "plugin_cache", "plugin_cache": {"probes": {"probes.dan.DUDE": {"tags": ["x"]}}}},
        attempts,
        {"entry_type": "eval", "probe": "dan.DUDE", "detector": "a", "passed": 1, "total_evaluated": 2},
        {"entry_type": "digest", "eval": {"dan": {"dan.DUDE": {"_summary": {"probe_tags": ["a"]}}}}},
    ]
    path = tmp_path / "x.report.jsonl"
    kept = 0
    for seed in SEEDS:
        damaged = changed(rows, seed)
        flat = [one for row in damaged for one in (row if isinstance(row, list) else [row])]
        path.write_text(lines(flat))
        kept += survives(path, damaged, rows, lambda log: log[2], [f"dan.DUDE:{seq}" for seq in range(3)])
    assert kept > len(SEEDS) / 2


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
    kept = 0
    for seed in SEEDS:
        damaged = [changed(rows, seed) if number == which else rows for number, rows in enumerate(files)]
        # The first line says that this is a judgement, and whose.
        written = [[{**new, "uid": "first"}, *damaged[0]], *damaged[1:]]
        for path, rows in zip(paths, written, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lines(rows))
        kept += survives(paths[0], damaged[which], files[which], lambda rows: rows, ["u", "b"])
    assert kept > len(SEEDS) / 2


def test_helm(tmp_path):
    names = ["id1", "id2", "id3"]
    run = helm_log(tmp_path, [], []) / "runs" / "suite" / "quiz:subject=animals,model=openai_gpt2"
    state = {"adapter_spec": {"method": "generation", "model": "openai/gpt2"}, "request_states": []}
    requests = [[helm_request(name), helm_stats(name, 1.0)] for name in names]
    whole = {"state": state, "requests": requests}
    kept = 0
    for seed in SEEDS:
        damaged = changed(whole, seed)
        pairs = damaged.get("requests")
        pairs = [pair for pair in pairs if isinstance(pair, list)] if isinstance(pairs, list) else []
        state = damaged.get("state")
        if isinstance(state, dict) and state.get("request_states") == []:
            state = {**state, "request_states": [pair[0] for pair in pairs if pair]}
        (run / "scenario_state.json").write_text(json.dumps(state))
        (run / "per_instance_stats.json").write_text(json.dumps([pair[1] for pair in pairs if len(pair) > 1]))
        kept += survives(tmp_path, damaged, whole, lambda log: log["requests"], names)
    assert kept > len(SEEDS) / 2


def test_helm_files_of_any_shape(tmp_path):
    run = helm_log(tmp_path, [helm_request("id1")], [helm_stats("id1", 1.0)]) / "runs" / "suite"
    for file in sorted(run.rglob("*.json")):
        before = file.read_text()
        for junk in JUNK:
            file.write_text(json.dumps(junk))
            survives(tmp_path, [], [], lambda log: log, [])
        file.write_text(before)


def test_opencompass(tmp_path):
    names = ["0", "1", "2"]
    chat = [{"role": "HUMAN", "prompt": "Hello"}]
    entry = {"origin_prompt": "Question", "prediction": "fox", "gold": "fox"}
    entries = [[entry, {"correct": True}], [{**entry, "origin_prompt": chat}, {"correct": [True, False]}]]
    whole = {"results": {"accuracy": 50.0}, "entries": [*entries, [entry, {"correct": 0}]]}
    folder = opencompass_log(tmp_path, {}, {}) / "20261124_100000"
    kept = 0
    for seed in SEEDS:
        damaged = changed(whole, seed)
        pairs = damaged.get("entries")
        pairs = pairs if isinstance(pairs, list) else []
        # A pair that is gone leaves its number unused.
        pairs = [pair if isinstance(pair, list) else [pair] for pair in pairs]
        predictions = {str(i): pair[0] for i, pair in enumerate(pairs) if pair}
        details = {str(i): pair[1] for i, pair in enumerate(pairs) if len(pair) > 1}
        (folder / "predictions" / "name-1b" / "quiz.json").write_text(json.dumps(predictions))
        results = damaged.get("results")
        results = {**results, "details": details} if isinstance(results, dict) else results
        (folder / "results" / "name-1b" / "quiz.json").write_text(json.dumps(results))
        kept += survives(tmp_path, damaged, whole, lambda log: log["entries"], names)
    assert kept > len(SEEDS) / 2


@pytest.mark.parametrize("form", ["old", "new"])
def test_lighteval(tmp_path, form):
    """A column has one type, so a value is gone, or its column has another type in all rows."""
    rows = [old_row(), old_row(0.0), old_row()] if form == "old" else [new_row(), new_row(0.0), new_row()]
    whole = {"rows": rows, "columns": [None] * 3}
    kept = 0
    for seed in SEEDS:
        rng = random.Random(seed)
        damaged = copy.deepcopy(whole)
        *path, last = rng.choice(list(places(rows)))
        nodes = damaged["rows"] if rng.random() < 0.5 else damaged["rows"][:1]
        if len(nodes) == 3:
            damaged["columns"] = []
        junk = rng.choice(JUNK[:8]) if len(nodes) == 3 else None
        for node in nodes:
            for key in path[1:]:
                node = node[key]
            if path:
                node[last] = junk
        try:
            folder = lighteval_log(tmp_path / str(seed), damaged["rows"])
        except (pl.exceptions.PolarsError, UnicodeEncodeError, TypeError):
            continue  # no Parquet file holds this
        kept += survives(folder, damaged, whole, lambda log: log["rows"], ["0", "1", "2"])
    assert kept > len(SEEDS) / 2


def test_lm_eval(tmp_path):
    whole = [sample_of_lm_eval(number) for number in range(3)]
    path = tmp_path / "samples_quiz_2026-11-24T10-00-00.000001.jsonl"
    kept = 0
    for seed in SEEDS:
        path.write_text(lines(damaged := changed(whole, seed)))
        # The first records say which filter and metric there are.
        head = [
            [one.get(key) for key in ("filter", "metrics", "exact_match")] for one in damaged if isinstance(one, dict)
        ]
        kept += survives(
            path,
            {"head": head, "rows": damaged},
            {"head": [["none", ["exact_match"], float(i % 2)] for i in range(3)], "rows": whole},
            lambda log: log["rows"],
            ["0", "1", "2"],
        )
    assert kept > len(SEEDS) / 2
