"""Answer the scorers' requests with the model: likelihoods of texts, and generated answers.

If a request makes the model read the prompt (to score options or generate an answer), the same pass gives the prompt's
activations to a tap.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.items.config import GenerationConfig
from competency_gaps.items.item import Reason
from competency_gaps.items.scorer import Continuations, Generation, Output, Sentences
from competency_gaps.model.batches import PROMPT_TOKENS_AT_ONCE, Attempts, token_budget_on
from competency_gaps.model.likelihood import Continuation, Likelihood, encode_pair, likelihoods, tokenize_continuation
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import Tap, pad_left, read_start, shared_start, tapped
from competency_gaps.model.prompts import PreparedItem

if TYPE_CHECKING:
    import torch


def draw_keys(benchmark: str, prompts: Mapping[int, np.ndarray]) -> dict[int, str]:
    """Return keys that tell a benchmark's equal prompts apart when answers are sampled, in whatever shard they are.

    Parameters
    ----------
    prompts : mapping of int to ndarray of int32
        Token ids by position in the benchmark, in ascending order.

    Returns
    -------
    dict of int to str
        By position: the benchmark's name and the number of equal prompts before it.
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
    """Return the model's answers to the items' requests, in the order given; requests of one kind share batches.

    Parameters
    ----------
    keys
        Distinguishes items with the same prompt, whose sampled answers are to differ: see :func:`draw_keys`.
    token_budget
        Most tokens of a pass, padding included; None: by the kind of request and the device.
    advance
        Called with the number of requests that were answered, which may be a fraction.
    attempts
        Runs the batches.
    tap
        Receives the activations of the prompts, by their index in ``asked``; None: they are not computed.

    Returns
    -------
    list of Responded or Reason
        A reason says why the model cannot answer a request.
    """
    empty = np.zeros(0, np.int32)
    results: dict[int, Responded | Reason] = {}
    likely: dict[bool, list[int]] = {False: [], True: []}
    written: dict[Generation, list[int]] = {}
    for index, question in enumerate(asked):
        if isinstance(question.request, Generation):
            written.setdefault(question.request, []).append(index)
        elif question.request is None:
            results[index] = Responded(Output(), empty)
        else:
            likely[isinstance(question.request, Continuations) and question.request.verbatim].append(index)
    for exact, members in likely.items():
        wanted = [_continuations(lm, asked[i], i, bos_id) for i in members]
        part = len(members) / max(1, sum(map(len, wanted)))

        def count(texts: int, part: float = part) -> None:
            """Advance by the items that this many texts make up."""
            advance(texts * part)

        values = iter(
            likelihoods(
                lm,
                list(chain.from_iterable(wanted)),
                token_budget_on(lm.device, token_budget),
                count,
                tap=tap,
                model_precision=exact,
                attempts=attempts,
            )
        )
        for index, continuations in zip(members, wanted, strict=True):
            output = _output(list(islice(values, len(continuations))))
            results[index] = output if isinstance(output, Reason) else Responded(output, empty)
    for request, members in written.items():
        answers = generate(
            lm,
            [asked[i].tokens.ids for i in members],
            request,
            config=config,
            token_budget=token_budget or PROMPT_TOKENS_AT_ONCE,
            advance=advance,
            tap=tap,
            asked=members,
            attempts=attempts,
            keys=[keys[i] for i in members],
        )
        results |= zip(members, answers, strict=True)
    return [results[index] for index in range(len(asked))]


def _output(values: Sequence[Likelihood | Reason]) -> Output | Reason:
    """Return the likelihoods of a request's texts, or the reason why the first missing one is missing."""
    known: list[Likelihood] = []
    for value in values:
        if isinstance(value, Reason):
            return value
        known.append(value)
    logprobs, tokens, greedy = zip(*known, strict=True) if known else ((), (), ())
    return Output(logprobs, tokens, greedy)


def _continuations(lm: LanguageModel, question: PreparedItem, index: int, bos_id: int | None) -> list[Continuation]:
    """Return the token sequences whose likelihoods a request asks for."""
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


LOGITS_NOT_FINITE = Reason("model_failed", "the model failed on it: the logits of its answer are not finite")
"""Why a prompt whose logits predict no token has no answer."""
_EXPLICIT: dict[str, Any] = {
    **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "min_p": None, "num_beams": 1},
    **{"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "use_cache": True, "cache_implementation": None},
}
"""Options of generation that would otherwise come from the model's own settings."""


@dataclass(frozen=True)
class Responded:
    """The model's answer, for scoring and for the span ``response``."""

    output: Output
    """Generated text is decoded without special tokens, up to the first stop string."""
    response_ids: np.ndarray
    """int32: tokens of the generated text; empty if there is none."""


def generate(
    lm: LanguageModel,
    prompts: Sequence[np.ndarray],
    request: Generation,
    *,
    config: GenerationConfig,
    token_budget: int,
    advance: Callable[[int], None],
    attempts: Attempts,
    keys: Sequence[str],
    tap: Tap | None = None,
    asked: Sequence[int] = (),
) -> list[Responded | Reason]:
    """Return the model's continuations of prompts, in the order given; the pass over the prompts also feeds the tap.

    A sampled answer depends on the seed, the prompt and its key, not on the prompts in the same batch.

    Parameters
    ----------
    prompts : sequence of ndarray of int32
        Token ids, first token included; each must leave room for the answer.
    token_budget
        Most tokens of a batch, answers and padding included.
    advance
        Called with the number of prompts that were answered.
    attempts
        Runs the batches.
    keys
        Per prompt, distinguishes it from equal prompts when answers are sampled: equal prompts with equal keys have
        equal answers.
    tap, asked
        Receives the activations of the prompts, and the index of each prompt in it.

    Returns
    -------
    list of Responded or Reason
        A reason says why there is no answer.
    """
    import torch
    from transformers import LogitsProcessorList

    wanted = _Stop(request.stop, _special_ids(lm, request.stop))
    answers: list[Responded | Reason | None] = [None] * len(prompts)
    shared = shared_start(lm, prompts)
    lengths = [len(p) + request.max_new_tokens - shared for p in prompts]
    seeds = [_seed(config.seed, prompt, key) for prompt, key in zip(prompts, keys, strict=True)]

    def write(lm: LanguageModel, rows: np.ndarray) -> list[Responded | Reason]:
        """Write the answers to some prompts in one batch."""
        group = [prompts[i] for i in rows]
        owners = [[asked[i]] if asked else [] for i in rows]
        ids, mask = pad_left(lm, group)  # all rows end where the answer begins
        failed: list[torch.Tensor] = []

        def watch(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            """Note which rows' logits predict no token."""
            # Minus infinity rules a token out; NaN and plus infinity leave no probabilities.
            failed.append(~(scores < torch.inf).all(dim=-1))
            return scores

        drawing = _drawing(config, [seeds[i] for i in rows]) if config.temperature > 0 else []
        options = {**_EXPLICIT, "logits_processor": LogitsProcessorList([watch, *drawing])}
        with torch.inference_mode(), tapped(lm, group, owners, tap, passes=2 if shared else 1):
            if shared:
                options["past_key_values"] = read_start(lm, group[0][:shared], mask)
            out = lm.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=request.max_new_tokens,
                pad_token_id=lm.pad_id,
                stopping_criteria=_criteria(lm, ids.shape[1], wanted),
                eos_token_id=_ends(lm, wanted) or None,
                **options,
            )
        return [
            LOGITS_NOT_FINITE if has_failed else _cut(lm, row[ids.shape[1] :].to("cpu").numpy(), wanted)
            for row, has_failed in zip(out, torch.stack(failed).any(dim=0).tolist(), strict=True)
        ]

    for rows, batch in attempts.batches(lm, "answers", lengths, token_budget, write, cached=shared):
        for index, answer in zip(rows, batch, strict=True):
            answers[index] = answer
        advance(len(rows))
    return [answer for answer in answers if answer is not None]


def _seed(seed: int, prompt: np.ndarray, key: str) -> int:
    """Return the seed of one prompt's random numbers, in [0, 2**63)."""
    digest = hashlib.sha256(f"{seed}|{key}|".encode("utf-8", "surrogatepass") + prompt.tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class _Stop:
    """What ends an answer besides the model's end tokens: stop strings."""

    texts: tuple[str, ...]
    ids: tuple[int, ...]
    """Ids of the stop strings that are special tokens, which decode to no text."""

    def position(self, text: str) -> int | None:
        """Return the start of the first stop string, or None. It must come after the answer's leading blanks."""
        lead = len(text) - len(text.lstrip())
        places = [position for stop in self.texts if (position := text.find(stop, lead)) >= 0]
        return min(places) if places and text.strip() else None


def _drawing(config: GenerationConfig, seeds: list[int]) -> list[Any]:
    """Return processors that make each row's drawn token the likeliest.

    Each row has its own random numbers, so that an answer does not depend on its batch.
    """
    import torch
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    generators: list[torch.Generator] = []

    def draw(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Add random numbers so that the likeliest token is a drawn one."""
        if not generators:
            generators.extend(torch.Generator(scores.device).manual_seed(seed) for seed in seeds)
        drawn = [torch.empty_like(scores[0]).exponential_(generator=generator) for generator in generators]
        # The largest of log p - log E, with E exponential, is token t with probability p(t).
        return scores - torch.stack(drawn).clamp_min(torch.finfo(scores.dtype).tiny).log()

    narrowed = [TopPLogitsWarper(config.top_p)] if config.top_p < 1 else []
    return [TemperatureLogitsWarper(config.temperature), *narrowed, draw]


def _criteria(lm: LanguageModel, longest: int, stop: _Stop) -> Any:
    """Return criteria that end a row once its answer contains a stop string; the batch ends with its last row."""
    import torch
    from transformers import StoppingCriteriaList

    def holds_stop(input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        """Which rows' answers contain a stop string."""
        texts = lm.tokenizer.batch_decode(input_ids[:, longest:], skip_special_tokens=True)
        return torch.tensor([stop.position(text) is not None for text in texts], device=input_ids.device)

    return StoppingCriteriaList([holds_stop] if stop.texts else [])


def _cut(lm: LanguageModel, ids: np.ndarray, stop: _Stop) -> Responded:
    """Return an answer without what follows its first end token or stop string."""
    ended = np.flatnonzero(np.isin(ids, [*_ends(lm, stop), lm.pad_id]))
    kept = ids[: ended[0]] if len(ended) else ids
    text = lm.tokenizer.decode(kept, skip_special_tokens=True)
    position = stop.position(text)
    if position is not None:
        # The fewest tokens whose text reaches the stop string.
        texts = (str(lm.tokenizer.decode(kept[:n], skip_special_tokens=True)) for n in range(len(kept) + 1))
        count = next(n for n, part in enumerate(texts) if len(part) >= position)
        kept, text = kept[:count], text[:position]
    return Responded(Output(text=text), kept.astype(np.int32))


def _special_ids(lm: LanguageModel, stop: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of the stop strings that are special tokens."""
    special = set(lm.tokenizer.all_special_ids)
    ids = [lm.tokenizer.convert_tokens_to_ids(text) for text in stop]
    return tuple(int(token) for token in ids if token in special)


def _ends(lm: LanguageModel, stop: _Stop) -> list[int]:
    """Return the ids of tokens that end an answer: the model's, the tokenizer's, and stop strings that are tokens."""
    known = [*np.atleast_1d(lm.model.generation_config.eos_token_id), lm.tokenizer.eos_token_id, *stop.ids]
    return sorted({int(token) for token in known if token is not None})
