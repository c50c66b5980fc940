"""Ask the model what the scoring policies want to know, for all kinds of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.config import GenerationConfig
from competency_gaps.model.generate import generate
from competency_gaps.model.likelihood import Continuation, likelihoods, tokenize_continuation
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import Tokens
from competency_gaps.scoring.policy import Continuations, Generation, Output, Request, Sentences


@dataclass(frozen=True)
class Asked:
    """A request about one prompt."""

    text: str
    """The prompt as text."""
    tokens: Tokens
    """The prompt as tokens."""
    request: Request


@dataclass(frozen=True)
class Responded:
    """What the model answered, for scoring and for the span ``response``."""

    output: Output
    response_ids: np.ndarray
    """int32: tokens that the model wrote; empty if it wrote nothing."""


def respond(
    lm: LanguageModel,
    asked: Sequence[Asked],
    *,
    bos_id: int | None,
    config: GenerationConfig,
    token_budget: int,
    advance: Callable[[int], None],
) -> list[Responded]:
    """Answer requests, in the order given; requests of one kind are batched together."""
    results: list[Responded | None] = [None] * len(asked)
    empty = np.zeros(0, np.int32)
    for index, one in enumerate(asked):
        if one.request is None:
            results[index] = Responded(Output(), empty)
            advance(1)
    likely = [i for i, one in enumerate(asked) if isinstance(one.request, (Continuations, Sentences))]
    for index, output in zip(
        likely, _likelihoods(lm, [asked[i] for i in likely], bos_id, token_budget, advance), strict=True
    ):
        results[index] = Responded(output, empty)
    written: dict[Generation, list[int]] = {}
    for index, one in enumerate(asked):
        if isinstance(one.request, Generation):
            written.setdefault(one.request, []).append(index)
    for request, members in written.items():
        answers = generate(
            lm,
            [asked[i].tokens.ids for i in members],
            max_new_tokens=request.max_new_tokens,
            stop=request.stop,
            config=config,
            token_budget=token_budget,
            advance=advance,
        )
        for index, answer in zip(members, answers, strict=True):
            results[index] = Responded(Output(text=answer.text), answer.ids)
    return [result for result in results if result is not None]


def _likelihoods(
    lm: LanguageModel,
    asked: Sequence[Asked],
    bos_id: int | None,
    token_budget: int,
    advance: Callable[[int], None],
) -> list[Output]:
    wanted: list[Continuation] = []
    owners: list[int] = []
    for owner, one in enumerate(asked):
        made = _continuations(lm, one, bos_id)
        wanted += made
        owners += [owner] * len(made)
    per_item = len(asked) / max(1, len(wanted))
    done = 0.0

    def count(texts: int) -> None:
        nonlocal done
        before, done = int(done), done + texts * per_item
        advance(int(done + 1e-9) - before)

    found = likelihoods(lm, wanted, token_budget, count)
    grouped: list[list[int]] = [[] for _ in asked]
    for index, owner in enumerate(owners):
        grouped[owner].append(index)
    return [
        Output(tuple(found[i].logprob for i in members), tuple(found[i].tokens for i in members)) for members in grouped
    ]


def _continuations(lm: LanguageModel, one: Asked, bos_id: int | None) -> list[Continuation]:
    if isinstance(one.request, Continuations):
        prompt = one.tokens
        # After a blank (a chat template's line end) the space that sets an option off is there already.
        texts = [text.lstrip() if one.text[-1:].isspace() else text for text in one.request.texts]
        return [
            Continuation(prompt.ids, tokenize_continuation(lm.tokenizer, one.text, prompt.ids, text, skip=prompt.added))
            for text in texts
        ]
    assert isinstance(one.request, Sentences)
    made = []
    for text in one.request.texts:
        ids = np.asarray(lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=np.int32)
        # Without a first token the likelihood of the sentence's own first token is not defined; it is left out.
        prefix, rest = (np.asarray([bos_id], np.int32), ids) if bos_id is not None else (ids[:1], ids[1:])
        made.append(Continuation(prefix, rest))
    return made
