"""Whether a summary says only what its source says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from competency_gaps.endpoint.parse import Failure, parse
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.evidence.interval import mean
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Score
from competency_gaps.judging.entailment import sentences, support
from competency_gaps.judging.policy import JudgedPolicy
from competency_gaps.judging.prompting import fill, load_prompt, schema_of, shown_reasoning
from competency_gaps.scoring.text import Length
from competency_gaps.text import plural

_NEEDED = ("source", "response")


class Checked(pydantic.BaseModel):
    """A judge's answer."""

    model_config = pydantic.ConfigDict(extra="ignore")
    reasoning: str | None = None
    unsupported: list[str]
    statements: int = pydantic.Field(ge=0)


class _Reasoned(Checked):
    reasoning: str


@dataclass(frozen=True)
class Faithful(JudgedPolicy):
    """How much of a summary its source supports, in [0, 1].

    With ``model``: a classifier of natural language inference or of hallucination. Each statement gets the probability
    that the source supports it, the highest over windows where the source is long, and the score is the mean over
    statements (SummaC-ZS; Laban et al., 2022). Without: a judge lists the unsupported statements, and the score is 1 if
    there are none, else 0, as Vectara's hallucination rate counts summaries; one that states nothing is unscored, and
    the share of those that state something is reported as ``answered``.
    """

    name: ClassVar[str] = "faithful"

    model: str | None = None
    """Classifier: hub id or folder of a sequence classifier of transformers; None asks the judge."""
    label: str | None = None
    """The classifier's label that means support; None: found by its name (``entailment``, ``consistent``, ...)."""
    statements_are: Literal["sentences", "whole"] = "sentences"
    """What the classifier reads at once: each sentence of the response, or all of it."""
    threshold: float | None = None
    """With ``model``: score 1 from this value on, else 0; None keeps the value itself."""
    source_field: str | None = None
    """Metadata that holds the source; None: the prompt does."""
    source_pattern: str | None = None
    """Regular expression (Python's) that finds the source in the prompt: its group ``source``, else its first group,
    else all that it matches; ``.`` matches line breaks too. None: the whole prompt."""
    reasoning: bool = False
    """Whether the judge writes down its reasons first."""
    prompt_file: Path | None = None
    """A judge prompt of your own with the places ``{source}`` and ``{response}``."""
    max_new_tokens: Length = 256

    @property
    def classifier(self) -> str | None:
        return self.model

    def check(self, item: Item) -> str | None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            return f"the threshold is {self.threshold}, expected a number in [0, 1]"
        if self.label is not None and self.model is None:
            return "a 'label' needs a 'model'"
        if self.source_field is not None and self.source_pattern is not None:
            return "both 'source_field' and 'source_pattern' are given, expected one"
        if self.source_pattern is not None:
            try:
                re.compile(self.source_pattern)
            except re.error as error:
                return f"the source_pattern {self.source_pattern!r} is not a regular expression ({error})"
        if self.source_field is not None and not isinstance(item.metadata.get(self.source_field), str):
            return f"the metadata have no text {self.source_field!r}; they have {', '.join(item.metadata) or 'nothing'}"
        if self._source(item) is None:
            return f"the source_pattern {self.source_pattern!r} finds nothing in the prompt"
        load_prompt("faithful", self.prompt_file, _NEEDED)
        return None

    def source_of(self, item: Item) -> str:
        """The text that the response must keep to."""
        source = self._source(item)
        if source is None:
            raise ValueError(f"item {item.id!r} has no source")
        return source

    def statements(self, response: str) -> list[str]:
        """Statements that the classifier compares with the source; empty for an empty response."""
        if self.statements_are == "sentences":
            return sentences(response)
        return [response.strip()] if response.strip() else []

    def measured(self, response: str, probabilities: list[list[float]]) -> Score:
        """Score from the classifier's probabilities, per statement and window."""
        value = support(probabilities)
        details = {"support": value, "statements": [round(max(row), 4) for row in probabilities]}
        score = value if self.threshold is None else float(value >= self.threshold)
        return Score(score, response, None, details)

    def questions(self, item: Item, response: str) -> tuple[Request, ...]:
        if not response.strip():
            return ()
        prompt = fill(
            load_prompt("faithful", self.prompt_file, _NEEDED), {"source": self.source_of(item), "response": response}
        )
        fields: dict[str, Any] = {
            "unsupported": {"type": "array", "items": {"type": "string"}},
            "statements": {"type": "integer"},
        }
        return (Request("faithful", *prompt, schema_of(fields, self.reasoning), "faithful", self.judge_tokens),)

    def read(self, answer: Answer) -> Checked | Failure:
        checked: Checked | Failure = parse(answer, _Reasoned if self.reasoning else Checked, agree=True)
        if isinstance(checked, Checked) and len(checked.unsupported) > checked.statements:
            return Failure(f"{len(checked.unsupported)} unsupported of {checked.statements} statements")
        return checked

    def scored(self, response: str, verdict: Checked) -> Score:
        details = {
            "unsupported": [shown_reasoning(text) for text in verdict.unsupported[:20]],
            "statements": verdict.statements,
            "reasoning": shown_reasoning(verdict.reasoning),
        }
        if not verdict.statements:
            # A summary that declines says nothing false, but is not a faithful summary either.
            return Score(None, response, Reason("states_nothing", "the summary states nothing"), details)
        return Score(float(not verdict.unsupported), response, None, details)

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        import numpy as np

        known = np.asarray([score for score in scores if score is not None])
        silent = sum(detail is not None and detail.get("statements") == 0 for detail in details)
        rate, answered = mean(known), mean(np.repeat([1.0, 0.0], [len(known), silent]))
        if answered is None:
            return None
        summary = []
        if rate is not None:
            value, low, high = rate
            text = f"faithful {value:.3f} [{low:.3f}, {high:.3f}] over {plural(len(known), 'item')}"
            summary.append(Reason("faithful_rate", text, (*rate, len(known))))
        if silent:
            value, low, high = answered
            text = f"{plural(silent, 'item')} unscored: nothing is stated; answered {value:.1%} [{low:.1%}, {high:.1%}]"
            summary.append(Reason("faithful_silent", text, (silent, *answered)))
        return {
            "items": len(known),
            "faithful": None if rate is None else rate.as_dict(),
            "state_nothing": silent,
            "answered": answered.as_dict(),
            "summary": summary,
        }

    def unasked(self, item: Item) -> Reason | None:
        return Reason("response_empty", "the response is empty")

    def _source(self, item: Item) -> str | None:
        if self.source_field is not None:
            return str(item.metadata[self.source_field])
        if self.source_pattern is None:
            return item.prompt
        match = re.search(self.source_pattern, item.prompt, re.DOTALL)
        if match is None:
            return None
        if "source" in match.groupdict():
            return match["source"]
        return match[1] if match.re.groups else match[0]
