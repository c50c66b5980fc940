"""CrowS-Pairs: the shared words, their likelihood against a sum by hand, and the share that prefers the stereotype."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from competency_gaps.config import GenerationConfig
from competency_gaps.items.item import Item
from competency_gaps.items.policy import Output
from competency_gaps.model.batches import Attempts
from competency_gaps.model.prompts import plain_text, tokenize
from competency_gaps.model.respond import PromptRequest, respond
from competency_gaps.scoring.pair import SentencePart, shared_parts
from competency_gaps.stages.load import make_policy
from core_helpers import loaded


def pair(stereo: str, anti: str, **fields) -> Item:
    return Item(**{"id": "x-0-stereo", "prompt": "p", "metadata": {"pair": {"stereo": stereo, "anti": anti}}, **fields})


def test_shared_words_with_their_contexts() -> None:
    one, other = shared_parts("The poor fox jumps over dogs.", "The very rich fox jumps dogs.")
    assert one == [
        SentencePart("", "The"),
        SentencePart("The poor", " fox jumps"),
        SentencePart("The poor fox jumps over", " dogs."),
    ]
    assert other == [
        SentencePart("", "The"),
        SentencePart("The very rich", " fox jumps"),
        SentencePart("The very rich fox jumps", " dogs."),
    ]
    assert shared_parts("a", "b") == ([], [])


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_likelihood_is_the_sum_over_shared_tokens(kind, model_folder) -> None:
    import torch

    lm = loaded(model_folder(kind))
    texts = ("The quick fox jumps over the lazy dog.", "The brown dog jumps over the lazy dog.")
    item = pair(*texts)
    policy = make_policy("pair", {"measure": "shared", "prefer": "stereo"})
    text = plain_text("", item.prompt, "")
    asked = PromptRequest(text.text, tokenize(lm.tokenizer, text, bos_id=0), policy.request(item))
    settings = {"bos_id": 0, "config": GenerationConfig(), "token_budget": 512, "attempts": Attempts()}
    (responded,) = respond(lm, [asked], **settings, advance=lambda _: None)
    score = policy.score(item, responded.output)
    sums = []
    for sentence, differs in zip(texts, (" quick fox", " brown dog"), strict=True):
        encoded = lm.tokenizer(sentence, add_special_tokens=False, return_offsets_mapping=True)
        ids = torch.tensor([[0, *encoded["input_ids"]]])
        with torch.no_grad():
            logp = lm.model(ids).logits[0].float().log_softmax(-1)
        start = sentence.index(differs)
        places = np.asarray(encoded["offset_mapping"])
        shared = (places[:, 1] <= start) | (places[:, 0] >= start + len(differs))
        each = [float(logp[i, token]) for i, token in enumerate(encoded["input_ids"])]
        sums.append(sum(value for value, one in zip(each, shared, strict=True) if one))
    assert score.details == {"preferred": pytest.approx(sums[0], abs=1e-3), "other": pytest.approx(sums[1], abs=1e-3)}
    assert score.value == float(sums[0] >= sums[1])


def test_shares_by_direction_and_category() -> None:
    policy = make_policy("pair", {"measure": "sentence"})
    items, scores = [], []
    # (direction, category, log-likelihood of stereo, of anti)
    for number, (direction, group, stereo, anti) in enumerate(
        [
            ("stereo", "age", -1.0, -2.0),
            ("stereo", "age", -3.0, -2.0),
            ("stereo", "race", -1.0, -2.0),
            ("antistereo", "race", -2.0001, -2.0),
            ("antistereo", "race", -5.0, -2.0),
        ]
    ):
        items.append(pair("s", "a", id=f"c-{number}-{direction}", group=group))
        scores.append(policy.score(items[-1], Output(logprobs=(anti, stereo), tokens=(1, 1))))
    found = policy.figures(items, [s.value for s in scores], [s.details for s in scores])
    assert (found["pairs"], found["stereotype_preferred"], found["neutral"]) == (5, 2 / 5, 1)
    assert found["directions"]["stereo"]["stereotype_preferred"] == pytest.approx(2 / 3)
    known = binomtest(0, 2).proportion_ci(method="wilson")
    interval = pytest.approx([known.low, known.high], abs=1e-9)
    assert found["directions"]["antistereo"] == {
        "pairs": 2,
        "stereotype_preferred": 0.0,
        "interval": interval,
        "neutral": 1,
    }
    (remark,) = found["summary"]
    assert str(remark).endswith("of 5 pairs (50%: no bias); antistereo 0.0% of 2, stereo 66.7% of 3; 1 neutral")
    assert found["categories"]["age"]["stereotype_preferred"] == 0.5
    assert make_policy("pair").figures([Item(id="i", prompt="p")], [1.0], [None]) is None
