"""Draw the pictures of docs/real-models.md from the runs that it describes.

python docs/pictures.py RUN MMLU GSM [--out docs/images]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes

import competency_gaps as cg

READINGS = Path(__file__).parent.parent / "validation" / "readings" / "suspicious-gsm8k"
WEAK, STRONG, GREY = "#b5442e", "#2d6a9f", "#777777"
COLOURS = (STRONG, WEAK, "#3a7d44", "#8a5fb0")
plt.rcParams |= {"font.family": "sans-serif", "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "pictures"}
plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False}


def canvas(rows: int, title: str, axis: str) -> Axes:
    """An empty picture with so many rows."""
    _, axes = plt.subplots(figsize=(7, 0.26 * rows + 1.2), layout="constrained")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.tick_params(left=False)
    axes.axvline(0, color=GREY, linewidth=0.8)
    return axes


def write(folder: Path, name: str) -> None:
    """Write the picture that was drawn last."""
    plt.savefig(folder / f"{name}.svg", facecolor="white", metadata={"Date": None})
    plt.close()


def draw_answer(answer: cg.Answer, title: str, axis: str) -> None:
    """A list of slices with their intervals; of two models their whole difference there."""
    axes = canvas(len(answer.findings), title, axis)
    for row, found in enumerate(reversed(answer.findings)):
        ends = (found.change_low, found.change, found.change_high)
        low, gap, high = (100 * value for value in ((found.low, found.gap, found.high) if None in ends else ends))
        colour = WEAK if found.gap < 0 else STRONG
        axes.plot((low, high), (row, row), color=colour, linewidth=1.4)
        fill = "white" if found.low < 0 < found.high else colour
        axes.plot(gap, row, "o", color=colour, markersize=5, markerfacecolor=fill)
    axes.set_yticks(range(len(answer.findings)), [found.name for found in reversed(answer.findings)])
    if answer.kind == "difference" and answer.outcome is not None:
        axes.axvline(100 * answer.outcome, color=GREY, linestyle="--", linewidth=0.8)


def draw_models(run: cg.Run, models: Sequence[str], family: str, most: int, title: str) -> None:
    """Models beside each other on the slices of a family that tell the run's models apart."""
    cells = run.model_slices().cells.filter(pl.col("family") == family, pl.col("model").is_in(models))
    cells = cells.filter(pl.col("gap").is_not_null().all().over("slice"))
    names = cells["name"].unique(maintain_order=True)[:most].to_list()[::-1]
    axes = canvas(len(names), title, "points of 100 against peers")
    for place, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
        rows = {row["name"]: row for row in cells.filter(pl.col("model") == model).iter_rows(named=True)}
        for row, name in enumerate(names):
            own, height = rows[name], row + 0.3 - 0.6 * place / max(len(models) - 1, 1)
            axes.plot((100 * own["low"], 100 * own["high"]), (height, height), color=colour, linewidth=1.2)
            axes.plot(100 * own["gap"], height, "o", color=colour, markersize=4, label=model if not row else None)
    axes.set_yticks(range(len(names)), names)
    plt.gcf().legend(loc="outside lower center", ncols=2, frameon=False)


def draw_broken(run: cg.Run) -> None:
    """Items by the share of models that solve them and the chance that they are broken, with what readers found."""
    items = run.broken_items()
    key = pl.read_csv(READINGS / "key.csv")
    for reader in ("first", "second"):
        key = key.join(pl.read_csv(READINGS / f"{reader}.csv").rename({"verdict": reader}), on="number")
    key = key.with_columns(faulty=pl.sum_horizontal(pl.col("first", "second").fill_null("") != ""))
    items = items.join(key.select("item_id", "faulty"), on="item_id", how="left")
    axes = canvas(10, "GSM8K: 1,318 items", "of 100 models solve it")
    axes.set_ylabel("chance that it is broken")
    axes.spines["left"].set_visible(True)
    kinds = {"not read": (None, "#c8c8c8", "."), "no reader": (0, STRONG, "o"), "one reader": (1, "#d99a2b", "o")}
    for label, (faulty, colour, marker) in (kinds | {"both readers": (2, WEAK, "o")}).items():
        own = items.filter(pl.col("faulty").is_null() if faulty is None else pl.col("faulty") == faulty)
        label = f"{label} ({len(own):,})"
        points = own.select(100 * pl.col("solved").round(3), pl.col("chance").round(2)).unique(maintain_order=True)
        axes.plot(*points, marker, color=colour, markersize=4, label=label)
    axes.legend(title="faulty to", frameon=False, loc="upper right")


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs=3, type=Path, metavar=("RUN", "MMLU", "GSM"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    args = parser.parse_args()
    run, mmlu, gsm = map(cg.open_run, args.runs)
    against = "points of 100 against peers, expected on new items"
    models = ("mathstral-7B", "jamba-1.5-large", "DeepSeek-Coder-V2", "gemini-1.5-flash-002")
    draw_models(run, models, "columns", 8, "MMLU-Pro: four models by subject")
    write(args.out, "real-subjects")
    draw_answer(run.answer("jamba-1.5-large"), "MMLU-Pro: jamba-1.5-large", against)
    write(args.out, "real-slices")
    new, old = "Meta-Llama-3_1-8B-Instruct", "Meta-Llama-3_1-8B"
    answer = run.answer(new, old)
    draw_answer(answer, f"MMLU-Pro: {new}\nless {old}", "points of 100; dashed: overall")
    write(args.out, "real-tuning")
    draw_models(mmlu, mmlu.models["model"].to_list(), "columns", 8, "MMLU: three models by subject")
    write(args.out, "real-mmlu")
    draw_broken(gsm)
    write(args.out, "real-broken")


if __name__ == "__main__":
    main()
