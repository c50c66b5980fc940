"""A finished run: its tables, concepts and models, and all that can be computed from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl

from competency_gaps.api.notebook import notebook_card
from competency_gaps.findings import kept
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.scores import MatchedModel, add_scores
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural

if TYPE_CHECKING:
    from competency_gaps.findings.compare import Comparison
    from competency_gaps.findings.coverage import Coverage
    from competency_gaps.findings.finding import Answer, ModelSlices
    from competency_gaps.findings.match import Matching
    from competency_gaps.improve.drafts import Drafts
    from competency_gaps.improve.keep import Kept
    from competency_gaps.items.config import LLMConfig

Against = Literal["peers"] | str | Sequence[str] | None


class Run(RunFolder):
    """A finished run. Tables are polars frames, read on first access; nothing here needs torch.

    Two runs are equal if they have the same folder and manifest. A run is pickled as its path, a view with its tables.
    """

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce__(self) -> tuple[Callable[..., Run], tuple[Any, ...]]:
        return (type(self), (self.path, self.manifest, self.tables)) if self.tables else (open_run, (self.path,))

    def __repr__(self) -> str:
        models = self.models["model"]
        whose = self.scored_model if models.len() < 2 else plural(models.len(), "model")
        benchmarks = self.manifest["benchmarks"]
        items = plural(sum(benchmark["items"] for benchmark in benchmarks), "item")
        return f"Run({str(self.shown_path)!r}: {whose}, {plural(len(benchmarks), 'benchmark')}, {items})"

    def _repr_html_(self) -> str:
        return notebook_card(self)

    def answer(self, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Answer:
        """Return where a model is weak and strong: at most ten slices, as ``cgaps show`` lists them.

        Parameters
        ----------
        model
            Its name, as in :attr:`models`; None: the only one, or the run's own.
        against
            ``"peers"``: the scores of models at its level; ``"benchmark"``: the average of its own scores; a model's
            name: that model's scores; a list of names: these as peers. None: peers if the run has at least two at its
            level, else the average of its own scores.
        parsed
            Whether to use, instead of scores, whether each answer could be parsed.

        Returns
        -------
        Answer
            ``findings``, worst first; gaps are fractions (0.08 is 8 points).

        Raises
        ------
        UserError
            If the run has no scores of a model, or too few peers.
        """
        return kept.answer(self.run_itself(), model, against, parsed=parsed)

    def answers(self, against: Against = None) -> dict[str, Answer]:
        """Return the answers of all scored models, by name; ``against`` as in :meth:`answer`."""
        return kept.answers(self.run_itself(), against=against)

    @property
    def slices(self) -> pl.DataFrame:
        """The slices from which answers are chosen, including single concepts.

        One row per slice: ``slice`` (its number), ``family``, ``name``, ``column`` (of which it is a category),
        ``parent`` (the node that contains it; null: none) and ``items`` (how many have a weight above 0).
        """
        from competency_gaps.findings.answer import listed, slices_of

        families = slices_of(self.run_itself())
        items = [count for family in families for count in (family.weights > 0).sum(axis=1).tolist()]
        return listed(families).with_columns(pl.col("parent").replace(-1, None), pl.Series("items", items, pl.Int64))

    @property
    def models(self) -> pl.DataFrame:
        """The models whose scores the run has.

        One row per model: ``model``, ``reads`` (whether the concepts are read from its activations), ``scored`` and
        ``unscored`` items, ``mean`` over the scored items and its 95% interval ``low``, ``high``.
        """
        from competency_gaps.findings.model_scores import models_table

        return models_table(self)

    def as_model(
        self,
        model: str,
        against: Against = None,
        *,
        parsed: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Return a view of the run through the scores of one of its models.

        Parameters
        ----------
        model
            Its name, as in :attr:`models`.
        against
            ``"peers"``: its scores less those expected from models at its level, so that an item's difficulty is no
            weakness; a list of names: these are the peers; a single name: its scores less that model's; None: its
            scores.
        parsed
            Whether to use, instead of scores, whether each answer could be parsed: concepts that go with failure are
            then those on whose items fewer answers are parsed.

        Returns
        -------
        Run
            A view with the same items and concepts, where figures of concepts are the model's, for drilling down from
            its :meth:`answer`.

        Raises
        ------
        UserError
            If the run has no scores of a model, or too few peers.
        """
        from competency_gaps.findings.answer import outcome_kind
        from competency_gaps.findings.outcomes import outcome_run

        if parsed and against is not None:
            raise UserError(f"{argument('parsed')} and {argument('against')}: expected one of the two.")
        kind, others = outcome_kind(against, parsed=parsed)
        of_model = outcome_run(self, model, kind, against=others, progress=progress)
        return type(self)(of_model.path, of_model.manifest, of_model.tables)

    def model_slices(
        self, *, against: Against = None, models: Sequence[str] | None = None, max_slices: int = 40
    ) -> ModelSlices:
        """Return how each model does on the slices on which models differ.

        Parameters
        ----------
        against
            What a model's gaps are measured against. None: its peers if it has any, else its own average;
            ``"benchmark"``: its own average; ``"peers"``: peers, for models that have any.
        models
            Names of models; None: all that have scores.
        max_slices
            Maximum number of slices.

        Returns
        -------
        ModelSlices
            ``slices``: those on which models differ, columns of the items first. ``cells``: one row per model and
            slice, with ``gap``, ``low``, ``high`` and ``verdict`` as in ``cgaps show``.

        Raises
        ------
        UserError
            If the run has no slices or scores, or no model can be compared.
        """
        return kept.model_slices(self, against=against, models=models, max_slices=max_slices)

    def scores_by(self, column: str) -> pl.DataFrame:
        """Return how every model scores on each category of a column, and which models may be the best there.

        Parameters
        ----------
        column
            ``"group"``, ``"benchmark"`` or another ``column`` of :attr:`slices`.

        Returns
        -------
        polars.DataFrame
            One row per category and model, the best mean first: ``slice`` (its number), ``category``, ``items``,
            ``model``, ``scored``, ``mean`` (over the scored items; null: none) with its 95% interval ``low``, ``high``
            (repeats count once), all in [0, 1], and ``may_be_best``: no other model scores significantly more on the
            items that both were scored on. The best model is among these with at least 95% confidence.

        Raises
        ------
        UserError
            If the items have no such column, or the run has no scores.
        """
        from competency_gaps.findings.models import scores_by

        return scores_by(self, column)

    def scores_on(self, slice: int | str) -> pl.DataFrame:
        """Return how every model scores on one slice (its number or name in :attr:`slices`), as :meth:`scores_by`."""
        from competency_gaps.findings.models import scores_on

        return scores_on(self, str(slice))

    def compare(self, candidate: str, baseline: str, *, min_effect: float = 0.0) -> Comparison:
        """Compare two models of the run item by item; two runs are compared by :func:`competency_gaps.compare`.

        Parameters
        ----------
        candidate, baseline
            Their names, as in :attr:`models`.
        min_effect
            A difference counts only if its whole interval lies beyond this; in [0, 1).

        Returns
        -------
        Comparison
            ``answer`` (the list of slices for the difference), ``overall``, ``slices`` (categories) and ``items`` as
            polars frames, and a ``verdict``.

        Raises
        ------
        UserError
            If the run has no scores of a model, or no item is scored for both.
        """
        from competency_gaps.findings.compare import compare_models

        return compare_models(self.run_itself(), candidate, baseline, min_effect=min_effect)

    def add_scores(
        self,
        scores: Path | str | pl.DataFrame | Mapping[str, Mapping[str, float | None]],
        *,
        benchmark: str | None = None,
        replace: bool = False,
    ) -> list[MatchedModel]:
        """Add the scores of models, and return counts of matched rows.

        Parameters
        ----------
        scores
            A table with a column ``id`` and one column per model, as a file (CSV, TSV, JSONL, Parquet) or a frame; or
            ``{model: {id: score}}``. Scores lie in [0, 1]; empty, None or NaN = unscored, never 0.
        benchmark
            The benchmark of the items; None: taken from a column ``benchmark`` or from the ids.
        replace
            Whether to replace a model's different score of an item; otherwise it is an error.

        Returns
        -------
        list of MatchedModel
            For each model, how many rows were matched, scored and unmatched.

        Raises
        ------
        UserError
            If a model is the run's own, an item has another score of it, a score is not a number from 0 to 1, an item
            has two rows of one model, or no row of a model belongs to an item. Nothing is added then.
        """
        from competency_gaps.logs.scores import read_scores

        return add_scores(self.run_itself(), read_scores(scores, benchmark), replace=replace)

    def add_log(
        self,
        path: Path | str,
        *,
        benchmark: str | None = None,
        model: str | None = None,
        metric: str | None = None,
        scorer: str | None = None,
        replace: bool = False,
    ) -> list[MatchedModel]:
        """Add models' scores and responses from another tool's log of the same items, and return the counts.

        Parameters
        ----------
        path
            A log, or a folder of logs of one or several models.
        benchmark
            The run's benchmark that the items belong to; None: the one named like the log.
        model
            Name of the model; None: the name in the log.
        metric, scorer
            Which of the log's scores to use, as for the run's own benchmark; None: each format's default.
        replace
            Whether to replace a model's different score of an item; otherwise it is an error.

        Returns
        -------
        list of MatchedModel
            As :meth:`add_scores`.

        Raises
        ------
        UserError
            As :meth:`add_scores`, or if nothing can be read there.
        """
        from competency_gaps.items.config import ScoresConfig, parse_config
        from competency_gaps.logs.scores import read_score_log

        options = {"benchmark": benchmark, "model": model, "metric": metric, "scorer": scorer}
        log = parse_config(ScoresConfig, {"path": str(path), **options}, str(path))
        return add_scores(self.run_itself(), read_score_log(log), replace=replace)

    def check(
        self, *, against: RunFolder | Path | str | None = None, seed: int = 0, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Test whether the run's results are robust: by subsampling, ablation and halves, and against another run.

        The results and a new report are written into the run's folder; those of a view (:meth:`as_model`) are only
        returned.

        Parameters
        ----------
        against
            Another run on the same items: another SAE or layer, or a repeat; None: no other. If this run is a view, the
            same outcome of the same model is taken there, which needs that model's scores.
        seed
            Seed of the draws and splits.
        progress
            None: quiet.

        Returns
        -------
        dict
            ``verdicts`` and the figures behind them, as in ``robustness.json``.

        Raises
        ------
        UserError
            If the run has no reading, no scored item or no tested concept, or shares no item with ``against``.
        """
        from competency_gaps.findings.outcomes import outcome_run
        from competency_gaps.findings.robustness import assess

        self.check_reading("This check")
        progress = progress or Progress(quiet=True)
        other = open_folder(against) if isinstance(against, (Path, str)) else against
        outcome = self.manifest.get("outcome")
        if other is not None and outcome is not None and "outcome" not in other.manifest:
            names = tuple(outcome["against"])
            other = outcome_run(other, self.scored_model, outcome["kind"], against=names, progress=progress)
        figures = assess(self, progress, against=other, seed=seed)
        if outcome is None:
            self.report(progress=progress)
        return figures

    def name(self, dictionary: Path | str, *, progress: Progress | None = None) -> Self:
        """Put a dictionary's labels and atlas on the run, and write its report again.

        Returns
        -------
        Run
            The run as it is now on disk; this object still has the tables that it has read.
        """
        from competency_gaps.pipeline.naming import name_finished_run

        progress = progress or Progress(quiet=True)
        with progress.stage("naming concepts"):
            manifest = name_finished_run(self.path, Path(dictionary)).manifest
        named = type(self)(self.path, manifest)
        named.report(progress=progress)
        return named

    @property
    def report_file(self) -> Path:
        """Path of the run's report, ``report.html`` in its folder."""
        return self.path / "report.html"

    def report(self, *, progress: Progress | None = None) -> None:
        """Write ``report.html`` in the run's folder again."""
        from competency_gaps.view.page.export import write_report

        write_report(self, self.report_file, progress=progress)

    def match(
        self,
        list: Path | str,
        *,
        model: str | None = None,
        against: Against = None,
        level: float = 0.05,
        progress: Progress | None = None,
    ) -> Matching:
        """Match a list of weaknesses, skills or attacks against the run; the result is also written into its folder.

        Parameters
        ----------
        list
            JSON, JSONL, CSV or YAML of records with ``id``, ``description`` and, optionally, ``examples``
            (prompts, or ids of items); a log of AutoDetect, garak or another tool, whose groups of items are the
            entries; tags of the run's items, as a table of ``id`` and a column of 0 and 1 per tag, or the name of a
            column of the items. Examples that are not items of the run are read by its model and SAE once.
        model, against
            The outcome to use, as in :meth:`answer`.
        level
            False-discovery rate, in (0, 1).
        progress
            None: quiet.

        Returns
        -------
        Matching
            ``entries`` with the slices that match each, ``rates`` with those expected by chance, and what the list
            ``lacks``.

        Raises
        ------
        UserError
            If the list cannot be read.
        """
        from competency_gaps.findings.match import match

        return match(self, list, model=model, against=against, level=level, progress=progress)

    def coverage(self, benchmark: str | None = None, description: str | None = None) -> Coverage:
        """Return what the items cover and miss, by region of the atlas and by the scopes that benchmarks state.

        Parameters
        ----------
        benchmark
            One of the run's benchmarks; None: all items together, and each benchmark.
        description
            What the benchmark claims to test, compared by the packaged sentence embedding; None: its ``scope`` in the
            run's configuration, compared when the run got its atlas.

        Returns
        -------
        Coverage
            ``regions`` with shares of items and counts of concepts, ``whole`` and ``benchmarks``. For all items
            together, and with the scores of six models, also ``redundancy``: which parts add what the others do not
            measure. A run without an atlas has only counts of concepts.

        Raises
        ------
        UserError
            If there is no such benchmark, or a description is given without one, or without an atlas.
        MissingExtraError
            If there is a description and onnxruntime is not installed.
        """
        from competency_gaps.findings.coverage import coverage
        from competency_gaps.findings.redundancy import redundancy

        report = coverage(self, benchmark, description)
        return report if benchmark is not None else replace(report, redundancy=redundancy(self))

    def keep(self, count: int, *, progress: Progress | None = None) -> Kept:
        """Choose a subset of items that predicts scores on all items: means, slices and the order of models.

        Parameters
        ----------
        count
            Number of items to keep.

        Returns
        -------
        Kept
            ``items``; ``predict`` estimates models' scores on all items from their scores on these; ``write`` writes
            them for other tools.

        Raises
        ------
        UserError
            If the run has too few items, or fewer than three models with scores.
        """
        from competency_gaps.improve.keep import keep

        return keep(self, count, progress=progress)

    def broken_items(self, *, progress: Progress | None = None) -> pl.DataFrame:
        """Rank the items by the chance that their key, text or parsing is wrong, judging by many models' answers.

        Returns
        -------
        polars.DataFrame
            One row per item, the most probably broken first: ``benchmark``, ``item_id``, ``chance`` (that it is broken,
            in [0, 1]; null: too few models are scored on it), ``log_odds`` (the same as log odds), ``models`` (scored
            on it), ``solved`` (their mean score), ``expected`` (their mean score on sound items in the same slices),
            ``strong`` and ``weak`` (mean scores of the strongest and the weakest third), ``wrong`` and ``alike``
            (models with a known wrong answer, and with the most common one), ``other_key`` (id of a repeat whose key
            differs), ``reason`` (in words, without the item's text) and ``text``.

        Raises
        ------
        UserError
            If the run has scores of too few models.
        """
        from competency_gaps.improve.broken_items import broken_items

        return broken_items(self, progress=progress)

    def new_items(
        self,
        slice: int | str | None = None,
        *,
        benchmark: str | None = None,
        description: str | None = None,
        n: int = 50,
        llm: LLMConfig | None = None,
        corpus: Path | str | None = None,
        out: Path | str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Drafts:
        """Write new items for a slice, or for what a benchmark lacks, and keep those that belong there.

        Parameters
        ----------
        slice
            A line of the run's :meth:`answer`, or the name of one of :attr:`slices`; None: the topics of the atlas that
            ``benchmark`` lacks.
        benchmark
            A benchmark that lacks topics; give either this or ``slice``.
        description
            What the benchmark is meant to test, as in :meth:`coverage`; None: its stated scope.
        n
            Number of items to keep.
        llm
            The language model that writes items; None: they come from ``corpus``.
        corpus
            Questions in any form that a benchmark file may have; None, and no ``llm``: the run's generators make items.
        out
            Folder to write; None: inside ``improve`` in the run's folder.
        dry_run
            Whether to only estimate the cost, without asking a model.
        progress
            None: quiet.

        Returns
        -------
        Drafts
            The new items, refused candidates and, if the run's model can answer them, its gap on the new items.

        Raises
        ------
        UserError
            If there is no such slice or benchmark, or nothing to take items from.
        """
        from competency_gaps.improve.new_items import new_items

        return new_items(
            self,
            slice,
            benchmark=benchmark,
            description=description,
            n=n,
            llm=llm,
            corpus=corpus,
            out=out,
            dry_run=dry_run,
            progress=progress,
        )


def open_run(path: Path | str) -> Run:
    """Return the finished run in a folder; needs no torch. It stays valid when the working directory changes.

    Raises
    ------
    UserError
        If the folder is not a finished run, or has an unknown schema version.
    """
    folder = open_folder(Path(path).resolve())
    return Run(folder.path, folder.manifest)
