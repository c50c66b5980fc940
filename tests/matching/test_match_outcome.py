import numpy as np
import polars as pl
import pytest
from matching_helpers import concept_table, embed_words, entries_of, made_up_labels

from competency_gaps.matching import candidates, match
from competency_gaps.matching.match import ROWS

FILLER = made_up_labels(60, vocabulary=3000)
LABELS = ["adding fractions with denominators", "french verbs and nouns", "adding fractions with denominators", *FILLER]


def run(texts, table, themes=None, **options):
    return match(entries_of(texts), candidates(table, themes), embed_words, draws=39, **options)


def table_of(labels=LABELS, **changes):
    n = len(labels)
    columns = {"performance_status": ["neither"] * n, "missing": [False] * n, "leader": [None] * n}
    for name, values in changes.items():
        columns[name] = [values.get(i, columns.get(name, [None] * n)[i]) for i in range(n)]
    return concept_table(labels, **columns)


def test_entry_gets_every_concept_that_bears_its_label():
    table = table_of(performance_status={2: "weak"}, missing={1: True})
    found = run(["adding fractions with denominators", "french verbs and nouns", "zebra quilts underwater"], table)
    assert found.pairs.select("entry", "concept").rows() == [("e0", 0), ("e0", 2), ("e1", 1)]
    row = found.pairs.row(1, named=True)
    assert row["similarity"] == pytest.approx(1.0, abs=1e-5) and row["p_value"] == 1 / 40
    assert (row["performance_status"], row["gap"], row["chi_bench"]) == ("weak", -0.02, 1.0)
    assert found.entries["n_concepts"].to_list() == [2, 1, 0]
    assert found.entries["recovered_weak"].to_list() == [True, False, False]
    shares = (found.recovery, found.weak.observed, found.coverage)
    assert [(one.count, one.of) for one in shares] == [(2, 3), (1, 3), (1, 3)]
    assert (found.coverage_of_matched.count, found.coverage_of_matched.of) == (1, 2)


def test_no_match_is_forced_and_the_nearest_label_is_reported():
    found = run(["zebra quilts underwater"], table_of())
    row = found.entries.row(0, named=True)
    assert found.pairs.is_empty() and not row["recovered"] and row["best_label"] in LABELS and row["p_value"] > 0.05
    assert found.weak.observed.count == 0 and found.weak.p_value == 1.0


def test_weak_concepts_that_no_entry_names_leaders_first():
    table = table_of(performance_status={0: "weak", 5: "weak", 6: "weak", 9: "weak"}, leader={0: 0, 5: 9, 6: 6, 9: 9})
    table = table.with_columns(ranked=pl.col("concept") != 6)
    everything = match(entries_of([LABELS[0]]), candidates(table), embed_words, draws=39)
    assert everything.unnamed.select("concept", "leads").rows() == [(9, True), (5, False)]
    assert (everything.unnamed_share.count, everything.unnamed_share.of) == (2, 3), "an unranked concept is not weak"


def test_themes_have_a_null_of_their_own():
    names = ["time and calendar arithmetic", *made_up_labels(25, words=3, vocabulary=500, seed=5)]
    themes = pl.DataFrame(
        {
            "level": ["theme"] * 20 + ["subtheme"] * 6,
            "id": list(range(26)),
            "name": names,
            "chi_bench": [2.0] * 26,
            "chi_model": [0.4] * 26,
            "gap": [-0.2] * 26,
            "q_value": [0.01] * 26,
            "performance_status": ["weak"] * 26,
        }
    )
    found = run(["time and calendar arithmetic", "zebra quilts underwater"], table_of(), themes)
    assert found.themes.select("entry", "level", "id", "gap").rows() == [("e0", "theme", 0, -0.2)]
    assert found.entries["n_themes"].to_list() == [1, 0] and found.recovery.count == 0
    assert found.theme_calibration.labels == 26 and found.calibration.labels == 62
    assert run(["x"], table_of()).theme_calibration is None


def test_an_entrys_matches_do_not_depend_on_others():
    texts = [*made_up_labels(ROWS, seed=2), *LABELS[:20]]  # more entries than are compared at a time
    many, few = run(texts, table_of()), run(texts[-20:], table_of())
    last = many.pairs.filter(pl.col("entry").is_in(many.entries["entry"][-20:].to_list()))
    assert last["concept"].to_list() == few.pairs["concept"].to_list()
    assert np.allclose(many.entries["bound"][-20:], few.entries["bound"], atol=1e-6)
