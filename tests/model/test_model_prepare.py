"""Which items fit into the context: what is asked is never longer than what the model can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from competency_gaps.items.config import BenchmarkConfig, ModelConfig
from competency_gaps.items.item import Item, Text
from competency_gaps.items.scorer import Continuations, Output, Request, Score, Scorer
from competency_gaps.model.likelihood import encode_pair
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import prepare
from core_helpers import loaded


@dataclass(frozen=True)
class Asks(Scorer):
    """Asks about options."""

    name: ClassVar[str] = "asks"
    option: str

    def request(self, item: Item) -> Request:
        return Continuations((" fox", self.option), verbatim=True)

    def score(self, item: Item, output: Output) -> Score:
        return Score(None)


def _prepared(lm: LanguageModel, prompt: str, option: str, bos_id: int | None):
    text = Text(prompt, (0, len(prompt)), templated=False)
    item = Item(id="0", prompt=prompt, seen=text)
    config = ModelConfig(name="m", bos="none" if bos_id is None else "<|bos|>")
    choice = BenchmarkConfig.model_construct(name="b", chat_template=None, before="", after=None, system_prompt=None)
    return prepare(item, Asks(option), choice, config, lm, bos_id)


@pytest.mark.parametrize("bos_id", [None, 0])
def test_the_longest_pair_decides(bos_id, model_folder):
    lm = loaded(model_folder("gpt2"))
    seen = set()
    for count in range(250, 260):
        text = "fox" + " fox" * (count - 1)
        prefix, rest = encode_pair(lm.tokenizer, text, " dog fox", bos_id=bos_id)
        real = len(prefix) + len(rest) - 1  # the last token is predicted, not read
        one = _prepared(lm, text, " dog fox", bos_id)
        assert (one.excluded is None) == (real <= lm.max_length), real
        seen.add(one.excluded is None)
    assert seen == {True, False}
