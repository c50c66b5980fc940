"""Measure what concepts cost in addition to scores: against scoring alone and against two separate steps, in one run.

    python perf/one_pass.py [CONFIG.yaml] [--items 200] [--rounds 5] [--lm-eval-batch 16] [--set a.b=value ...]

* scoring: this package's scorer alone, which reads a context once for all options.
* one pass: the same, with the items' CAS rows taken from the same passes.
* two steps: lm-evaluation-harness' ``hf`` backend on the same contexts and options (same loaded model, its own
  batching), then this package's extraction separately.

The items are multiple-choice questions with four options, in random order. Rounds alternate between the three, so that
drift in the machine's speed affects all equally; medians over rounds are printed. Needs the extra ``lm-eval``. The
default configuration is the demo's.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extraction import whole

from competency_gaps.embedded import DEMO_CONFIG
from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.items.scorer import Continuations
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.respond import respond
from competency_gaps.pipeline.extraction import SHARD_ITEMS, cut_shards
from competency_gaps.pipeline.items import item_input
from competency_gaps.pipeline.setting import Setting, set_up
from competency_gaps.reading.extract import ItemTokens
from competency_gaps.util.progress import Progress

OPTIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=DEMO_CONFIG)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lm-eval-batch", type=int, default=16)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    config = parse_config(RunConfig, read_yaml(args.config, args.set), str(args.config))
    setting = set_up(config, Progress(quiet=True))
    asked, sequences = sample(setting, args.items)
    tokens = sum(len(question.tokens.ids) for question in asked)
    machine = f"{setting.lm.identity['dtype']}, {torch.get_num_threads()} threads"
    print(f"{len(asked)} items with {OPTIONS} options, {tokens:,} tokens of prompts; {machine}")
    backend = lm_eval_backend(setting, args.lm_eval_batch)
    routes: dict[str, Callable[[list[PreparedItem], list[ItemTokens]], None]] = {
        "scoring": lambda some, read: ours(setting, some, None),
        "one pass": lambda some, read: ours(setting, some, read),
        "two steps": lambda some, read: two_steps(setting, backend, some, read),
    }
    times: dict[str, list[float]] = {name: [] for name in routes}
    for route in routes.values():  # warm-up
        route(asked[:32], sequences[:32])
    for _ in range(args.rounds):
        for name, route in routes.items():
            start = time.perf_counter()
            route(asked, sequences)
            times[name].append(time.perf_counter() - start)
    for name, values in times.items():
        spread = f"{min(values):.2f}-{max(values):.2f}"
        median = statistics.median(values)
        print(f"{name:<10} {median:8.2f} s ({spread})  {len(asked) / median:8.1f} items/s")
    for other, target in (("scoring", 1.15), ("two steps", 0.6)):
        ratios = [a / b for a, b in zip(times["one pass"], times[other], strict=True)]
        print(f"one pass / {other}: {statistics.median(ratios):.2f} of its time (target <= {target})")


def sample(setting: Setting, count: int) -> tuple[list[PreparedItem], list[ItemTokens]]:
    """Draw items from all benchmarks, with the tokens that the model reads of each."""
    found: list[tuple[PreparedItem, ItemTokens]] = []
    empty = np.zeros(0, np.int32)
    for items in setting.prepared.values():
        for index, item in enumerate(items):
            read = item_input(index, item, "question", None, empty, setting.lm).tokens
            choice = isinstance(item.request, Continuations) and len(item.request.texts) == OPTIONS
            if read is not None and choice:
                found.append((item, read))
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[i][0] for i in order], [found[i][1] for i in order]


def ours(setting: Setting, asked: list[PreparedItem], read: list[ItemTokens] | None) -> None:
    """Run the pipeline's pass shard by shard; with ``read``, it also makes CAS rows."""
    for group in cut_shards([len(question.tokens.ids) for question in asked], SHARD_ITEMS):
        sequences = None if read is None else [read[i] for i in group]
        tap = None if sequences is None else setting.extractor.tap(sequences)
        respond(
            setting.lm,
            [asked[i] for i in group],
            [""] * len(group),
            bos_id=setting.bos_id,
            config=setting.config.generation,
            token_budget=setting.config.batch_tokens,
            advance=lambda _: None,
            attempts=setting.extractor.attempts,
            tap=tap,
        )
        if tap is not None and sequences is not None:
            setting.extractor.block(sequences, whole(tap.taken[i] for i in range(len(sequences))))


def lm_eval_backend(setting: Setting, batch: int) -> Any:
    """lm-evaluation-harness' backend around the loaded model."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=setting.lm.model, tokenizer=setting.lm.tokenizer, batch_size=batch)


def continuations(question: PreparedItem) -> Continuations:
    """The texts whose likelihoods are asked for."""
    assert isinstance(question.request, Continuations)
    return question.request


def two_steps(setting: Setting, backend: Any, asked: list[PreparedItem], read: list[ItemTokens]) -> None:
    """Score with the harness, then read the activations in separate passes."""
    from lm_eval.api.instance import Instance

    requests = [
        Instance("loglikelihood", {}, (question.text.text, text), i)
        for i, question in enumerate(asked)
        for text in continuations(question).texts
    ]
    backend.loglikelihood(requests, disable_tqdm=True)
    for group in cut_shards([len(sequence.ids) for sequence in read], SHARD_ITEMS):
        part = [read[i] for i in group]
        setting.extractor.block(part, whole(setting.extractor.rows(part, lambda _: None)))


if __name__ == "__main__":
    main()
