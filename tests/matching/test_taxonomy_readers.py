import json
from pathlib import Path

import pytest

from competency_gaps.errors import UserError
from competency_gaps.matching import read_taxonomy

SHARED = Path(__file__).parents[2].parent / "shared" / "taxonomies"
shared = pytest.mark.shared
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared taxonomies do not lie beside this checkout")

ROWS = [
    {"id": "a", "description": "adding fractions", "domain": "maths", "category": "arithmetic", "score": 3.5, "n": 2},
    {
        "id": 7,
        "description": "rhymes",
        "domain": "language",
        "category": None,
        "score": None,
        "n": 9,
        "tags": ["verse"],
    },
]


def write(path, form):
    if form == "json":
        path.write_text(json.dumps(ROWS))
    elif form == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    elif form == "csv":
        path.write_text(
            "id,description,domain,category,score,n\na,adding fractions,maths,arithmetic,3.5,2\n7,rhymes,language,,,9\n"
        )
    else:
        path.write_text(
            "- {id: a, description: adding fractions, domain: maths, category: arithmetic, score: 3.5, n: 2}\n"
            "- {id: 7, description: rhymes, domain: language, n: 9}\n"
        )
    return path


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "yaml"])
def test_a_list_reads_the_same_in_every_form(tmp_path, form):
    found = read_taxonomy(write(tmp_path / f"list.{form}", form))
    assert [(e.id, e.description, e.domain, e.category, e.score) for e in found.entries] == [
        ("a", "adding fractions", "maths", "arithmetic", 3.5),
        ("7", "rhymes", "language", None, None),
    ]
    assert str(found.entries[0].extra["n"]) == "2" and found.left_out == []


def test_non_entries_and_second_ids_are_left_out(tmp_path):
    rows = [
        {"id": "a", "description": "first"},
        {"id": "a", "description": "second"},
        {"description": "no id"},
        {"id": "c", "description": "   "},
        {"id": "d"},
        ["list"],
        {"id": True, "description": "an id that is none"},
        {"id": "x" * 300, "description": "long id"},
        {"id": "s", "description": "score", "score": "high"},
    ]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(rows))
    found = read_taxonomy(path)
    assert [(e.id, e.description) for e in found.entries] == [("a", "first"), ("s", "score")]
    assert found.entries[1].score is None and "'high'" in found.notes[0]
    wheres, reasons = zip(*found.left_out, strict=True)
    assert [where.rpartition(" ")[2] for where in wheres] == ["2", "3", "4", "5", "6", "7", "8"]
    for reason, word in zip(
        reasons, ["second time", "no id", "no description", "no description", "list", "no id", "300"], strict=True
    ):
        assert word in reason


def test_foreign_text_is_made_harmless_and_cut(tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"id": "a\u202e", "description": "<b>x</b>\x1b[31m\u202e " + "long " * 100_000}]))
    (entry,) = read_taxonomy(path).entries
    assert entry.id == "a<U+202E>" and "\x1b" not in entry.description and "\u202e" not in entry.description
    assert len(entry.description) == 2000


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("domain='maths'", ["a"]),
        ("domain = 'maths' AND score < 5", ["a"]),
        ("domain != 'maths'", ["7"]),
        ("score < 3.5", []),
        ("score <= 3.5", ["a"]),
        ("score >= 3.5 AND n < 5", ["a"]),
        ("n > 2", ["7"]),
        ("n > 2 OR description LIKE '%fractions'", ["a", "7"]),
        ("score = 3.50", ["a"]),
        ("category != 'x'", ["a"]),
        ("tags LIKE '%verse%'", ["7"]),
        ("domain = 'maths' AND description != 'read_me'", ["a"]),
        (None, ["a", "7"]),
    ],
)
def test_where_selects(tmp_path, where, ids):
    path = write(tmp_path / "list.json", "json")
    if not ids:
        with pytest.raises(UserError, match="leaves none of the 2"):
            read_taxonomy(path, where)
        return
    found = read_taxonomy(path, where)
    assert [entry.id for entry in found.entries] == ids and found.where == where


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("colour = 'red'", "'colour', which no entry has; known are category, description, domain, id, n, score, tags"),
        ("domian = 'maths'", "Did you mean 'domain'"),
        ("domain = maths", "names 'maths'.*single quotes"),
        ("domain", "not an SQL condition"),
        ("score < 'five'", "not an SQL condition"),
        ("domain = 'maths',, n = 2", "not an SQL condition"),
        ("", "not an SQL condition"),
        ("id IN (SELECT id FROM read_csv('list.csv'))", "reads a file"),
        ("id IN (FROM \"READ_CSV\"('list.csv'))", "reads a file"),
        ("'it''s' = id AND id IN (SELECT id FROM read_csv('list.csv'))", "reads a file"),
        ("exists (SELECT 1)", "not an SQL condition"),
    ],
)
def test_a_wrong_where_is_refused(tmp_path, where, said):
    with pytest.raises(UserError, match=said):
        read_taxonomy(write(tmp_path / "list.json", "json"), where)


LOG = {
    "init_points": ["multi lingual:bilingual constraints", "multi lingual:dead_languages"],
    "new_points": [
        {"task_name": "dead_languages", "explanation": "Latin and Greek are not covered."},
        {"task_name": "sign language", "explanation": "Never tried."},
    ],
    "multi lingual:bilingual constraints": {
        "seed_prompts": [{"score": 1.0}],
        "steps": [{"score": 3.0}, {"score": 8}, {"score": None}, {"score": "bad"}, {"score": 1.0}],
    },
    "multi lingual:dead_languages": {"seed_prompts": [], "steps": [{"score": 9.0}]},
    "multi lingual:broken": 5,
}


def test_autodetect_log(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(LOG))
    found = read_taxonomy(path)
    by_id = {entry.id: entry for entry in found.entries}
    assert list(by_id) == [
        "multi lingual:bilingual constraints",
        "multi lingual:dead_languages",
        "multi lingual:sign language",
    ]
    first, second, third = by_id.values()
    assert first.description == "bilingual constraints (multi lingual)" and first.category == "multi lingual"
    assert first.score == 4.0 and first.extra["low_score_rate"] == pytest.approx(2 / 3)
    assert (first.extra["n_questions"], first.extra["n_unscored"], first.extra["added_by_framework"]) == (3, 2, False)
    assert second.description == "dead languages (multi lingual): Latin and Greek are not covered."
    assert second.score == 9.0 and second.extra["added_by_framework"]
    assert third.score is None and third.extra["level"] == "proposed_not_tested"
    assert len(found.left_out) == 1 and "no steps" in found.left_out[0][1]


def test_autodetect_folder_tells_models_apart(tmp_path):
    for model in ("gpt35", "llama2-7b"):
        folder = tmp_path / "result" / f"autodetect_{model}" / "multi_lingual" / "version_0"
        folder.mkdir(parents=True)
        (folder / "log.json").write_text(json.dumps(LOG))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "log.json").write_text("[1]")
    found = read_taxonomy(tmp_path, "model = 'llama2-7b' AND level = 'test_point' AND score < 5")
    assert [e.id for e in found.entries] == [
        "result/autodetect_llama2-7b/multi_lingual/multi lingual:bilingual constraints"
    ]
    assert any("AutoDetect" in reason for _, reason in found.left_out)


def attempt(uuid, probe, results, status=2):
    return {
        "entry_type": "attempt",
        "uuid": uuid,
        "status": status,
        "probe_classname": probe,
        "prompt": {"turns": [{"role": "user", "content": {"text": f"attack {uuid}"}}]},
        "detector_results": results,
    }


REPORT = [
    {"entry_type": "start_run setup", "run.eval_threshold": 0.5},
    {
        "entry_type": "plugin_cache",
        "plugin_cache": {
            "version": "0.17.1",
            "probes": {
                "probes.dan.Dan_11_0": {"description": "The DAN jailbreak", "tags": ["owasp:llm01"], "goal": "bypass"},
                "probes.never.Asked": {"description": " ", "tags": []},
            },
        },
    },
    attempt("u1", "dan.Dan_11_0", {}, status=1),
    attempt("u1", "dan.Dan_11_0", {"a": [0.0, 1.0, None, 0.2], "b": [0.0, 0.0, 0.0, 0.0]}),
    attempt("u2", "dan.Dan_11_0", {"a": [0.9], "b": [None]}),
    attempt("u3", "dan.Dan_11_0", {"a": [None]}),
    attempt("u4", "web_injection.MarkdownXSS", {"a": [0.1]}),
    {"entry_type": "eval", "probe": "dan.Dan_11_0"},
]


def test_garak_report(tmp_path):
    path = tmp_path / "run.report.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in REPORT) + '\n{"entry_type": "att')
    found = read_taxonomy(path)
    by_id = {entry.id: entry for entry in found.entries}
    assert list(by_id) == ["dan.Dan_11_0", "never.Asked", "web_injection.MarkdownXSS"]
    dan, never, web = by_id.values()
    assert dan.description == "The DAN jailbreak" and dan.extra["tags"] == ["owasp:llm01"] and dan.category == "dan"
    assert dan.score == pytest.approx((2 / 3 + 0) / 2) and (dan.extra["n_attempts"], dan.extra["n_scored"]) == (3, 2)
    assert never.description == "Asked (never)" and never.score is None and never.extra["n_attempts"] == 0
    assert web.description == "Markdown XSS (web injection)" and web.score == 1.0
    assert found.notes == () and [where for where, _ in found.left_out] == [f"{path}, line 9"]
    assert [e.id for e in read_taxonomy(path, "tags LIKE '%owasp:llm01%'").entries] == ["dan.Dan_11_0"]


@shared
@needs_shared
def test_shared_taxonomies_read_as_they_are():
    counts = {
        "autodetect": 484,
        "autodetect_keypoints": 2876,
        "arena_hard_qualities": 7,
        "garak": 42,
        "garak_tags": 194,
    }
    for name, count in counts.items():
        found = read_taxonomy(SHARED / f"{name}.json")
        assert len(found.entries) == count and found.left_out == [] and found.notes == ()
    gaps = read_taxonomy(
        SHARED / "autodetect.json",
        "level = 'test_point' AND domain = 'instruction_following' AND model = 'llama2-7b' AND score < 5",
    )
    assert len(gaps.entries) == 43 and all(entry.score < 5 for entry in gaps.entries)
    added = read_taxonomy(SHARED / "autodetect.json", "added_by_framework=true")
    assert added.entries and all(entry.extra["added_by_framework"] is True for entry in added.entries)
