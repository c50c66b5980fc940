"""Scorers by log-likelihood: multiple choice, and which of two sentences is likelier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.options import LETTERS, with_options
from competency_gaps.items.scorer import Continuations, Output, Request, Score, Scorer, Sentences


@dataclass(frozen=True)
class Choice(Scorer):
    """1 if the gold option is the likeliest continuation, else 0; of equally likely options the first counts.

    ``lettered``: the options stand in the prompt, the continuations are their letters, as MMLU is scored
    (Hendrycks et al., 2021). ``cloze``: the options themselves are the continuations and the model does not see
    them side by side (Brown et al., 2020, section 2.4).
    """

    name: ClassVar[str] = "choice"
    default_after: ClassVar[str] = "\nAnswer:"

    form: Literal["lettered", "cloze"] = "lettered"
    normalise: Literal["raw", "tokens", "characters"] = "raw"
    """Log-likelihood as it is, per token of the continuation, or (only with ``cloze``) per character of the option."""

    def __post_init__(self) -> None:
        # The continuation is then a letter, whose log-likelihood has nothing to do with the option's length.
        if self.form == "lettered" and self.normalise == "characters":
            raise ValueError(
                "normalise: characters needs form: cloze, as the continuations of lettered options are letters"
            )

    def check(self, item: Item) -> str | None:
        if not item.choices:
            return "there are no choices"
        if isinstance(item.answer, bool) or not isinstance(item.answer, int):
            return f"the answer is {item.answer!r}, expected the 0-based index of the gold option"
        if not 0 <= item.answer < len(item.choices):
            return f"the answer {item.answer} is out of range for {len(item.choices)} choices"
        if self.form == "lettered" and len(item.choices) > len(LETTERS):
            return f"{len(item.choices)} choices are more than the {len(LETTERS)} letters"
        if self.form == "cloze" and not all(c.strip() for c in item.choices):
            return "a choice is empty"
        return None

    def prompt(self, item: Item) -> str:
        return with_options(item.prompt, item.choices or ()) if self.form == "lettered" else item.prompt

    def request(self, item: Item) -> Request:
        choices = item.choices or ()
        texts = LETTERS[: len(choices)] if self.form == "lettered" else choices
        return Continuations(tuple(f" {text}" for text in texts))

    def score(self, item: Item, output: Output) -> Score:
        choices = item.choices or ()
        lengths = {"raw": [1] * len(choices), "tokens": output.tokens, "characters": list(map(len, choices))}
        values = [
            value / length if length else math.nan
            for value, length in zip(output.logprobs, lengths[self.normalise], strict=True)
        ]
        if not all(math.isfinite(value) for value in values):
            return Score(None, unscored=Reason("not_finite", "a log-probability is not finite"))
        best = values.index(max(values))
        return Score(float(best == item.answer), choices[best])


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
        if not all(map(math.isfinite, output.logprobs)):
            return Score(None, unscored=Reason("not_finite", "a log-probability is not finite"))
        likelier = output.logprobs[0] >= output.logprobs[1]
        return Score(float(likelier), sentences[0] if likelier else sentences[1])

    def _sentences(self, item: Item) -> tuple[str, str]:
        """Return the preferred sentence and the other."""
        pair = item.metadata.get("pair")
        if pair is not None:
            return pair[self.prefer], pair["stereo" if self.prefer == "anti" else "anti"]
        assert item.choices is not None
        return item.choices[item.answer], item.choices[1 - item.answer]
