"""How far the rounding of stored rows moves chi_model and chi_bench, and how many bytes the rows take.

    python perf/rounding.py CONFIG.yaml RUN

Makes the run RUN, keeping every row in memory as it was pooled, and computes both metrics in float64 from these and
from the rows in RUN. Sums of one concept over one benchmark are compared, and the means over benchmarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.evidence.chi import Sums, chi_bench, chi_model, suite_chi_model
from competency_gaps.reading.rows import CasBlock, CasStore
from competency_gaps.util.shards import Draft

ROWS = ("concepts", "cas", "scale", "peaks")
TOKENS = ("token_ids", "token_offsets")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path, help="a new folder")
    args = parser.parse_args()
    if args.run.exists():
        raise SystemExit(f"{args.run} exists: rows that were stored before cannot be compared; give a new folder.")
    pooled = keep_blocks()
    run = cg.run(args.config, args.run)
    store = CasStore(run.path / "activations", run.width)
    before, after = [], []
    for entry in run.manifest["benchmarks"]:
        scores = run.items.filter(pl.col("benchmark") == entry["name"])["score"].fill_null(float("nan")).to_numpy()
        before.append(sums_of([pooled[name] for name in entry["shards"]], scores))
        after.append(sums_of(store.blocks(entry["shards"]), scores))
    print_differences(before, after)
    print_bytes(sorted(store.shards.folder.glob("*.safetensors")))


def keep_blocks() -> Mapping[str, CasBlock]:
    """The blocks of all shards that are written from now on, by name, as they are before they are stored."""
    kept: dict[str, CasBlock] = {}
    draft = CasStore.draft

    def keep(self: CasStore, name: str, block: CasBlock, token_tensors: Mapping[str, np.ndarray]) -> Draft:
        kept[name] = block
        return draft(self, name, block, token_tensors)

    CasStore.draft = keep  # type: ignore[method-assign]
    return kept


def sums_of(blocks: Iterable[CasBlock], scores: np.ndarray) -> Sums:
    """Sums over the shards of a benchmark, in float64."""
    first, *others = (Sums.of(block.cas, scores[block.items]) for block in blocks)
    return sum(others, first)


def print_differences(before: Sequence[Sums], after: Sequence[Sums]) -> None:
    """Relative differences of both metrics over all concepts for which they are defined and not 0."""
    alive = np.any([sums.cas > 0 for sums in before], axis=0)
    bench = [np.stack([chi_bench(sums, alive) for sums in side]) for side in (before, after)]
    model = [np.stack([chi_model(sums) for sums in side]) for side in (before, after)]
    differences = {
        "chi_bench, a benchmark": bench,
        "chi_model, a benchmark": model,
        "chi_bench, the suite": [np.mean(values, axis=0) for values in bench],
        "chi_model, the suite": [suite_chi_model(values) for values in model],
    }
    print(f"{'relative difference':<24}{'largest':>10}{'99%':>10}{'mean':>10}{'values':>10}")
    for name, (own, other) in differences.items():
        known = own > 0
        off = np.abs(other[known] / own[known] - 1)
        shown = "".join(f"{value:>10.1e}" for value in (off.max(), np.quantile(off, 0.99), off.mean()))
        print(f"{name:<24}{shown}{known.sum():>10,}")


def print_bytes(shards: Sequence[Path]) -> None:
    """Bytes of rows for each active concept, and of tokens for each token."""
    from safetensors.numpy import load_file

    held = [load_file(shard) for shard in shards]
    for what, names, each in (("active concept", ROWS, "cas"), ("token", TOKENS, "token_ids")):
        size, count = sum(tensors[name].nbytes for tensors in held for name in names), sum(len(t[each]) for t in held)
        print(f"{size / count:.2f} bytes for each {what} ({count:,})")


if __name__ == "__main__":
    main()
