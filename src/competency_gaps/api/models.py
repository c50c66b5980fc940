"""Many models on the items of one run: read the run as one of them, compare two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import polars as pl

from competency_gaps.errors import UserError, argument
from competency_gaps.outcomes import Kind
from competency_gaps.runs.open import RunFolder

if TYPE_CHECKING:
    from competency_gaps.progress import Progress
    from competency_gaps.stages.compare import Comparison

Against = Literal["peers"] | str | Sequence[str] | None


class Models(RunFolder):
    """Methods of :class:`~competency_gaps.Run` that read it as one of its models, or compare them; none needs torch."""

    @property
    def models(self) -> pl.DataFrame:
        """The models that the run has scores of.

        One row per model: ``model``, ``reads`` (whether the concepts are read from its activations), ``scored``,
        ``unscored``, ``mean`` over the scored items and its interval ``low``, ``high``.
        """
        from competency_gaps.stages.models import models_table

        return models_table(self)

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


def _kind(against_peers: bool) -> Literal["score", "peers"]:
    return "peers" if against_peers else "score"
