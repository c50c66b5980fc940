"""Blind readings of concepts: sheets for readers who see windows of text only, and what their answers say.

    python validation/reading.py sheets FOLDER --dictionary DICTIONARY [--dictionary OTHER] --concepts 150
    python validation/reading.py score FOLDER reader-1.csv reader-2.csv [--reference reference.parquet]

A dictionary is a folder with exemplars and a reference (``cgaps concepts``). ``sheets`` draws
ranked concepts of each at random, shuffles them and writes ``sheet-NN.md`` of 50, with eight windows each (four strong,
four spread over the range), and ``key.csv``: which number is which concept, and the kind that the rule gives it. Give
readers the sheets only. A reader writes one line for each number into a CSV file, ``number,category,name``; a category
is one of those at the top of a sheet. ``score`` prints, for each dictionary, the share that readers call a topic, a
skill or a way of talking, how often two readers agree (with Cohen's kappa, on competency or not), and, where concepts
of all kinds were drawn, how often each agrees with the rule; with the SAE's reference also how well coherence tells
competencies from the others (area under the ROC curve) and how many of each category are format for the most part.
With ``--windows`` (run from where the dictionaries are) it prints how well readers' names tell windows that they did
not see: the chance that the name's sentence embedding is nearer to a strong window of the concept than to one of
another concept of the same dictionary, mean over concepts with a name.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from competency_gaps.concepts.exemplars import Exemplar
from competency_gaps.concepts.folder import Dictionary, open_dictionary
from competency_gaps.concepts.kinds import CONTEXTUAL, LatentFacts, kinds_of
from competency_gaps.concepts.labelling.labeller import active_tokens, marked
from competency_gaps.items.config import MetricsConfig
from competency_gaps.model.embed import embed_texts
from competency_gaps.sae.reference import FILE, read_reference

CATEGORIES = {
    "topic": "a subject matter",
    "skill": "a task, a skill, a function of the text (a question, a definition, a proof, advice)",
    "talk": "a way of talking, a stance, a register, a kind of speaker",
    "word": "one word or its forms, a part of a word, a word class, a fixed phrase",
    "format": "punctuation, numbers, lists, code or markup as such",
    "position": "a place in the text, such as its start",
    "none": "nothing clear in common",
}
COMPETENCIES = ("topic", "skill", "talk")
SHEET = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets")
    sheets.add_argument("folder", type=Path)
    sheets.add_argument("--dictionary", type=Path, action="append", required=True)
    sheets.add_argument("--concepts", type=int, default=150, help="of each dictionary")
    sheets.add_argument("--all-kinds", action="store_true", help="not only ranked ones")
    sheets.add_argument("--seed", type=int, default=0)
    score = commands.add_parser("score")
    score.add_argument("folder", type=Path)
    score.add_argument("readers", type=Path, nargs="+")
    score.add_argument("--reference", type=Path, help="reference of the SAE that all concepts of the key are of")
    score.add_argument("--windows", action="store_true", help="do names tell windows that readers did not see?")
    args = parser.parse_args()
    if args.command == "sheets":
        write_sheets(args.folder, args.dictionary, args.concepts, args.all_kinds, args.seed)
    else:
        print_score(args.folder, args.readers, args.reference, windows_too=args.windows)


def write_sheets(folder: Path, dictionaries: list[Path], count: int, all_kinds: bool, seed: int) -> None:
    """Draw concepts and write their windows, and the key."""
    rng = random.Random(seed)
    drawn: list[tuple[str, Dictionary, int, str | None]] = []
    for path in dictionaries:
        dictionary = open_dictionary(path)
        kinds = kinds_by_rule(path, dictionary)
        print(f"{path}: {(kinds == CONTEXTUAL).sum():,} of {len(kinds):,} latents are contextual")
        known = [c for c in dictionary.exemplars.concepts.tolist() if all_kinds or kinds[c] == CONTEXTUAL]
        drawn += [(str(path), dictionary, c, kinds[c]) for c in rng.sample(known, min(count, len(known)))]
    rng.shuffle(drawn)
    folder.mkdir(parents=True, exist_ok=True)
    legend = "\n".join(f"- {name}: {meaning}" for name, meaning in CATEGORIES.items())
    for start in range(0, len(drawn), SHEET):
        parts = [f"Categories:\n{legend}\n"]
        for number, (_, dictionary, concept, _) in enumerate(drawn[start : start + SHEET], start + 1):
            parts.append(f"## {number}\n" + "\n".join(f"- {text}" for text in windows(dictionary, concept, rng)) + "\n")
        (folder / f"sheet-{start // SHEET + 1:02}.md").write_text("\n".join(parts), encoding="utf-8")
    key = [(i, name, concept, kind) for i, (name, _, concept, kind) in enumerate(drawn, 1)]
    pl.DataFrame(key, schema=["number", "dictionary", "concept", "rule"], orient="row").write_csv(folder / "key.csv")
    print(f"{len(drawn)} concepts on {-(-len(drawn) // SHEET)} sheets in {folder}")


def kinds_by_rule(path: Path, dictionary: Dictionary) -> np.ndarray:
    """Kind of each concept, from the reference in the dictionary's folder."""
    facts = LatentFacts.of_reference(read_reference(path / FILE, dictionary.width))
    return kinds_of(facts, MetricsConfig())


def windows(dictionary: Dictionary, concept: int, rng: random.Random) -> list[str]:
    """Eight windows, shuffled, with the active tokens marked."""
    top, spread = dictionary.exemplars.of(concept, "top"), dictionary.exemplars.of(concept, "spread")
    chosen: list[Exemplar] = top[:4] + spread[:: max(1, len(spread) // 4)][:4]
    texts = [" ".join(marked(exemplar, active_tokens(exemplar)).split()) for exemplar in chosen]
    rng.shuffle(texts)
    return texts


def print_score(folder: Path, readers: list[Path], reference: Path | None, *, windows_too: bool) -> None:
    """Print shares and agreements."""
    table = pl.read_csv(folder / "key.csv")
    names = [path.stem for path in readers]
    for name, path in zip(names, readers, strict=True):
        answers = pl.read_csv(path, columns=["number", "category"]).rename({"category": name})
        unknown = set(answers[name]) - set(CATEGORIES)
        if unknown or sorted(answers["number"]) != sorted(table["number"]):
            raise SystemExit(f"{path}: unknown categories {unknown or ''} or numbers that are not those of the key")
        table = table.join(answers, on="number")
    for dictionary, part in table.group_by("dictionary", maintain_order=True):
        print(f"\n{dictionary[0]}: {part.height} concepts")
        rule = (part["rule"] == CONTEXTUAL).to_numpy()
        called = {name: part[name].is_in(COMPETENCIES).to_numpy() for name in names}
        for name in names:
            counts = ", ".join(f"{category} {(part[name] == category).sum()}" for category in CATEGORIES)
            share = called[name].mean()
            agrees = "" if rule.all() else f"as the rule {(called[name] == rule).mean():.2f}; "
            print(f"  {name}: competencies {share:.2f}; {agrees}{counts}")
        if len(names) == 2:
            first, second = called.values()
            agree, both = (first == second).mean(), (first & second).mean()
            print(f"  readers agree {agree:.2f}, kappa {kappa(first, second):.2f}; both say competency {both:.2f}")
        if windows_too:
            for path in readers:
                print_windows(part, Path(str(dictionary[0])), path)
        if reference is not None:
            print_facts(part, names, reference)


def print_windows(part: pl.DataFrame, folder: Path, path: Path) -> None:
    """Print how well a reader's names tell unseen windows of their concepts from windows of the others."""
    names = pl.read_csv(path, columns=["number", "name"]).join(part.select("number", "concept"), on="number")
    named = names.filter(pl.col("name") != "-")
    exemplars = open_dictionary(folder).exemplars
    unseen = [[own.text for own in exemplars.of(concept, "top")[4:]] for concept in named["concept"]]
    of = np.repeat(np.arange(len(unseen)), list(map(len, unseen)))
    near = embed_texts(named["name"].to_list()) @ embed_texts([text for texts in unseen for text in texts]).T
    told = [roc_auc_score(of == row, near[row]) for row in range(len(unseen))]
    error = np.std(told) / np.sqrt(len(told))
    print(f"  {path.stem}: {len(told)} names tell unseen windows with an AUC of {np.mean(told):.2f} (s.e. {error:.2f})")


def print_facts(part: pl.DataFrame, names: list[str], path: Path) -> None:
    """Print what the reference's figures have to do with what readers said."""
    reference = read_reference(path, pl.read_parquet(path).height)
    concept = part["concept"].to_numpy()
    coherence, form = reference.coherence[concept], reference.format_share[concept]
    known = ~np.isnan(coherence)
    above = MetricsConfig().stretch_format_above
    for name in names:
        competency = part[name].is_in(COMPETENCIES).to_numpy()
        both = len(set(competency[known])) == 2
        curve = roc_auc_score(competency[known], coherence[known]) if both else float("nan")
        of_format = (part[name] == "format").to_numpy()
        print(
            f"  {name}: coherence tells competencies with an AUC of {curve:.2f}; mostly format "
            f"(above {above}): {(form[of_format] > above).sum()} of {of_format.sum()} called format, "
            f"{(form[~of_format] > above).mean():.0%} of the others"
        )


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Cohen's kappa of two readers' yes and no."""
    chance = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    return float(((first == second).mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


if __name__ == "__main__":
    main()
