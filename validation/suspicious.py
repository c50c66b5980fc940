"""Do the items that ``cgaps improve --items`` lists turn out to be broken? Planted faults, and readers.

    python validation/suspicious.py planted RUN... --out DRAWS.jsonl [--draws 20] [--models 2 3 4 5 6 8 12 0]
    python validation/suspicious.py table DRAWS.jsonl
    python validation/suspicious.py sheet RUN FOLDER [--seed 34]
    python validation/suspicious.py read RUN KEY.csv READER.jsonl...

RUN is a finished run with scores of many models. ``planted`` exchanges the keys of 2% of the items: of an open question
every right answer becomes wrong; of one with k options a wrong answer also becomes right with chance 1 / (k - 1). Each
draw takes so many models at random (0: all) and is appended to DRAWS.jsonl; draws that are there are not made again.
``table`` prints, for each benchmark and number of models, the precision among as many items as were planted, the
average precision, and the precision by chance; once of all items, and once without those that nobody solves before
anything is planted. It fits the chance that is printed (SLOPE and SHIFT) on some benchmarks and tests it on others.

``sheet`` writes the 50 most suspicious items and 25 others, shuffled, without keys, for readers who solve them, and
which is which. A reader's line is ``{"id": number, "answer": "...", "sure": true, "problem": ""}``. ``read`` compares:
an item is faulty to a reader who is sure of another answer than the key's or names a problem.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit

import competency_gaps as cg
from competency_gaps.evidence.interval import mean as share_of
from competency_gaps.improve.suspect import odds, shared_slices
from competency_gaps.runs.scores import model_scores

SHARE = 0.02
MODELS = (2, 3, 4, 5, 6, 8, 12, 0)
BINS = np.arange(-60, 40.25, 0.25)
"""Log odds, for the calibration."""
TOP, OTHERS = 50, 25


def exchanged(scores: np.ndarray, options: np.ndarray, planted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The scores as if the planted items' keys were others."""
    made = scores.copy()
    own = scores[:, planted]
    hit = rng.random(own.shape) < np.where(options[planted] > 1, 1 / np.maximum(options[planted] - 1, 1), 0.0)
    made[:, planted] = np.where(np.isnan(own), np.nan, (own < 0.5) & hit)
    return made


def precision(score: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Precision among as many as are true, and average precision."""
    ordered = truth[np.argsort(-score, kind="stable")]
    at = np.flatnonzero(ordered)
    return float(ordered[: len(at)].mean()), float(np.mean(np.arange(1, len(at) + 1) / (at + 1)))


def draw(scores: np.ndarray, options: np.ndarray, shared: Any, count: int, seed: int) -> dict[str, Any]:
    """Plant once, and rank."""
    rng = np.random.default_rng([seed, count])
    chosen = scores[rng.choice(len(scores), count, replace=False)]
    planted = np.zeros(scores.shape[1], bool)
    planted[rng.choice(len(planted), round(SHARE * len(planted)), replace=False)] = True
    never = ~(np.nan_to_num(chosen) > 0).any(axis=0)
    found = odds(exchanged(chosen, options, planted, rng), options, shared).log_odds
    found = found + 1e-9 * rng.random(len(found))
    bins = [np.histogram(found[own].clip(-60, 40), BINS)[0] for own in (planted, ~planted)]
    return {
        "all": precision(found, planted),
        "told": precision(found[~never], planted[~never]),
        "planted": int(planted.sum()),
        "never": int(never.sum()),
        "never_planted": int((never & planted).sum()),
        "items": len(found),
        "bins": [[[int(at), int(own[at])] for at in np.flatnonzero(own)] for own in bins],
    }


def plant(runs: Iterable[Path], out: Path, draws: int, models: Iterable[int]) -> None:
    lines = out.read_text().splitlines() if out.is_file() else []
    done = {tuple(json.loads(line)["of"]) for line in lines}
    for path in runs:
        run = cg.open_run(path)
        scores, items = model_scores(run).values, run.items
        options, shared = items["choices"].list.len().fill_null(0).to_numpy().astype(np.int64), shared_slices(run)
        for name in items["benchmark"].unique(maintain_order=True):
            row = np.flatnonzero((items["benchmark"] == name).to_numpy())
            own = scores[:, row]
            for count in models:
                size = min(count or len(own), len(own))
                for seed in range(draws):
                    if (name, size, seed) in done:
                        continue
                    result = draw(own, options[row], shared[row], size, seed)
                    done.add((name, size, seed))
                    with out.open("a") as file:
                        file.write(json.dumps({"of": [name, size, seed], **result}) + "\n")


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    print("benchmark    models  draws  planted  never solved  precision (chance)  avg.   without those: precision  avg.")
    for key in sorted({tuple(row["of"][:2]) for row in rows}):
        own = [row for row in rows if tuple(row["of"][:2]) == key]
        figure = {name: np.array([row[name] for row in own]) for name in ("all", "told")}
        mean = {name: values.mean(axis=0) for name, values in figure.items()}
        error = figure["all"][:, 0].std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.nan
        never, planted = np.mean([row["never"] for row in own]), own[0]["planted"]
        print(
            f"{key[0]:<12}{key[1]:>7}{len(own):>7}{planted:>9}{never:>14.0f}"
            f"{mean['all'][0]:>9.3f} ± {1.96 * error:.3f} ({SHARE:.2f}){mean['all'][1]:>7.3f}"
            f"{mean['told'][0]:>23.3f}{mean['told'][1]:>7.3f}"
        )
    names = sorted({row["of"][0] for row in rows})
    for train in [[name] for name in names] + [names]:
        slope, shift = calibrate([row for row in rows if row["of"][0] in train])
        print(f"\nfitted on {', '.join(train)}: SLOPE {slope:.2f}, SHIFT {shift:.2f}")
        for test in names:
            print(f"  {test:<12}" + reliability([row for row in rows if row["of"][0] == test], slope, shift))


def counts(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle of each bin, planted and other items in it; each draw's items weigh 1 together."""
    total = np.zeros((2, len(BINS) - 1))
    for row in rows:
        for kind, own in enumerate(row["bins"]):
            for at, number in own:
                total[kind, at] += number / row["items"]
    return (BINS[:-1] + BINS[1:]) / 2, total[0], total[1]


def calibrate(rows: list[dict[str, Any]]) -> tuple[float, float]:
    middle, planted, others = counts([row for row in rows if row["of"][1] >= 5])

    def loss(w: np.ndarray) -> float:
        odds = w[0] * middle + w[1]
        return float((planted * np.logaddexp(0, -odds) + others * np.logaddexp(0, odds)).sum())

    return tuple(minimize(loss, np.array([0.5, -1.0])).x.tolist())


def reliability(rows: list[dict[str, Any]], slope: float, shift: float) -> str:
    """Said and true shares of planted items, by what is said."""
    middle, planted, others = counts([row for row in rows if row["of"][1] >= 5])
    said, texts = expit(slope * middle + shift), []
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        own = (said >= low) & (said < high)
        whole = (planted + others)[own].sum()
        if whole:
            texts.append(f"{((planted + others) * said)[own].sum() / whole:.2f}: {planted[own].sum() / whole:.2f}")
    return "said and true " + ", ".join(texts)


def sheet(path: Path, folder: Path, seed: int) -> None:
    run = cg.open_run(path)
    ranked = run.suspicious().items
    rng = np.random.default_rng(seed)
    others = rng.choice(np.arange(ranked.height // 10, ranked.height), OTHERS, replace=False)
    chosen = rng.permutation(np.concatenate([np.arange(TOP), others]))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sheet.md").open("w") as text, (folder / "key.csv").open("w", newline="") as key:
        lines = csv.writer(key)
        lines.writerow(["number", "item_id", "suspicious"])
        for number, place in enumerate(chosen.tolist(), 1):
            text.write(f"## {number}\n\n{ranked['text'][place].strip()}\n\n")
            lines.writerow([number, ranked["item_id"][place], int(place < TOP)])


def read(path: Path, key: Path, readers: list[Path]) -> None:
    items = {row["item_id"]: row for row in cg.open_run(path).items.iter_rows(named=True)}
    asked = pl.read_csv(key).to_dicts()
    answers = [{int(own["id"]): own for own in map(json.loads, file.read_text().splitlines())} for file in readers]
    verdicts = [[verdict(items[row["item_id"]], own[row["number"]]) for row in asked] for own in answers]
    for name, wanted in (("suspicious", 1), ("others", 0)):
        at = [place for place, row in enumerate(asked) if row["suspicious"] == wanted]
        for label, faulty in (
            *((file.stem, [bool(own[place]) for place in at]) for file, own in zip(readers, verdicts, strict=True)),
            ("either", [any(own[place] for own in verdicts) for place in at]),
            ("all", [all(own[place] for own in verdicts) for place in at]),
        ):
            found = share_of(np.array(faulty, float), np.ones(len(at)))
            print(f"{name:<11} {label:<28} {sum(faulty):>3} of {len(at)} ({found.low:.2f} to {found.high:.2f})")


def verdict(item: dict[str, Any], said: dict[str, Any]) -> str:
    """What a reader finds: ``other`` (sure of another answer), ``problem``, or nothing."""
    options = item["choices"] or []
    if options:
        same = str(said["answer"]).strip()[:1].upper() == chr(65 + item["answer_index"])
    else:
        same = _number(str(said["answer"])) == _number(item["answer"])
    return "other" if said["sure"] and not same else "problem" if str(said["problem"] or "").strip() else ""


def _number(text: str) -> float | None:
    found = re.search(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return float(found.group()) if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    own = parts.add_parser("planted")
    own.add_argument("runs", type=Path, nargs="+")
    own.add_argument("--out", type=Path, required=True)
    own.add_argument("--draws", type=int, default=20)
    own.add_argument("--models", type=int, nargs="+", default=MODELS)
    parts.add_parser("table").add_argument("draws", type=Path)
    own = parts.add_parser("sheet")
    own.add_argument("run", type=Path)
    own.add_argument("folder", type=Path)
    own.add_argument("--seed", type=int, default=34)
    own = parts.add_parser("read")
    own.add_argument("run", type=Path)
    own.add_argument("key", type=Path)
    own.add_argument("readers", type=Path, nargs="+")
    args = parser.parse_args()
    if args.part == "planted":
        plant(args.runs, args.out, args.draws, args.models)
    elif args.part == "table":
        table(args.draws)
    elif args.part == "sheet":
        sheet(args.run, args.folder, args.seed)
    else:
        read(args.run, args.key, args.readers)


if __name__ == "__main__":
    main()
