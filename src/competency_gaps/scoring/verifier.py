"""Score the answers to generated tasks with the task's own verifier, from ``reasoning-gym``."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from competency_gaps.items.generate import unpack
from competency_gaps.items.item import Item
from competency_gaps.items.reasoning_gym import make_dataset, verifier_score
from competency_gaps.items.scorer import Output, Score
from competency_gaps.scoring.text import NEXT_QUESTION, GenerationScorer, Length, first_line, score_within


@dataclass(frozen=True)
class Verifier(GenerationScorer):
    """The score that the task's family in ``reasoning-gym`` gives the answer, in [0, 1]; some give partial credit.

    The answer is what follows the last ``Answer:``, or the whole text; of it the first line that is not empty, if the
    gold is a single line. An answer that the verifier cannot read scores 0.
    """

    name: ClassVar[str] = "verifier"

    max_new_tokens: Length = 256
    stop: tuple[str, ...] = NEXT_QUESTION
    seconds: Annotated[float, Field(gt=0)] = 5.0
    """Longest verification; longer ones leave the item unscored. Works only in the main thread of a process."""

    def check(self, item: Item) -> str | None:
        verifier = item.metadata.get("verifier")
        if not isinstance(verifier, Mapping):
            return "there is no metadata 'verifier'; only generated tasks have one"
        missing = [key for key in ("family", "difficulty", "entry") if key not in verifier]
        return f"the metadata 'verifier' lacks {', '.join(missing)}" if missing else None

    def score(self, item: Item, output: Output) -> Score:
        verifier = item.metadata["verifier"]
        dataset = _dataset(verifier["family"], json.dumps(verifier["difficulty"]))
        answer = re.split(r"answer\s*:", output.text, flags=re.IGNORECASE)[-1].strip()
        if isinstance(item.answer, str) and "\n" not in item.answer.strip():
            answer = first_line(answer)
        entry = unpack(verifier["entry"])
        return score_within(self.seconds, "verification", output, lambda: verifier_score(dataset, answer, entry))


@functools.lru_cache(maxsize=32)
def _dataset(family: str, difficulty: str) -> Any:
    """Return the family's dataset, whose verifier is used; cached."""
    # Seed and size do not matter to a verifier.
    return make_dataset(family, unpack(json.loads(difficulty)), seed=0, size=1)
