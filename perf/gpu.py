"""Measure the speed and memory of reading on a GPU, with models of published shapes: beside the floor and SAELens.

    python perf/gpu.py [--shape llama-3.1-8b gemma-2-2b] [--sae-dtype bfloat16] [--benchmark FILE] [--items 2000]

Nothing is downloaded. The script makes weights (random, of the published shape, on the device), a tokenizer (from the
prompts), an SAE (random encoder, with a threshold that about 65 latents of a token pass) and prompts: stretches of the
bundled suite's text, whose lengths are log-normal around 120 tokens as benchmarks' are. ``--benchmark`` takes the
prompts of a file instead.

* floor: the forward passes of ``ours``, which end at the hook, and nothing else.
* with SAE: the same, and the SAE's ``encode`` on the tokens that count. No route through both can be faster.
* ours: what ``cgaps run`` does where no model is asked: read, encode, pool, copy to the host, write to the disk.
* SAELens: its proxy of the model stopped at the hook, its own SAE on all positions, masked mean in torch, a dense row
  of each prompt copied to the host, nothing written. Batches are those of ``ours``, sorted by length: few users do so.

Routes alternate, so that drift in the machine's speed affects all; medians of rounds are printed. Each shape has a
process of its own, and peaks of memory are those of ``ours``, before SAELens is loaded; loading a model from files is
not in them. A last pass, which waits for the device after each part and so is slower, gives the shares of the time;
files are written in a thread beside the others. Without a GPU, the default shapes are tiny.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, PreTrainedTokenizerFast

from competency_gaps.embedded import BENCHMARKS
from competency_gaps.items.config import BenchmarkConfig, RunConfig, parse_config
from competency_gaps.model.batches import pad, plan_batches
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.load import LanguageModel, chosen_device
from competency_gaps.pipeline.engines import Work, read_here, read_missing
from competency_gaps.pipeline.extraction import BenchmarkPlan, Shard, ShardFiles, ShardReader
from competency_gaps.pipeline.items import item_input
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.pipeline.setting import Setting, set_up
from competency_gaps.reading import extract, pooling
from competency_gaps.reading.extract import ItemTokens, needed
from competency_gaps.reading.rows import CasBlock, ShardFile
from competency_gaps.sae.load import SparseAutoencoder, load_pair
from competency_gaps.util.progress import Progress


class Shape(NamedTuple):
    """A model to make, and where its SAE reads."""

    config: type
    settings: dict[str, int]
    layer: int
    latents: int = 65_536
    threshold: float = 3.1
    """In standard deviations of a latent before it: 0.1% are above 3.1."""


TINY = {
    **{"vocab_size": 8192, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 2048},
}
LLAMA = {
    **{"vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32},
    **{"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131_072},
}
GEMMA = {
    **{"vocab_size": 256_000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26},
    **{"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192},
}
SHAPES = {
    "llama-3.1-8b": Shape(LlamaConfig, LLAMA, 19),
    "gemma-2-2b": Shape(Gemma2Config, GEMMA, 20),
    "tiny": Shape(LlamaConfig, TINY, 2, 4096, 2.0),
    "tiny-gemma": Shape(Gemma2Config, TINY, 2, 4096, 2.0),
}
Route = Callable[[], Any]
"""A way of reading all prompts."""


def main() -> None:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=[*SHAPES][:2] if on_gpu else [*SHAPES][2:])
    parser.add_argument("--items", type=int, default=2000 if on_gpu else 100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--benchmark", type=Path, help="a file of prompts, as benchmarks have them")
    parser.add_argument("--dtype", default="bfloat16", help="of the model")
    parser.add_argument("--sae-dtype", default="float32")
    args = parser.parse_args()
    prompts = [*made_prompts(args.items)] if args.benchmark is None else texts_of(args.benchmark)[: args.items]
    for name in args.shape:
        with tempfile.TemporaryDirectory() as folder:
            in_own_process(measure, name, prompts, args, Path(folder))


def in_own_process(function: Callable[..., None], *args: Any) -> None:
    """Call a function where it changes no peak of this process's memory."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def texts_of(file: Path | str) -> list[str]:
    """The prompts of a file."""
    source = {"kind": "file", "path": str(file)}
    items = load_benchmark(BenchmarkConfig.model_validate({"name": "prompts", "source": source})).items
    return [item.prompt for item in items if item.prompt]


def made_prompts(count: int) -> Iterator[str]:
    """Stretches of the bundled suite's text, of lengths as benchmarks' prompts have."""
    rng = np.random.default_rng(0)
    words = " ".join(text for name in BENCHMARKS for text in texts_of(name)).split()
    for _ in range(count):
        length = int(np.clip(rng.lognormal(np.log(100), 0.7), 12, 700))
        yield " ".join(np.take(words, np.arange(length) + rng.integers(len(words)), mode="wrap"))


def measure(name: str, prompts: list[str], args: argparse.Namespace, folder: Path) -> None:
    """Measure the routes with a model of one shape, and print."""
    setting = make_setting(name, prompts, args, folder)
    lm, sae, runs = setting.lm, setting.sae, itertools.count()

    def ours() -> Work:
        return read_missing(setting, folder / f"run-{next(runs)}", read_here, Progress(quiet=True))

    work = ours()  # warm-up
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    memory, device = f"{host:.1f} GiB of the host (goal 4)", f"a CPU, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        memory += f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of the GPU"
        device = torch.cuda.get_device_name()
    suite = [items_of(setting, plan, shard) for plan in work.plans for shard in plan.shards]
    tokens = sum(needed(item) for items in suite for item in items)
    files = work.reader.files.store.shards
    shards = [ShardFile(files.check(shard)) for shard in work.names]
    active, pairs = (sum(len(shard.tensor(name)) for shard in shards) for name in ("act_values", "concepts"))
    saelens = SAELens(setting, folder)
    print(
        f"{name}, {lm.identity['dtype']}, on {device}: {len(prompts):,} prompts, {tokens:,} tokens, read up to "
        f"{sae.hook_name}; {sae.d_sae:,} latents in {sae.identity['dtype']}, {active / tokens:.0f} active on a token, "
        f"{pairs / len(prompts):,.0f} in a prompt; scores differ from SAELens' by at most "
        f"{saelens.difference(suite[0], work.reader.files.store.read(work.names[0])):.1e} of a prompt's largest"
    )
    routes: dict[str, Route] = {
        "floor": partial(read_floor, setting, suite, encode=False),
        "with SAE": partial(read_floor, setting, suite, encode=True),
        "ours": ours,
        "SAELens": lambda: [saelens(items) for items in suite],
    }
    took = [{route: seconds(read) for route, read in routes.items()} for _ in range(args.rounds)]
    median = {route: statistics.median(one[route] for one in took) for route in routes}
    for route, of_all in median.items():
        spread = f"{min(one[route] for one in took):.2f}-{max(one[route] for one in took):.2f}"
        print(f"{route:<9}{of_all:8.2f} s ({spread})  {tokens / of_all:10,.0f} tokens/s")
    print(
        f"ours: {median['floor'] / median['ours']:.2f} of the floor's speed (goal 0.95), "
        f"{median['with SAE'] / median['ours']:.2f} of the floor's with the SAE, "
        f"{median['SAELens'] / median['ours']:.1f} times as fast as SAELens"
    )
    print(f"time of ours: {shares(ours)}")
    print(f"peak memory of ours: {memory}")


def make_setting(name: str, prompts: list[str], args: argparse.Namespace, folder: Path) -> Setting:
    """A model, an SAE and prompts, as the pipeline has them before it reads."""
    shape, device = SHAPES[name], chosen_device("auto")
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(shape.config(**shape.settings), dtype=getattr(torch, args.dtype))
    torch.set_grad_enabled(False)
    length, hook = shape.settings["max_position_embeddings"], f"blocks.{shape.layer}.hook_resid_post"
    lm = LanguageModel(model.eval(), make_tokenizer(prompts), name, {"dtype": args.dtype}, length)
    ids = [np.asarray(lm.tokenizer(text)["input_ids"], np.int32) for text in prompts[:8]]
    scale = read_hook(lm, resolve_hook(model, hook), ids).float().square().mean(dim=2).sqrt().median()
    threshold = shape.threshold * float(scale)
    in_own_process(write_sae, folder / "sae", hook, model.config.hidden_size, shape.latents, threshold)
    items = [{"id": str(i), "prompt": text} for i, text in enumerate(prompts)]
    content = {
        "benchmarks": [{"name": "prompts", "source": {"kind": "objects", "items": items}}],
        "model": {"name": name, "dtype": args.dtype},
        "sae": {"folder": str(folder / "sae"), "dtype": args.sae_dtype, "gate_tokens": 256},
        **{"ask": False, "near_repeats": None},
    }
    config = parse_config(RunConfig, content, "perf/gpu.py")
    return set_up(config, Progress(quiet=True), load_pair(config.model, config.sae, lm=lm))


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte pairs of the prompts: at most as many as the smallest vocabulary of ``SHAPES``."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8192,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", pad_token="<s>")


def write_sae(folder: Path, hook: str, width: int, latents: int, threshold: float) -> None:
    """Save a random JumpReLU SAE as SAELens does."""
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(hook_name=hook, prepend_bos=True)
    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=width, d_sae=latents, metadata=metadata))
    with torch.no_grad():
        directions = torch.nn.functional.normalize(torch.randn(width, latents), dim=0)
        sae.W_enc.copy_(directions)
        sae.W_dec.copy_(directions.T)
        sae.threshold.fill_(threshold)
    sae.save_model(folder)


def items_of(setting: Setting, plan: BenchmarkPlan, shard: Shard) -> list[ItemTokens]:
    """What is read of a shard's items."""
    empty = np.zeros(0, np.int32)
    lm, span = setting.lm, setting.config.span
    inputs = (item_input(i, plan.items[i], span, None, empty, lm) for i in shard.members)
    return [own.tokens for own in inputs if own.tokens is not None]


def read_floor(setting: Setting, suite: list[list[ItemTokens]], *, encode: bool) -> None:
    """The passes to the hook in the batches of ``ours``, and the SAE's products on the tokens that count."""
    extractor, sae = setting.extractor, setting.sae
    chunk = pooling.chunk_tokens(sae, pooling.GPU_FACTOR if setting.lm.device.type == "cuda" else 1)
    for items in suite:

        def read(lm: LanguageModel, chosen: np.ndarray, items: list[ItemTokens] = items) -> list[None]:
            own = [items[i] for i in chosen]
            x = read_hook(lm, extractor.hook, [item.ids[: needed(item)] for item in own])
            if encode:
                spans = [sae.inputs(row, item.span[: needed(item)]) for row, item in zip(x, own, strict=True)]
                for part in torch.cat(spans).split(chunk):
                    sae.encode(part)
            return [None] * len(own)

        lengths = [needed(item) for item in items]
        for _ in extractor.attempts.batches(setting.lm, "floor", lengths, extractor.read_at_once, read):
            pass


class SAELens:
    """SAELens' proxy and SAE, with the batches of ``ours``."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        from sae_lens import SAE
        from sae_lens.load_model import HookedProxyLM

        self._setting, lm, hook = setting, setting.lm, setting.extractor.hook
        self._sae = SAE.load_from_disk(folder / "sae", device=str(lm.device), dtype=setting.config.sae.dtype)
        self._proxy = HookedProxyLM(lm.model, lm.tokenizer, hook_names=[hook.path])
        self._cached: dict[str, Any] = {"names_filter": [hook.path], "stop_at_layer": (hook.layer or 0) + 1}

    def __call__(self, items: list[ItemTokens]) -> dict[int, np.ndarray]:
        """Mean latents of each item, by its position in the benchmark: float32 of shape (latents,)."""
        made = dict[int, np.ndarray]()
        for batch in plan_batches([needed(item) for item in items], self._setting.extractor.read_at_once):
            chosen = [items[i] for i in batch]
            made |= zip((item.item for item in chosen), self._means(chosen), strict=True)
        return made

    def _means(self, items: list[ItemTokens]) -> np.ndarray:
        lm, (path,) = self._setting.lm, self._cached["names_filter"]
        ids, mask = (
            torch.from_numpy(pad(rows, other)).to(lm.device)
            for rows, other in (
                ([item.ids[: needed(item)] for item in items], lm.pad_id),
                ([item.span[: needed(item)] for item in items], 0),
            )
        )
        with torch.inference_mode():
            x = self._proxy.run_with_cache(ids, **self._cached)[1][path]
            latents = self._sae.encode(x.to(self._sae.dtype)).float()
            means = torch.einsum("rt,rtc->rc", mask.float(), latents) / mask.sum(dim=1, keepdim=True)
        return np.asarray(means.cpu().numpy())

    def difference(self, items: list[ItemTokens], stored: CasBlock) -> float:
        """Largest difference of stored scores from SAELens', in shares of an item's largest score."""
        theirs = self(items)
        rows = zip(stored.items.tolist(), stored.cas.toarray(), strict=True)
        return max(float(np.abs(theirs[item] - own).max() / theirs[item].max()) for item, own in rows)


def seconds(read: Route) -> float:
    """Seconds of a route."""
    start = time.perf_counter()
    read()
    synchronize()
    return time.perf_counter() - start


def synchronize(*, on_gpu: bool = True) -> None:
    """Wait for what runs on the GPU."""
    if on_gpu and torch.cuda.is_available():
        torch.cuda.synchronize()


def shares(ours: Route) -> str:
    """What the parts of our route take of its time, in words."""
    took: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            synchronize(on_gpu=name != "disk")  # while a file is written, the GPU reads on
            start = time.perf_counter()
            result = function(*args, **options)
            synchronize(on_gpu=name != "disk")
            took[name] += time.perf_counter() - start
            return result

        return call

    watched = (
        *((extract, "read_hook", "model"), (SparseAutoencoder, "encode", "SAE"), (extract, "pool", "pooling")),
        (pooling, "_token_rows", "copies"),
        *((ShardReader, "write", "disk"), (ShardFiles, "commit", "disk")),
    )
    with ExitStack() as stack:
        for owner, attribute, name in watched:
            stack.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        whole = seconds(ours)
    disk = took.pop("disk")
    took["pooling"] -= took["SAE"] + took["copies"]  # which are parts of it
    took["the rest"] = whole - sum(took.values())
    return (
        ", ".join(f"{name} {own / whole:.1%}" for name, own in took.items()) + f"; beside it, disk {disk / whole:.1%}"
    )


if __name__ == "__main__":
    main()
