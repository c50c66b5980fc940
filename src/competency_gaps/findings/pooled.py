"""The groups that findings are made of, and the pooled evidence of each: a group is weighed as a concept is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Evidence, ItemSample, evidence
from competency_gaps.findings.table import Verdict
from competency_gaps.metrics.saliency import saliency

LEAST_WEIGHT = 0.1
"""Weight below which an item does not belong to a group: a quarter of what the leader gives at a typical activation."""


@dataclass(frozen=True)
class Group:
    """A leader with its followers."""

    verdict: Verdict
    concepts: tuple[int, ...]
    """The leader first, then by p-value."""

    @property
    def leader(self) -> int:
        """The concept that leads."""
        return self.concepts[0]


def groups_of(concepts: pl.DataFrame, q: float) -> list[Group]:
    """Choose the groups that are findings, so that their false-discovery rate is at most ``q``: weak ones first.

    Concepts are weak or strong by Benjamini and Hochberg over the tested ones. That rate does not carry over to
    groups: concepts of one cause collapse into a single group, while each concept that is an accident leads its own.
    Focused BH asks for more: of the ``m`` tested concepts, leaders with ``p <= t`` are kept for the largest ``t`` with
    ``m t / #(leaders with p <= t) <= q`` (Katsevich, Sabatti and Bogomolov, "Filtering the Rejection Set While
    Preserving False Discovery Rate Control", JASA 118 (2023)). Concepts of the other groups stay weak or strong.

    Parameters
    ----------
    concepts
        The table of concepts; ``p_value`` is null where a concept was not tested.
    q
        In (0, 1).
    """
    groups = led_groups(concepts)
    of_concept = dict(concepts.select("concept", "p_value").iter_rows())
    leading = np.array([of_concept[group.leader] for group in groups], np.float64)
    tested = concepts["p_value"].drop_nulls().len()
    rank = np.searchsorted(np.sort(leading), leading, side="right")
    last = leading[tested * leading <= q * rank].max(initial=-np.inf)
    return [group for group, p_value in zip(groups, leading, strict=True) if p_value <= last]


def led_groups(concepts: pl.DataFrame) -> list[Group]:
    """Give all groups in a table of concepts, findings or not: weak ones first."""
    led = concepts.filter(pl.col("performance_status").is_in(["weak", "strong"]) & pl.col("leader").is_not_null())
    groups = []
    for (verdict, leader), part in led.sort("p_value", "concept").group_by(
        "performance_status", "leader", maintain_order=True
    ):
        others = [concept for concept in part["concept"].to_list() if concept != leader]
        groups.append(Group(verdict, (leader, *others)))
    return sorted(groups, key=lambda group: (group.verdict != "weak", group.leader))


def group_weights(sample: ItemSample, groups: Sequence[Sequence[int]]) -> sp.csr_array:
    """Weigh every item for every group: its concepts, the leader first.

    ``W(x) = nCAS(leader, x) + sum over followers of r(c)^2 * nCAS(c, x)``. Saliencies make concepts comparable where
    CAS does not; here ``tau`` is the mean of the concept's non-zero CAS over the run. ``r(c)`` is the correlation of a
    follower's saliency with the leader's within benchmarks (0 if negative), so that a follower counts by the part of
    its variance that it shares with the leader: one that hardly goes with it does not thin out the group. Weights
    below ``LEAST_WEIGHT`` are 0.

    Returns
    -------
    csr_array of float64 of shape (groups, items)
    """
    rows = []
    for group in groups:
        own = sp.csr_array(sample.rows(np.array(group)), dtype=np.float64)
        count = np.diff(own.indptr)
        tau = np.asarray(own.sum(axis=1)).ravel() / np.maximum(1, count)
        own.data = saliency(own.data, np.repeat(tau, count))
        weights = np.asarray(_likeness(own, sample.benchmark) ** 2 @ own)
        rows.append(sp.csr_array(np.where(weights >= LEAST_WEIGHT, weights, 0.0)[None, :]))
    return sp.csr_array(sp.vstack(rows, format="csr")) if rows else sp.csr_array((0, len(sample.scores)))


def _likeness(rows: sp.csr_array, benchmark: np.ndarray) -> np.ndarray:
    """Correlation of each row with the first within benchmarks, at least 0; 1 for the first."""
    _, place = np.unique(benchmark, return_inverse=True)
    count = np.bincount(place)
    join = sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), len(count)))
    sums = np.asarray((rows @ join).todense())
    lead = rows[[0]].toarray()[0]
    product = rows @ lead - (sums * sums[0] / count).sum(axis=1)
    scatter = np.asarray(rows.power(2).sum(axis=1)).ravel() - (sums**2 / count).sum(axis=1)
    size = np.sqrt(np.maximum(scatter * scatter[0], 0.0))
    correlation = np.divide(product, size, out=np.zeros(rows.shape[0]), where=size > 1e-12)
    correlation[0] = 1.0
    return np.asarray(np.maximum(correlation, 0.0))


def as_sample(sample: ItemSample, weights: sp.csr_array) -> ItemSample:
    """The sample in which each group stands as a concept."""
    return replace(sample, rows=lambda asked: sp.csr_array(weights[asked]), support=np.diff(weights.indptr))


def pooled_evidence(sample: ItemSample, weights: sp.csr_array, config: EvidenceConfig) -> Evidence:
    """The evidence of every group, as a concept's; q-values are over the groups.

    All groups are tested, whatever their effective sample: the leader of each was.
    """
    return evidence(as_sample(sample, weights), config.model_copy(update={"min_n_eff": 2.0}), pooled=True)
