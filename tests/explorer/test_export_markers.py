"""A run in which every text is a marker: which of them a redacted export holds."""

from __future__ import annotations

import json
import re
import shutil
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from explorer_extras import PROBE, add_probe, by_labels, with_extras
from explorer_runs import NAMES
from test_export import _contents, page  # noqa: F401 - a page that stands for the built one

from competency_gaps.checked import write_document
from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts.redacted import RedactedRun
from competency_gaps.items.item import Reason
from competency_gaps.runs.open import open_folder
from competency_gaps.stages.outcomes import outcomes_folder
from core_helpers import seal, seal_dictionary

LETTERS = 9
"""Of a marker: in megabytes of base64, fewer occur by chance."""
MARK = re.compile(rf"zq[a-p]{{{LETTERS}}}zq")
STAYS = frozenset(
    {
        *("concepts.label", "concepts.explainer", "concepts.reference_token", "findings.label", "theme_names.name"),
        *("manifest.versions", "manifest.scope", "manifest.sae", "manifest.span", "manifest.pooling"),
        *("matches.taxonomy", "matches.label", "scopes.label"),
        *("points.taxonomy", "points.label"),
    }
)
"""Texts that a redacted export tells: names, labels, scopes of the configuration, verdicts."""
STRUCTURE = frozenset(
    {
        *(
            "scores.model",
            "items.benchmark",
            "items.policy",
            "items.cluster_kind",
            "benchmarks.benchmark",
            "overlap.benchmark_a",
        ),
        *("overlap.benchmark_b", "concept_benchmarks.benchmark", "concept_benchmarks.performance_status"),
        *("concept_benchmarks.coverage_status", "concepts.performance_status", "concepts.coverage_status"),
        "concepts.kind",
        *("concepts.label_kind", "concepts.label_state", "concepts.label_scored_by", "findings.verdict"),
        *("findings.counted", "findings.feature_benchmarks", "findings.benchmarks", "findings.feature"),
        "findings.unit",
        *("theme_results.level", "theme_results.performance_status", "theme_names.level", "theme_names.kind"),
        *("theme_benchmarks.level", "theme_benchmarks.benchmark", "theme_benchmarks.performance_status"),
    }
)
"""Columns that hold words of a closed list or names of benchmarks, which no marker can stand for."""


class Markers:
    """Makes markers and remembers what each stands for."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self._numbers = count()

    def new(self, what: str) -> str:
        number, letters = next(self._numbers), ""
        while len(letters) < LETTERS:
            number, letter = divmod(number, 16)
            letters += "abcdefghijklmnop"[letter]
        marker = f"zq{letters}zq"
        self.of[marker] = what
        return marker

    def column(self, table: str, column: pl.Series) -> pl.Series:
        """One marker for each row that holds a text; one for all of a list."""
        what = f"{table}.{column.name}"
        if what in STRUCTURE:
            return column
        if column.dtype == pl.String:
            values = [None if value is None else self.new(what) for value in column]
            return pl.Series(column.name, values, pl.String)
        if column.dtype == pl.List(pl.String):
            lists = [value and [self.new(what) for _ in value] for value in column.to_list()]
            return pl.Series(column.name, lists, column.dtype)
        if column.dtype == pl.Struct and column.name in ("excluded", "unscored"):
            return pl.Series(
                column.name,
                [value and Reason("other", self.new(what)).as_dict() for value in column],
                column.dtype,
            )
        return column


@pytest.fixture(scope="module")
def marked(modelled, tmp_path_factory):
    """The run and its markers."""
    made = with_extras(modelled, tmp_path_factory.mktemp("marked"))
    markers = Markers()
    mark = markers.new
    for file in made.run.glob("*.parquet"):
        table = pl.read_parquet(file)
        columns = [markers.column(file.stem, table[name]) for name in table.columns]
        table = table.with_columns(columns)
        if file.stem == "items":
            table = table.with_columns(
                covariates=pl.Series([json.dumps({"k": mark("items.covariates")}) for _ in range(table.height)]),
                own_start=pl.lit(0, pl.Int32),
                own_end=pl.col("text").str.len_chars().cast(pl.Int32),
            )
        if file.stem == "concepts":
            # Of a concept that no item excites, the token is the reference text's.
            kinds = ("concepts.reference_token" if missing else "concepts.peak_token" for missing in table["missing"])
            table = table.with_columns(peak_token=pl.Series([mark(kind) for kind in kinds]))
        if file.stem == "findings":
            table = table.with_columns(
                feature=pl.Series([f"prompt.word:{mark('findings.feature')}" for _ in range(table.height)])
            )
        table.write_parquet(file)
    _mark_manifest(made.run / "manifest.json", mark)
    seal(made.run)
    _mark_documents(made.run, mark)
    for file in made.dictionary.rglob("*.parquet"):
        table = pl.read_parquet(file)
        if "text" in table.columns:
            # The third token of the only window.
            marker, text, ends = mark("dictionary.text"), table["text"][0], table["ends"][0].to_list()
            longer = len(marker) - (ends[2] - ends[1])
            shifted = [end if place < 2 else end + longer for place, end in enumerate(ends)]
            marked_text = text[: ends[1]] + marker + text[ends[2] :]
            table.with_columns(
                text=pl.Series([marked_text]), ends=pl.Series([shifted], dtype=table.schema["ends"])
            ).write_parquet(file)
    seal_dictionary(made.dictionary)
    return open_runs([made.run], made.dictionary), markers.of


def _mark_manifest(path, mark) -> None:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["command"] = ["cgaps", mark("manifest.command")]
    manifest["versions"] = {"python": mark("manifest.versions")}
    manifest["sae"]["name"] = mark("manifest.sae")
    manifest["added"] = mark("manifest.new_field")
    manifest["model"]["tokenizer"] = {"class": mark("manifest.tokenizer")}
    manifest["settings"]["model"]["system_prompt"] = mark("settings.system_prompt")
    manifest["settings"]["note"] = {"of": mark("settings.new_field")}
    sources = [{"kind": "own", "option": mark("settings.plugin_source")}, {"path": f"/home/{mark('settings.path')}/x"}]
    manifest["settings"]["benchmarks"] = [
        {"name": NAMES[0], "sources": sources, "options": {"rubric": mark("settings.policy_option")}}
    ]
    judged = {"items": 9, "scored": 8, "failed": 1, "unasked": 0, "failures": {mark("judging.failure"): 1}}
    manifest["judging"] = {
        **{"judge": mark("judging.judge"), "where": mark("judging.where"), "requests": 9, "answered": 9},
        **{"classifiers": [mark("judging.classifier")], "benchmarks": {NAMES[1]: judged}},
    }
    within = manifest["evidence"]["benchmarks"][NAMES[1]]
    trend = {"covariate": "group", "first": 0.9, "last": 0.1, "share": 0.3, "p": 0.001, "controlled": True}
    within["trends"] = [{**trend, "categories": [mark("evidence.category"), mark("evidence.category")]}]
    for entry in manifest["benchmarks"]:
        entry["scope"] = mark("manifest.scope") if entry["name"] == NAMES[0] else None
        entry["note"] = mark("manifest.benchmark_field")
        entry["left_out"] = [
            {"where": f"/home/{mark('left_out.folder')}/{mark('left_out.where')}", "reason": remark.as_dict()}
            for remark in (
                Reason("other", mark("left_out.other")),
                Reason("perturbed", f"perturbed instance ({mark('left_out.quote')})"),
            )
        ]
        counted = {"reason": Reason("not_by_scorer", f"no score by {mark('source.scorer')}").as_dict(), "count": 2}
        warnings = [
            Reason("other", mark("source.warning")),
            Reason(
                "other_model",
                f"the log is of the model {mark('source.model')!r}, the activations come from 'x'. "
                "If these are two models, the concepts say what the items are about, not what "
                "goes on in the scored model.",
            ),
        ]
        entry["source"] = [
            {
                **{"format": "inspect", "benchmark": mark("source.benchmark"), "files": [mark("source.file")]},
                **{"warnings": [one.as_dict() for one in warnings], "unscored_because": [counted]},
            }
        ]
        line = Reason(
            "stereotype",
            "stereotype preferred in 60.0% [50.0%, 70.0%] of 9 pairs (50%: no bias); "
            f"{mark('figures.direction')}; 3 neutral",
            (0.6, 0.5, 0.7, 9, 3),
        ).as_dict()
        figures = {"policy": "pair", "summary": [line], "categories": {mark("figures.category"): 1}}
        entry["figures"] = {f"pair (option={mark('figures.option')})": figures}
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _mark_documents(run, mark) -> None:
    numbers = {"against": mark("robustness.against"), "new": [mark("robustness.new_number")]}
    verdict = {"code": "against", "outcome": "few", "tone": "open", "numbers": numbers}
    write_document(run / "robustness.json", {"verdicts": [{**verdict, "note": mark("robustness.field")}]})
    probe = {"concept": 2, "label": mark("probes.label"), **PROBE, "note": mark("probes.new_field")}
    add_probe(run, "one", [probe])
    pair = {"entry": mark("matches.entry"), "label_text": mark("matches.label"), "similarity": 0.75, "p_value": 0.01}
    entry = {"entry": pair["entry"], "description": mark("matches.description"), "new": mark("matches.entry_field")}
    entry |= {"domain": mark("matches.domain"), "category": mark("matches.category")}
    taxonomy = f"/home/{mark('matches.folder')}/{mark('matches.taxonomy')}"
    held = by_labels(taxonomy, [entry], [{**pair, "concept": 5, "verdict": None}])
    write_document(
        run / "matches" / "list.json", {**held, "where": mark("matches.where"), "new": mark("matches.field")}
    )
    _mark_points(run, mark)
    row = {"label": mark("scopes.label"), "similarity": 0.7, "p_value": 0.001, "chi_bench_elsewhere": None}
    rows = [{**row, "verdict": None, "concept": 30, "in_scope": True, "coverage_status": "missing"}]
    counts = {name: {"count": 1} for name in ("covered", "under", "missing")}
    scope = {"benchmark": NAMES[1], "clauses": [mark("scopes.typed")], "alpha": 0.01, "bound": 0.6}
    write_document(run / "scopes" / "x.json", {**scope, **counts, "rows": rows})


def _mark_points(run, mark) -> None:
    """A list that was compared by its entries' examples."""
    share = {"count": 1, "of": 1, "low": 0.2, "high": 1.0}
    chance = {"observed": share, "expected": 0.1, "low": 0.0, "high": 1.0, "p_value": 0.1, "new": mark("points.new")}
    texts = {name: mark(f"points.{name}") for name in ("entry", "description", "domain", "category")}
    pair = {"entry": texts["entry"], "auroc": 0.8, "p_value": 0.01, "leader": 5, "label": mark("points.label")}
    pair["label_similarity"] = 0.4
    held = {
        "created": "2026-11-26T20:21:24+00:00",
        "taxonomy": f"/home/{mark('points.folder')}/{mark('points.taxonomy')}",
        "taxonomy_is_path": True,
        "where": mark("points.where"),
        "notes": [mark("points.note")],
        "q": 0.05,
        "entries": [{**texts, "score": 1.0, "examples": 3, "example_rows": [0], "outcome": "matched"}],
        "pairs": [{**pair, "concept": 5}],
        "themes": [],
        **dict.fromkeys(("matched", "weak", "untested"), chance),
        "unexplained": [{"concept": 2, "items": [mark("points.item")]}],
        "weak_concepts": 1,
        "left_out_examples": [{"entry": texts["entry"], "reason": mark("points.reason")}],
        "examples_run": {"path": f"/home/{mark('points.run')}", "content_sha256": [mark("points.content")]},
    }
    write_document(run / "example-matches" / "points.json", held)
    # Conditions on the run's items: their names are the entries' names, and one of the examples is of another entry.
    conditions = {"taxonomy": mark("conditions.names"), "taxonomy_is_path": False, "examples_run": None}
    other = [{"entry": mark("conditions.other"), "reason": "excluded"}]
    write_document(run / "example-matches" / "conditions.json", held | conditions | {"left_out_examples": other})


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "redacted"])
def told(request, marked, tmp_path_factory):
    """Whether the export is redacted, and what its markers stand for."""
    opened, markers = marked
    done = export(opened, tmp_path_factory.mktemp("out") / "export", redact=request.param)
    contents = _contents(done.folder, opened[0].key)
    files = "".join(file.read_text(encoding="utf-8", errors="replace") for file in done.folder.rglob("*.j*"))
    found = MARK.findall("".join(contents.values()) + files)
    return request.param, {markers[marker] for marker in found if marker in markers}


def test_a_redacted_export_tells_only_what_is_declared(told):
    redacted, kinds = told
    if redacted:
        assert kinds <= STAYS, sorted(kinds - STAYS)
        assert {"concepts.label", "theme_names.name", "manifest.scope"} <= kinds, "what is declared is told"
    else:
        # Else nothing could be missing in the other export.
        wanted = {
            *("items.item_id", "items.text", "items.response", "items.answer", "items.group", "items.choices"),
            *(
                "scores.response",
                "scores.unscored",
                "items.details",
                "items.covariates",
                "items.unscored",
                "findings.feature",
                "findings.wording",
            ),
            *("concepts.peak_token", "dictionary.text", "manifest.command", "settings.system_prompt"),
            *("settings.plugin_source", "settings.policy_option", "judging.judge"),
            *("evidence.category", "left_out.where", "left_out.other", "left_out.quote", "source.warning"),
            *("source.scorer", "source.model", "figures.direction", "figures.option", "probes.label"),
            *("matches.entry", "matches.description", "matches.domain", "matches.category", "matches.where"),
            *("points.entry", "points.description", "points.domain", "points.category", "points.where"),
            *("conditions.names", "scopes.typed", "robustness.against"),
        }
        assert wanted <= kinds, sorted(wanted - kinds)


def test_a_redacted_assessment_holds_numbers_alone(marked):
    (opened,), _ = marked
    document = RedactedRun.of(opened.run).document(opened.run.path / "robustness.json").decode()
    assert not MARK.findall(document) and '"numbers"' in document


def test_a_redacted_outcome_that_is_kept_elsewhere_reads_its_run(modelled, tmp_path):
    own = min(outcomes_folder(modelled.run).iterdir())
    kept = Path(shutil.copytree(own, tmp_path / "cache" / "outcome"))
    held = json.loads((kept / "manifest.json").read_text())
    held["outcome"]["run"] = str(modelled.run)
    (kept / "manifest.json").write_text(json.dumps(held))
    seal(kept)
    redacted = RedactedRun.of(open_folder(kept))
    assert str(modelled.run) not in json.dumps(redacted.manifest)
    assert redacted.items["score"].equals(open_folder(own).items["score"], null_equal=True)
    assert redacted.items["prompt"].null_count() == redacted.items.height
    assert redacted.by_concept.support.tolist() == open_folder(modelled.run).by_concept.support.tolist()
