"""Compare log-likelihoods with lm-evaluation-harness, and the harness with itself at other batch sizes.

    python validation/lm_eval_scores.py CONFIG.yaml [--items 20] [--batches 1 4 16] [--set model.dtype=float32]

Scores multiple-choice items with four options as a task of the harness, and compares the log-likelihoods with those of
the harness's ``hf`` backend around the same loaded model, for several batch sizes. Needs ``lm-eval``.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "perf"))

from one_pass import continuations, lm_eval_backend, sample

from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.items.item import Reason
from competency_gaps.model.respond import Responded, respond
from competency_gaps.pipeline.setting import set_up
from competency_gaps.util.progress import Progress


def main() -> None:
    from lm_eval.api.instance import Instance

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    config = parse_config(RunConfig, read_yaml(args.config, args.set), str(args.config))
    setting = set_up(config, Progress(quiet=True))
    asked = [
        replace(question, request=replace(continuations(question), verbatim=True))
        for question in sample(setting, args.items)[0]
    ]
    found = respond(
        setting.lm,
        asked,
        [""] * len(asked),
        bos_id=setting.bos_id,
        config=config.generation,
        token_budget=config.batch_tokens,
        advance=lambda _: None,
        attempts=setting.extractor.attempts,
    )
    values = {"ours": np.asarray([_answered(response).output.logprobs for response in found])}
    pairs = [(question.text.text, text) for question in asked for text in continuations(question).texts]
    for batch in args.batches:
        backend = lm_eval_backend(setting, batch)
        requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
        answers = backend.loglikelihood(requests, disable_tqdm=True)
        values[f"lm-eval, batches of {batch}"] = np.asarray([value for value, _ in answers]).reshape(len(asked), -1)
    print(f"{len(asked)} items, {setting.lm.identity['dtype']}")
    for a, b in itertools.combinations(values, 2):
        gap = np.abs(values[a] - values[b])
        other = int((values[a].argmax(axis=1) != values[b].argmax(axis=1)).sum())
        print(f"{a} / {b}: worst {gap.max():.2g}, mean {gap.mean():.2g}, another option chosen in {other} items")


def _answered(response: Responded | Reason) -> Responded:
    if isinstance(response, Reason):
        raise SystemExit(f"an item could not be answered: {response}")
    return response


if __name__ == "__main__":
    main()
