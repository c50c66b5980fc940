"""A run's CAS rows, added up in one pass over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from competency_gaps.activations.store import CasBlock
from competency_gaps.metrics.sums import Sums
from competency_gaps.metrics.tokens import MajorityToken


@dataclass(frozen=True)
class Collected:
    """Results of one pass over a run's CAS rows."""

    sums: dict[str, Sums]
    """Per benchmark."""
    peaks: MajorityToken
    """Majority token string of each concept; tokens are numbered by ``strings``."""
    strings: list[str]


def collect(
    benchmarks: Mapping[str, Iterable[CasBlock]],
    scores: Mapping[str, np.ndarray],
    width: int,
    token_strings: Mapping[int, str],
) -> Collected:
    """Collect sums per benchmark and majority tokens in one pass over all rows.

    Parameters
    ----------
    scores
        Per benchmark, float64 of shape (items,): NaN = unscored.
    token_strings
        String of every token id that occurs; strings are compared without outer blanks and case.
    """
    strings = sorted({_fold(text) for text in token_strings.values()})
    number = {text: i for i, text in enumerate(strings)}
    lookup = np.zeros(max(token_strings, default=0) + 1, dtype=np.int64)
    for token, text in token_strings.items():
        lookup[token] = number[_fold(text)]
    peaks = MajorityToken(width)
    sums: dict[str, Sums] = {}
    for name, blocks in benchmarks.items():
        total = Sums.zeros(width)
        for block in blocks:
            total = total + Sums.of(block.cas, scores[name][block.items])
            peaks.add(np.asarray(block.cas.indices, np.int64), lookup[block.peak_tokens()], block.cas.data)
        sums[name] = total
    return Collected(sums, peaks, strings)


def _fold(text: str) -> str:
    return text.strip().casefold() or repr(text)
