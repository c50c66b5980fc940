"""Let the model write conversations: it invents a user's request, then answers it.

    python recipes/stretches/converse.py --out converse --minutes 60

Given only the opening of a user's turn, a chat model writes a request (Xu et al. 2024, arXiv 2406.08464). Requests and
answers are sampled at several temperatures. Conversations lie in files of 32, each drawn with a seed of its own, so
that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from competency_gaps.items.config import ModelConfig
from competency_gaps.model.load import LanguageModel, load_model

BATCH = 32
REQUEST_TOKENS, ANSWER_TOKENS = 96, 224
TEMPERATURES = (0.7, 0.9, 1.1)
"""Temperatures of requests, file by file; answers are sampled at 0.7."""
SYSTEMS = (None, "You are a helpful assistant.", "")
"""System messages, file by file; None: the template's own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded:smollm2-135m-instruct")
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lm = load_model(ModelConfig(name=args.model))
    end = time.monotonic() + 60 * args.minutes
    number = 0
    while time.monotonic() < end:
        path = args.out / f"{number:05d}.jsonl"
        if not path.exists():
            lines = [json.dumps({"messages": messages}) for messages in converse(lm, number)]
            part = path.with_suffix(".part")
            part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            part.rename(path)
            print(f"{path}: {len(lines)} conversations", flush=True)
        number += 1


def converse(lm: LanguageModel, number: int) -> list[list[dict[str, str]]]:
    """Conversations of file ``number``; those whose request did not end are left out."""
    torch.manual_seed(number)
    system = SYSTEMS[number % len(SYSTEMS)]
    before = [] if system is None else [{"role": "system", "content": system}]
    opening = _opening(lm, before)
    temperature = TEMPERATURES[number // len(SYSTEMS) % len(TEMPERATURES)]
    requests = _sample(lm, [opening] * BATCH, REQUEST_TOKENS, temperature)
    asked = [text.strip() for text, ended in requests if ended and text.strip()]
    if not asked:
        return []
    messages = [[*before, {"role": "user", "content": text}] for text in asked]
    prompts = [str(lm.tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True)) for m in messages]
    answers = _sample(lm, prompts, ANSWER_TOKENS, 0.7)
    return [
        [*m, {"role": "assistant", "content": text.strip()}]
        for m, (text, _) in zip(messages, answers, strict=True)
        if text.strip()
    ]


def _opening(lm: LanguageModel, before: list[dict[str, str]]) -> str:
    """The rendered conversation up to the place where the user's words begin."""
    mark = "\u241f"
    rendered = lm.tokenizer.apply_chat_template([*before, {"role": "user", "content": mark}], tokenize=False)
    return str(rendered).split(mark)[0]


def _sample(lm: LanguageModel, prompts: list[str], tokens: int, temperature: float) -> list[tuple[str, bool]]:
    """A continuation of each prompt, and whether it ended by itself."""
    tokenizer, model = lm.tokenizer, lm.model
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(lm.device)
    with torch.inference_mode():
        drawn = model.generate(
            **batch,
            do_sample=True,
            temperature=temperature,
            top_p=0.98,
            max_new_tokens=tokens,
            pad_token_id=lm.pad_id,
            cache_implementation="static",
            disable_compile=True,
        )
    new = drawn[:, batch["input_ids"].shape[1] :]
    stops = {lm.pad_id, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])}
    ends = torch.isin(new, torch.tensor(sorted(stops), device=new.device))
    texts = tokenizer.batch_decode(new, skip_special_tokens=True)
    return list(zip(texts, ends.any(dim=1).tolist(), strict=True))


if __name__ == "__main__":
    main()
