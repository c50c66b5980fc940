"""Do the names of themes say what belongs to them? Sheets for readers, and what their answers say.

    python validation/theme_reading.py naming DICTIONARY FOLDER       # labels by theme, for whoever names the themes
    python validation/theme_reading.py questions DICTIONARY FOLDER    # once the themes are named
    python validation/theme_reading.py score FOLDER first.csv second.csv

Of each theme's read labels (those shown that a reader wrote) a third is kept back, where there are three or more.
``naming`` writes the others to ``naming.md``, with a few labels of other themes. ``questions`` asks of those kept back,
four a theme: which of two labels, the other drawn from the other themes, belongs to the theme of this name? No label
stands in two questions.
``questions.md`` is for readers, ``key.csv`` for ``score``. A reader writes lines ``number,answer``, an answer being a
or b.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import polars as pl

from competency_gaps.dictionary.folder import open_dictionary
from competency_gaps.dictionary.theme_tables import read_themes

EACH = 4
"""Questions of a theme."""
OTHERS = 12
"""Labels of other themes that stand beside a theme's own in the sheet for naming."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("naming", "questions"):
        command = commands.add_parser(name)
        command.add_argument("dictionary", type=Path)
        command.add_argument("folder", type=Path)
    score = commands.add_parser("score")
    score.add_argument("folder", type=Path)
    score.add_argument("readers", type=Path, nargs="+")
    args = parser.parse_args()
    if args.command == "score":
        print_score(args.folder, args.readers)
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    (write_naming if args.command == "naming" else write_questions)(args.dictionary, args.folder)


def members(path: Path) -> tuple[dict[int, tuple[list[str], list[str]]], dict[int, str]]:
    """Each theme's labels to be read by whoever names it, and those kept back; and the themes' names."""
    dictionary = open_dictionary(path)
    themes, names = read_themes(dictionary.folder, dictionary.width)
    table = themes.join(dictionary.shown(), on="concept").filter(pl.col("label_kind") == "explained")
    rng, parts = random.Random(0), {}
    for (theme,), rows in table.drop_nulls("theme").sort("concept").group_by("theme", maintain_order=True):
        labels = rows["label"].unique(maintain_order=True).to_list()
        rng.shuffle(labels)
        kept_back = len(labels) // 3
        parts[int(str(theme))] = (labels[kept_back:], labels[:kept_back])
    return parts, dict(names.filter(pl.col("level") == "theme").select("id", "name").iter_rows())


def write_naming(path: Path, folder: Path) -> None:
    """Write the labels from which themes are named."""
    parts, _ = members(path)
    rng, lines = random.Random(1), []
    for theme, (shown, _) in parts.items():
        others = [label for other, (labels, _) in parts.items() if other != theme for label in labels]
        lines += [f"## theme {theme}", *(f"- {label}" for label in shown)]
        lines += ["not in it:", *(f"  - {label}" for label in rng.sample(others, min(OTHERS, len(others)))), ""]
    (folder / "naming.md").write_text("\n".join(lines), encoding="utf-8")


def write_questions(path: Path, folder: Path) -> None:
    """Write the questions on labels that were kept back, and their key."""
    parts, names = members(path)
    rng, asked, used = random.Random(2), [], set()
    for _, kept_back in parts.values():
        used.update(kept_back[:EACH])
    for theme, (_, kept_back) in parts.items():
        others = [label for other, (labels, _) in parts.items() if other != theme for label in labels]
        for label in kept_back[:EACH]:
            distractor = rng.choice([other for other in others if other not in used])
            used.add(distractor)
            asked.append((rng.choice("ab"), names[theme], label, distractor))
    rng.shuffle(asked)
    lines = []
    for number, (answer, name, label, other) in enumerate(asked, 1):
        first, second = (label, other) if answer == "a" else (other, label)
        lines.append(f"{number}. Theme: {name}\n   a) {first}\n   b) {second}")
    (folder / "questions.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = ("answer", "theme", "member", "other")
    key = pl.DataFrame(asked, schema=columns, orient="row").with_row_index("number", 1)
    key.write_csv(folder / "key.csv")


def print_score(folder: Path, readers: list[Path]) -> None:
    """Print how often each reader is right, and in which themes least."""
    key = pl.read_csv(folder / "key.csv")
    for path in readers:
        answers = pl.read_csv(path).select("number", given="answer")
        if sorted(answers["number"]) != sorted(key["number"]):
            raise SystemExit(f"{path}: its numbers are not those of the key")
        right = key.join(answers, on="number").with_columns(right=pl.col("answer") == pl.col("given"))
        themes = right.group_by("theme").agg(pl.col("right").mean(), pl.len()).sort("right", "theme")
        share = right["right"].sum() / right.height
        print(f"{path.stem}: right in {share:.1%} of {right.height} questions, {themes.height} themes")
        for theme, share, count in themes.filter(pl.col("right") < 1).iter_rows():
            print(f"  {share:.0%} of {count}: {theme}")


if __name__ == "__main__":
    main()
