"""A finished run of any size that no model made: for measuring and trying what reads runs.

    python perf/synthetic_run.py /tmp/synth --concepts 131072 --benchmarks 12 --items 100000 --nonzeros 100000000
    python perf/synthetic_run.py /tmp/synth --concepts 65536 --benchmarks 10 --items 20000 --nonzeros 8000000

The folder has all tables, shards, the concept-major copy, and a dictionary with labels, an atlas, promoted tokens and
similar concepts, written by the package's own writers. Concepts are drawn with heavy-tailed frequencies, items about
subjects, a few of which are weak. Some texts and labels are hostile. Memory is bounded by a shard and a few tables.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from synthetic_dictionary import write_synthetic_dictionary
from synthetic_rows import HOSTILE, TOPICS, Drawing, World, make_words, make_world, token_activations

from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.concepts.kinds import LatentFacts
from competency_gaps.evidence.chi import Sums
from competency_gaps.evidence.tokens import MajorityToken
from competency_gaps.items.config import RunConfig, as_dict, parse_config
from competency_gaps.model.load import versions
from competency_gaps.pipeline.naming import name_run
from competency_gaps.pipeline.results import Collected, make_tables, write_items
from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.reading.rows import CasBlock, CasStore
from competency_gaps.runs.manifest import write_manifest, write_tables
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import item_sample, item_strata
from competency_gaps.sae.reference import SURFACE, Reference
from competency_gaps.slices.make import write_slices
from competency_gaps.util.files import write_atomic, write_json

SUBJECTS = 40
REPEATED = 20
"""One of so many items repeats another."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="is made; an older synthetic run there is replaced")
    parser.add_argument("--concepts", type=int, default=65_536)
    parser.add_argument("--benchmarks", type=int, default=10)
    parser.add_argument("--items", type=int, default=20_000, help="of all benchmarks together")
    parser.add_argument("--nonzeros", type=int, default=8_000_000, help="active pairs of item and concept, about")
    parser.add_argument("--no-tokens", action="store_true", help="without activations of single tokens, as older runs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.folder.exists():
        if not (args.folder / "synthetic.json").is_file():
            raise SystemExit(f"{args.folder} exists and is no synthetic run: give another folder.")
        shutil.rmtree(args.folder)
    write_json(args.folder / "synthetic.json", {key: str(value) for key, value in vars(args).items()})
    started = time.perf_counter()
    sizes = (args.concepts, args.benchmarks, args.items, args.nonzeros)
    nonzeros = make(args.folder, *sizes, tokens=not args.no_tokens, seed=args.seed)
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file())
    print(f"{args.folder}: {nonzeros:,} non-zeros, {size / 2**20:,.0f} MiB, {time.perf_counter() - started:.0f} s")


def make(
    folder: Path, concepts: int, benchmarks: int, items: int, nonzeros: int, *, tokens: bool = True, seed: int = 0
) -> int:
    """Write a run; gives the number of its non-zeros."""
    rng = np.random.default_rng(seed)
    world, words = make_world(concepts, SUBJECTS, rng), make_words(rng)
    names = [f"synthetic-{b:02d}" for b in range(benchmarks)]
    config = _config(folder, names)
    store = CasStore(folder / "activations", concepts)
    tables, sums, counts = [], {}, []
    shards: dict[str, list[str]] = {}
    for b, name in enumerate(names):
        count = items // benchmarks + (b < items % benchmarks)
        hostile = (*HOSTILE, "long " * 200_000) if b == 0 else HOSTILE
        topics = rng.choice(SUBJECTS, TOPICS, replace=False)
        level = float(rng.uniform(0.45, 0.8))
        drawing = Drawing(world, words, topics, nonzeros / items, level, b % 4 == 3, hostile, rng)
        sums[name], shards[name] = Sums.zeros(concepts), []
        for table, block in drawing.blocks(name, count):
            shards[name].append(f"b{b:03d}-{len(shards[name]):04d}")
            draft = store.draft(shards[name][-1], block, token_activations(block, rng) if tokens else {})
            store.shards.commit(shards[name][-1], draft)
            scores = table["score"].fill_null(float("nan")).to_numpy()
            sums[name] += Sums.of(block.cas, scores[block.items - block.items[0] // 256 * 256])
            tables.append(table)
        counts.append(count)
    _say("items and shards")
    first = np.cumsum([0, *counts])[:-1]
    write_by_concept(store.shards.folder, lambda: _blocks(store, shards, first), concepts)
    _say("concept-major copy")
    rows = pl.concat(tables)
    # Each twentieth item asks the same as the one before it.
    place = pl.int_range(pl.len(), dtype=pl.Int32)
    cluster = place - (place % REPEATED == REPEATED - 1)
    repeated = place % REPEATED >= REPEATED - 2
    rows = rows.with_columns(cluster=cluster, cluster_kind=pl.when(repeated).then(pl.lit("given")))
    _write_tables(folder, world, words, rows, sums, shards, config, rng)
    return int(sum(benchmark_sums.support.sum() for benchmark_sums in sums.values()))


def _blocks(store: CasStore, shards: dict[str, list[str]], first: np.ndarray) -> Iterator[tuple[int, CasBlock]]:
    """All shards, each with the row where its benchmark starts."""
    for start, names in zip(first.tolist(), shards.values(), strict=True):
        yield from ((start, block) for block in store.blocks(names))


def _write_tables(
    folder: Path,
    world: World,
    words: np.ndarray,
    items: pl.DataFrame,
    sums: dict[str, Sums],
    shards: dict[str, list[str]],
    config: RunConfig,
    rng: np.random.Generator,
) -> None:
    width = len(world.frequency)
    reference, sampled = _reference(world, words, rng), _sampled(world)
    peaks = MajorityToken(width)
    peaks.token = np.where(world.frequency > 0, rng.integers(0, len(words), width), -1)
    peaks.mass = np.ones(width)
    collected = Collected(sums, peaks, words.tolist())
    tokens = pl.DataFrame({"token": np.arange(len(words), dtype=np.int32), "text": words.tolist()})
    write_atomic(folder / "tokens.parquet", tokens.write_parquet)
    sample = item_sample(ByConcept(folder / "activations"), items, config.evidence.strata)
    write_items(folder / "items.parquet", items.with_columns(stratum=item_strata(sample)))
    tables, evidence = make_tables(collected, items, reference, sampled, sample, config)
    for name, table in tables.items():
        write_atomic(folder / f"{name}.parquet", table.write_parquet)
    _say("tables")
    sae = _sae(width)
    write_synthetic_dictionary(folder / "dictionary", sae, world, words, rng)
    manifest = _manifest(config, sae, items, shards, evidence)
    dictionary = open_dictionary(folder / "dictionary")
    of_dictionary, named = name_run(RunFolder(folder, manifest), dictionary)
    write_tables(folder, of_dictionary)
    manifest |= named
    _say("labels and regions")
    write_manifest(folder, {**manifest, "slices": {}})
    write_slices(open_folder(folder))
    _say("slices")


def _reference(world: World, words: np.ndarray, rng: np.random.Generator) -> Reference:
    """Base rates that differ from the run's, and know some of the concepts that the run never shows."""
    width = len(world.frequency)
    seen = (world.frequency > 0) | (rng.random(width) < 0.7)
    share = np.where(seen, np.maximum(world.frequency, 1 / width / 10) * rng.lognormal(0, 1, width), 0.0)
    share /= share.sum()
    density = np.minimum(0.08, share * 40)
    density[world.dense] = 0.6
    token_share = np.where(seen, rng.beta(1, 3, width), np.nan)
    return Reference(
        mean=share * 30,
        density=density,
        share=share,
        template_share=np.where(seen, rng.beta(0.5, 12, width), np.nan),
        token_share=token_share,
        window_density=np.minimum(1.0, density * 20),
        window_cas=np.where(seen, world.scale * 0.2, np.nan),
        **{name: np.where(seen, rng.beta(1, 4, width), np.nan) for name in SURFACE},
        token=[str(word) if here else None for word, here in zip(rng.choice(words, width), seen, strict=True)],
    )


def _sampled(world: World) -> LatentFacts:
    width = len(world.frequency)
    return LatentFacts.of_sample(world.frequency * 30, np.full(width, np.nan))


def _sae(width: int) -> dict[str, Any]:
    return {
        "name": f"synthetic-{width}",
        "architecture": "jumprelu",
        "d_in": 2304,
        "d_sae": width,
        "dtype": "float32",
        "hook_name": "blocks.12.hook_resid_post",
        "model_name": "synthetic-2b",
        "neuronpedia_id": None,
        **dict.fromkeys(("weights_sha256", "content_sha256"), f"{width:064x}"),
    }


def _config(folder: Path, names: list[str]) -> RunConfig:
    given = {
        "model": {"name": "synthetic-2b"},
        "sae": {"folder": "synthetic", "dictionary": str((folder / "dictionary").resolve())},
        "benchmarks": [
            {"name": name, "source": {"kind": "file", "path": f"{name}.jsonl"}, "scorer": "choice"} for name in names
        ],
    }
    return parse_config(RunConfig, given, "the synthetic run")


def _manifest(
    config: RunConfig, sae: dict[str, Any], items: pl.DataFrame, shards: dict[str, list[str]], evidence: dict[str, Any]
) -> dict[str, Any]:
    sizes = dict(items.group_by("benchmark", maintain_order=True).len().iter_rows())
    gate = {"tokens": 16_384, "l0": 62.5, "explained_variance": 0.83, "dead_share": 0.1}
    tokenizer = {"class": "None", "vocabulary_size": 4000, "vocabulary_sha256": "0" * 64, "chat_template_sha256": None}
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": "python perf/synthetic_run.py",
        "versions": versions(),
        "scored_model": "synthetic-2b",
        "model": {
            "name": "synthetic-2b",
            "revision": None,
            "class": "None",
            "hidden_size": 2304,
            "layers": 26,
            "dtype": "bfloat16",
            "device": "cpu",
            **dict.fromkeys(("weights_sha256", "content_sha256"), "0" * 64),
            "tokenizer": tokenizer,
        },
        "sae": sae,
        "hook": {"name": sae["hook_name"], "path": "model.layers.12", "side": "output", "layer": 12},
        "span": config.span,
        "pooling": config.pooling,
        "paper": False,
        "bos_id": None,
        "seeds": {"generation": 0},
        "gate": {**gate, "d_sae": sae["d_sae"], "passed": True, "forced": False},
        "reference": {"name": "reference.parquet", "sha256": "0" * 64, "lift": True},
        "evidence": evidence,
        "benchmarks": [
            {
                "name": name,
                "items": sizes[name],
                "content_sha256": "0" * 64,
                "scorer": "choice",
                "scope": None,
                "generated": False,
                "left_out": [],
                "source": [],
                "shards": shards[name],
            }
            for name in shards
        ],
        "judging": None,
        "settings": as_dict(config),
        "timings": {"load": 0.0, "gate": 0.0, "reading": 0.0, "metrics": 0.0},
    }


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    main()
