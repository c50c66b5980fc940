"""Do the names of the atlas's regions say what is in them? Sheets for readers, and what their answers say.

    python validation/atlas_reading.py naming DICTIONARY FOLDER RUN [RUN ...]     # for whoever writes the names
    python validation/atlas_reading.py apply DICTIONARY names.csv                 # region,name
    python validation/atlas_reading.py questions DICTIONARY FOLDER RUN [RUN ...] [--seed 0]  # once regions have names
    python validation/atlas_reading.py located DICTIONARY FOLDER RUN [--seed 0]   # that did not make the map
    python validation/atlas_reading.py pictures DICTIONARY FOLDER                 # which of two benchmarks is this?
    python validation/atlas_reading.py score FOLDER first.csv [second.csv ...]
    python validation/atlas_reading.py verdicts DICTIONARY FOLDER first.csv second.csv

The RUNs of ``naming`` are those that the map was made from. A writer sees of each region its twelve most typical items
and four that nearly lie outside. The RUNs of ``questions`` hold items that made neither the map nor its names: a judge
sees up to twenty items of a coarse region, ten others of the next level and two of the finest, and puts each into one
of the region's siblings by their names alone. ``located`` asks the same of a hundred items of another run, with the
names of the coarse regions. ``pictures`` shows how a benchmark's items spread over the regions, with two names of
benchmarks: the answer is 0 or 1. A judge writes lines ``number,region``. ``verdicts`` calls regions unclear into which
the judges put fewer than half of their items.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.concepts.atlas import (
    MAX_SIMILARITY,
    ORDINARY,
    Atlas,
    examples_of,
    members_of,
    places_of,
    read_atlas,
    space_of,
    write_atlas,
)
from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.slices.make import questions as whole
from competency_gaps.util.text import shorten

EACH = (20, 10, 2)
"""Items of a region of each level that judges see."""
SHOWN = 280
"""Characters of an item that writers see."""
WHOLE = 600
"""Characters of an item that judges see, its options among them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in {
        "naming": ("dictionary", "folder"),
        "apply": ("dictionary", "names"),
        "questions": ("dictionary", "folder"),
        "located": ("dictionary", "folder"),
        "pictures": ("dictionary", "folder"),
        "score": ("folder",),
        "verdicts": ("dictionary", "folder"),
    }.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument, type=Path)
        if name not in ("apply", "pictures"):
            command.add_argument("files" if name in ("score", "verdicts") else "runs", type=Path, nargs="+")
        if name in ("questions", "located"):
            command.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.command == "pictures":
        given.folder.mkdir(parents=True, exist_ok=True)
        pictures(_atlas(given.dictionary), given.folder)
    elif given.command in ("naming", "questions", "located"):
        atlas, space, texts = _atlas(given.dictionary), list[np.ndarray](), list[str]()
        for run in map(cg.open_run, given.runs):
            rows = np.flatnonzero(run.items["excluded"].is_null().to_numpy())
            space.append(space_of(atlas, run.by_concept, rows))
            shown = SHOWN if given.command == "naming" else WHOLE
            texts += [shorten(" ".join(text.split()), shown) for text in whole(run.items[rows])]
        given.folder.mkdir(parents=True, exist_ok=True)
        if given.command == "naming":
            naming(atlas, np.concatenate(space), texts, given.folder)
        else:
            make = questions if given.command == "questions" else located
            make(atlas, np.concatenate(space), texts, given.folder, given.seed)
    elif given.command == "apply":
        names = dict(pl.read_csv(given.names).select("region", "name").iter_rows())
        atlas = _atlas(given.dictionary)
        named = [names.get(region, name) for region, name in atlas.regions.select("region", "name").iter_rows()]
        kinds = [
            "written" if region in names else kind
            for region, kind in atlas.regions.select("region", "kind").iter_rows()
        ]
        regions = atlas.regions.with_columns(name=pl.Series(named), kind=pl.Series(kinds))
        write_atlas(given.dictionary, replace(atlas, regions=regions))
    else:
        right = answers(given.folder, *given.files)
        if given.command == "score":
            score(right)
        else:
            atlas = _atlas(given.dictionary)
            told = right.group_by("wanted").agg(pl.col("right").mean())
            unclear = told.filter(pl.col("right") < 0.5)["wanted"].implode()
            failed = pl.col("region").is_in(unclear)
            regions = atlas.regions.with_columns(
                name=pl.when(failed).then(pl.col("name") + " (unclear)").otherwise("name"),
                kind=pl.when(failed).then(pl.lit("unclear")).otherwise("kind"),
            )
            write_atlas(given.dictionary, replace(atlas, regions=regions))


def _atlas(dictionary: Path) -> Atlas:
    atlas = read_atlas(dictionary, open_dictionary(dictionary).width)
    assert atlas is not None, f"{dictionary} has no atlas"
    return atlas


def naming(atlas: Atlas, space: np.ndarray, texts: list[str], folder: Path) -> None:
    """One sheet for each level, and a last one by the finest regions' parents."""
    examples = examples_of(atlas, space)
    for level in (1, 2, 3):
        lines = []
        for region, parent in atlas.regions.filter(pl.col("level") == level).select("region", "parent").iter_rows():
            typical, edge = examples[region]
            lines += [f"# {region} (in {parent})", *(f"- {texts[i]}" for i in typical)]
            lines += ["nearly outside:", *(f"- {texts[i]}" for i in edge), ""]
        (folder / f"naming-{level}.md").write_text("\n".join(lines), encoding="utf-8")


def questions(atlas: Atlas, space: np.ndarray, texts: list[str], folder: Path, seed: int) -> None:
    """Items for judges with the names of all siblings; and the key."""
    rng = np.random.default_rng(seed)
    repeats = np.array([((space @ space[i]) > MAX_SIMILARITY).sum() for i in range(len(space))])
    inside, key = members_of(atlas.parent, places_of(atlas, space).region), []
    siblings: dict[tuple[int, int | None], list[tuple[int, str]]] = {}
    for region, level, parent, name in atlas.regions.select("region", "level", "parent", "name").iter_rows():
        siblings.setdefault((level, parent), []).append((region, name))
    sheets: dict[int, list[str]] = {1: [], 2: [], 3: []}
    number, used = 0, np.zeros(len(texts), bool)
    for (level, parent), own in siblings.items():
        if len(own) < 2:
            continue
        asked = []
        for region, _ in own:
            members = np.flatnonzero(inside[region] & ~used)
            if len(members):
                chance = 1 / repeats[members]
                drawn = rng.choice(members, min(EACH[level - 1], len(members)), replace=False, p=chance / chance.sum())
                asked += [(int(i), region) for i in drawn]
                used[drawn] = True
        rng.shuffle(asked)
        sheets[level] += [f"# one of these ({len(own)})", *(f"{region}: {name}" for region, name in own), ""]
        for item, region in asked:
            number += 1
            sheets[level].append(f"{number}. {texts[int(item)]}")
            key.append((number, level, parent, int(region), len(own)))
        sheets[level].append("")
    for level, lines in sheets.items():
        (folder / f"questions-{level}.md").write_text("\n".join(lines), encoding="utf-8")
    _key(key, folder)


def located(atlas: Atlas, space: np.ndarray, texts: list[str], folder: Path, seed: int) -> None:
    """A hundred items, to be put into the coarse regions."""
    coarse = atlas.regions.filter(level=1).select("region", "name").rows()
    inside = members_of(atlas.parent, places_of(atlas, space).region)[: len(coarse)].argmax(axis=0)
    drawn = np.random.default_rng(seed).choice(len(texts), 100, replace=False)
    lines = [f"# one of these ({len(coarse)})", *(f"{region}: {name}" for region, name in coarse), ""]
    lines += [f"{number}. {texts[i]}" for number, i in enumerate(drawn, 1)]
    (folder / "questions-1.md").write_text("\n".join(lines), encoding="utf-8")
    _key([(number, 1, None, int(inside[i]), len(coarse)) for number, i in enumerate(drawn, 1)], folder)


def pictures(atlas: Atlas, folder: Path, pairs: int = 20, seed: int = 0) -> None:
    """How a benchmark's items spread, beside two names."""
    rng = np.random.default_rng(seed)
    names = sorted(set(atlas.counts["benchmark"]) - {ORDINARY})
    called = atlas.regions["name"].to_list()
    lines, key = [], []
    for number in range(1, pairs + 1):
        two = rng.choice(len(names), 2, replace=False)
        right = int(rng.integers(2))
        own = atlas.counts.filter(benchmark=names[two[right]])
        share = np.zeros(len(called))
        np.add.at(share, atlas.parent[own["region"].to_numpy()], own["items"].to_numpy() / own["items"].sum())
        lines.append(f"# {number}: 0 = {names[two[0]]}, 1 = {names[two[1]]}")
        for region in np.argsort(-share)[:10]:
            if share[region] >= 0.01:
                lines.append(f"{share[region]:4.0%} {'█' * round(40 * share[region])} {called[region]}")
        lines.append("")
        key.append((number, 1, None, right, 2))
    (folder / "pictures.md").write_text("\n".join(lines), encoding="utf-8")
    _key(key, folder)


def _key(key: Sequence[tuple[int, int, int | None, int, int]], folder: Path) -> None:
    columns = ["number", "level", "parent", "region", "siblings"]
    pl.DataFrame(key, schema=columns, orient="row", infer_schema_length=None).write_csv(folder / "key.csv")


def answers(folder: Path, *files: Path) -> pl.DataFrame:
    """One row per verdict: level, wanted region, siblings, reader, and whether it is right."""
    key = pl.read_csv(folder / "key.csv").rename({"region": "wanted"})
    read = [pl.read_csv(file).with_columns(reader=pl.lit(file.stem)) for file in files]
    return key.join(pl.concat(read), on="number").with_columns(right=pl.col("wanted") == pl.col("region"))


def score(right: pl.DataFrame) -> None:
    for (level, reader), own in sorted(right.group_by("level", "reader")):
        chance, told = (1 / own["siblings"].to_numpy()).mean(), own["right"].to_numpy().mean()
        by_region = own.group_by("wanted").agg(pl.col("right").mean())["right"]
        print(
            f"level {level}, {reader}: {told:.1%} of {own.height} items right, by chance {chance:.1%}; "
            f"{(by_region >= 0.5).sum()} of {len(by_region)} regions with at least half"
        )


if __name__ == "__main__":
    main()
