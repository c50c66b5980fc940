"""Open a finished run: no model and no torch needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.activations.by_item import ItemRows, ShardIndex
from competency_gaps.activations.store import CasStore
from competency_gaps.activations.tokens import TokenActivations, TokenReader
from competency_gaps.checked import check_document, damaged, parse_document
from competency_gaps.errors import UserError, nearest
from competency_gaps.metrics.saliency import saliency
from competency_gaps.once import made_once
from competency_gaps.outcomes import Kind
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.files import RunFiles
from competency_gaps.runs.manifest import read_manifest
from competency_gaps.shards import is_pruned, is_shard_name
from competency_gaps.text import shorten

_MADE_BY = {
    **{"matches": "match", "example-matches": "match", "scopes": "scope", "probes": "probe concept"},
    **{"robustness.json": "robustness", "vulnerabilities.json": "probe garak"},
}
"""Commands that put a document, or a folder of documents, into a run."""
Order = Literal["best", "worst", "strongest"]
T = TypeVar("T", bound=ByConcept)


def open_folder(path: Path | str) -> RunFolder:
    """Open a run folder.

    Raises
    ------
    UserError
        If the folder is not a finished run, or of an unknown schema version.
    """
    folder = Path(path)
    return RunFolder(folder, read_manifest(folder))


@dataclass(frozen=True)
class RunFolder:
    """A finished run, or one outcome of it: another model's scores, or scores against peers.

    Tables are read when they are first asked for. The folder of an outcome holds the tables that differ; it takes the
    others from the run's folder, in which it lies two levels below, or which its manifest names.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def base(self) -> Path:
        """The folder that holds the items and activations: the run's, also for an outcome of it."""
        if "outcome" not in self.manifest:
            return self.path
        elsewhere = self.manifest["outcome"].get("run")
        return Path(elsewhere) if elsewhere else self.path.parent.parent

    @property
    def scored_model(self) -> str:
        """Name of the model whose scores these are: the run's own, or another whose scores were added."""
        return str(self.manifest["scored_model"])

    @made_once
    def own_model(self) -> str | None:
        """The model whose scores a run's items have of its own; None: they have none, as where they were only read."""
        scored = self.scan("items").select(pl.col("score").is_not_null().any()).collect().item()
        return self.scored_model if scored else None

    @property
    def kind(self) -> Kind:
        """What the evidence rests on: ``score``, ``peers`` (scores against peers), ``difference`` or ``parsed``."""
        kind: Kind = self.manifest["outcome"]["kind"] if "outcome" in self.manifest else "score"
        return kind

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest outcome that is possible: 0 and 1 for scores."""
        low, high = self.manifest["outcome"]["limits"] if "outcome" in self.manifest else (0.0, 1.0)
        return float(low), float(high)

    @made_once
    def outcomes(self) -> np.ndarray:
        """float64 of shape (items,): what the evidence rests on, a score or another outcome.

        NaN = unscored or excluded.
        """
        column = "score" if self.kind == "score" else "outcome"
        kept = pl.when(pl.col("excluded").is_null()).then(pl.col(column)).fill_null(float("nan"))
        return self.items.select(kept.alias("outcome"))["outcome"].to_numpy()

    @made_once
    def items(self) -> pl.DataFrame:
        """One row per item: benchmark, item_id, prompt, response, score (null = unscored), excluded, ..."""
        return self._table("items")

    @made_once
    def concepts(self) -> pl.DataFrame:
        """One row per concept of the SAE: label, kind, chi_bench, chi_model (null = undefined), support, ..."""
        return self._table("concepts")

    @made_once
    def concept_benchmarks(self) -> pl.DataFrame:
        """One row per concept and benchmark."""
        return self._table("concept_benchmarks")

    @made_once
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark: items, kept, excluded, scored, mean_score, covered, missing, alive, ..."""
        return self._table("benchmarks")

    @made_once
    def overlap(self) -> pl.DataFrame:
        """One row per ordered pair of benchmarks: jaccard, cosine, spearman, n_concepts."""
        return self._table("overlap")

    @made_once
    def themes(self) -> pl.DataFrame | None:
        """One row per concept: theme, subtheme, x, y (null: in none); None without a dictionary's themes."""
        return self._optional("themes")

    @made_once
    def theme_results(self) -> pl.DataFrame | None:
        """One row per theme and subtheme: level, id, parent, name, kind, and the statistics of its summed activation.

        None without a dictionary's themes.
        """
        results, names = self._optional("theme_results"), self._optional("theme_names")
        if results is None or names is None:
            return None
        keys = ["level", "id"]
        return results.join(names.select(*keys, "name", "kind"), on=keys, how="left", maintain_order="left")

    @made_once
    def theme_benchmarks(self) -> pl.DataFrame | None:
        """One row per theme or subtheme and benchmark; None without a dictionary's themes."""
        return self._optional("theme_benchmarks")

    @made_once
    def findings(self) -> pl.DataFrame:
        """One row per finding, weak ones first: verdict, concepts, gap, feature, sentence, failing, passing, ...

        Columns are those of ``competency_gaps.findings.table.SCHEMA``.
        """
        return self._table("findings")

    def scan(self, name: str) -> pl.LazyFrame:
        """Read a table when it is collected, and only what is chosen of it.

        Raises
        ------
        UserError
            If the table is missing, damaged, or not the one that the manifest knows.
        """
        return self.files.scan(name)

    @made_once
    def files(self) -> RunFiles:
        """Its files, which are checked before they are read."""
        return RunFiles(self.path, self.base, self.manifest)

    def document(self, file: Path) -> bytes:
        """Read a document that another command put into the run folder.

        Raises
        ------
        UserError
            If its content does not match its checksum.
        """
        raw = file.read_bytes()
        try:
            held = parse_document(raw)
        except ValueError:
            return raw  # whoever parses it says which command makes it again
        try:
            return json.dumps(check_document(held)).encode()
        except ValueError as error:
            command = _MADE_BY.get(file.name if file.parent == self.path else file.relative_to(self.path).parts[0])
            again = "the command that made it" if command is None else f"'cgaps {command}'"
            raise damaged(file, error, f"Run {again} again, or remove the file.") from error

    @property
    def width(self) -> int:
        """Number of concepts of the SAE."""
        return int(self.manifest["sae"]["d_sae"])

    def cas(self, benchmark: str) -> sp.csr_array:
        """Concept activation scores of one benchmark.

        Returns
        -------
        csr_array of float32 of shape (items of the benchmark in the order of ``items``, SAE width)
            An excluded item's row is empty.

        Raises
        ------
        UserError
            If the run has no such benchmark.
        """
        entry = self._entry(benchmark)
        blocks = list(self._store.blocks(shard_names(entry)))
        empty = sp.csr_array((1, self.width), dtype=np.float32)
        stacked = sp.csr_array(sp.vstack([empty, *(block.cas for block in blocks)], format="csr"))
        place = np.zeros(int(entry["items"]), np.int64)
        place[[item for block in blocks for item in block.items]] = np.arange(1, stacked.shape[0])
        return stacked[place]

    def concept_items(
        self, concept: int, *, benchmark: str | None = None, order: Order = "strongest", limit: int = 5
    ) -> pl.DataFrame:
        """Items in which a concept is active, one of each cluster.

        Parameters
        ----------
        order
            ``strongest``: highest CAS first; ``best``: highest score first, ``worst``: lowest first,
            both among scored items and by CAS where scores tie.

        Returns
        -------
        polars.DataFrame
            benchmark, item_id, text, response, answer, score, cas, ncas (saliency in [0, 1]), peak_start and
            peak_end (character range of the peak token in ``text``), own_start and own_end (of the item's own text),
            cluster, repeats (items that ask the same and in which the concept is active, at least 1; of those with a
            score where the order is by score; 1 in a cluster of several texts, as of one passage).

        Raises
        ------
        UserError
            If there is no such concept or benchmark.
        """
        self.check_concept(concept)
        if order not in get_args(Order) or limit < 0:
            raise UserError(
                f"order {order!r} and limit {limit}: expected one of {', '.join(get_args(Order))}, and 0 or more items."
            )
        if benchmark is not None:
            self._entry(benchmark)
        column = self.by_concept.column(concept)
        tau = self.concepts["tau"][concept]
        table = self.items[column.item].select(
            "benchmark", "item_id", "text", "response", "answer", "score", "own_start", "own_end", "cluster"
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
        """The tokens on which a concept is active, in some items.

        Parameters
        ----------
        rows
            Rows of ``items``.

        Returns
        -------
        list of TokenActivations or None, one per row
            Character ranges in ``items["text"]`` and activations; empty where the concept is active on no token.
            None: the item is excluded, or the run kept no activations of tokens (``keep_token_activations``).

        Raises
        ------
        UserError
            If there is no such concept or row.
        """
        self.check_concept(concept)
        return self._tokens.read(concept, rows)

    def item_token_activations(self, row: int, concepts: np.ndarray) -> list[TokenActivations] | None:
        """The tokens of one item on which some concepts are active.

        Parameters
        ----------
        row
            Row of ``items``.
        concepts : ndarray of int of shape (n,)

        Returns
        -------
        list of TokenActivations, one per concept, or None
            As of :meth:`token_activations`, but read in one go.

        Raises
        ------
        UserError
            If there is no such row.
        """
        return self._tokens.read_item(row, concepts)

    @property
    def has_rows(self) -> bool:
        """Whether the rows of single items are there: not after ``cgaps prune``."""
        return not is_pruned(self.base / "activations")

    @made_once
    def has_token_activations(self) -> bool:
        """Whether the run keeps activations of single tokens, of some items at least."""
        return self.has_rows and self._tokens.any()

    def check_concept(self, concept: int) -> None:
        """Raise UserError if the SAE has no such concept."""
        if not isinstance(concept, (int, np.integer)):
            raise UserError(f"concept {concept!r}: expected its number, an int from 0 to {self.width - 1}.")
        if not 0 <= concept < self.width:
            raise UserError(f"concept {concept} does not exist: the SAE has concepts 0 to {self.width - 1}.")

    @made_once
    def by_concept(self) -> ByConcept:
        """The items of each concept, on disk."""
        self.files.check_arrays()
        return self._of_width(ByConcept(self.base / "activations"))

    def _of_width(self, by_concept: T) -> T:
        if (held := len(by_concept.support)) != self.width:
            raise UserError(
                f"{self.base / 'activations'} has activations of {held:,} concepts, expected {self.width:,}: the run "
                "is damaged. Run the command that made it again."
            )
        return by_concept

    @made_once
    def item_rows(self) -> ItemRows:
        """The concepts of each item, on disk."""
        return ItemRows(self._index)

    @made_once
    def _tokens(self) -> TokenReader:
        return TokenReader(self._index)

    @made_once
    def _index(self) -> ShardIndex:
        known = [(int(entry["items"]), shard_names(entry)) for entry in self.manifest["benchmarks"]]
        kept = self.scan("items").select(pl.col("excluded").is_null()).collect()["excluded"].to_numpy()
        return ShardIndex(self._store.shards, known, kept)

    @property
    def _store(self) -> CasStore:
        return CasStore(self.base / "activations", self.width)

    def _entry(self, benchmark: str) -> dict[str, Any]:
        known = {entry["name"]: entry for entry in self.manifest["benchmarks"]}
        if benchmark not in known:
            raise UserError(
                f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
            )
        return dict(known[benchmark])

    def _optional(self, name: str) -> pl.DataFrame | None:
        return self._table(name) if self.files.has(name) else None

    def _table(self, name: str) -> pl.DataFrame:
        return self.files.collect(name, self.scan(name))


def shard_names(entry: dict[str, Any]) -> list[str]:
    """Names of a benchmark's shards.

    Raises
    ------
    UserError
        If a name is not plain: a run folder may come from somebody else, and must not refer to files outside it.
    """
    names = list(entry["shards"])
    for name in names:
        if not is_shard_name(name):
            raise UserError(
                f"the manifest names a shard {shorten(repr(name), 80)}: expected a name such as 'b000-0000'. The run "
                "is damaged; get a new copy from its source."
            )
    return names
