"""What a run cost per item, and what many items would cost: tokens, seconds, bytes.

    python perf/unit_costs.py RUN [--items 1e6 1e8 1e10]

Seconds are those of the manifest, so of the machine that made the run. Only a run that one process read from its first
item to its last has those of reading: what a run does not have is left out, and the second line says why.
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
    if not kept:
        parser.error(f"{args.run} has no items that were read: choose another run")
    print(f"{kept:,} items of {run.manifest['model']['name']}, an SAE of {run.width:,} concepts")
    if (why := unfit(run)) is not None:
        print(f"without seconds of reading: the run {why}; make it with one 'cgaps run' to have them")
    heads = "".join(f"{items:>12.0e}" for items in args.items)
    print(f"{'':<22}{'an item':>12}{heads}")
    for name, value in costs(run, with_reading=why is None).items():
        own = value / kept
        print(f"{name:<22}{own:>12.4g}" + "".join(f"{own * items:>12.3g}" for items in args.items))


def costs(run: cg.Run, *, with_reading: bool) -> dict[str, float]:
    """What the whole run cost, as far as it is known."""
    timings = run.manifest.get("timings", {})
    seconds = {f"{stage}, seconds": timings[stage] for stage in ("reading", "metrics") if stage in timings}
    if not with_reading:
        seconds.pop("reading, seconds", None)
    shards = {name: run.path / name for name in ("responses", "activations")}
    folders = {**shards, "by concept": run.path / "activations" / "by-concept", "tables": run.path}
    return {
        "tokens": run.items["n_tokens"].sum(),
        "active concepts": int(run.concepts["support"].sum()),
        **seconds,
        **{f"{name}, bytes": size(folder) for name, folder in folders.items() if folder.is_dir()},
    }


def unfit(run: cg.Run) -> str | None:
    """Why a run's seconds of reading are not those of all its items; None: they are."""
    read = run.manifest.get("read")
    if read is None:
        return "does not say who read it"
    if read["items"] < read["of"]:
        return f"was read in several commands, the last of which read {read['items']:,} of {read['of']:,} items"
    return None if read["by"] == "this process" else f"was read by {read['by']}"


def size(folder: Path) -> int:
    """Bytes of the files in a folder itself."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


if __name__ == "__main__":
    main()
