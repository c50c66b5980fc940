"""What a run cost per item, and what many items would cost: tokens, seconds, bytes.

    python perf/unit_costs.py RUN [--items 1e6 1e8 1e10]

Seconds are those of the manifest, so of the machine that made the run. Only a run that one process read from its first
item to its last has them all; others are refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import competency_gaps as cg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--items", type=float, nargs="+", default=[1e6, 1e8, 1e10])
    args = parser.parse_args()
    run = cg.open_run(args.run)
    kept = int(run.items["excluded"].null_count())
    if (why := unfit(run, kept)) is not None:
        parser.error(f"{args.run} {why}, so it does not show what reading costs: make a run with one 'cgaps run'")
    support = int(run.concepts["support"].sum())
    timings = run.manifest["timings"]
    cost = {
        "tokens": run.items["n_tokens"].sum() / kept,
        "active concepts": support / kept,
        "reading, seconds": timings["reading"] / kept,
        "metrics, seconds": timings["metrics"] / kept,
        "responses, bytes": size(run.path / "responses") / kept,
        "activations, bytes": size(run.path / "activations") / kept,
        "by concept, bytes": size(run.path / "activations" / "by-concept") / kept,
        "tables, bytes": size(run.path) / kept,
    }
    print(f"{kept:,} items of {run.manifest['model']['name']}, an SAE of {run.width:,} concepts")
    heads = "".join(f"{items:>12.0e}" for items in args.items)
    print(f"{'':<22}{'an item':>12}{heads}")
    for name, value in cost.items():
        print(f"{name:<22}{value:>12.4g}" + "".join(f"{value * items:>12.3g}" for items in args.items))


def unfit(run: cg.Run, kept: int) -> str | None:
    """Why a run's seconds and bytes are not those of its items; None: they are."""
    read = run.manifest["read"]
    if not kept:
        return "has no items that were read"
    if not run.has_rows:
        return "was pruned"
    if read["items"] < read["of"]:
        return f"was read in several commands, the last of which read {read['items']:,} of {read['of']:,} items"
    return None if read["by"] == "this process" else f"was read by {read['by']}"


def size(folder: Path) -> int:
    """Bytes of the files in a folder itself."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


if __name__ == "__main__":
    main()
