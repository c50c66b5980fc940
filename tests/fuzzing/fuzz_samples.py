"""Small valid files for every reader; each function writes into an empty folder and gives the paths to read."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

_TESTS = Path(__file__).resolve().parents[1]
for _name in ("", "view"):
    if str(_TESTS / _name) not in sys.path:
        sys.path.append(str(_TESTS / _name))

import explorer_extras  # noqa: E402 - they lie beside the tests that they were written for
import explorer_runs  # noqa: E402

from core_helpers import seal_dictionary, write_lines  # noqa: E402
from log_samples import attempt, document, head, inspect_sample, message, options, published, sample  # noqa: E402
from sae_helpers import LATENTS, build  # noqa: E402

REFERENCE = "reference.parquet"
STAMP = "2026-11-24T10-00-00.000001"
SAE = {
    "name": "gpt2-small-res-jb/blocks.5.hook_resid_pre",
    "d_sae": 300,
    "hook_name": "blocks.5.hook_resid_pre",
    "neuronpedia_id": "gpt2-small/5-res-jb",
}
"""The SAE that the sampled labels are of."""


def lm_eval(folder: Path) -> list[Path]:
    """Samples of a generated answer and of a choice, with the results beside them."""
    place = folder / "org__name"
    texts = ["fox", "dog"]
    choices = [options(n, [f"Which? {n}"] * 2, texts, [-1.0, -2.0], doc={"question": f"Which? {n}"}) for n in range(3)]
    write_lines(place / f"samples_quiz_{STAMP}.jsonl", choices)
    write_lines(place / f"samples_sums_{STAMP}.jsonl", [sample(number) for number in range(3)])
    results = {"results": {"sums": {"exact_match,none": 0.3}, "quiz": {"acc,none": 1.0}}, "model_name": "org/name"}
    setting = {"configs": {"sums": {"task": "sums", "fewshot_delimiter": "\n\n", "metric_list": []}}, "n-shot": {}}
    document(place / f"results_{STAMP}.json", {**results, **setting})
    return [folder, place / f"samples_sums_{STAMP}.jsonl"]


def inspect(folder: Path) -> list[Path]:
    """A JSON log, and a zipped one with a file for each sample and their summaries."""
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": 1}}}]}
    spec = {"dataset": {"sample_ids": ["p", "q"]}, "config": {"epochs": 1}}
    turns = [message("user", [{"type": "text", "text": "x"}]), message("assistant", "a", "generate", tool_calls=[{}])]
    samples = [inspect_sample("p", choices=["a", "b"]), inspect_sample("q", messages=[*turns, message("tool", "x")])]
    whole = head(eval=spec, results=results)
    log = document(folder / "a" / "log.json", {**whole, "samples": samples})
    packed = folder / "b" / "log.eval"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("header.json", json.dumps(whole))
        file.writestr("_journal/start.json", json.dumps({"version": 2, "eval": whole["eval"], "plan": {}}))
        file.writestr("summaries.json", json.dumps([{"id": one["id"], "epoch": 1} for one in samples]))
        for one in samples:
            file.writestr(f"samples/{one['id']}_epoch_1.json", json.dumps(one))
    return [log, packed, packed]


def garak_rows() -> list[dict[str, Any]]:
    """A report with every type of entry."""
    turns = [{"role": "user", "content": {"text": "a"}}, {"role": "assistant", "content": {"text": "b"}}]
    return [
        {"entry_type": "start_run setup", "plugins.target_name": "m", "run.eval_threshold": 0.5},
        {"entry_type": "plugin_cache", "plugin_cache": {"probes": {"probes.dan.DUDE": {"tags": ["x"]}}}},
        attempt("u", {"a": [0, 1]}, conversations=[{"turns": turns}]),
        attempt("v", {"a": [0, 1], "b": [None]}, seq=1),
        {"entry_type": "eval", "probe": "dan.DUDE", "detector": "a", "passed": 1, "total_evaluated": 2},
        {"entry_type": "digest", "eval": {"dan": {"dan.DUDE": {"_summary": {"probe_tags": ["a"]}}}}},
        {"entry_type": "completion"},
    ]


def garak(folder: Path) -> list[Path]:
    """A report."""
    return [write_lines(folder / "x.report.jsonl", garak_rows())]


def arena_hard(folder: Path) -> list[Path]:
    """Judgements in both forms, with questions and answers."""
    game = {"score": "A>B", "judgment": {"answer": "[[A>B]]"}}
    said = [{"role": "system", "content": "s"}, {"role": "assistant", "content": {"answer": "x"}}]
    new = {"uid": "u", "model": "m", "judge": "j", "games": [game, game]}
    old = {"question_id": "b", "games": ["[[A>B]]", None]}
    turns = [{"content": "Old?"}]
    write_lines(folder / "model_judgment" / "j" / "m.jsonl", [new, old])
    questions = [{"uid": "u", "category": "c", "prompt": "Q?"}, {"question_id": "b", "turns": turns}]
    write_lines(folder / "question.jsonl", questions)
    answers = [{"uid": "u", "messages": said}, {"question_id": "b", "choices": [{"turns": turns}]}]
    write_lines(folder / "model_answer" / "m.jsonl", answers)
    return [folder]


def every_eval_ever(folder: Path) -> list[Path]:
    """An aggregate with its samples."""
    name = "f3a1c0de-4b2e-4c1a-9f6d-1b7e5a2c8d40"
    asked = {"raw": "Which?", "formatted": "Question: Which?", "reference": ["fox"], "choices": ["dog", "fox"]}
    row = {
        **{"schema_version": "0.3.0", "evaluation_id": "lab/org_name/1", "model_id": "org/name"},
        **{"evaluation_name": "quiz", "evaluation_result_id": "quiz/acc", "interaction_type": "single_turn"},
        **{"input": asked, "output": {"raw": ["fox"]}, "answer_attribution": []},
    }
    rows = [{**row, "sample_id": f"q{n}", "evaluation": {"score": n * 5.0, "is_correct": n == 2}} for n in range(3)]
    write_lines(folder / f"{name}_samples.jsonl", rows)
    scale = {"lower_is_better": False, "min_score": 0, "max_score": 10}
    result = {"evaluation_result_id": "quiz/acc", "evaluation_name": "quiz", "metric_config": scale}
    result["score_details"] = {"score": 5.0}
    document(folder / f"{name}.json", {"evaluation_results": [result], "evaluation_timestamp": "1750000000"})
    return [folder]


def autodetect(folder: Path) -> list[Path]:
    """A log of two points of one task."""
    steps = [{"key_point": "k", "prompt": f"Is {n} prime?", "answer": "a", "ref_ans": "b", "score": n} for n in (1, 7)]
    content: dict[str, Any] = {"init_points": ["primes:a", "primes:b"], "new_points": []}
    content |= {f"primes:{name}": {"seed_prompts": steps[:1], "steps": steps} for name in "ab"}
    place = folder / "autodetect_math" / "result" / "autodetect_gpt35" / "primes" / "version_0" / "log.json"
    document(place, content)
    return [folder]


_OF_TOOLS = (lm_eval, inspect, garak, arena_hard, every_eval_ever, autodetect, published)
LOGS = {function.__name__: function for function in _OF_TOOLS}
"""By format."""


def tables(folder: Path) -> list[Path]:
    """Records with prompts and scores, in every form."""
    rows = [{"id": f"q{n}", "prompt": f"How many? {n}", "score": n % 2, "big": 0.5} for n in range(4)]
    frame = pl.DataFrame(rows)
    frame.write_csv(folder / "a.csv")
    frame.write_csv(folder / "a.tsv", separator="\t")
    frame.with_columns(choices=[["a", "b"]] * 4).write_parquet(folder / "a.parquet")
    more = {"choices": ["a", "b"], "answer": 1, "metric": "choice", "group": "g", "cluster": "c"}
    write_lines(folder / "a.jsonl", [{**row, **more} for row in rows])
    frame.drop("prompt").write_csv(folder / "scores.csv")
    frame.drop("prompt").write_parquet(folder / "scores.parquet")
    write_lines(folder / "scores.jsonl", frame.drop("prompt").to_dicts())
    return sorted(folder.iterdir())


def configurations(folder: Path) -> list[Path]:
    """A configuration with every kind of source, as YAML by hand and as JSON."""
    content = {
        "model": {"name": "somewhere", "dtype": "float32"},
        "sae": {"folder": "sae", "gate_tokens": 512, "dictionary": "d"},
        "benchmarks": [
            {"name": "a", "source": {"kind": "file", "path": "a.jsonl"}, "options": {"form": "cloze"}, "sample": 5},
            {"name": "b", "source": {"kind": "log", "path": "log", "format": "inspect", "fields": {"group": "g"}}},
            {"name": "c", "source": {"kind": "hub", "path": "org/name", "split": "test"}, "scorer": "exact"},
            {"name": "d", "source": {"kind": "objects", "items": [{"prompt": "x", "score": 1}]}},
            {"name": "e", "source": {"kind": "reasoning_gym", "family": "chain_sum", "difficulty": {"max_terms": 3}}},
        ],
        "scores": [{"kind": "table", "path": "scores.csv"}],
        "evidence": {"q": 0.1},
        "generation": {"temperature": 0.0, "seed": 3},
        "span": "question",
    }
    document(folder / "a.json", content)
    text = "# A run\nmodel: &m {name: somewhere, dtype: float32}\nsae: {folder: sae}\nbenchmarks:\n"
    text += "  - name: a\n    source: {kind: file, path: a.jsonl}\n    scorer: choice\n    limit: 0x10\n"
    (folder / "a.yaml").write_text(text + "near_repeats: true\nbatch_tokens: 256\nspan: question\n")
    return [folder / "a.json", folder / "a.yaml"]


def taxonomies(folder: Path) -> list[Path]:
    """Lists in every form, a log of AutoDetect and a report of garak."""
    rows: list[dict[str, Any]] = [
        {"id": "a", "description": "adding fractions", "domain": "maths", "category": "arithmetic", "score": 3.5},
        {"id": 7, "description": "rhymes", "domain": "language", "score": None, "tags": ["verse"]},
        {"id": "b", "description": "sums", "examples": ["1 + 1?", {"prompt": "2 + 2?", "score": 1}], "score": 2},
    ]
    document(folder / "list.json", rows)
    write_lines(folder / "list.jsonl", rows)
    (folder / "list.csv").write_text("id,description,domain,score\na,adding fractions,maths,3.5\n7,rhymes,,\n")
    text = "- &one {id: a, description: adding fractions, domain: maths, score: 3.5, when: 2026-01-01}\n"
    (folder / "list.yaml").write_text(
        text + "- id: 7\n  description: rhymes\n  tags: [verse, 0x10, 1e3]\n  more: *one\n"
    )
    autodetect(folder / "logs")
    report = write_lines(folder / "garak" / "x.report.jsonl", garak_rows())
    forms = [folder / f"list.{form}" for form in ("json", "jsonl", "csv", "yaml")]
    return [*forms, folder / "logs", folder / "garak", report]


def labels(folder: Path) -> list[Path]:
    """Labels in every form."""
    source = {"modelId": "gpt2-small", "layer": "5-res-jb"}
    rows = [{**source, "index": str(n), "description": f"label {n}"} for n in (1, 2)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    (folder / "export" / "explanations").mkdir(parents=True)
    (folder / "export" / "explanations" / "batch-0.jsonl.gz").write_bytes(packed)
    write_lines(
        folder / "export" / "source.jsonl",
        [{"modelId": "gpt2-small", "id": "5-res-jb", "saelensConfig": {"d_sae": 300}}],
    )
    document(folder / "a.json", {"1": "one", "2": None, "3": ["three", "3"]})
    table = [{"concept": n, "label": f"label {n}", "detection": 0.9, "explainer": "me"} for n in range(3)]
    write_lines(folder / "c.jsonl", table)
    (folder / "c.jsonl.gz").write_bytes(packed)
    pl.DataFrame(table).write_csv(folder / "d.csv")
    pl.DataFrame(table).write_parquet(folder / "d.parquet")
    files = [folder / name for name in ("a.json", "c.jsonl", "c.jsonl.gz", "d.csv", "d.parquet")]
    return [folder / "export", *files]


def saes(folder: Path) -> list[Path]:
    """An SAE that is read without SAELens, and one with it, both with reference statistics."""
    from competency_gaps.sae.reference import SURFACE, Reference

    plain = build("jumprelu", folder / "plain")
    topk = build("topk", folder / "topk")
    some = np.full(LATENTS, 0.1)
    surface = {**dict.fromkeys(SURFACE, some), "lexical_share": some}
    for sae in (plain, topk):
        own = Reference(some, some / 10, some, some, some, some, some, **surface, token=["a", None] * (LATENTS // 2))
        own.write(sae / REFERENCE)
    return [plain, topk]


def run(folder: Path) -> list[Path]:
    """A finished run with what other commands add to it."""
    (folder / "made").mkdir()
    with patch.object(explorer_runs, "HUGE", 2_000):
        made = explorer_runs.hostile_run(folder / "made")
    explorer_extras.with_extras(made, folder)
    seal_dictionary(folder / "dictionary")
    shutil.rmtree(folder / "made")
    return [folder / "run"]


def dictionary(folder: Path) -> list[Path]:
    """A dictionary with labels, an atlas, exemplars, promoted tokens and similar concepts."""
    run(folder)
    return [folder / "dictionary"]


def broken_items(folder: Path) -> list[Path]:
    """Items by how probably they are broken, of two benchmarks."""
    rows = [
        {
            **{"benchmark": f"b{n % 2}", "item_id": f"i{n}", "log_odds": 4.0 - n},
            **{"chance": None if n == 9 else 1 / (n + 1)},
            **{"models": 8, "solved": 0.1, "expected": 0.8, "strong": 0.0, "weak": 0.5, "wrong": 4, "alike": 3},
            **{"other_key": "i2" if n == 1 else None, "reason": "7 of 8 models miss it", "text": "What is it?"},
        }
        for n in range(10)
    ]
    pl.DataFrame(rows, schema_overrides={"other_key": pl.String}).write_parquet(folder / "items.parquet")
    return [folder / "items.parquet"]
