"""Answer the scorers' requests with the model.

If a request makes the model read the prompt (to score options or generate an answer), the same pass gives the prompt's
activations to a tap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice

import numpy as np

from competency_gaps.items.config import GenerationConfig
from competency_gaps.items.item import Reason
from competency_gaps.items.scorer import Continuations, Generation, Output, Sentences
from competency_gaps.model.batches import WRITTEN_AT_ONCE, Attempts, token_budget_on
from competency_gaps.model.generate import Responded, generate
from competency_gaps.model.likelihood import Continuation, Likelihood, encode_pair, likelihoods, tokenize_continuation
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import Tap
from competency_gaps.model.prompts import PreparedItem


def draw_keys(benchmark: str, prompts: Mapping[int, np.ndarray]) -> dict[int, str]:
    """What tells a benchmark's equal prompts apart where answers are sampled, whatever shards they fall into.

    Parameters
    ----------
    prompts : mapping of int to ndarray of int32
        Token ids by position in the benchmark, in ascending order.

    Returns
    -------
    dict of int to str
        Per position, the benchmark's name and the number of equal prompts before it.
    """
    before: Counter[bytes] = Counter()
    keys = {}
    for position, ids in prompts.items():
        keys[position] = f"{benchmark}|{before[ids.tobytes()]}"
        before[ids.tobytes()] += 1
    return keys


def respond(
    lm: LanguageModel,
    asked: Sequence[PreparedItem],
    keys: Sequence[str],
    *,
    bos_id: int | None,
    config: GenerationConfig,
    token_budget: int | None,
    advance: Callable[[float], None],
    attempts: Attempts,
    tap: Tap | None = None,
) -> list[Responded | Reason]:
    """Answer items' requests, in the order given; requests of one kind are batched together.

    Parameters
    ----------
    keys
        What tells an item from those with the same prompt, whose sampled answers are to differ: see :func:`draw_keys`.
    token_budget
        Most tokens of a pass, padding included; None: by the kind of request and the device.
    advance
        Called with the number of requests that were answered.
    attempts
        Runs the batches.
    tap
        Receives the activations of the prompts, by their index in ``asked``; None: they are not kept.

    Returns
    -------
    list of Responded or Reason
        A reason says why the model cannot answer a request.
    """
    results: list[Responded | Reason | None] = [None] * len(asked)
    empty = np.zeros(0, np.int32)
    for index, question in enumerate(asked):
        if question.request is None:
            results[index] = Responded(Output(), empty)
    likely: dict[bool, dict[int, PreparedItem]] = {False: {}, True: {}}
    for index, question in enumerate(asked):
        if isinstance(question.request, (Continuations, Sentences)):
            exact = isinstance(question.request, Continuations) and question.request.verbatim
            likely[exact][index] = question
    for exact, scored in likely.items():
        wanted = {i: _continuations(lm, question, i, bos_id) for i, question in scored.items()}
        part = len(scored) / max(1, sum(map(len, wanted.values())))

        def count(texts: int, part: float = part) -> None:
            advance(texts * part)

        values = iter(
            likelihoods(
                lm,
                list(chain.from_iterable(wanted.values())),
                token_budget_on(lm.device, token_budget),
                count,
                tap=tap,
                model_precision=exact,
                attempts=attempts,
            )
        )
        for index, continuations in wanted.items():
            output = _output(list(islice(values, len(continuations))))
            results[index] = output if isinstance(output, Reason) else Responded(output, empty)
    written: dict[Generation, list[int]] = {}
    for index, question in enumerate(asked):
        if isinstance(question.request, Generation):
            written.setdefault(question.request, []).append(index)
    for request, members in written.items():
        answers = generate(
            lm,
            [asked[i].tokens.ids for i in members],
            request,
            config=config,
            token_budget=token_budget or WRITTEN_AT_ONCE,
            advance=advance,
            tap=tap,
            asked=members,
            attempts=attempts,
            keys=[keys[i] for i in members],
        )
        for index, answer in zip(members, answers, strict=True):
            results[index] = answer
    return [result for result in results if result is not None]


def _output(values: Sequence[Likelihood | Reason]) -> Output | Reason:
    """The likelihoods of a request's texts; why there are none where any is lacking."""
    known: list[Likelihood] = []
    for value in values:
        if isinstance(value, Reason):
            return value
        known.append(value)
    logprobs, tokens, greedy = zip(*known, strict=True) if known else ((), (), ())
    return Output(logprobs, tokens, greedy)


def _continuations(lm: LanguageModel, question: PreparedItem, index: int, bos_id: int | None) -> list[Continuation]:
    if isinstance(question.request, Continuations):
        prompt, shown = question.tokens, question.text.text
        if question.request.verbatim:
            first = int(prompt.ids[0]) if prompt.added else None
            pairs = [encode_pair(lm.tokenizer, shown, text, bos_id=first) for text in question.request.texts]
            return [Continuation(prefix, rest, asked=index) for prefix, rest in pairs]
        # After a blank (such as a chat template's line end), an option needs no leading space.
        texts = [text.lstrip() if shown[-1:].isspace() else text for text in question.request.texts]
        return [
            Continuation(
                prompt.ids,
                tokenize_continuation(lm.tokenizer, shown, prompt.ids, text, skip=prompt.added),
                asked=index,
            )
            for text in texts
        ]
    assert isinstance(question.request, Sentences)
    continuations = []
    for text in question.request.texts:
        ids = np.asarray(lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], dtype=np.int32)
        # Without a BOS token, the likelihood of the sentence's first token is undefined and left out.
        prefix, rest = (np.asarray([bos_id], np.int32), ids) if bos_id is not None else (ids[:1], ids[1:])
        continuations.append(Continuation(prefix, rest))
    return continuations
