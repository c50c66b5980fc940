"""Many models on the items of one run: add their scores, read the run as one of them, compare two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import polars as pl

from competency_gaps.errors import UserError, argument
from competency_gaps.outcomes import Kind
from competency_gaps.runs.matched_scores import Added, Scored
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.scores import add_scores

if TYPE_CHECKING:
    from competency_gaps.harnesses.every_eval_ever.results import WrittenResults
    from competency_gaps.progress import Progress
    from competency_gaps.stages.compare import Comparison

Against = Literal["peers"] | str | Sequence[str] | None


class Models(RunFolder):
    """Methods of :class:`~competency_gaps.Run` about other models' scores on its items; none needs torch."""

    @property
    def models(self) -> pl.DataFrame:
        """The models that the run has scores of.

        One row per model: ``model``, ``reads`` (whether the concepts are read from its activations), ``scored``,
        ``unscored``, ``mean`` over the scored items and its interval ``low``, ``high``.
        """
        from competency_gaps.stages.models import models_table

        return models_table(self)

    def add_scores(
        self,
        scores: Path | str | pl.DataFrame | Mapping[str, Mapping[str, float | None]],
        *,
        benchmark: str | None = None,
        replace: bool = False,
    ) -> list[Added]:
        """Add the scores of models, one column per model.

        Parameters
        ----------
        scores
            A table with a column ``id`` and one column per model, as a file (CSV, TSV, JSONL, Parquet) or a frame; or
            ``{model: {id: score}}``. Scores lie in [0, 1]; empty, None or NaN = unscored, never 0.
        benchmark
            The benchmark that the items are of; None: a column ``benchmark`` says it, or the ids do.
        replace
            Whether a score that an item has of a model already is replaced; else it is an error.

        Returns
        -------
        list of Added
            Per model how many rows were matched, scored and unmatched.

        Raises
        ------
        UserError
            If a model is the run's own, an item has another score of it, a score is no number from 0 to 1, an item
            has two rows of one model, or no row of a model belongs to an item. Nothing is added then.
        """
        from competency_gaps.harnesses.scores import frame_scores, read_score_table

        rows: Iterable[Scored]
        if isinstance(scores, pl.DataFrame):
            rows = frame_scores(scores, "the table of scores", benchmark)
        elif isinstance(scores, Mapping):
            rows = (
                Scored(model, str(item), benchmark, None if score is None or np.isnan(score) else float(score))
                for model, own in scores.items()
                for item, score in own.items()
            )
        else:
            rows = read_score_table(Path(scores), benchmark)
        return add_scores(self.run_itself(), rows, replace=replace)

    def add_log(
        self,
        path: Path | str,
        *,
        benchmark: str | None = None,
        model: str | None = None,
        format: str | None = None,
        metric: str | None = None,
        filter: str | None = None,
        scorer: str | None = None,
        replace: bool = False,
    ) -> list[Added]:
        """Add models' scores and responses from another tool's log of an evaluation on the same items.

        Parameters
        ----------
        path
            A log, or a folder of logs of one or several models.
        benchmark
            The run's benchmark that the items are of; None: the one of the log's own name.
        model
            What to call the model; None: as the log calls it.
        format
            Of the log; None: detected.
        metric, filter, scorer
            Which of the log's scores, as for the run's own benchmark; None: each format's default.
        replace
            Whether a score that an item has of a model already is replaced; else it is an error.

        Raises
        ------
        UserError
            As :meth:`add_scores`, or if nothing can be read there.
        """
        from competency_gaps.harnesses.scores import read_score_log

        rows = read_score_log(
            Path(path), benchmark, model=model, format_=format, metric=metric, filter=filter, scorer=scorer
        )
        return add_scores(self.run_itself(), rows, replace=replace)

    def as_model(
        self,
        model: str,
        against: Against = None,
        *,
        parsed: bool = False,
        all_kinds: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Read the run as the scores of one of its models.

        Parameters
        ----------
        model
            Its name, as in :attr:`models`.
        against
            ``"peers"``: its scores less what models of its level make of each item, so that an item's difficulty is no
            weakness; a list of names: these are the peers; a single name: its scores less that model's; None: its
            scores.
        parsed
            Read it, instead, as whether a score could be read from its answers: weak concepts are those on whose items
            fewer answers are parsed.
        all_kinds
            Rank and test concepts of every kind, not only contextual ones.

        Returns
        -------
        Run
            With the same items and concepts; evidence, themes and findings are the model's. Tables are kept in the
            run's folder, and made again when the scores they rest on change.

        Raises
        ------
        UserError
            If the run has no scores of a model, or too few peers.
        """
        from competency_gaps.stages.outcomes import outcome_run

        if parsed and against is not None:
            raise UserError(f"{argument('parsed')} and {argument('against')}: expected one of the two.")
        kind: Kind = "score" if against is None else "peers"
        others: tuple[str, ...] = ()
        if parsed:
            kind = "parsed"
        elif isinstance(against, str) and against != "peers":
            kind, others = "difference", (against,)
        elif against is not None and against != "peers":
            others = tuple(against)
        made = outcome_run(self, model, kind, against=others, all_kinds=all_kinds, progress=progress)
        return type(self)(made.path, made.manifest)

    def with_all_kinds(self, *, progress: Progress | None = None) -> Self:
        """Read the run, or the outcome that this is, with concepts of every kind ranked and tested.

        Parameters
        ----------
        progress
            None: quiet.

        Returns
        -------
        Run
            Verdicts, false-discovery rates and findings are over all alive concepts; a theme holds those that the
            dictionary put into it. The tables are kept in the run's folder, or in the cache folder.

        Raises
        ------
        MachineError
            If neither can be written.
        """
        from competency_gaps.stages.outcomes import outcome_run

        base, record = self.run_itself(), self.manifest.get("outcome", {})
        against = () if record.get("chosen") else tuple(record.get("against", ()))
        model, kind = record.get("model", base.scored_model), record.get("kind", "score")
        made = outcome_run(base, model, kind, against=against, all_kinds=True, progress=progress)
        return type(self)(made.path, made.manifest)

    def model_themes(
        self,
        *,
        against_peers: bool = False,
        models: Sequence[str] | None = None,
        level: str = "theme",
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """How each model does on each theme, with intervals, and false discoveries controlled over all cells.

        Parameters
        ----------
        against_peers
            Take scores against models of the model's level.
        models
            None: all; against peers those with enough peers.
        level
            ``theme`` or ``subtheme``.

        Returns
        -------
        polars.DataFrame
            One row per model and theme: ``model``, ``theme``, ``name``, ``n_eff``, ``mean``, ``gap``, ``gap_low``,
            ``gap_high``, ``p_value``, ``q_value``, ``status``.
        """
        from competency_gaps.stages.matrix import model_themes

        return model_themes(self, _kind(against_peers), models=models, level=level, progress=progress)

    def model_groups(
        self,
        *,
        against_peers: bool = False,
        models: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """How each model does on groups of concepts that share their items, as findings group them.

        Parameters
        ----------
        against_peers, models
            As of :meth:`model_themes`. The groups are led by the models' outcomes, so other models have other groups.

        Returns
        -------
        polars.DataFrame
            One row per model and group: ``model``, ``group`` (its leading concept), ``name`` (that concept's label),
            ``concepts`` (the leader first), and the numbers of :meth:`model_themes`. False discoveries are controlled
            over all models and all concepts, of which the groups are chosen. No row where no concept stands out for
            any model.
        """
        from competency_gaps.stages.matrix import model_groups

        return model_groups(self, _kind(against_peers), models=models, progress=progress)

    def item_models(self) -> pl.DataFrame:
        """What all models' scores say of each item.

        Returns
        -------
        polars.DataFrame
            One row per item: ``benchmark``, ``item_id``, ``models`` (scored on it), ``mean``, ``discrimination``
            (correlation with the models' scores on the benchmark's other items; null: too few models, or all alike),
            ``p_value`` and ``q_value`` of a discrimination below 0: strong models wrong, weak ones right; ``wrong``
            (models whose answer is known and wrong), ``alike`` (of these, those that give the most common answer) and
            ``alike_q``: models that agree on what the key calls wrong.
        """
        from competency_gaps.stages.models import item_models

        return item_models(self)

    def compare(self, candidate: str, baseline: str, *, min_effect: float = 0.0) -> Comparison:
        """Compare two models of the run item by item; two runs are compared by :func:`competency_gaps.compare`.

        Parameters
        ----------
        candidate, baseline
            Their names, as in :attr:`models`.
        min_effect
            Differences count if their whole interval lies beyond this, in [0, 1).

        Returns
        -------
        Comparison
            ``overall``, ``benchmarks``, ``themes``, ``concepts`` and ``items`` as polars frames, and a ``verdict``.

        Raises
        ------
        UserError
            If the run has no scores of a model, or no item is scored for both.
        """
        from competency_gaps.stages.compare import compare_models

        return compare_models(self.run_itself(), candidate, baseline, min_effect=min_effect)

    def export_results(
        self, folder: Path | str, *, models: Sequence[str] = (), organization: str = "unknown"
    ) -> list[WrittenResults]:
        """Write the models' scores and responses in the form of every_eval_ever, version 0.3.0.

        Parameters
        ----------
        folder
            Per model an aggregate ``UUID.json`` and ``UUID_samples.jsonl`` go to
            ``data/competency-gaps/DEVELOPER/MODEL/`` in it, with a checksum.
        models
            Their names; empty: all of :attr:`models` that have a score.
        organization
            Who made the scores.

        Returns
        -------
        list of WrittenResults
            Files and counts per model. Unscored items are left out and counted: the schema demands a number, and a 0
            would be read as a wrong answer.

        Raises
        ------
        UserError
            If the run has no scores of a model, or one that is named has no score at all.
        """
        from competency_gaps.harnesses.every_eval_ever.results import write_results

        return write_results(self.run_itself(), Path(folder), models=models, organization=organization)

    def run_itself(self) -> RunFolder:
        """The run that this is an outcome of; the run itself if it is none."""
        return open_folder(self.base) if "outcome" in self.manifest else self


def _kind(against_peers: bool) -> Literal["score", "peers"]:
    return "peers" if against_peers else "score"
