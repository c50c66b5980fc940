"""Lists of weaknesses, tags and scopes, set beside a run's concepts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder

if TYPE_CHECKING:
    from competency_gaps.config import LLMConfig, RunConfig
    from competency_gaps.matching.by_examples import ExampleMatching
    from competency_gaps.matching.match_run import By, RunMatching
    from competency_gaps.matching.scope_run import RunScope


class Lists(RunFolder):
    """Methods of :class:`~competency_gaps.Run` that match what other people list to its concepts."""

    def match(
        self,
        taxonomy: Path | str,
        *,
        by: By = "both",
        llm: LLMConfig | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> RunMatching:
        """Match a list of weaknesses, qualities or probes to the run's concepts; the outcome goes into its folder.

        Parameters
        ----------
        taxonomy
            JSON, JSONL, CSV or YAML of entries, an AutoDetect log, or a garak report.
        by
            ``labels``: entries' descriptions are compared with concepts' labels. ``examples``: the run's model and SAE
            read the entries' example prompts once, and concepts match which tell an entry's from those of others.
            ``both``: by labels, and by examples if the list has any.
        llm
            A language model that confirms pairs of entry and label; None: none is asked.
        progress
            None: quiet.
        options
            ``where``, ``kinds``, ``per_entry``, ``alpha``, ``embedder`` and ``seed`` of
            :func:`competency_gaps.matching.match_run.match_run`.

        Returns
        -------
        RunMatching
            ``matching`` (by labels) and ``by_examples`` with ``entries`` and ``pairs`` (polars frames) and the shares
            that are recovered.
        """
        from competency_gaps.matching.match_run import match_run

        def read(config: RunConfig, folder: Path) -> RunFolder:
            from competency_gaps.probes.concept import check_same_pair
            from competency_gaps.stages import pipeline

            made = pipeline.run(config, folder, progress)
            check_same_pair(self.run_itself(), made)
            return made

        return match_run(self, Path(taxonomy), by=by, read=read, llm=llm, progress=progress, **options)

    def match_tags(
        self,
        tags: Path | str | Mapping[str, str],
        *,
        alpha: float = 0.05,
        embedder: str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ExampleMatching:
        """Match tags of the run's own items: which concepts tell the items with a tag from those without it?

        Parameters
        ----------
        tags
            CSV or Parquet: ``id``, ``benchmark`` where ids are not unique in the run, and a column of 0 and 1 per tag.
            Or a column of the items, each value of which is a tag: ``benchmark``, ``group``, ``policy``, ``options``
            (their number), ``answer_position`` or a covariate. Or conditions by the tags' names, such as
            ``{"failed": "score < 0.5"}``, in SQL on ``id``, ``prompt``, ``response``, ``answer``, ``score``,
            ``n_span_tokens``, ``n_tokens``, ``epochs`` and these columns. A file goes before a column of its name.
        alpha
            Share of the matched tags that may be matched by accident.
        embedder
            sentence-transformers model for ``label_similarity``; None: the packaged all-MiniLM-L6-v2.
        seed
            Seed of the halves of the items, and of the nulls.
        progress
            None: quiet.

        Returns
        -------
        ExampleMatching
            ``entries`` (one per tag), ``pairs``, ``themes`` and ``unexplained`` as polars frames, and what is matched
            beside chance.

        Raises
        ------
        UserError
            If there is no such file or column, the table names items that the run does not have, or a condition is
            malformed.
        """
        from competency_gaps.matching.match_tags import match_tags

        return match_tags(self, tags, alpha=alpha, embedder=embedder, seed=seed, progress=progress)

    def scope(self, benchmark: str, *description: str, llm: LLMConfig | None = None, **options: Any) -> RunScope:
        """Rank what a benchmark lacks by how much it belongs to what it claims to test; the outcome is kept.

        Parameters
        ----------
        description
            What it claims to test; none: its ``scope`` in the run's configuration.
        llm
            A language model that confirms what is in scope; None: none is asked.
        options
            ``kinds``, ``alpha``, ``limit``, ``embedder``, ``seed`` and ``progress`` of
            :func:`competency_gaps.matching.scope_run.scope_run`.

        Returns
        -------
        RunScope
            ``findings``, whose ``lacking`` is the ranked frame.
        """
        from competency_gaps.matching.scope_run import scope_run

        return scope_run(self, benchmark, description, llm=llm, **options)
