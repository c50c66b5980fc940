"""Details of items and the search, against the run's own tables."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from explorer_runs import HUGE, REPEATED, SIZES, excited
from safetensors.numpy import load_file

from competency_gaps import open_run
from competency_gaps.items.item import Reason
from competency_gaps.view.page.parts import item as item_module
from competency_gaps.view.page.parts.context import SERVED, Context
from competency_gaps.view.page.parts.records import plain
from competency_gaps.view.page.parts.records.details import SearchResult
from competency_gaps.view.page.parts.tables import items_table
from core_helpers import seal


def item_details(*arguments):
    """Details as JSON has them, with all digits."""
    return plain(item_module.item_details(*arguments), digits=None)


def item_concepts(*arguments):
    """Concepts of items as JSON has them, with all digits."""
    return plain(item_module.item_concepts(*arguments), digits=None)


@pytest.fixture(scope="module")
def context(hostile) -> Context:
    return Context(open_run(hostile.run), "a")


@pytest.fixture(scope="module")
def details(context):
    return item_details(context, range(context.items.height))


def test_texts_and_facts_are_the_tables(context, details):
    for row, (detail, known) in enumerate(zip(details, context.run.items.iter_rows(named=True), strict=True)):
        assert detail["item"] == row and context.names[detail["benchmark"]] == known["benchmark"]
        for key in ("item_id", "group", "scorer", "n_tokens", "epochs"):
            assert detail[key] == known[key]
        for key in ("excluded", "unscored"):
            assert detail[key] == (known[key] and str(Reason.of(known[key])))
        for key in ("score", "text", "response", "answer", "logprobs"):
            assert detail[key] == known[key]
        assert detail["cut"] is None and detail["body"] == [known["body_start"], known["body_end"]]
        assert detail["text"][slice(*detail["body"])] == known["prompt"]
        assert detail["details"] == (json.loads(known["details"]) if known["details"] else None)


def test_questions_on_one_passage_belong_together_and_repeat_nothing(hostile, context, details, tmp_path):
    shutil.copytree(hostile.run, tmp_path / "run")
    table = pl.read_parquet(tmp_path / "run" / "items.parquet")
    given = pl.when(pl.col("cluster_kind").is_not_null()).then(pl.lit("given"))
    table.with_columns(cluster_kind=given).write_parquet(tmp_path / "run" / "items.parquet")
    seal(tmp_path / "run")
    passage = Context(open_run(tmp_path / "run"), "a")
    for own, shown, repeats in ((context, details, len(REPEATED)), (passage, item_details(passage, range(200)), 1)):
        for row in REPEATED:
            assert (shown[row]["together"], shown[row]["repeats"]) == (len(REPEATED), repeats)
        column = pl.read_parquet(io.BytesIO(items_table(own)))["repeats"]
        assert column.to_list() == [repeats if row in REPEATED else 1 for row in range(len(column))]
        assert (shown[REPEATED[0] - 1]["together"], shown[REPEATED[0] - 1]["repeats"]) == (1, 1)


def test_most_salient_concepts_by_brute_force(hostile):
    run = open_run(hostile.run)
    # In the drawn run every concept has one tau, so that the strongest would be the most salient.
    tau = np.linspace(0.05, 3, run.width)
    vars(run)["concepts"] = run.concepts.with_columns(tau=pl.Series(tau))
    context = Context(run, "a")
    shown_of = item_concepts(context, range(context.items.height))
    rows = np.concatenate([run.cas(name).toarray() for name in context.names]).astype(np.float64)
    value = 2 / (1 + np.exp(-rows / tau)) - 1
    limited = replace(context, amounts=replace(SERVED, salient=3))
    for row, shown in enumerate(shown_of):
        concepts = [one["concept"] for one in shown["concepts"]]
        assert sorted(concepts) == np.flatnonzero(rows[row]).tolist() and shown["active"] == len(concepts)
        values = np.array([one["saliency"] for one in shown["concepts"]])
        assert values == pytest.approx(value[row, concepts], rel=1e-5)
        assert values == pytest.approx(np.sort(value[row])[::-1][: len(concepts)], rel=1e-5)
        for one in shown["concepts"]:
            assert one["cas"] == pytest.approx(rows[row, one["concept"]], rel=1e-6)
            assert one["concept"] in excited(context.run.items["text"][row][slice(*one["peak"])])
        (few,) = item_concepts(limited, range(row, row + 1))
        assert few == {**shown, "concepts": shown["concepts"][:3]}


def test_tokens_of_every_concept_are_those_in_the_shards(context):
    """Every activation of every item, read from the files one by one."""
    expected = {}
    starts = dict(zip(context.names, np.cumsum([0, *SIZES]).tolist(), strict=False))
    for entry in context.run.manifest["benchmarks"]:
        for name in entry["shards"]:
            shard = load_file(context.run.path / "activations" / f"{name}.safetensors")
            for place, item in enumerate(shard["items"].tolist()):
                offsets = shard["token_offsets"][shard["token_ptr"][place] : shard["token_ptr"][place + 1]]
                at = int(shard["act_ptr"][place])
                for pair in range(*shard["indptr"][place : place + 2].tolist()):
                    key = starts[entry["name"]] + item, int(shard["concepts"][pair])
                    expected[key] = []
                    for _ in range(shard["act_counts"][pair]):
                        expected[key].append((*offsets[shard["act_tokens"][at]], float(shard["act_values"][at])))
                        at += 1
    seen = {}
    for row, shown in enumerate(item_concepts(context, range(context.items.height))):
        for one in shown["concepts"]:
            seen[row, one["concept"]] = one["tokens"]
    assert seen.keys() == expected.keys() and sum(len(tokens) > 1 for tokens in expected.values()) > 200
    for key, tokens in expected.items():
        assert [token[:2] for token in seen[key]] == [[int(start), int(end)] for start, end, _ in tokens]
        assert [token[2] for token in seen[key]] == pytest.approx([value for *_, value in tokens], rel=6e-4)


def test_a_long_text_is_cut_around_the_items_own(context, details):
    limit = 60
    shortened = replace(context, amounts=replace(SERVED, text=limit))
    rows = range(context.items.height)
    cut = item_details(shortened, rows)
    for short, whole in zip(cut, details, strict=True):
        if len(whole["text"]) <= limit:
            assert short == whole
            continue
        before, after = short["cut"]
        assert len(short["text"]) == limit and before + after + limit == len(whole["text"])
        assert short["text"] == whole["text"][before : len(whole["text"]) - after]
        own = whole["text"][slice(*whole["body"])]
        kept = short["text"][slice(*short["body"])]
        assert kept == own if len(own) <= limit else (kept == own[:limit])
    assert any(len(whole["text"]) > HUGE for whole in details)
    for short, whole, place in zip(item_concepts(shortened, rows), item_concepts(context, rows), cut, strict=True):
        before = 0 if place["cut"] is None else place["cut"][0]
        for one, other in zip(short["concepts"], whole["concepts"], strict=True):
            moved = [[start - before, end - before, value] for start, end, value in other["tokens"]]
            assert one["tokens"] == [token for token in moved if token[0] >= 0 and token[1] <= limit]
            first, last = (edge - before for edge in other["peak"])
            assert one["peak"] == ([first, last] if first >= 0 and last <= limit else None)


@pytest.mark.parametrize(
    "query",
    ["ROMAN", "zebraFISH", "quartzite <script>", "marzipan 7", "a.*b", "[", "\\", "🦊", "x" * 500],
)
def test_search_is_a_case_blind_look_at_all_texts(context, query):
    table = context.run.items.select("text", "response", "answer", "item_id")
    expected = [
        row
        for row, texts in enumerate(table.iter_rows())
        if any(text is not None and query.lower() in text.lower() for text in texts)
    ]
    assert context.search(query, 10_000) == SearchResult(expected, len(expected))
    assert context.search(query, 3) == SearchResult(expected[:3], len(expected))


def test_search_for_nothing_finds_nothing(context):
    assert context.search("  \n", 10) == SearchResult([], 0)
