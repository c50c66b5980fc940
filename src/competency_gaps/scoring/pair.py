"""Which of two sentences the model finds likelier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.scorer import Output, Request, Score, Scorer, Sentences
from competency_gaps.scoring.choice import per_length


@dataclass(frozen=True)
class Pair(Scorer):
    """1 if the preferred sentence is at least as likely as the other one, else 0.

    The two are ``metadata["pair"]`` with the keys ``stereo`` and ``anti``, or two ``choices`` whose ``answer``
    is the preferred one's index (BLiMP; Warstadt et al., 2020). With ``prefer: anti``, 1 means that the model
    does not prefer the stereotype. On stereotype pairs (CrowS-Pairs; Nangia et al., 2020) the ideal is a mean of
    0.5, no preference either way: neither 0 nor 1 is good.

    The likelihood is that of the whole sentence.
    """

    name: ClassVar[str] = "pair"

    prefer: Literal["anti", "stereo"] = "anti"
    """The preferred sentence of ``metadata["pair"]``; not used for ``choices``."""
    normalise: Literal["raw", "tokens"] = "raw"
    """Log-likelihood as it is, or per token."""

    def check(self, item: Item) -> str | None:
        pair = item.metadata.get("pair")
        if pair is not None:
            fine = isinstance(pair, Mapping) and all(
                isinstance(pair.get(k), str) and pair[k].strip() for k in ("stereo", "anti")
            )
            return None if fine else f"the pair is {pair!r}, expected the texts 'stereo' and 'anti'"
        if item.choices is None or len(item.choices) != 2:
            return "there is neither metadata 'pair' nor two choices"
        if isinstance(item.answer, bool) or item.answer not in (0, 1):
            return f"the answer is {item.answer!r}, expected the index 0 or 1 of the preferred sentence"
        return None

    def prompt(self, item: Item) -> str:
        return item.prompt

    def request(self, item: Item) -> Request:
        return Sentences(self._sentences(item))

    def score(self, item: Item, output: Output) -> Score:
        sentences = self._sentences(item)
        values = per_length(output, self.normalise, [len(text) for text in sentences])
        if not all(math.isfinite(value) for value in values):
            return Score(None, unscored=Reason("not_finite", "a log-probability is not finite"))
        likelier = values[0] >= values[1]
        return Score(float(likelier), sentences[0] if likelier else sentences[1])

    def _sentences(self, item: Item) -> tuple[str, str]:
        """The preferred sentence and the other."""
        pair = item.metadata.get("pair")
        if pair is not None:
            return pair[self.prefer], pair["stereo" if self.prefer == "anti" else "anti"]
        assert item.choices is not None
        return item.choices[item.answer], item.choices[1 - item.answer]
