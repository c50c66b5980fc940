"""What ``cgaps match`` prints: every matched concept and theme, and the weak concepts that no entry names."""

from __future__ import annotations

import polars as pl
from matching_helpers import concept_table, embed_words, entries_of, made_up_labels

from competency_gaps.matching import apply_verdicts, candidates, confirm_requests, match, pairs_of
from competency_gaps.matching.candidates import THEME_COLUMNS
from competency_gaps.matching.lines import matching_lines


def matching():
    labels = [*made_up_labels(60), "\x1b[31m" + "long " * 90]
    weak = ["weak" if i % 3 == 0 else "neither" for i in range(61)]
    leader = [0] + [None] * 60
    names = made_up_labels(30, seed=5)
    themes = pl.DataFrame(
        {
            "level": ["theme"] * 30,
            "id": range(30),
            "name": names,
            "chi_bench": [0.5] * 30,
            "chi_model": [0.25] * 30,
            "gap": [-0.5] * 30,
            "q_value": [0.1] * 30,
            "performance_status": ["weak"] * 30,
        },
        schema=THEME_COLUMNS,
    )
    entries = entries_of([labels[3], labels[4], "nothing like it", names[2], labels[60]])
    concepts = concept_table(labels, performance_status=weak, leader=leader)
    return match(entries, candidates(concepts, themes), embed_words), names


def test_every_matched_concept_and_theme_is_shown_within_80_columns():
    found, names = matching()
    lines = list(matching_lines(found))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80 and "\x1b" not in text
    for pair in found.pairs.iter_rows(named=True):
        line = next(i for i, one in enumerate(lines) if one.split()[:1] == [str(pair["concept"])])
        assert f"{pair['similarity']:.2f}" in lines[line] and pair["label_text"][:30] in lines[line]
        assert "χ bench 1.00, χ model 0.50, gap " in lines[line + 1] and pair["performance_status"] in lines[line + 1]
    assert {3, 4} <= set(found.pairs["concept"]) and found.themes["id"].to_list() == [2]
    assert any(one.split()[:2] == ["theme", "2"] and names[2] in one for one in lines)
    assert not found.entries["recovered"][2] and "not recovered" in text


def test_weak_concepts_that_no_entry_names_are_cut_at_ten_and_counted():
    found, _ = matching()
    lines = list(matching_lines(found))
    start = next(i for i, one in enumerate(lines) if one.startswith("weak concepts that no entry names"))
    assert f": {found.unnamed.height} " in lines[start]
    shown = lines[start + 1 : start + 21 : 2]
    assert [int(one.split()[0]) for one in shown] == found.unnamed["concept"].to_list()[:10]
    assert shown[0].split()[0] == "0" and "leads a group" in lines[start + 2]
    assert lines[-1].strip().startswith(f"and {found.unnamed.height - 10} more")


def test_verdicts_stand_beside_the_pairs():
    from competency_gaps.endpoint import Answer

    found, _ = matching()
    answers = [
        Answer(one.id, "", '{"verdict": "related"}', None, None, None, None, None)
        for one in confirm_requests(pairs_of(found))
    ]
    text = "\n".join(matching_lines(apply_verdicts(found, answers)))
    assert text.count("judged related") == found.pairs.height and f"verdicts: {len(answers)} related" in text
