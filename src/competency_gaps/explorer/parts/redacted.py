"""A run without what may quote a text: the one thing that the parts of a redacted explorer are made of.

What is not declared here as safe is withheld: a column is null, a field of the manifest or of a document is not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept, ConceptColumn
from competency_gaps.activations.by_item import ItemRow, ItemRows
from competency_gaps.activations.tokens import TokenActivations
from competency_gaps.config import EvidenceConfig
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.explorer.parts.settings import named
from competency_gaps.findings.sentences import with_words
from competency_gaps.items.remark import DTYPE, Remark
from competency_gaps.matching.clauses import made_of
from competency_gaps.once import made_once
from competency_gaps.robustness import FILE as ASSESSMENT
from competency_gaps.runs.open import RunFolder

NOT_TOLD = "[not told]"
"""Stands for a word of an item in the features of findings."""

_STATISTICS = (
    *("chi_bench", "chi_model", "chi_model_low", "chi_model_high", "support", "n_eff", "design_effect", "gap"),
    *("gap_low", "gap_high", "plain_gap", "plain_q", "p_value", "q_value", "detectable", "drawn", "performance_status"),
    *("vanishes", "leader", "lift", "share", "coverage_status", "chance_seen"),
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "items": (
        *("benchmark", "score", "epochs", "policy", "n_tokens", "n_span_tokens", "cluster", "cluster_kind", "stratum"),
    ),
    "concepts": (
        *_STATISTICS,
        *("concept", "label", "label_kind", "label_score", "label_scored_by", "explainer", "label_state", "alive"),
        *("dense", "template", "exact_token", "missing", "ranked", "density", "n_benchmarks", "tau"),
    ),
    "concept_benchmarks": (*_STATISTICS, "concept", "benchmark"),
    "benchmarks": (
        *("benchmark", "items", "kept", "excluded", "scored", "mean_score", "covered", "missing", "alive"),
        "mean_span_tokens",
    ),
    "overlap": ("benchmark_a", "benchmark_b", "jaccard", "cosine", "spearman", "n_concepts"),
    "findings": (
        *("finding", "verdict", "leader", "label", "concepts", "items", "clusters", "item_rows", "weights", "graded"),
        *("n_eff", "mean_score", "plain_gap", "gap", "gap_low", "gap_high", "p_value", "q_value", "detectable"),
        *("benchmarks", "feature_benchmarks", "counted", "feature_items", "feature_score", "other_items"),
        *("other_score", "feature_p", "failing", "passing", "unseen_gap", "unseen_low", "unseen_high"),
        *("unseen_splits", "splits", "holds"),
    ),
    "themes": ("concept", "theme", "subtheme", "x", "y"),
    "theme_names": ("level", "id", "parent", "name", "kind"),
    "theme_results": (
        *_STATISTICS,
        *("level", "id", "parent", "concepts", "ranked", "chi_bench_mean", "missing_concepts", "weak_concepts"),
        *("strong_concepts", "weak_groups"),
    ),
    "theme_benchmarks": (*_STATISTICS, "level", "id", "benchmark"),
}
"""Table -> its columns that are told as they are."""
LABELS = ("concept", "label", "kind", "explainer", "score", "scored_by", "placeholder", "date")
"""Columns of a dictionary's labels that are told."""

_FIELDS: Mapping[str, tuple[str, ...] | None] = {
    "schema_version": None,
    "created": None,
    "versions": None,
    "model": ("name", "class", "layers", "hidden_size", "dtype", "weights_sha256"),
    "sae": ("name", "architecture", "d_sae", "d_in", "weights_sha256", "neuronpedia_id"),
    "hook": ("path", "side", "layer"),
    "gate": ("passed", "forced", "l0", "explained_variance", "dead_share", "tokens"),
    "span": None,
    "pooling": None,
    "paper": None,
    "reference": ("name", "lift"),
    "dictionary": ("name", "labelled", "kinds", "themes"),
    "timings": None,
}
"""Field of the manifest -> which of its fields are told; None: all of it. Further ones are in ``_manifest``."""
_COUNTS = ("tested", "drawn", "weak", "strong", "typical", "insufficient", "weak_groups", "strong_groups")
_OF_BENCHMARK = ("name", "items", "policy", "scope", "generated", "shards")
_JUDGED = ("items", "scored", "unasked", "failed")
_TREND = ("covariate", "first", "last", "share", "p", "controlled")
_PROBED = (
    *("concept", "claim", "verdict", "status", "kind", "exciting", "comparison", "mean", "mean_low", "mean_high"),
    *("expected", "difference", "difference_low", "difference_high", "p_value", "q_value"),
)
_VERDICT = ("code", "outcome", "tone")
_PAIR = ("concept", "level", "id", "label_text", "similarity", "p_value", "verdict")
_LACK = (
    *("concept", "label", "similarity", "p_value", "in_scope", "coverage_status", "chi_bench_elsewhere", "verdict"),
)


class RedactedRun(RunFolder):
    """A run as a redacted explorer reads it."""

    @classmethod
    def of(cls, run: RunFolder) -> RedactedRun:
        """The run without what is not declared safe."""
        return cls(run.path, _manifest(run.manifest))

    def scan(self, name: str) -> pl.LazyFrame:
        """A table with its safe columns, the others null.

        An item's id is its place in its benchmark, from 0: another tool's ids may be the questions themselves.
        """
        frame = super().scan(name)
        schema = frame.collect_schema()
        safe = [
            pl.col(column) if column in COLUMNS.get(name, ()) else pl.lit(None, kind).alias(column)
            for column, kind in schema.items()
        ]
        shown = frame.with_row_index("_row").with_columns(self._replaced(name)).select(_chosen(name, safe))
        return with_words(shown.collect()).lazy() if name == "findings" else shown

    def _replaced(self, name: str) -> list[pl.Expr]:
        """Columns that are told in another form."""
        if name == "items":
            starts = [0, *accumulate(int(entry["items"]) for entry in self.manifest["benchmarks"])]
            names = [entry["name"] for entry in self.manifest["benchmarks"]]
            first = pl.col("benchmark").replace_strict(names, starts[:-1], return_dtype=pl.Int64)
            place = (pl.col("_row").cast(pl.Int64) - first).cast(pl.String)
            return [place.alias("item_id"), _bare("excluded"), _bare("unscored")]
        if name == "concepts":
            # A peak token is the run's own wherever the run has one (stages/tables.py), so only missing concepts have
            # theirs from the reference text.
            return [pl.when("missing").then("peak_token").alias("peak_token")]
        if name == "findings":
            return [pl.col("feature").map_elements(_feature, pl.String)]
        return []

    def document(self, file: Path) -> bytes:
        """A document with its safe fields; nothing of one that cannot be read."""
        try:
            held = json.loads(super().document(file))
            reduce = _DOCUMENTS[file.name if file.parent == self.path else file.relative_to(self.path).parts[0]]
            return json.dumps(reduce(self, held)).encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            return b""

    @made_once
    def by_concept(self) -> ByConcept:
        return _Peakless(self.path / "activations")

    @made_once
    def item_rows(self) -> ItemRows:
        return _PeaklessRows(self._index)

    @property
    def has_token_activations(self) -> bool:  # type: ignore[override]
        return False

    def token_activations(self, concept: int, rows: Any) -> list[TokenActivations | None]:
        return [None] * len(rows)

    def item_token_activations(self, row: int, concepts: np.ndarray) -> list[TokenActivations] | None:
        return None


class RedactedDictionary(Dictionary):
    """A dictionary without windows of text: it may be made of the run's own items."""

    @classmethod
    def of(cls, dictionary: Dictionary) -> RedactedDictionary:
        """The dictionary without what is not declared safe."""
        return cls(dictionary.folder, dictionary.identity)

    @property
    def has_exemplars(self) -> bool:
        return False

    def labels(self) -> pl.DataFrame:
        table = super().labels()
        withheld = [column for column in table.columns if column not in LABELS]
        return table.with_columns(pl.lit(None, table.schema[column]).alias(column) for column in withheld)


class _Peakless(ByConcept):
    def columns(self, first: int, last: int) -> ConceptColumn:
        column = super().columns(first, last)
        return column._replace(peak=np.zeros_like(column.peak))


class _PeaklessRows(ItemRows):
    def row(self, row: int) -> ItemRow:
        held = super().row(row)
        return held._replace(peak=np.zeros_like(held.peak))


_FORMS = {"items": ("item_id", "excluded", "unscored"), "concepts": ("peak_token",), "findings": ("feature",)}
"""Table -> columns that are told in another form."""


def _chosen(name: str, safe: list[pl.Expr]) -> list[pl.Expr]:
    made = _FORMS.get(name, ())
    return [pl.col(column) if (column := expression.meta.output_name()) in made else expression for expression in safe]


def _bare(name: str) -> pl.Expr:
    """A column of remarks without their quotes."""
    remark = pl.col(name)
    rest = [remark.struct.field(part) for part in ("code", "numbers")]
    bare = pl.struct(*rest, quotes=pl.lit([], pl.List(pl.String))).cast(DTYPE)
    return pl.when(remark.is_not_null()).then(bare).alias(name)


def _feature(code: str) -> str:
    """A feature's code with a number or nothing behind its colon: whatever else stands there may be an item's word."""
    name, separator, value = code.partition(":")
    if not separator:
        return code
    if name.endswith((".above", ".to")):
        try:
            float(value)
            return code
        except ValueError:
            pass
    return f"{name}:{NOT_TOLD}"


def _part(held: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: held[name] for name in names if name in held}


def _manifest(held: Mapping[str, Any]) -> dict[str, Any]:
    safe = {
        name: _part(value, _FIELDS[name] or ()) if _FIELDS[name] and isinstance(value, Mapping) else value
        for name, value in held.items()
        if name in _FIELDS
    }
    return {
        **safe,
        "command": "",
        "evidence": _evidence(held["evidence"]),
        "judging": _judging(held["judging"]) if held.get("judging") else None,
        "benchmarks": [_benchmark(entry) for entry in held["benchmarks"]],
        "settings": _settings(held["settings"], ""),
    }


def _evidence(held: Mapping[str, Any]) -> dict[str, Any]:
    """Thresholds and counts; trends between categories, which are groups' names, are withheld."""
    return {
        **_part(held, (*EvidenceConfig.model_fields, *_COUNTS)),
        "benchmarks": {
            name: {
                **_part(facts, (*_COUNTS, "most_stand_out", "shared_reason")),
                "trends": [_part(trend, _TREND) for trend in facts.get("trends") or () if not trend.get("categories")],
            }
            for name, facts in (held.get("benchmarks") or {}).items()
        },
    }


def _judging(held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "judge": "a model" if held["judge"] else None,
        "classifiers": ["a classifier"] if held["classifiers"] else [],
        "benchmarks": {name: _part(count, _JUDGED) for name, count in held["benchmarks"].items()},
    }


def _benchmark(held: Mapping[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for figure in (held.get("figures") or {}).values():
        # Without the options that tell them apart.
        policy = figure["policy"]
        same = sum(other["policy"] == policy for other in figures.values())
        name = f"{policy} ({same + 1})" if same else policy
        figures[name] = {"policy": policy, "summary": [_withheld(remark) for remark in figure["summary"]]}
    return {
        **_part(held, _OF_BENCHMARK),
        "left_out": [{"where": None, "reason": _withheld(record["reason"])} for record in held["left_out"]],
        "source": [
            {
                "warnings": [_withheld(warning) for warning in report["warnings"]],
                "unscored_because": [
                    {"reason": _withheld(counted["reason"]), "count": counted["count"]}
                    for counted in report["unscored_because"]
                ],
            }
            for report in held.get("source") or ()
        ],
        "figures": figures,
    }


def _withheld(remark: Mapping[str, Any]) -> dict[str, Any]:
    return Remark.of(remark).withheld().as_dict()


def _settings(held: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Settings that quote nobody (:func:`named`)."""
    safe: dict[str, Any] = {}
    for key, value in held.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if inner := _settings(value, f"{name}."):
                safe[key] = inner
        elif named([(name, str(value))]):
            safe[key] = value
    return safe


def _assessment(run: RedactedRun, held: Any) -> Any:
    """Verdicts without the folder of the other run, the only text among their numbers."""
    verdicts = []
    for verdict in held["verdicts"]:
        numbers = {name: value for name, value in verdict["numbers"].items() if not isinstance(value, str)}
        verdicts.append({**_part(verdict, _VERDICT), "numbers": numbers})
    return {"verdicts": verdicts}


def _probe(run: RedactedRun, held: Any) -> Any:
    return {"concepts": [{**_part(row, _PROBED), "label": None} for row in held["concepts"]]}


def _matches(run: RedactedRun, held: Any) -> Any:
    """Entries of somebody's list have their numbers in it for names."""
    numbers = {entry["entry"]: str(number) for number, entry in enumerate(held["entries"], 1)}
    return {
        "taxonomy": held["taxonomy"],
        "entries": [
            {"entry": numbers[entry["entry"]], "description": numbers[entry["entry"]], "bound": entry["bound"]}
            for entry in held["entries"]
        ],
        **{
            kind: [{**_part(pair, _PAIR), "entry": numbers[pair["entry"]]} for pair in held[kind]]
            for kind in ("pairs", "themes")
        },
    }


def _scope(run: RedactedRun, held: Any) -> Any:
    """A scope that was typed is withheld; the one that the configuration states stays."""
    stated = {entry["name"]: entry.get("scope") for entry in run.manifest["benchmarks"]}.get(held["benchmark"])
    clauses = held["clauses"] if stated and made_of([str(stated)]) == held["clauses"] else [""]
    counts = {name: _part(held[name], ("count",)) for name in ("covered", "under", "missing")}
    rows = [_part(row, _LACK) for row in held["rows"]]
    return {**_part(held, ("benchmark", "alpha", "bound")), "clauses": clauses, **counts, "rows": rows}


_DOCUMENTS: Mapping[str, Callable[[RedactedRun, Any], Any]] = {
    ASSESSMENT: _assessment,
    "probes": _probe,
    "matches": _matches,
    "scopes": _scope,
}
"""Document, or folder of documents -> what is told of one."""
