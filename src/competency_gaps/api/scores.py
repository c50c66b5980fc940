"""Scores of other models, put into a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.runs.matched_scores import Added, Scored
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import add_scores


class Scores(RunFolder):
    """Methods of :class:`~competency_gaps.Run` that add other models' scores to it."""

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
        from competency_gaps.logs.scores import frame_scores, read_score_table

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
        from competency_gaps.logs.scores import read_score_log

        rows = read_score_log(
            Path(path), benchmark, model=model, format_=format, metric=metric, filter=filter, scorer=scorer
        )
        return add_scores(self.run_itself(), rows, replace=replace)
