"""A run without anything that may quote a text: all that the parts of a redacted explorer read.

Whatever is not declared safe is withheld: such columns are null, such fields of the manifest or of a document are left
out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept, ConceptColumn
from competency_gaps.activations.by_item import ItemRow, ItemRows, TokenActivations
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.redacted_documents import DOCUMENTS, MANIFEST, redact
from competency_gaps.findings.sentences import with_words
from competency_gaps.items.item import DTYPE
from competency_gaps.runs.open import RunFolder
from competency_gaps.sae.reference import SURFACE

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
        "outcome",
    ),
    "concepts": (
        *_STATISTICS,
        *("concept", "label", "label_kind", "label_score", "label_scored_by", "explainer", "label_state", "alive"),
        *("kind", *SURFACE, "missing", "ranked", "density", "n_benchmarks", "tau"),
    ),
    "concept_benchmarks": (*_STATISTICS, "concept", "benchmark"),
    "benchmarks": (
        *("benchmark", "items", "kept", "excluded", "scored", "mean_score", "covered", "missing", "alive"),
        "mean_span_tokens",
    ),
    "overlap": ("benchmark_a", "benchmark_b", "jaccard", "cosine", "spearman", "n_concepts"),
    "findings": (
        *("finding", "verdict", "leader", "label", "concepts", "items", "clusters", "item_rows", "weights", "unit"),
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
"""Table -> columns that are shown as they are."""
LABELS = ("concept", "label", "kind", "explainer", "score", "scored_by", "placeholder", "date")
"""Columns of a dictionary's labels that are shown."""


@dataclass(frozen=True)
class RedactedRun(RunFolder):
    """A run as a redacted explorer reads it."""

    whole: RunFolder
    """The run with everything."""

    @classmethod
    def of(cls, run: RunFolder) -> RedactedRun:
        """The run without what is not declared safe."""
        return cls(run.path, redact(run.manifest, MANIFEST), run)

    @property
    def base(self) -> Path:
        """The folder that holds the items and activations, which an outcome's manifest may name: it is withheld."""
        return self.whole.base

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
        return with_words(self.files.collect(name, shown)).lazy() if name == "findings" else shown

    def _replaced(self, name: str) -> list[pl.Expr]:
        """Columns that are shown in another form."""
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
        """A document with its safe fields; nothing if it cannot be read."""
        try:
            held = json.loads(super().document(file))
            redacted = DOCUMENTS[file.name if file.parent == self.path else file.relative_to(self.path).parts[0]]
            return json.dumps(redacted(self.manifest, held)).encode()
        except (ValueError, KeyError, TypeError, AttributeError, UserError):
            return b""

    @cached_property
    def by_concept(self) -> ByConcept:
        return self._of_width(_Peakless(self.base / "activations"))

    @cached_property
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
"""Table -> columns that are shown in another form."""


def _chosen(name: str, safe: list[pl.Expr]) -> list[pl.Expr]:
    made = _FORMS.get(name, ())
    return [pl.col(column) if (column := expression.meta.output_name()) in made else expression for expression in safe]


def _bare(name: str) -> pl.Expr:
    """A column of reasons without their texts."""
    code, numbers = (pl.col(name).struct.field(part) for part in ("code", "numbers"))
    bare = pl.struct(code, text=code.str.replace_all("_", " ", literal=True), numbers=numbers).cast(DTYPE)
    return pl.when(pl.col(name).is_not_null()).then(bare).alias(name)


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
