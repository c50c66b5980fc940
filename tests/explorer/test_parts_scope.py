"""What the suggestion of a compared scope says: what was asked of a model, how many, and the command again."""

from __future__ import annotations

import shutil

import pytest
from explorer_runs import NAMES
from test_parts_suggestions import parsed, suggested

from competency_gaps.checked import write_document
from competency_gaps.matching.clauses import clauses


@pytest.fixture
def scoped(hostile, tmp_path):
    """Say what a benchmark lacks, by its verdicts; give the suggestion."""
    folder = shutil.copytree(hostile.run, tmp_path / "run")

    def made(verdicts, texts=("what it 'tests'",), benchmark=NAMES[1], **options):
        row = {"label": "x", "similarity": 0.7, "p_value": 0.001, "chi_bench_elsewhere": None, "in_scope": True}
        rows = [
            {**row, "concept": 30 + i, "coverage_status": "missing", "verdict": one} for i, one in enumerate(verdicts)
        ]
        counts = {name: {"count": count} for name, count in (("covered", 5), ("under", 0), ("missing", len(rows)))}
        held = {"benchmark": benchmark, "clauses": clauses(list(texts)), "alpha": 0.01, "bound": 0.6, "rows": rows}
        write_document(folder / "scopes" / "x.json", {**held, **counts})
        place = NAMES.index(benchmark)
        return next(one for one in suggested(folder, **options)["missing"] if one["benchmark"] == place)

    return made


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        ([None, None], "no model was asked"),
        (["unconfirmed", "unconfirmed"], "a model was asked, but no answer of it could be read"),
        (["unconfirmed", None], "a model was asked about 1 of them, but no answer of it could be read"),
        (["belongs", "belongs"], "a model agreed."),
        (["belongs", "unconfirmed", None], "a model agreed on 1 of them"),
        (["belongs", "outside"], "a model agreed."),
    ],
)
def test_what_a_model_said_of_it(scoped, verdicts, says):
    reason = scoped(verdicts)["reason"]
    assert says in reason
    assert ("no model was asked" in reason) == (set(verdicts) == {None})


def test_one_concept_is_one(scoped):
    one = scoped([None])
    assert "1 concept belongs" in one["reason"] and "1 concepts" not in one["reason"]
    assert one["title"].endswith("lacks 1 concept of its scope")
    assert "2 concepts belong to" in scoped([None, None])["reason"]


@pytest.mark.parametrize(
    "texts", [("sums, products",), ("sums", "products of numbers"), ("sums; dates", "the calendar", "words.")]
)
def test_the_command_gives_the_same_clauses_again(scoped, texts):
    name, options = parsed(scoped([None], texts)["command"])
    assert name == "scope" and clauses(options["describe"]) == clauses(texts)


def test_redacted_a_typed_scope_is_not_told(scoped):
    one = scoped([None], ("how zebras live",), redact=True)
    assert "zebras" not in str(one) and one["command"] is None and "typed" in one["reason"]
    assert one["concepts"] == [30] and "1 concept belongs" in one["reason"]
    stated = scoped([None], ("sums of small numbers",), benchmark=NAMES[0], redact=True)
    assert "“sums of small numbers”" in stated["reason"]
    assert parsed(stated["command"])[1]["describe"] == ["sums of small numbers"]
    typed = scoped([None], ("how zebras live",), benchmark=NAMES[0], redact=True)
    assert "zebras" not in str(typed) and typed["command"] is None
    assert "zebras" in str(scoped([None], ("how zebras live",), portable=True))
