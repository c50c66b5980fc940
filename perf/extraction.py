"""Compare the speed of extraction with a lower bound on its time and with other ways, in one run.

    python perf/extraction.py [CONFIG.yaml] [--items 200] [--rounds 3] [--beside hooked] [--set ...]

* floor: the model up to the hook on packed rows (no padding), in batches of the size that is fastest here, plus the
  encoder's matrix product on the span's tokens. With these libraries, no token can be read faster.
* ours: the pipeline's extraction (batches by length, span only, sparse CAS rows with peaks), every token of every item
  read, as if nothing was shared.
* shared: the same as it is: a start that all items of a shard (here, of a part) share is read once.
* hooked: SAELens' own route, its proxy of the model stopped at the hook, batches of 8 in file order, ``encode`` on all
  positions, masked mean.
* usual: what a notebook does, the same with ``output_hidden_states=True``.
* compiled: ours with the layers compiled by torch (needs a C++ compiler on a processor); the warm-up is printed apart.

All are measured in parts of 32 items, one way after the other, so that drift in the machine's speed affects all alike;
of several rounds, the median is printed. The default configuration is the demo's, whose prompts are short and alike:
unless ``--as-they-are``, they are joined and cut to lengths that are log-normal around 120 tokens, as benchmarks' are.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from competency_gaps.embedded import DEMO_CONFIG
from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.items.item import Reason
from competency_gaps.model.batches import pad, plan_batches
from competency_gaps.model.hooks import read_hook
from competency_gaps.pipeline.extraction import SHARD_ITEMS, cut_shards
from competency_gaps.pipeline.items import item_input
from competency_gaps.pipeline.setting import Setting, set_up
from competency_gaps.reading import extract
from competency_gaps.reading.extract import ItemTokens, needed
from competency_gaps.reading.pooling import SparseRow
from competency_gaps.util.progress import Progress

PACKED_LENGTH = 256
PART_ITEMS = 32
"""By length, as the pipeline cuts shards, or in file order for the ways that read so."""
BUDGETS = (256, 512, 1024, 4096)
"""Tokens of a batch that the floor tries; the fastest counts."""
EIGHTS = ("hooked", "usual")
OTHERS = (*EIGHTS, "compiled")
Route = Callable[[Setting, list[ItemTokens]], None]
"""A way of reading items."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=DEMO_CONFIG)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--beside", nargs="*", choices=OTHERS, default=EIGHTS, help="the other ways that are measured")
    parser.add_argument("--as-they-are", action="store_true", help="the prompts' own lengths")
    args = parser.parse_args()
    config = parse_config(RunConfig, read_yaml(args.config, args.set), str(args.config))
    setting = set_up(config, Progress(quiet=True))
    items = sample(setting, args.items)
    items = items if args.as_they_are else mixed(items)
    tokens = sum(len(item.ids) for item in items)
    span = sum(int(item.span.sum()) for item in items)
    machine = f"{setting.lm.identity['dtype']}, {torch.get_num_threads()} threads"
    lengths = np.quantile([len(item.ids) for item in items], [0, 0.5, 1]).astype(int)
    print(
        f"{len(items)} items of {lengths[0]} to {lengths[2]} tokens (median {lengths[1]}), {tokens:,} tokens, "
        f"{span:,} in the span; {machine}"
    )
    budget = fastest_budget(setting, items[:12])
    others: dict[str, Route] = {"hooked": hooked, "usual": usual, "compiled": Compiled(setting)}
    routes: dict[str, Route] = {
        "floor": partial(floor, budget=budget),
        "ours": unshared,
        "shared": ours,
        **{name: others[name] for name in args.beside},
    }
    for name, route in routes.items():
        warm = seconds(route, setting, items if name == "compiled" else items[:4])
        if name == "compiled":
            print(f"the first time that all items are read with compiled layers: {warm:.1f} s")
    parts = [[items[i] for i in group] for group in cut_shards([len(item.ids) for item in items], PART_ITEMS)]
    times = [in_turns(routes, setting, items, parts) for _ in range(args.rounds)]
    median = {name: statistics.median(took[name] for took in times) for name in routes}
    for name, of_all in median.items():
        spread = f"{min(took[name] for took in times):.2f}-{max(took[name] for took in times):.2f}"
        print(f"{name:<6} {of_all:8.2f} s ({spread})  {tokens / of_all:10,.0f} tokens/s")
    print(
        f"ours: {median['floor'] / median['ours']:.2f} of the floor's speed (its batches: {budget:,} tokens); of what "
        f"ours reads, {padding(setting, parts):.1%} is padding"
    )
    for name in args.beside:
        print(
            f"ours: {median[name] / median['ours']:.2f} times as fast as {name}, "
            f"{median[name] / median['shared']:.2f} times with the shared start read once"
        )
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def sample(setting: Setting, count: int) -> list[ItemTokens]:
    """Items of all benchmarks, evenly and in mixed order, as a suite's file would hold them."""
    lm, found, empty = setting.lm, [], np.zeros(0, np.int32)
    for items in setting.prepared.values():
        for index, item in enumerate(items):
            read = item_input(index, item, "question", None, empty, lm)
            if read.tokens is not None:
                found.append(read.tokens)
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[i] for i in order]


def mixed(items: list[ItemTokens]) -> list[ItemTokens]:
    """Join prompts and cut them to lengths that differ as benchmarks' do; half of each is the span."""
    rng = np.random.default_rng(0)
    stream = np.concatenate([item.ids for item in items])
    made = []
    for i in range(len(items)):
        length = int(np.clip(rng.lognormal(np.log(120), 0.7), 16, 800))
        ids = np.take(stream, np.arange(length) + rng.integers(len(stream)), mode="wrap").astype(np.int32)
        made.append(ItemTokens(i, ids, np.zeros((length, 2), np.int32), np.arange(length) >= length // 2))
    return made


def seconds(route: Route, setting: Setting, items: list[ItemTokens]) -> float:
    """Seconds of a route: of all threads of a processor, which other processes disturb less, or of the clock."""
    on_gpu = setting.lm.device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    route(setting, items)
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def in_turns(
    routes: dict[str, Route], setting: Setting, items: list[ItemTokens], parts: list[list[ItemTokens]]
) -> dict[str, float]:
    """Seconds that each way takes for all items, measured part by part."""
    took = dict.fromkeys(routes, 0.0)
    for part, indices in zip(parts, np.array_split(np.arange(len(items)), len(parts)), strict=True):
        in_file_order = [items[i] for i in indices]
        for name, route in routes.items():
            took[name] += seconds(route, setting, in_file_order if name in EIGHTS else part)
    return took


def fastest_budget(setting: Setting, items: list[ItemTokens]) -> int:
    """Tokens of a batch with which the floor is fastest here, by the better of two tries in turns."""
    tries = [{size: seconds(partial(floor, budget=size), setting, items) for size in BUDGETS} for _ in range(2)]
    return min(BUDGETS, key=lambda size: min(took[size] for took in tries))


def padding(setting: Setting, parts: list[list[ItemTokens]]) -> float:
    """Share of padding in what is read of items: the less, the more there are to choose batches from."""
    real = read = 0
    for part in parts:
        lengths = [needed(item) for item in part]
        real += sum(lengths)
        for batch in plan_batches(lengths, setting.extractor.read_at_once):
            read += len(batch) * max(lengths[i] for i in batch)
    return 1 - real / read


def floor(setting: Setting, items: list[ItemTokens], budget: int) -> None:
    """Truncated forward on rows without padding, and one matrix product on the span's tokens."""
    ids = np.concatenate([item.ids for item in items])
    span = torch.from_numpy(np.concatenate([item.span for item in items]))
    rows = [ids[i : i + PACKED_LENGTH] for i in range(0, len(ids), PACKED_LENGTH)]
    weights = setting.sae.sae.W_enc
    per_batch = max(1, budget // PACKED_LENGTH)
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
        setting.extractor.block(part, whole(setting.extractor.rows(part, lambda _: None)))


def whole(rows: Iterable[SparseRow | Reason]) -> list[SparseRow]:
    """The rows, all of which could be read."""
    made = []
    for row in rows:
        if isinstance(row, Reason):
            raise SystemExit(f"an item could not be read: {row}")
        made.append(row)
    return made


def unshared(setting: Setting, items: list[ItemTokens]) -> None:
    """The same, but a start that items share is read with each."""
    with patch.object(extract, "shared_start", lambda *_: 0):
        ours(setting, items)


class Compiled:
    """Extraction with compiled layers, of any length."""

    def __init__(self, setting: Setting) -> None:
        self._layers = list(setting.lm.model.base_model.layers)
        self._forward = [torch.compile(layer.forward, dynamic=True) for layer in self._layers]

    def __call__(self, setting: Setting, items: list[ItemTokens]) -> None:
        with ExitStack() as stack:
            for layer, forward in zip(self._layers, self._forward, strict=True):
                stack.enter_context(patch.object(layer, "forward", forward))
            unshared(setting, items)


def hooked(setting: Setting, items: list[ItemTokens]) -> None:
    """SAELens' proxy of a model, which stops at the hook."""
    from sae_lens.load_model import HookedProxyLM

    path, layer = setting.extractor.hook.path, (setting.extractor.hook.layer or 0) + 1
    model = setting.lm.model
    proxy = HookedProxyLM(model, setting.lm.tokenizer, hook_names=[path])

    def read(ids: torch.Tensor, _mask: torch.Tensor) -> torch.Tensor:
        return proxy.run_with_cache(ids, names_filter=[path], stop_at_layer=layer, return_type="logits")[1][path]

    by_eights(setting, items, read)
    model.get_submodule(path)._forward_hooks.clear()


def usual(setting: Setting, items: list[ItemTokens]) -> None:
    """What a notebook does."""
    layer = (setting.extractor.hook.layer or 0) + (1 if setting.extractor.hook.side == "output" else 0)

    def read(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out = setting.lm.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return out.hidden_states[layer]

    by_eights(setting, items, read)


def by_eights(
    setting: Setting, items: list[ItemTokens], read: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    """Batches of eight in file order; all positions are encoded."""
    lm, sae = setting.lm, setting.sae.sae
    with torch.inference_mode():
        for start in range(0, len(items), 8):
            part = items[start : start + 8]
            ids = torch.from_numpy(pad([item.ids for item in part], lm.pad_id)).to(lm.device)
            real = torch.from_numpy(pad([np.ones(len(item.ids), np.int32) for item in part], 0)).to(lm.device)
            mask = torch.from_numpy(pad([item.span.astype(np.int32) for item in part], 0)).to(lm.device)
            latents = sae.encode(read(ids, real).to(sae.dtype))
            weights = mask[..., None].to(latents.dtype)
            ((latents * weights).sum(dim=1) / weights.sum(dim=1)).cpu().numpy()


if __name__ == "__main__":
    main()
