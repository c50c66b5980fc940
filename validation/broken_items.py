"""Do the items that ``cgaps improve --items`` lists turn out to be broken? Planted faults, and readers.

    python validation/broken_items.py planted RUN... --out DRAWS.jsonl [--draws 20] [--models 2 3 4 5 6 8 12 0]
        [--aside READINGS] [--answers 0.3]
    python validation/broken_items.py table DRAWS.jsonl
    python validation/broken_items.py sheet RUN FOLDER [--seed 34] [--without READINGS]
    python validation/broken_items.py verdicts RUN FOLDER/key.csv ANSWERS.jsonl VERDICTS.csv
    python validation/broken_items.py read READINGS [RUN]

RUN is a finished run with scores of many models. ``planted`` exchanges the keys of 2% of the items: of an open question
every right answer becomes wrong; of one with k options a wrong answer also becomes right with chance 1 / (k - 1). Each
draw takes so many models at random (0: all) and is appended to DRAWS.jsonl; draws that are there are not made again.
With ``--aside`` items are left out that a reader found faulty; with ``--answers`` models' answers are drawn too.
``table`` prints, for each benchmark and number of models, the precision among as many items as were planted and the
average precision, of all items and without those that nobody solves before anything is planted, and the precision of
the mean score alone; and how many planted items there are by the chance that is said.

``sheet`` writes the 50 most suspicious items and 25 of the less suspicious nine tenths, shuffled, without keys, for
readers who solve them, and ``key.csv``, which is which. A line of ANSWERS.jsonl is ``{"id": number, "answer": "...",
"sure": true, "problem": ""}``. ``verdicts`` compares with the benchmark's key: ``other`` (sure of another answer),
``problem`` (the reader names one), or nothing. READINGS is a folder with ``key.csv`` and readers' verdicts;
its items are left out with ``--without``. ``read`` counts faulty items and, given RUN, by the chance that is said.
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
from scipy.special import expit

import competency_gaps as cg
from competency_gaps.evidence.interval import mean as share_of
from competency_gaps.evidence.outcomes import wrong_alike
from competency_gaps.improve.broken_items import MIN_MODELS, agreement, odds, shared_slices
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


def answered(
    scores: np.ndarray, options: np.ndarray, planted: np.ndarray, popular: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same with answers drawn as if, and the log odds of their agreement.

    A wrong model gives the item's popular wrong option with chance ``popular``, else one of the wrong ones.
    """
    any_wrong = 1 + np.floor(rng.random(scores.shape) * (options - 1)).astype(np.int64)
    answers = np.where(scores >= 0.5, 0, np.where(rng.random(scores.shape) < popular, 1, any_wrong))
    key = np.where(planted, 1 + np.floor(rng.random(len(options)) * (options - 1)).astype(np.int64), 0)
    made = np.where(np.isnan(scores), np.nan, answers == key)
    same = wrong_alike(made, np.where(np.isnan(scores), -1, answers))
    return made, agreement(same.wrong, same.alike, np.nansum(made, axis=0), (~np.isnan(made)).sum(axis=0))


def precision(score: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Precision among as many as are true, and average precision."""
    ordered = truth[np.argsort(-score, kind="stable")]
    at = np.flatnonzero(ordered)
    return float(ordered[: len(at)].mean()), float(np.mean(np.arange(1, len(at) + 1) / (at + 1)))


def draw(
    scores: np.ndarray, options: np.ndarray, shared: Any, count: int, seed: int, popular: float | None
) -> dict[str, Any]:
    """Plant once, and rank."""
    rng = np.random.default_rng([seed, count])
    chosen = scores[rng.choice(len(scores), count, replace=False)]
    planted = np.zeros(scores.shape[1], bool)
    planted[rng.choice(len(planted), round(SHARE * len(planted)), replace=False)] = True
    never = ~(np.nan_to_num(chosen) > 0).any(axis=0)
    if popular is None:
        made, alike = exchanged(chosen, options, planted, rng), np.zeros(len(planted))
    else:
        made, alike = answered(chosen, options, planted, popular, rng)
    found, tie = odds(made, options, shared).log_odds + alike, 1e-9 * rng.random(len(planted))
    found, missed = found + tie, tie - np.ma.masked_invalid(made).mean(axis=0).filled(1.0)
    bins = [np.histogram(found[own].clip(-60, 40), BINS)[0] for own in (planted, ~planted)]
    return {
        "all": precision(found, planted),
        "told": precision(found[~never], planted[~never]),
        "missed": precision(missed, planted),
        "planted": int(planted.sum()),
        "never": int(never.sum()),
        "never_planted": int((never & planted).sum()),
        "items": len(found),
        "bins": [[[int(at), int(own[at])] for at in np.flatnonzero(own)] for own in bins],
    }


def plant(
    runs: Iterable[Path], out: Path, draws: int, models: Iterable[int], aside: Path | None, popular: float | None
) -> None:
    lines = out.read_text().splitlines() if out.is_file() else []
    done = {tuple(json.loads(line)["of"]) for line in lines}
    faulty = [] if aside is None else [item for item, _, *found in readings(aside) if any(found)]
    for path in runs:
        run = cg.open_run(path)
        scores, items = model_scores(run).values, run.items
        options, shared = items["choices"].list.len().fill_null(0).to_numpy().astype(np.int64), shared_slices(run)
        for name in items["benchmark"].unique(maintain_order=True):
            row = np.flatnonzero((items["benchmark"] == name).to_numpy() & ~items["item_id"].is_in(faulty).to_numpy())
            name = f"{name}*" if faulty else name if popular is None else f"{name}+{popular:g}"
            own = scores[:, row]
            for count in models:
                size = min(count or len(own), len(own))
                for seed in range(draws):
                    if (name, size, seed) in done:
                        continue
                    result = draw(own, options[row], shared[row], size, seed, popular)
                    done.add((name, size, seed))
                    with out.open("a") as file:
                        file.write(json.dumps({"of": [name, size, seed], **result}) + "\n")


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    print("                          never     all items         average   by the mean  without never solved")
    print("benchmark  models  draws  solved    precision       precision   score alone    precision  average")
    for key in sorted({tuple(row["of"][:2]) for row in rows}):
        own = [row for row in rows if tuple(row["of"][:2]) == key]
        every, told, missed = (np.array([row[name] for row in own]) for name in ("all", "told", "missed"))
        error = 1.96 * every[:, 0].std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.nan
        never, alone = np.mean([row["never"] for row in own]), missed[:, 0].mean()
        print(
            f"{key[0]:<11}{key[1]:>6}{len(own):>7}{never:>8.0f}{every[:, 0].mean():>8.2f} ± {error:.2f}"
            f"{every[:, 1].mean():>14.2f}{alone:>13.2f}{told[:, 0].mean():>13.2f}{told[:, 1].mean():>8.2f}"
        )
    print("\nsaid and true")
    for name in sorted({row["of"][0] for row in rows}):
        print(f"{name:<11} " + reliability([row for row in rows if row["of"][0] == name]))


def counts(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle of each bin, planted and other items in it; each draw's items weigh 1 together."""
    total = np.zeros((2, len(BINS) - 1))
    for row in rows:
        for kind, own in enumerate(row["bins"]):
            for at, number in own:
                total[kind, at] += number / row["items"]
    return (BINS[:-1] + BINS[1:]) / 2, total[0], total[1]


def reliability(rows: list[dict[str, Any]]) -> str:
    """Said and true shares of planted items, by what is said."""
    middle, planted, others = counts([row for row in rows if row["of"][1] >= MIN_MODELS])
    return by_chance(expit(middle), planted, planted + others)


def by_chance(said: np.ndarray, true: np.ndarray, whole: np.ndarray) -> str:
    texts = []
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        own = (said >= low) & (said < high)
        if count := whole[own].sum():
            texts.append(f"{(whole * said)[own].sum() / count:.2f}: {true[own].sum() / count:.2f}")
    return ", ".join(texts)


def sheet(path: Path, folder: Path, seed: int, before: Path | None) -> None:
    ranked = cg.open_run(path).broken_items()
    known = ranked["item_id"].is_in([item for item, *_ in readings(before)] if before else []).to_numpy()
    rng = np.random.default_rng(seed)
    others = rng.choice(np.arange(ranked.height // 10, ranked.height), OTHERS, replace=False)
    chosen = rng.permutation(np.concatenate([np.arange(TOP), others]))
    chosen = chosen[~known[chosen]]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sheet.md").open("w") as text, (folder / "key.csv").open("w", newline="") as key:
        lines = csv.writer(key)
        lines.writerow(["number", "item_id", "suspicious"])
        for number, place in enumerate(chosen.tolist(), 1):
            text.write(f"## {number}\n\n{ranked['text'][place].strip()}\n\n")
            lines.writerow([number, ranked["item_id"][place], int(place < TOP)])


def write_verdicts(path: Path, key: Path, answers: Path, out: Path) -> None:
    items = {row["item_id"]: row for row in cg.open_run(path).items.iter_rows(named=True)}
    said = {int(own["id"]): own for own in map(json.loads, answers.read_text().splitlines())}
    rows = [(row["number"], verdict(items[row["item_id"]], said[row["number"]])) for row in pl.read_csv(key).to_dicts()]
    pl.DataFrame(rows, schema=["number", "verdict"], orient="row").write_csv(out)


def readings(folder: Path) -> list[tuple[str, int | None, *tuple[str, ...]]]:
    """Per item its id, whether it is suspicious (None: it was, by an earlier score), and each reader's verdict."""
    readers = [
        dict(pl.read_csv(file).fill_null("").iter_rows()) for file in sorted(folder.glob("*.csv")) if file.stem != "key"
    ]
    key = pl.read_csv(folder / "key.csv").iter_rows()
    return [(item, suspicious, *(own[number] for own in readers)) for number, item, suspicious in key]


def read(folder: Path, run: Path | None) -> None:
    for name, wanted in (("suspicious", 1), ("others", 0)):
        verdicts = np.array([found for _, suspicious, *found in readings(folder) if suspicious == wanted])
        faulty = verdicts != ""
        for label, own in (*enumerate(faulty.T, 1), ("either", faulty.any(axis=1)), ("both", faulty.all(axis=1))):
            found = share_of(own.astype(float), np.ones(len(own)))
            assert found is not None
            sure = f", sure of another answer {(verdicts[:, label - 1] == 'other').sum()}" if label in (1, 2) else ""
            print(f"{name:<11} reader {label}: {own.sum()} of {len(own)} ({found.low:.2f} to {found.high:.2f}){sure}")
    if run is not None:
        said = dict(cg.open_run(run).broken_items().select("item_id", "chance").iter_rows())
        rows = [(said[item], np.mean([bool(verdict) for verdict in found])) for item, _, *found in readings(folder)]
        stated, faulty = np.array(rows).T
        print("said and true: " + by_chance(stated, faulty, np.ones(len(rows))))


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
    own.add_argument("--aside", type=Path)
    own.add_argument("--answers", type=float)
    own = parts.add_parser("table")
    own.add_argument("draws", type=Path)
    own = parts.add_parser("sheet")
    own.add_argument("run", type=Path)
    own.add_argument("folder", type=Path)
    own.add_argument("--seed", type=int, default=34)
    own.add_argument("--without", type=Path)
    own = parts.add_parser("verdicts")
    for name in ("run", "key", "answers", "out"):
        own.add_argument(name, type=Path)
    own = parts.add_parser("read")
    own.add_argument("readings", type=Path)
    own.add_argument("run", type=Path, nargs="?")
    args = parser.parse_args()
    if args.part == "planted":
        plant(args.runs, args.out, args.draws, args.models, args.aside, args.answers)
    elif args.part == "table":
        table(args.draws)
    elif args.part == "sheet":
        sheet(args.run, args.folder, args.seed, args.without)
    elif args.part == "verdicts":
        write_verdicts(args.run, args.key, args.answers, args.out)
    else:
        read(args.readings, args.run)


if __name__ == "__main__":
    main()
