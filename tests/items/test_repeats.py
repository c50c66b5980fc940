"""Which items of a suite count as one piece of evidence."""

from __future__ import annotations

import io
import random

import polars as pl
import pytest
from rich.console import Console

import competency_gaps
from competency_gaps.items.config import RunConfig, parse_config
from competency_gaps.items.item import Benchmark, Item, Text
from competency_gaps.items.repeats import find_clusters
from competency_gaps.pipeline import run as pipeline
from competency_gaps.util.progress import Progress
from core_helpers import benchmark_of, with_benchmarks, write_lines

FILLER = [
    {"prompt": f"Why did the {animal} cross the {place} at {hour} o'clock?", "answer": f"{animal} {hour}"}
    for hour, (animal, place) in enumerate(
        [(a, p) for a in ("fox", "hen", "cow", "owl") for p in ("road", "lake", "hill")]
    )
]
"""Different questions of one template."""


def made(name, records, scorer="exact"):
    return benchmark_of(name, records, scorer=scorer)


def groups(*suite, **options):
    """Clusters of two or more items, as sets of (benchmark, id)."""
    found = find_clusters(list(suite), **options)
    members: dict[int, set[tuple[str, str]]] = {}
    asked = [(benchmark.name, item.id) for benchmark in suite for item in benchmark.items]
    for place, cluster in zip(asked, found.cluster.tolist(), strict=True):
        members.setdefault(cluster, set()).add(place)
    return [one for one in members.values() if len(one) > 1]


def test_equal_questions_share_a_cluster_whatever_their_ids_and_benchmarks():
    first = made("a", [{"id": "x", "prompt": "What is it?"}, {"id": "y", "prompt": "  What\n is IT? "}, *FILLER])
    second = made("b", [{"id": "z", "prompt": "what is it?"}])
    assert groups(first, second, near_repeats=None) == [{("a", "x"), ("a", "y"), ("b", "z")}]
    found = find_clusters([first, second], None)
    assert found.kind == ["equal", "equal", *[None] * len(FILLER), "equal"]
    assert found.lines() == ["a: 14 items in 13 clusters of repeats; each counts once as evidence"]
    assert sorted(set(found.cluster.tolist())) == list(range(13)), "numbered without a gap over the suite"


def test_other_options_make_another_question():
    def which(choices, answer, identity):
        return {"id": identity, "prompt": "Which is true?", "choices": choices, "answer": answer, "scorer": "choice"}

    asked = [
        which(["Fire is hot", "Ice is hot"], 0, "plain"),
        which(["ice is hot", "fire is hot"], 1, "another order"),
        which(["Fire is hot", "Rain is dry"], 0, "other wrong options"),
        which(["Sand is wet", "Rain is wet"], 1, "another question"),
        which(["All of the above", "Sand is wet"], 0, "refers to others"),
        which(["All of the above", "Rain is wet"], 0, "refers to others again"),
    ]
    benchmark = made("b", asked, scorer=None)
    assert groups(benchmark) == [{("b", "plain"), ("b", "another order"), ("b", "other wrong options")}]


def test_another_context_makes_another_question():
    def chat(system, identity):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "Go on."}]
        return {"id": identity, "messages": messages}

    benchmark = made("b", [chat("Count.", "a"), chat("Spell.", "b"), chat("count. ", "c")])
    assert groups(benchmark) == [{("b", "a"), ("b", "c")}]
    text = [Text(f"{passage} Who?", (len(passage) + 1, len(passage) + 5), templated=False) for passage in "ABA"]
    seen = Benchmark("s", tuple(Item(id=str(i), prompt="Who?", seen=one) for i, one in enumerate(text)))
    assert groups(seen) == [{("s", "0"), ("s", "2")}]


def test_given_clusters_are_per_benchmark_and_join_equal_questions():
    def passages(name, extra=()):
        records = [{"id": str(i), "prompt": f"{name} {word}?", "cluster": c} for i, (word, c) in enumerate(extra)]
        return made(name, records)

    first = passages("a", [("who", "p1"), ("when", "p1"), ("where", 2), ("why", None), ("why", 2)])
    second = passages("b", [("who", "p1")])
    found = find_clusters([first, second], None)
    # "why" and "why" are equal, and one of them is in cluster 2; p1 of another benchmark is another passage.
    assert groups(first, second, near_repeats=None) == [{("a", "0"), ("a", "1")}, {("a", "2"), ("a", "3"), ("a", "4")}]
    assert found.kind == ["given", "given", "given", "equal", "equal", None]


def test_shuffles_of_one_sentence_are_near_repeats():
    words = ["shall", "we", "produce", "the", "rain", "in", "this", "dry", "valley"]
    rng = random.Random(0)
    shuffles = [{"id": f"s{i}", "prompt": "Order: " + " ".join(rng.sample(words, len(words)))} for i in range(7)]
    for answer in ({}, {"answer": " ".join(words)}):
        benchmark = made("b", [*({**one, **answer} for one in shuffles), *FILLER])
        assert groups(benchmark) == [{("b", f"s{i}") for i in range(7)}]
        assert groups(benchmark, near_repeats=None) == []
        assert set(find_clusters([benchmark]).kind) == {"near", None}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Which energy source is nonrenewable on Earth today?", "Which energy source is nonrenewable on Earth today"),
        (
            "Which energy source is nonrenewable on Earth today?",
            "Which energy source is a nonrenewable on Earth today?",
        ),
        ("Is the movie Gone Girl based on a true story?", "is gone girl (the movie) based on a true story"),
    ],
)
def test_trivial_edits_are_near_repeats(first, second):
    second = second.replace("(", "").replace(")", "")
    records = [{"prompt": text, "answer": "yes"} for text in (first, second)]
    assert len(groups(made("b", [*records, *FILLER]))) == 1


@pytest.mark.parametrize(
    "records",
    [
        [{"prompt": f"What is {a} + {b}?", "answer": str(a + b)} for a in range(2, 12) for b in range(a, 12)],
        [{"prompt": f"Decrypt: {word}", "answer": word[::-1]} for word in ("XQK", "QKX", "KXQ", "ABC", "XQ", "Q")],
        [{"prompt": f"What is {a} - {b}?", "answer": str(a - b)} for a, b in ((7, 5), (5, 7), (9, 2), (2, 9))],
        [
            {"prompt": "Is it not cold in winter?", "answer": "yes"},
            {"prompt": "Is it cold in winter?", "answer": "yes"},
        ],
    ],
    ids=["sums", "ciphers", "differences", "negations"],
)
def test_a_template_with_other_content_is_not_a_repeat(records):
    assert groups(made("b", [*records, *FILLER])) == []


def test_a_run_prints_and_stores_its_clusters(tiny_config, tmp_path):
    rows = [
        {"id": "0", "prompt": "Which word is it of these?", "choices": ["fox", "dog"], "answer": 1, "level": 0.25},
        {"id": "1", "prompt": "which word is it of  these?", "choices": ["dog", "fox"], "answer": 0, "level": None},
        {"id": "2", "prompt": "Which city lies on the river?", "choices": ["Paris", "March"], "answer": 0, "level": 1},
    ]
    path = write_lines(tmp_path / "own.jsonl", rows)
    source = {"kind": "file", "path": str(path), "fields": {"covariates.difficulty": "level"}}
    benchmarks = [{**tiny_config["benchmarks"][1], "sample": 8}, {"name": "own", "source": source}]
    config = with_benchmarks(tiny_config, benchmarks)
    said = io.StringIO()
    run = pipeline.run(parse_config(RunConfig, config, "config"), tmp_path / "run", Progress(Console(file=said)))
    assert "own: 3 items in 2 clusters of repeats; each counts once" in said.getvalue()
    items = run.items
    assert (items.schema["cluster"], items.schema["answer_index"]) == (pl.Int32, pl.Int32)
    assert items["cluster"].null_count() == 0
    own = items.filter(pl.col("benchmark") == "own")
    assert own["cluster"][0] == own["cluster"][1] != own["cluster"][2]
    assert own["cluster_kind"].to_list() == ["equal", "equal", None]
    assert own["choices"].to_list() == [["fox", "dog"], ["dog", "fox"], ["Paris", "March"]]
    assert own["answer_index"].to_list() == [1, 0, 0]
    assert own["covariates"].to_list() == ['{"difficulty": 0.25}', None, '{"difficulty": 1.0}']
    # Another threshold changes tables, not what the model was asked: the finished folder goes on.
    again = competency_gaps.run({**config, "near_repeats": None}, tmp_path / "run")
    assert again.manifest["settings"]["near_repeats"] is None
