import json

import numpy as np
import polars as pl
import pytest
from matching_helpers import concept_table, embed_words, made_up_labels

from competency_gaps.errors import UserError
from competency_gaps.llm import Answer
from competency_gaps.matching import apply_scope_verdicts, confirm_scope_requests, scope

RIGHT = ["adding fractions of whole numbers", "calendar weekday reasoning puzzles", "probability dice and coins"]
LABELS = [*RIGHT, *made_up_labels(300, vocabulary=5000)]
CLAIM = "It tests: adding fractions of whole numbers; calendar weekday reasoning, and probability of dice and coins."


def tables(status):
    n = len(LABELS)
    by_benchmark = pl.DataFrame(
        {
            "concept": np.tile(np.arange(n, dtype=np.int32), 3),
            "benchmark": ["maths"] * n + ["one"] * n + ["two"] * n,
            "chi_bench": [0.5 if word in ("under", "typical") else 0.0 for word in status] + [1.0] * n + [2.0] * n,
            "coverage_status": [*status, *["typical"] * 2 * n],
            "chance_seen": [0.9] * 3 * n,
        },
        schema_overrides={"coverage_status": pl.String},
    )
    return concept_table(LABELS), by_benchmark


@pytest.fixture(scope="module")
def findings():
    status = ["missing", "under", "typical", None, *["missing", "typical"] * 150][: len(LABELS)]
    return scope(*tables(status), "maths", CLAIM, embed_words)


def test_lacking_concepts_of_the_scope_come_first(findings):
    top = findings.lacking.head(2)
    assert sorted(top["concept"].to_list()) == [0, 1] and top["in_scope"].all()
    row = findings.lacking.filter(pl.col("concept") == 0).row(0, named=True)
    assert row["clause"] == "adding fractions of whole numbers" and row["coverage_status"] == "missing"
    assert (row["chi_bench"], row["chi_bench_elsewhere"], row["chance_seen"], row["density"]) == (0.0, 1.5, 0.9, 0.01)
    assert 2 not in findings.lacking["concept"], "a covered concept is not lacking"
    assert 3 not in findings.table["concept"], "neither missing nor covered, no finding"


def test_counts_have_one_denominator(findings):
    inside = findings.table.filter(pl.col("in_scope"))
    assert findings.covered.of == findings.under.of == findings.missing.of == inside.height >= 3
    assert findings.covered.count + findings.under.count + findings.missing.count == inside.height
    assert findings.under.count == 1 and findings.labels == findings.table.height == 302


def test_without_a_reference_nothing_is_counted_as_under_represented():
    concepts, by_benchmark = tables(["missing", *["under"] * (len(LABELS) - 1)])
    covered = pl.col("chi_bench") > 0
    by_benchmark = by_benchmark.with_columns(coverage_status=pl.when(~covered).then(pl.col("coverage_status")))
    findings = scope(concepts, by_benchmark, "maths", CLAIM, embed_words)
    assert findings.under.value is None and findings.missing.count == 1 and findings.covered.count >= 2


def test_chance_is_at_the_level(findings):
    assert findings.null_rate.of == 8 * 302 and findings.null_rate.value < 0.025
    by_chance = findings.table.filter(pl.col("in_scope") & ~pl.col("concept").is_in([0, 1, 2]))
    assert by_chance.height <= 12, "302 labels at alpha = 0.01: 3 are expected"
    nothing = scope(*tables(["missing"] * len(LABELS)), "maths", "zebra quilts underwater", embed_words)
    assert nothing.missing.of <= 12 and nothing.table["p_value"].min() > 0.0 and nothing.table["p_value"].max() <= 1.0
    assert (nothing.table["p_value"].to_numpy() <= 0.5).mean() == pytest.approx(0.5, abs=0.12)


def test_wrong_input_is_refused():
    concepts, by_benchmark = tables(["missing"] * len(LABELS))
    with pytest.raises(UserError, match=r"no benchmark 'math'.*Did you mean 'maths'"):
        scope(concepts, by_benchmark, "math", CLAIM, embed_words)
    with pytest.raises(UserError, match="alpha is 0"):
        scope(concepts, by_benchmark, "maths", CLAIM, embed_words, alpha=0)
    with pytest.raises(UserError, match="kept no item"):
        scope(*tables([None] * len(LABELS)), "maths", CLAIM, embed_words)


def test_verdicts_take_concepts_out_of_scope(findings):
    requests = {request.id: request for request in confirm_scope_requests(findings)}
    data = [json.loads(r.user.splitlines()[1]) for r in requests.values()]
    assert {one["concept"] for one in data} == set(findings.table.filter("in_scope")["text"])
    assert data[0]["scope"] == CLAIM
    verdicts = {RIGHT[0]: '{"verdict": "belongs"}', RIGHT[1]: '{"verdict": "outside"}', RIGHT[2]: "no idea"}
    answers = [
        Answer(r.id, verdicts.get(d["concept"], '{"verdict": "borderline"}'))
        for r, d in zip(requests.values(), data, strict=True)
    ]
    found = apply_scope_verdicts(findings, answers)
    told = dict(found.table.select("concept", "verdict").rows())
    assert (told[0], told[1], told[2]) == ("belongs", "outside", "unconfirmed")
    assert found.under.count == 0 and found.covered.of == findings.covered.of - 1
    assert found.verdicts["outside"] == 1 and found.verdicts["unconfirmed"] == 1
    assert len(confirm_scope_requests(found)) == len(requests), "what was judged stays on the list"
