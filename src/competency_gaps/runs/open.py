"""Open a finished run: no model and no torch needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.manifest import BY_CONCEPT, RunFiles, read_manifest, shard_names
from competency_gaps.runs.schemas import READING, SCHEMAS
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.text import plural

if TYPE_CHECKING:
    import scipy.sparse as sp

    from competency_gaps.evidence import Covariate
    from competency_gaps.evidence.outcomes import Kind
    from competency_gaps.items.config import EvidenceConfig
    from competency_gaps.reading.by_concept import ByConcept
    from competency_gaps.reading.rows import CasBlock, CasStore, ItemRows, TokenActivations

Order = Literal["best", "worst", "strongest"]


def open_folder(path: Path | str) -> RunFolder:
    """Return the finished run in a folder.

    Raises
    ------
    UserError
        If the folder is not a finished run, or its schema version is unknown.
    """
    folder = Path(path)
    return RunFolder(folder, read_manifest(folder))


@dataclass(frozen=True)
class RunFolder:
    """A finished run, or a view of it under another outcome: another model's scores, or scores against peers.

    Tables are read on first use. A view has its own manifest and the replaced tables in ``tables``; it reads everything
    else from the run's folder.
    """

    path: Path
    manifest: dict[str, Any]
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict, compare=False, repr=False)
    """Name of a table, without suffix -> the table that replaces the folder's; empty: the run itself."""

    @property
    def has_reading(self) -> bool:
        """Whether a model and its SAE have read the items; if not, there are no concepts and their tables are empty."""
        return self.manifest["sae"] is not None

    @property
    def reader(self) -> str | None:
        """Name of the model that read the items; None without a reading."""
        return str(self.manifest["model"]["name"]) if self.has_reading else None

    @property
    def shown_path(self) -> Path:
        """The path that the user opened: the run's folder, or the logs from which a cached run was made."""
        return Path(self.manifest.get("logs", self.path))

    @property
    def scored_model(self) -> str:
        """Name of the model whose scores these are: the run's own, or another whose scores were added."""
        return str(self.manifest["scored_model"])

    @cached_property
    def own_model(self) -> str | None:
        """Name of the model whose scores are in ``items``; None if there are none, as when items were only read."""
        scored = self.scan("items").select(pl.col("score").is_not_null().any())
        return self.scored_model if self.files.collect("items", scored).item() else None

    @property
    def kind(self) -> Kind:
        """Kind of the outcome: ``score``, ``peers`` (scores against peers), ``difference`` or ``parsed``."""
        kind: Kind = self.manifest.get("outcome", {}).get("kind", "score")
        return kind

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest possible outcome: 0 and 1 for scores."""
        low, high = self.manifest.get("outcome", {}).get("limits", (0.0, 1.0))
        return float(low), float(high)

    @cached_property
    def outcomes(self) -> np.ndarray:
        """Outcome of each item, on which the evidence rests: float64 of shape (items,).

        NaN = unscored or excluded.
        """
        column = "score" if self.kind == "score" else "outcome"
        kept = pl.when(pl.col("excluded").is_null()).then(pl.col(column)).fill_null(float("nan"))
        return self.items.select(kept.alias("outcome"))["outcome"].to_numpy()

    @cached_property
    def items(self) -> pl.DataFrame:
        """One row per item: benchmark, item_id, prompt, response, score (null = unscored), excluded, ..."""
        return self._table("items")

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """One row per concept of the SAE: label, kind, chi_bench, chi_model (null = undefined), support, ..."""
        return self._table("concepts")

    @cached_property
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""
        return self._table("concept_benchmarks")

    @cached_property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark: items, kept, excluded, scored, mean_score, covered, missing, alive, ..."""
        return self._table("benchmarks")

    @cached_property
    def overlap(self) -> pl.DataFrame:
        """One row per ordered pair of benchmarks: jaccard, cosine, spearman, n_concepts."""
        return self._table("overlap")

    @cached_property
    def regions(self) -> pl.DataFrame | None:
        """One row per region of the atlas: region, level, parent, name, kind, x, y, items; None without an atlas."""
        return self._optional("regions")

    @cached_property
    def region_counts(self) -> pl.DataFrame | None:
        """Items of the benchmarks behind the atlas: benchmark, region, items; None without an atlas."""
        return self._optional("region_counts")

    @cached_property
    def item_regions(self) -> pl.DataFrame | None:
        """One row per item: region, likeness, unlike, x, y (null: excluded); None without an atlas."""
        return self._optional("item_regions")

    @cached_property
    def scopes(self) -> pl.DataFrame | None:
        """One row per benchmark and region of the atlas within its stated scope, the nearest region first.

        None if no benchmark states a scope, or the run has no atlas.
        """
        return self._optional("scopes")

    def scan(self, name: str) -> pl.LazyFrame:
        """Return a table as a lazy frame; only the rows and columns that are collected are read.

        Raises
        ------
        UserError
            As :meth:`RunFiles.scan`.
        """
        return self.tables[name].lazy() if name in self.tables else self.files.scan(name)

    @cached_property
    def files(self) -> RunFiles:
        """Reader of the tables in the folder, which checks them against the manifest."""
        return RunFiles(self.path, self.manifest)

    def _optional(self, name: str) -> pl.DataFrame | None:
        """Return a table; None if the run has no such table."""
        return self._table(name) if self.files.has(name) else None

    def _table(self, name: str) -> pl.DataFrame:
        """Return a table; empty if it needs a reading and the run has none."""
        if name in READING and not self.has_reading:
            return pl.DataFrame(schema=SCHEMAS[name])
        return self.files.collect(name, self.scan(name))

    def run_itself(self) -> RunFolder:
        """Return the run behind this view; the object itself if it is not a view."""
        return open_folder(self.path) if self.tables else self

    @property
    def width(self) -> int:
        """Number of concepts of the SAE; 0 without a reading."""
        return int(self.manifest["sae"]["d_sae"]) if self.has_reading else 0

    @cached_property
    def evidence_config(self) -> EvidenceConfig:
        """Thresholds and strata with which the run's evidence was computed."""
        from competency_gaps.items.config import EvidenceConfig

        return EvidenceConfig(**{name: self.manifest["evidence"][name] for name in EvidenceConfig.model_fields})

    def cas(self, benchmark: str) -> sp.csr_array:
        """Return the concept activation scores (CAS) of one benchmark.

        Returns
        -------
        csr_array of float32 of shape (items of the benchmark in the order of ``items``, SAE width)
            An excluded item's row is empty.

        Raises
        ------
        UserError
            If the run has no such benchmark.
        """
        import scipy.sparse as sp

        self.benchmark_entry(benchmark)
        position, blocks = np.zeros(self._sizes[benchmark], np.int64), [sp.csr_array((1, self.width), dtype=np.float32)]
        rows = 1
        for block in self.blocks(benchmark):
            position[block.items] = np.arange(rows, rows + len(block.items))
            rows += len(block.items)
            blocks.append(block.cas)
        return sp.csr_array(sp.vstack(blocks, format="csr"))[position]

    def blocks(self, benchmark: str) -> Iterator[CasBlock]:
        """Yield a benchmark's items and their CAS, one shard at a time; raises UserError if a shard is damaged."""
        yield from self._store.blocks(shard_names(self.benchmark_entry(benchmark)))

    def concept_items(
        self, concept: int, *, benchmark: str | None = None, order: Order = "strongest", limit: int = 5
    ) -> pl.DataFrame:
        """Return items in which a concept is active, at most one per cluster.

        Parameters
        ----------
        order
            ``strongest``: highest CAS first. ``best``: highest score first; ``worst``: lowest score first. The last two
            skip unscored items and break ties by CAS.

        Returns
        -------
        polars.DataFrame
            At most ``limit`` rows: benchmark, item_id, text, response, answer, score, cas, ncas (saliency in [0, 1]),
            peak_start and peak_end (character range of the peak token in ``text``), body_start and body_end (character
            range of the item's own text), cluster, repeats. ``repeats``: items with the same question in which the
            concept is active, this one included; only scored items count for ``best`` and ``worst``; 1 where the
            cluster's items differ in text, as several questions on one passage do.

        Raises
        ------
        UserError
            If there is no such concept or benchmark.
        """
        from competency_gaps.evidence.chi import saliency

        self.check_concept(concept)
        if order not in get_args(Order) or limit < 0:
            raise UserError(
                f"order {order!r} and limit {limit}: expected one of {', '.join(get_args(Order))}, and 0 or more items."
            )
        if benchmark is not None:
            self.benchmark_entry(benchmark)
        column = self.by_concept.column(concept)
        tau = self.concepts["tau"][concept]
        table = self.items[column.item].select(
            "benchmark", "item_id", "text", "response", "answer", "score", "body_start", "body_end", "cluster"
        )
        table = table.with_columns(
            pl.Series("cas", column.cas, dtype=pl.Float32),
            pl.Series("ncas", saliency(column.cas, np.asarray(tau or 1.0)), dtype=pl.Float64),
            pl.Series("peak_start", column.peak[:, 0], dtype=pl.Int32),
            pl.Series("peak_end", column.peak[:, 1], dtype=pl.Int32),
            pl.Series("same", repeats(self.items)[column.item]),
        )
        if benchmark is not None:
            table = table.filter(pl.col("benchmark") == benchmark)
        if order == "strongest":
            ordered = table.sort(["cas", "item_id"], descending=[True, False])
        else:
            scored = table.filter(pl.col("score").is_not_null())
            ordered = scored.sort(["score", "cas", "item_id"], descending=[order == "best", True, False])
        size = pl.when("same").then(pl.len().over("cluster")).otherwise(1).cast(pl.Int32)
        counted = ordered.with_columns(repeats=size).drop("same")
        return counted.unique("cluster", keep="first", maintain_order=True).head(limit)

    def token_activations(self, concept: int, rows: Sequence[int]) -> list[TokenActivations | None]:
        """Return the tokens on which a concept is active, for each of some items.

        Parameters
        ----------
        rows
            Rows of ``items``.

        Returns
        -------
        list of TokenActivations or None, one per row
            Character ranges in ``items["text"]`` and activations; empty where the concept is active on no token.
            None: the item is excluded, or the run stored no activations of tokens (``keep_token_activations``).

        Raises
        ------
        UserError
            If there is no such concept or row.
        """
        self.check_concept(concept)
        return [self.item_tokens(row, np.array([concept])) for row in rows]

    def item_tokens(self, row: int, concepts: np.ndarray) -> TokenActivations | None:
        """Return the tokens of one item on which any of some concepts is active.

        Parameters
        ----------
        row
            Row of ``items``.
        concepts : ndarray of int of shape (n,)

        Returns
        -------
        TokenActivations or None
            As in :meth:`token_activations`.

        Raises
        ------
        UserError
            If there is no such row.
        """
        return self.item_rows.tokens(row, concepts)

    @cached_property
    def has_token_activations(self) -> bool:
        """Whether the run stores activations of single tokens for at least some items."""
        return self.has_reading and self.item_rows.has_activations

    def check_reading(self, what: str) -> None:
        """Raise UserError if the run has no reading; ``what`` names what needs it and begins the message."""
        if not self.has_reading:
            raise UserError(reading_needed(self, what))

    def check_concept(self, concept: int) -> None:
        """Raise UserError if the SAE has no such concept, or the run has no reading."""
        self.check_reading("A concept")
        if not isinstance(concept, (int, np.integer)):
            raise UserError(f"concept {concept!r}: expected its number, an int from 0 to {self.width - 1}.")
        if not 0 <= concept < self.width:
            raise UserError(f"concept {concept} does not exist: the SAE has concepts 0 to {self.width - 1}.")

    @cached_property
    def form(self) -> tuple[Covariate, ...]:
        """Covariates of the items' form: position and relative length of the right option, and number of options."""
        return item_covariates(self.items, ("answer_position", "answer_length", "options"))

    @cached_property
    def by_concept(self) -> ByConcept:
        """The CAS of the items, stored by concept."""
        from competency_gaps.reading.by_concept import ByConcept

        self.files.check(BY_CONCEPT)
        return ByConcept(self.path / "activations")

    @cached_property
    def item_rows(self) -> ItemRows:
        """The rows of the shards: each item's concepts."""
        from competency_gaps.reading.rows import ItemRows

        known = [(self._sizes[entry["name"]], shard_names(entry)) for entry in self.manifest["benchmarks"]]
        kept = self.files.collect("items", self.scan("items").select(pl.col("excluded").is_null()))
        return ItemRows(self._store.shards, known, kept["excluded"].to_numpy())

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Number of items of each benchmark, by the manifest; the table of items is checked against it first."""
        self.scan("items")
        return {entry["name"]: entry["items"] for entry in self.manifest["benchmarks"]}

    @property
    def _store(self) -> CasStore:
        from competency_gaps.reading.rows import CasStore

        return CasStore(self.path / "activations", self.width)

    def benchmark_entry(self, benchmark: str) -> dict[str, Any]:
        """Return a benchmark's entry in the manifest; raises UserError if the run has no benchmark of this name."""
        known = {entry["name"]: entry for entry in self.manifest["benchmarks"]}
        if benchmark not in known:
            raise no_such("the run has no benchmark", benchmark, known)
        return dict(known[benchmark])


_TOKENS = 3.5e-9
"""Tokens that the bundled model and SAE read per floating-point operation that the cores can do in a large matrix
product [measured]: 1,050 tokens a second on two cores of 148 billion operations a second each."""
_LETTERS = 4.0
"""Characters per token of English."""


def reading_needed(run: RunFolder, what: str) -> str:
    """Return a message: ``what`` needs a reading, how long the bundled model would take here, and the command."""
    letters = run.items.select(pl.col("prompt").str.len_chars().sum()).item() or 0
    options = pl.col("choices").list.eval(pl.element().str.len_chars()).list.sum().sum()
    letters += run.items.select(options).item() or 0
    minutes = letters / _LETTERS / (_TOKENS * _speed() * (os.cpu_count() or 1)) / 60
    time_needed = f"about {plural(round(minutes), 'minute')}" if minutes >= 1 else "less than a minute"
    made_by = str(run.manifest["command"])
    logs = run.manifest.get("logs")
    command = f"cgaps run --log {logs} --out RUN" if logs or not made_by.startswith("cgaps run ") else made_by
    return (
        f"{what} needs a reading of the items by a model and its SAE, which this run does not have. The bundled model "
        f"would take {time_needed} on this machine's processor for {plural(run.items.height, 'item')}: {command} --read"
    )


def _speed() -> float:
    """Measure one core's floating-point operations per second, in a matrix product of the bundled model's shape."""
    a, b = np.ones((512, 576), np.float32), np.ones((576, 1536), np.float32)
    best = np.inf
    with threadpool_limits(1):
        for _ in range(10):
            begin = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - begin)
    return float(2 * a.shape[0] * a.shape[1] * b.shape[1] / best)
