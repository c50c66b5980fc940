"""What an answer is made of: data only; its words are made in ``view/words.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from competency_gaps.evidence.outcomes import Kind

MAX_FINDINGS = 10
"""Most slices of a list."""
STRATA = "strata"
"""Stands for everything held equal, among the covariates that explain a gap."""


Belief = Literal["solid", "likely", "a hint"]
SOLID, LIKELY = 0.93, 0.8
"""Least ``recurs`` of a finding that is solid, or likely: on held-out halves of seven benchmarks solid, likely and
other lines keep their side in 95, 87 and 74 of 100 cases, on those of MMLU-Pro more (``validation/own_profile.py``)."""


@dataclass(frozen=True)
class Finding:
    """A slice that was chosen because it explains outcomes that no earlier slice explains.

    Gaps are in units of the outcome (0.1 is ten points of 100), against comparable items.
    """

    number: int
    """Place in the list, from 1."""
    slice: int
    """As :attr:`~competency_gaps.slices.Family.number`."""
    family: str
    name: str
    gap: float
    """Expected on new items: the slice's own gap, shrunk by the joint model of all slices, which corrects for its
    having been chosen; ``heldout_gap`` is the plain gap on items that did not choose it."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    recurs: float
    """Probability that new items, half as many, show a gap on the same side."""
    belief: Belief
    """How far to believe the line, by ``recurs``."""
    items: int
    """Scored items that belong to it."""
    of_items: int
    """Items that belong to it, scored or not."""
    mean: float | None
    """Mean score of the scored items, in [0, 1]; None: the outcome is not a score."""
    in_halves: int
    """Half-samples that choose it again, or nearly the same slice."""
    halves: int
    """Half-samples drawn."""
    heldout_gap: float | None
    """Mean gap on the items that these half-samples leave out; None: none chose it."""
    heldout_low: float | None
    heldout_high: float | None
    rests_on: tuple[tuple[str, float], ...]
    """Names of earlier slices and of columns that explain part of its gap, with that part in [0, 1]; ``STRATA``: the
    part that disappears because only comparable items are compared."""
    example: int | None
    """Row of a typical item with a low outcome (a high one for a gap above 0); None: no item is scored."""
    typical: tuple[int, ...]
    """Rows of its most typical items in this run, at most two."""
    chance: float | None = None
    """Share of the scored items right by guessing; None: not all are multiple choice, scored right or wrong."""
    change: float | None = None
    """Difference of two models that is expected on new items of the slice; None: the outcome is no difference."""
    change_low: float | None = None
    """Lower end of its 95% interval."""
    change_high: float | None = None
    within: int | None = None
    """Number of the smallest line that holds nearly all of its items; None: none does."""


@dataclass(frozen=True)
class Caveat:
    """Something that a reader should know: a ``code`` and numbers, no words."""

    code: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Where a model is weak and strong: the same list for terminal, page, export and assistants."""

    model: str
    kind: Kind
    """Of the outcome: ``score``, ``peers``, ``difference`` or ``parsed``."""
    against: tuple[str, ...]
    """The peers, or the other model."""
    mean: float | None
    """Mean score over the scored items, in [0, 1]."""
    items: int
    """Kept items."""
    scored: int
    """Items with an outcome."""
    findings: tuple[Finding, ...]
    """At most ten: those below 0, the lowest gap first, then those above, the highest first."""
    families: tuple[str, ...]
    """Names of the families tested."""
    tested: int
    """Number of slices tested."""
    caveats: tuple[Caveat, ...] = ()
    """Those that may overturn the list come first."""
    right: bool = True
    """Whether every score is 0 or 1, so that a mean score is a share of right answers."""
    outcome: float | None = None
    """Mean outcome over the items that have one, such as the overall difference of two models; None: no item has."""
    chance: float | None = None
    """As :attr:`Finding.chance`, over all scored items."""

    @property
    def table(self) -> pl.DataFrame:
        """The findings as a frame, one row each in their order: ``number``, ``name``, ``gap`` with its 95% interval
        ``low``, ``high`` (fractions; 0.08 is 8 points), ``belief``, ``items`` (scored), ``mean`` and ``family``."""
        kinds = {"number": pl.Int64, "name": pl.String, **dict.fromkeys(("gap", "low", "high"), pl.Float64)}
        kinds |= {"belief": pl.String, "items": pl.Int64, "mean": pl.Float64, "family": pl.String}
        rows = [[getattr(one, name) for name in kinds] for one in self.findings]
        return pl.DataFrame(rows, schema=kinds, orient="row")

    _repr_html_: ClassVar[Callable[[Answer], str]]
    """What a notebook shows; set where cards are made, as an answer knows no words."""


MAX_SLICES = 40
"""Slices that tell models apart, at most."""
SLICES = {
    **{"slice": pl.Int64, "family": pl.String, "name": pl.String, "items": pl.Int64},
    **dict.fromkeys(("spread", "spread_low", "p_value", "q_value"), pl.Float64),
}
CELLS = {
    **{"model": pl.String, "against": pl.String, "slice": pl.Int64, "family": pl.String, "name": pl.String},
    **{"items": pl.Int64, "of_items": pl.Int64},
    **dict.fromkeys(("mean", "gap", "low", "high"), pl.Float64),
    **dict.fromkeys(("verdict", "reason"), pl.String),
}
"""Columns of :class:`ModelSlices`."""


class ModelSlices(NamedTuple):
    """Models against the slices that tell them apart."""

    slices: pl.DataFrame
    """One row per slice shown, the columns of the items first: ``slice`` (its number), ``family``, ``name``, ``items``,
    ``spread`` (standard deviation of the models' true gaps, with the noise taken off; 0.1 is ten points of 100),
    ``spread_low`` (lower end of its 95% interval, by which slices are ordered), ``p_value`` (do the models' gaps
    differ at all: Cochran's Q, Biometrics 10, 1954), ``q_value`` (Benjamini-Hochberg over all slices)."""
    cells: pl.DataFrame
    """One row per model and slice shown: ``model``, ``against`` (``peers`` or ``benchmark``), and the columns of
    :func:`~competency_gaps.findings.answer.slice_gaps` but for what says where the slice comes from."""
