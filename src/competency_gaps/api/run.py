"""A finished run, to look at, ask and go on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.api.card import run_card
from competency_gaps.api.concept import Concept
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.report.charts import Plots
from competency_gaps.report.findings import missing
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.text import plural

if TYPE_CHECKING:
    from competency_gaps.config import AskConfig
    from competency_gaps.explorer.export import Exported
    from competency_gaps.matching import ScopeFindings
    from competency_gaps.matching.of_run import RunMatching
    from competency_gaps.probes.concept import Probed


class Rows(NamedTuple):
    """The kept items of one benchmark. N items, C concepts."""

    cas: sp.csr_array
    """float32 of shape (N, C), >= 0: concept activation scores."""
    scores: np.ndarray
    """float64 of shape (N,), in [0, 1]; NaN = unscored."""
    ids: list[str]
    """Their ``item_id``."""


class Run(RunFolder):
    """A finished run. Tables are polars frames, read when they are first asked for; none needs torch.

    Two runs are equal if they lie in one folder and have the same manifest. A run is pickled as its path.
    """

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce__(self) -> tuple[Callable[[Path], Run], tuple[Path]]:
        return _open, (self.path,)

    def __repr__(self) -> str:
        evidence = self.manifest["evidence"]
        return (
            f"Run({str(self.path)!r}: {self.manifest['model']['name']}, "
            f"{plural(len(self.manifest['benchmarks']), 'benchmark')}, "
            f"{plural(sum(one['items'] for one in self.manifest['benchmarks']), 'item')}, "
            f"{evidence['weak']} weak and {evidence['strong']} strong concepts)"
        )

    def _repr_html_(self) -> str:
        return run_card(self)

    def weak(self, *, benchmark: str | None = None, leaders: bool = False) -> pl.DataFrame:
        """Concepts on which the model does worse than on other items of the same benchmarks, lowest gap first.

        Parameters
        ----------
        benchmark
            By one benchmark's items alone; None: the whole suite.
        leaders
            Only the concept that leads each group of concepts with the same items.

        Returns
        -------
        polars.DataFrame
            Rows of ``concepts``, or of ``concept_benchmarks`` with ``label``.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        return self._judged("weak", benchmark, leaders=leaders)

    def strong(self, *, benchmark: str | None = None, leaders: bool = False) -> pl.DataFrame:
        """Concepts on which the model does better, highest gap first; parameters as of :meth:`weak`."""
        return self._judged("strong", benchmark, leaders=leaders)

    def missing(self, *, benchmark: str | None = None) -> pl.DataFrame:
        """Concepts that no item exercises, though the model has them and they bear no flag.

        Parameters
        ----------
        benchmark
            That this benchmark does not exercise; None: that none does.

        Returns
        -------
        polars.DataFrame
            Rows of ``concepts`` or ``concept_benchmarks``, those that a reference corpus has most often first.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        if benchmark is None:
            return missing(self.concepts)
        ranked = self.concepts.filter(pl.col("alive") & pl.col("ranked")).select("concept", "density")
        table = self._of_benchmark(benchmark).join(ranked, on="concept", maintain_order="left")
        return table.filter(pl.col("coverage_status") == "missing").sort("density", descending=True, nulls_last=True)

    def concept(self, number: int) -> Concept:
        """One concept with its figures, its items and the tokens that excite it.

        Raises
        ------
        UserError
            If the SAE has no such concept.
        """
        self.check_concept(number)
        return Concept(self, number)

    def find(self, words: str) -> pl.DataFrame:
        """Concepts whose labels have all of some words; see :meth:`RunFolder.find_concepts`."""
        return self.find_concepts(words)

    def rows(self, benchmark: str) -> Rows:
        """Concept activation scores of a benchmark's kept items, with their scores and ids.

        Raises
        ------
        UserError
            If there is no such benchmark.
        """
        cas = self.cas(benchmark)
        items = self.items.filter(pl.col("benchmark") == benchmark)
        kept = items["excluded"].is_null().to_numpy()
        chosen = items.filter(pl.col("excluded").is_null())
        scores = chosen["score"].fill_null(float("nan")).to_numpy()
        return Rows(sp.csr_array(cas[kept]), scores, chosen["item_id"].to_list())

    @property
    def plot(self) -> Plots:
        """Figures: ``gaps``, ``themes``, ``overlap``, ``coverage``, each on a matplotlib axes."""
        return Plots(self)

    def robustness(
        self, *, against: Run | Path | str | None = None, seed: int = 0, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Test the run as a whole: subsampling, ablation, held-out items; the outcome goes into its folder.

        Parameters
        ----------
        against
            Another run of the same items: another SAE or layer, or the same again.
        seed
            Of the draws and splits.

        Returns
        -------
        dict
            ``verdicts`` and the figures behind them, as ``robustness.json`` holds them.
        """
        from competency_gaps.robustness import assess

        other = against if isinstance(against, RunFolder) or against is None else open_folder(against)
        return assess(self, progress or Progress(quiet=True), against=other, seed=seed)

    def match(self, taxonomy: Path | str, *, ask: AskConfig | None = None, **options: Any) -> RunMatching:
        """Match a list of weaknesses, qualities or probes to the run's concepts; the outcome goes into its folder.

        Parameters
        ----------
        taxonomy
            JSON, JSONL, CSV or YAML of entries, an AutoDetect log, or a garak report.
        ask
            A language model that confirms pairs; None: none is asked.
        options
            ``where``, ``kinds``, ``per_entry``, ``alpha``, ``embedder``, ``seed`` and ``progress`` of
            :func:`competency_gaps.matching.of_run.match_run`.

        Returns
        -------
        RunMatching
            ``matching`` with ``entries`` and ``pairs`` (polars frames) and the shares that are recovered.
        """
        from competency_gaps.endpoint.asking import Asking
        from competency_gaps.matching.of_run import match_run

        return match_run(self, Path(taxonomy), asking=Asking.of(ask) if ask is not None else None, **options)

    def scope(self, benchmark: str, *description: str, ask: AskConfig | None = None, **options: Any) -> ScopeFindings:
        """Rank what a benchmark lacks by how much it belongs to what it claims to test; the outcome is kept.

        Parameters
        ----------
        description
            What it claims to test; none: its ``scope`` in the run's configuration.
        ask
            A language model that confirms what is in scope; None: none is asked.
        options
            ``kinds``, ``alpha``, ``limit``, ``embedder``, ``seed`` and ``progress`` of
            :func:`competency_gaps.matching.of_run.scope_run`.

        Returns
        -------
        ScopeFindings
            ``lacking`` is the ranked frame.
        """
        from competency_gaps.endpoint.asking import Asking
        from competency_gaps.matching.of_run import scope_run

        asking = Asking.of(ask) if ask is not None else None
        return scope_run(self, benchmark, description, asking=asking, **options)[0]

    def probe(
        self,
        concepts: Sequence[int],
        *,
        items: int = 300,
        min_saliency: float = 0.2,
        q: float = 0.05,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Probed:
        """Test whether weaknesses hold on new items of the run's generated benchmarks.

        Parameters
        ----------
        items
            New items of each benchmark in which one of the concepts is active.
        min_saliency
            Saliency in (0, 1) from which an item counts as exciting a concept.
        q
            False-discovery rate over the probed concepts.
        seed
            Another one gives other new items.

        Returns
        -------
        Probed
            ``findings``, a verdict for each concept; also kept in the run's folder.

        Raises
        ------
        UserError
            If there is no such concept, or none of them is active in a generated benchmark.
        """
        from competency_gaps.probes.concept import Criterion, probe_generated
        from competency_gaps.probes.targets import targets

        if not len(concepts):
            raise UserError("no concept is given to probe.")
        criterion = Criterion(min_saliency, q, seed=seed)
        quiet = progress or Progress(quiet=True)
        return probe_generated(self, targets(self, list(concepts)), criterion, quiet, items=items, seed=seed)

    def name(self, dictionary: Path | str) -> Run:
        """Put a dictionary's labels and themes on the run.

        Returns
        -------
        Run
            The run as it is now in its folder; this one keeps the tables that it has read.
        """
        from competency_gaps.stages.naming import name_finished_run

        name_finished_run(self.path, Path(dictionary))
        return _open(self.path)

    def report(self, out: Path | str | None = None) -> Path:
        """Write the report, one HTML file.

        Parameters
        ----------
        out
            Where to; None: ``report.html`` in the run's folder.

        Returns
        -------
        Path
            Where it is.
        """
        from competency_gaps.report import write_report

        return write_report(self, Path(out) if out is not None else self.path / "report.html")

    def export(self, folder: Path | str, *, redact: bool = False, progress: Progress | None = None) -> Exported:
        """Write the explorer as a folder that opens without a server.

        Parameters
        ----------
        redact
            Leave out prompts, responses, answers, and what is made of them.

        Raises
        ------
        UserError
            If the folder holds anything but an older export.
        """
        from competency_gaps.explorer.export import export
        from competency_gaps.explorer.opened import open_runs

        return export(open_runs([self.path]), Path(folder), redact=redact, progress=progress)

    def _judged(self, status: str, benchmark: str | None, *, leaders: bool) -> pl.DataFrame:
        table = self.concepts if benchmark is None else self._of_benchmark(benchmark)
        chosen = table.filter(pl.col("performance_status") == status)
        if leaders:
            chosen = chosen.filter(pl.col("leader") == pl.col("concept"))
        return chosen.sort("gap", descending=status == "strong", maintain_order=True)

    def _of_benchmark(self, benchmark: str) -> pl.DataFrame:
        known = self.benchmarks["benchmark"].to_list()
        if benchmark not in known:
            raise UserError(f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.")
        table = self.concept_benchmarks.filter(pl.col("benchmark") == benchmark)
        labels = self.concepts.select("concept", "label")
        return table.join(labels, on="concept", maintain_order="left").select(
            "concept", "label", pl.exclude("concept", "label")
        )


def _open(path: Path) -> Run:
    folder = open_folder(path.resolve())
    return Run(folder.path, folder.manifest)
