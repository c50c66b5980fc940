"""The outcome of one of a run's models: its scores alone, or compared with other models'."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.evidence import outcomes
from competency_gaps.evidence.outcomes import Kind, Outcome
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import ModelScores
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.text import plural


class Peers(NamedTuple):
    """The peers of a model, and how near they are to its level."""

    rows: np.ndarray
    """int64 of shape (peers,): rows of the peers in :attr:`ModelScores.values`."""
    distance: float
    """Mean absolute difference between the peers' mean scores and the model's, in [0, 1]. Peers that share too few
    items with the model are left out; 0 if that leaves none."""


def outcome_of(
    run: RunFolder, scores: ModelScores, model: str, kind: Kind, against: tuple[str, ...] = ()
) -> tuple[Outcome, Peers | None]:
    """Return a model's outcome, one number per item of the run.

    Parameters
    ----------
    run
        The run itself, not a view of it.
    scores
        Scores of all the run's models.
    model, kind
        Name of the model, and the outcome to compute: ``score``, ``peers``, ``difference`` or ``parsed``.
    against
        For ``peers``, the names of at least two peers (empty: the eight nearest within 12 points); for ``difference``,
        the name of one other model.

    Returns
    -------
    Outcome
    Peers or None
        None: the kind is not ``peers``.

    Raises
    ------
    UserError
        If the run has no scores of a model, or too few peers at its level.
    """
    row, of_model, against = scores.row(model), Outcome("score", model, scores.of(model)), tuple(dict.fromkeys(against))
    if kind == "score":
        return of_model, None
    if kind == "parsed":
        return Outcome(kind, model, np.where(scores.asked[row], ~np.isnan(of_model.values), np.nan)), None
    if kind == "difference":
        if len(against) != 1:
            raise UserError(f"{argument('against')}: expected one other model, got {list(against)}.")
        return outcomes.difference(of_model, Outcome("score", against[0], scores.of(against[0]))), None
    peers = np.array([scores.row(name) for name in against]) if against else outcomes.choose_peers(scores.values, row)
    if len(peers) < outcomes.MIN_PEERS or row in peers:
        raise UserError(
            f"{model} has {plural(len(peers), 'peer')} ({', '.join(scores.models[peer] for peer in peers) or 'none'}): "
            f"a comparison with peers needs at least {outcomes.MIN_PEERS} other models with scores on the same "
            "items. Add models, or compare with a single one."
        )
    away = outcomes.distances(scores.values, row)[peers]
    known = np.isfinite(away)
    distance = float(away[known].mean()) if known.any() else 0.0
    if distance > outcomes.MAX_DISTANCE:
        levels = ", ".join(
            f"{scores.models[peer]} by {100 * far:.0f}" for peer, far in zip(peers[known], away[known], strict=True)
        )
        raise UserError(
            f"the peers of {model} are not at its level: their mean scores differ from its own by {100 * distance:.0f} "
            f"points of 100 on average ({levels}). Beyond {100 * outcomes.MAX_DISTANCE:.0f}, what is hard for "
            "everybody can look like a weakness of its own. Add models at its level, or compare it with a single one "
            f"({argument('against')})."
        )
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    group = run.items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    expected = outcomes.expected_scores(scores.values, row, peers, group)
    if not expected.slopes:
        raise UserError(
            f"no benchmark has scores of {model} and of {outcomes.MIN_PEERS} of its peers: "
            f"{', '.join(scores.models[peer] for peer in peers)}."
        )
    against = tuple(scores.models[peer] for peer in peers)
    outcome = Outcome("peers", model, of_model.values - expected.values, against)
    return outcome, Peers(peers, distance)
