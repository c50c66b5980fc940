"""Compare the speed of extraction with a lower bound on its time and with the usual way, in one run.

    python perf/extraction.py [CONFIG.yaml] [--items 400] [--rounds 3] [--set a.b=value ...]

* floor: the model up to the hook on packed rows (no padding) plus the encoder's matrix product on the span's tokens.
  With these libraries, these activations cannot be computed faster.
* ours: the pipeline's extraction (batches by length, span only, sparse CAS rows with peaks).
* usual: ``output_hidden_states=True``, batches of 8 in file order, SAELens' ``encode`` on all positions, masked mean.

Rounds alternate between the three, so that drift in the machine's speed affects all equally; medians are printed.
The default configuration is the demo's.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from competency_gaps.activations.extract import ItemTokens
from competency_gaps.config import RunConfig, parse_config, read_yaml
from competency_gaps.embedded import DEMO_CONFIG
from competency_gaps.model.batches import pad
from competency_gaps.model.forward import read_hook
from competency_gaps.progress import Progress
from competency_gaps.stages.inputs import item_input
from competency_gaps.stages.setting import Setting, set_up
from competency_gaps.stages.shard_plan import SHARD_ITEMS, cut_shards

PACKED_LENGTH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=DEMO_CONFIG)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    config = parse_config(RunConfig, read_yaml(args.config, args.set), str(args.config))
    setting = set_up(config, Progress(quiet=True))
    items = sample(setting, args.items)
    tokens = sum(len(item.ids) for item in items)
    span = sum(int(item.span.sum()) for item in items)
    machine = f"{setting.lm.identity['dtype']}, {torch.get_num_threads()} threads"
    print(f"{len(items)} items, {tokens:,} tokens, {span:,} in the span; {machine}")
    routes = {"floor": floor, "ours": ours, "usual": usual}
    times: dict[str, list[float]] = {name: [] for name in routes}
    for route in routes.values():  # warm-up
        route(setting, items[:64])
    for _ in range(args.rounds):
        for name, route in routes.items():
            start = time.perf_counter()
            route(setting, items)
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in median.items():
        spread = f"{min(times[name]):.2f}-{max(times[name]):.2f}"
        print(f"{name:<6} {seconds:8.2f} s ({spread})  {tokens / seconds:10,.0f} tokens/s")
    print(f"ours / floor: {median['floor'] / median['ours']:.2f} of the floor's speed (target >= 0.75)")
    print(f"ours / usual: {median['usual'] / median['ours']:.2f} times its speed (target >= 3)")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def sample(setting: Setting, count: int) -> list[ItemTokens]:
    """Items of all benchmarks, evenly and in mixed order, as a suite's file would hold them."""
    lm, found, empty = setting.lm, [], np.zeros(0, np.int32)
    for items in setting.prepared.values():
        for index, item in enumerate(items):
            read = item_input(index, item, "question", None, empty, lm.tokenizer, lm.max_length)
            if read.tokens is not None:
                found.append(read.tokens)
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[i] for i in order]


def floor(setting: Setting, items: list[ItemTokens]) -> None:
    """Truncated forward on rows without padding, and one matrix product on the span's tokens."""
    ids = np.concatenate([item.ids for item in items])
    span = torch.from_numpy(np.concatenate([item.span for item in items]))
    rows = [ids[i : i + PACKED_LENGTH] for i in range(0, len(ids), PACKED_LENGTH)]
    weights = setting.sae.sae.W_enc
    per_batch = max(1, setting.extractor.batch_tokens // PACKED_LENGTH)
    with torch.inference_mode():
        for start in range(0, len(rows), per_batch):
            part = rows[start : start + per_batch]
            x = read_hook(setting.lm, setting.extractor.hook, part).flatten(0, 1)
            first = start * PACKED_LENGTH
            mask = span[first : first + sum(map(len, part))]
            x = x[: len(mask)][mask.to(x.device)]
            torch.relu(x.to(weights.dtype) @ weights)


def ours(setting: Setting, items: list[ItemTokens]) -> None:
    """The pipeline's extraction, shard by shard."""
    for group in cut_shards([len(item.ids) for item in items], SHARD_ITEMS):
        part = [items[i] for i in group]
        setting.extractor.block(part, setting.extractor.rows(part, lambda _: None))


def usual(setting: Setting, items: list[ItemTokens]) -> None:
    """What a notebook does."""
    lm, sae = setting.lm, setting.sae.sae
    layer = (setting.extractor.hook.layer or 0) + (1 if setting.extractor.hook.side == "output" else 0)
    with torch.inference_mode():
        for start in range(0, len(items), 8):
            part = items[start : start + 8]
            ids = torch.from_numpy(pad([item.ids for item in part], lm.pad_id)).to(lm.device)
            real = torch.from_numpy(pad([np.ones(len(item.ids), np.int32) for item in part], 0)).to(lm.device)
            mask = torch.from_numpy(pad([item.span.astype(np.int32) for item in part], 0)).to(lm.device)
            hidden = lm.model(input_ids=ids, attention_mask=real, output_hidden_states=True).hidden_states[layer]
            latents = sae.encode(hidden.to(sae.dtype))
            weights = mask[..., None].to(latents.dtype)
            ((latents * weights).sum(dim=1) / weights.sum(dim=1)).cpu().numpy()


if __name__ == "__main__":
    main()
