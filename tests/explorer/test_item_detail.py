"""Details of items and the search, against the run's own tables."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from explorer_runs import HUGE, REPEATED, SECRETS, excited

from competency_gaps import open_run
from competency_gaps.explorer.parts import item as item_module
from competency_gaps.explorer.parts.amounts import SERVED
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.plain import plain
from competency_gaps.explorer.parts.records.server import SearchResult
from competency_gaps.explorer.parts.search import search
from competency_gaps.explorer.parts.tables import items_table


def item_details(*arguments):
    """Details as JSON has them, with all digits."""
    return plain(item_module.item_details(*arguments), exact=True)


@pytest.fixture(scope="module")
def context(hostile) -> Context:
    return Context(open_run(hostile.run), "a")


@pytest.fixture(scope="module")
def details(context):
    return item_details(context, range(context.items.height))


def test_texts_and_facts_are_the_tables(context, details):
    for row, (detail, known) in enumerate(zip(details, context.run.items.iter_rows(named=True), strict=True)):
        assert detail["item"] == row and context.names[detail["benchmark"]] == known["benchmark"]
        for key in ("item_id", "group", "policy", "excluded", "unscored", "n_tokens", "epochs"):
            assert detail[key] == known[key]
        for key in ("score", "text", "response", "answer", "logprobs"):
            assert detail[key] == known[key]
        assert detail["cut"] is None and detail["own"] == [known["own_start"], known["own_end"]]
        assert detail["text"][slice(*detail["own"])] == known["prompt"]
        assert detail["details"] == (json.loads(known["details"]) if known["details"] else None)


def test_questions_on_one_passage_belong_together_and_repeat_nothing(hostile, context, details, tmp_path):
    shutil.copytree(hostile.run, tmp_path / "run")
    table = pl.read_parquet(tmp_path / "run" / "items.parquet")
    given = pl.when(pl.col("cluster_kind").is_not_null()).then(pl.lit("given"))
    table.with_columns(cluster_kind=given).write_parquet(tmp_path / "run" / "items.parquet")
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
    details = item_details(context, range(context.items.height))
    rows = np.concatenate([run.cas(name).toarray() for name in context.names]).astype(np.float64)
    value = 2 / (1 + np.exp(-rows / tau)) - 1
    for row, detail in enumerate(details):
        active = int((rows[row] > 0).sum())
        found = [concept for concept, *_ in detail["concepts"]]
        assert len(found) == min(20, active) == len(set(found)) and all(rows[row, found] > 0)
        shown = np.array([saliency for _, _, saliency, *_ in detail["concepts"]])
        assert shown == pytest.approx(value[row, found], rel=1e-5)
        assert shown == pytest.approx(np.sort(value[row])[::-1][: len(found)], rel=1e-5)
        for concept, cas, _, start, end in detail["concepts"]:
            assert cas == pytest.approx(rows[row, concept], rel=1e-6)
            assert concept in excited(detail["text"][start:end])


def test_a_long_text_is_cut_around_the_items_own(context, details):
    limit = 60
    cut = item_details(replace(context, amounts=replace(SERVED, text=limit)), range(context.items.height))
    for short, whole in zip(cut, details, strict=True):
        if len(whole["text"]) <= limit:
            assert short == whole
            continue
        before, after = short["cut"]["before"], short["cut"]["after"]
        assert len(short["text"]) == limit and before + after + limit == len(whole["text"])
        assert short["text"] == whole["text"][before : len(whole["text"]) - after]
        own = whole["text"][slice(*whole["own"])]
        kept = short["text"][slice(*short["own"])]
        assert kept == own if len(own) <= limit else (kept == own[:limit])
        for (concept, _, _, start, end), (same, _, _, first, last) in zip(
            short["concepts"], whole["concepts"], strict=True
        ):
            assert concept == same
            inside = first >= before and last <= len(whole["text"]) - after
            assert (start, end) == ((first - before, last - before) if inside else (None, None))
    assert any(len(whole["text"]) > HUGE for whole in details)


def test_long_answers_say_how_much_is_cut(context, details):
    cut = item_details(replace(context, amounts=replace(SERVED, text=8)), range(3))
    for short, whole in zip(cut, details, strict=False):
        missing = len(whole["response"]) - 8
        assert short["response"] == f"{whole['response'][:8]}… (+{missing} characters)"
    kept = replace(context, amounts=replace(SERVED, text=8))
    assert item_details(kept, range(4, 5))[0]["details"].startswith('{"verdic… (+')


def test_redacted_items_have_numbers_only(context):
    hidden = item_details(replace(context, redact=True), range(context.items.height))
    for detail in hidden:
        for key in ("text", "cut", "own", "response", "answer", "details"):
            assert detail[key] is None
        assert detail["logprobs"] == []
        assert all(start is None and end is None for *_, start, end in detail["concepts"])
    assert not any(secret in json.dumps(hidden) for secret in SECRETS)
    assert any(detail["concepts"] for detail in hidden)


@pytest.mark.parametrize(
    "query",
    [
        "roman",
        "ROMAN",
        "zebraFISH",
        "quartzite <script>",
        "marzipan 7",
        "a.*b",
        "[",
        "\\",
        "🦊",
        "x" * 500,
        "(?i)roman",
        "<b>&",
    ],
)
def test_search_is_a_case_blind_look_at_all_texts(context, query):
    table = context.run.items.select("text", "response", "answer", "item_id")
    expected = [
        row
        for row, texts in enumerate(table.iter_rows())
        if any(text is not None and query.lower() in text.lower() for text in texts)
    ]
    assert search(context, query, 10_000) == SearchResult(expected, len(expected))
    assert search(context, query, 3) == SearchResult(expected[:3], len(expected))


def test_search_for_nothing_finds_nothing(context):
    assert search(context, "  \n", 10) == SearchResult([], 0)


def test_redacted_search_tells_nothing_about_texts(context):
    hidden = replace(context, redact=True)
    assert search(hidden, SECRETS[0], 10).total == 0
    assert search(hidden, "<B>&amp;", 10_000).total == 0, "an id of another tool may be the question"
    rows = search(hidden, "119", 10).rows
    assert [hidden.items["item_id"][row] for row in rows] == ["119"], "what is found is what is shown"


def test_redacted_reasons_quote_nothing(hostile, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    reasons = {
        "the source gives no score": "the source gives no score",
        "the judge's answer cannot be used: it says 'zebrafish'": "the judge's answer cannot be used",
        "1 of 2 games without a usable verdict: zebrafish": "1 of 2 games without a usable verdict",
        "longer than the context: 12 + 20 > 30 tokens": "longer than the context: 12 + 20 > 30 tokens",
        "zebrafish could not be read": "not told",
        "the source gives no score for zebrafish": "not told",
        '"zebrafish"': "not told",
        None: None,
    }
    table = pl.read_parquet(folder / "items.parquet")
    unscored = pl.Series([*reasons, *[None] * (table.height - len(reasons))], dtype=pl.String)
    table.with_columns(unscored=unscored).write_parquet(folder / "items.parquet")
    context = Context(open_run(folder), "a", redact=True)
    shown = item_details(context, range(len(reasons)))
    assert [detail["unscored"] for detail in shown] == list(reasons.values())
    open_context = replace(context, redact=False)
    assert [detail["unscored"] for detail in item_details(open_context, range(len(reasons)))] == list(reasons)
