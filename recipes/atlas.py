"""The embedded atlas, from finished runs through the embedded SAE.

    python recipes/atlas.py DICTIONARY RUN [RUN ...] [--names names.csv]

The embedded one: a run of 43 public benchmarks (at most 400 items each) with 6,304 stretches of the SAE's corpus as the
benchmark ``ordinary text``, and the run of the suite that comes along; names by readers
(``validation/atlas_reading.py``).
Without ``--names`` regions are called by their number.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

import competency_gaps as cg
from competency_gaps.activations.profiles import cas_of
from competency_gaps.dictionary.atlas import make_atlas, write_atlas
from competency_gaps.model.embed import embed_texts
from competency_gaps.slices.make import questions


def stacked(runs: list[Path]) -> tuple[sp.csr_array, list[str], pl.DataFrame]:
    """CAS of the kept items of several runs, their benchmarks, and the items."""
    cas, items = [], []
    for run in map(cg.open_run, runs):
        rows = np.flatnonzero(run.items["excluded"].is_null().to_numpy())
        cas.append(cas_of(run.by_concept, rows, np.arange(run.width)))
        items.append(run.items[rows].select("benchmark", "prompt", "choices"))
    every = pl.concat(items)
    return sp.csr_array(sp.hstack(cas, format="csr")), every["benchmark"].to_list(), every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--names", type=Path, help="CSV of region,name.")
    parser.add_argument("--cache", type=Path, help="Embeddings, kept between calls.")
    given = parser.parse_args()
    cas, benchmarks, items = stacked(given.runs)
    if given.cache is not None and given.cache.is_file():
        embeddings = np.load(given.cache)
    else:
        embeddings = embed_texts(questions(items))
        if given.cache is not None:
            np.save(given.cache, embeddings)
    atlas = make_atlas(cas, embeddings, benchmarks)
    if given.names is not None:
        names = dict(pl.read_csv(given.names).rows())
        regions = atlas.regions.with_columns(name=pl.col("region").replace_strict(names), kind=pl.lit("written"))
        atlas = replace(atlas, regions=regions)
    write_atlas(given.dictionary, atlas)


if __name__ == "__main__":
    main()
