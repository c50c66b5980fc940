"""Measure extraction on random weights in a large model's shape, with a wide SAE: for GPUs, without any download.

    python perf/large_model.py                                    # Llama-3.1-8B's shape, 65,536 latents, layer 19
    python perf/large_model.py --width 256 --layers 2 --heads 4 --latents 2048 --items 64 --device cpu --dtype float32

Only layers up to the hook are made, as no others are computed. Printed are tokens a second against the bare forward
pass and the encoder's product (as ``extraction.py`` measures it: prompts of 16 to 800 tokens, half of each in the
span), the most memory of the device, and the hours for 100,000 such prompts that follow.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from extraction import BUDGETS, Route, floor, mixed, ours, seconds
from transformers import LlamaConfig, LlamaForCausalLM

from competency_gaps.activations.extract import Extractor, ItemTokens
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.sae.threshold import ThresholdSAE

VOCABULARY = 128_256
ACTIVE = 64
"""Latents that are active on a token, about."""
PROMPTS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=20, help="up to the hook")
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--latents", type=int, default=65_536)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    args = parser.parse_args()
    setting: Any = made(args)
    items = mixed(
        [
            ItemTokens(
                0,
                np.random.default_rng(1).integers(0, VOCABULARY, 4096).astype(np.int32),
                np.zeros((0, 2), np.int32),
                np.zeros(0, bool),
            )
        ]
        * args.items
    )
    tokens = sum(len(item.ids) for item in items)
    budget = min((*BUDGETS, 16_384), key=lambda size: seconds(partial(floor, budget=size), setting, items[:200]))
    routes: dict[str, Route] = {"floor": partial(floor, budget=budget), "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in routes}
    for _ in range(args.rounds):
        for name, route in routes.items():
            times[name].append(seconds(route, setting, items))
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, took in median.items():
        print(f"{name:<6}{took:8.2f} s{tokens / took:12,.0f} tokens/s")
    print(f"ours: {median['floor'] / median['ours']:.2f} of the floor's speed (its batches: {budget:,} tokens)")
    if args.device == "cuda":
        print(f"most memory of the device: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    print(f"{PROMPTS:,} such prompts: {median['ours'] / len(items) * PROMPTS / 3600:.2f} hours")


def made(args: argparse.Namespace) -> SimpleNamespace:
    """A model, an SAE whose thresholds let few latents through, and an extractor."""
    torch.manual_seed(0)
    dtype = getattr(torch, args.dtype)
    config = LlamaConfig(
        hidden_size=args.width,
        intermediate_size=args.width * 7 // 2,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        num_key_value_heads=max(1, args.heads // 4),
        vocab_size=VOCABULARY,
    )
    with torch.device(args.device):
        model = LlamaForCausalLM(config).to(dtype).eval()
        weights = {
            "W_enc": torch.randn(args.width, args.latents, dtype=dtype) / args.width**0.5,
            "b_enc": torch.zeros(args.latents, dtype=dtype),
            "W_dec": torch.zeros(args.latents, args.width, dtype=dtype),
            "b_dec": torch.zeros(args.width, dtype=dtype),
            "threshold": torch.zeros(args.latents, dtype=dtype),
        }
    lm = LanguageModel(model, SimpleNamespace(pad_token_id=0, eos_token_id=0), "random", {"dtype": args.dtype}, 8192, 0)
    hook = resolve_hook(model, f"blocks.{args.layers - 1}.hook_resid_post")
    x = read_hook(lm, hook, [np.arange(64, dtype=np.int32)])[0].to(dtype)
    hidden = (x @ weights["W_enc"]).float()
    weights["threshold"] += float(
        hidden.flatten()[:: max(1, hidden.numel() // 2**20)].quantile(1 - ACTIVE / args.latents)
    )
    identity = {"d_in": args.width, "d_sae": args.latents, "average_over": 1}
    sae = SparseAutoencoder(ThresholdSAE(weights, subtract_bias=True), "random", hook.name, None, None, identity)
    return SimpleNamespace(lm=lm, sae=sae, extractor=Extractor(lm, hook, sae, "mean", args.batch_tokens))


if __name__ == "__main__":
    main()
