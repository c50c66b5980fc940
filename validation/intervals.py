"""Do the intervals of an answer's lists hold the truth where hundreds of slices were tried? In drawn worlds.

    python validation/intervals.py [--worlds 16]

1,500 items, right or wrong with known chances. *dense*: a quarter of 600 concepts matter (standard deviation .07);
*sparse*: ten do (.2 up or down); *columns*: 14 categories alone; *tree*: nodes of a nested tree of four scales;
*mixed*: columns, tree and 600 concepts that go with it. Each world is a run of one model. Printed for each family:
slices listed, the share of intervals that hold the gap that the chances give, the slope of true on shown gaps, and the
means of both.
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import ItemSample, units_of
from competency_gaps.findings.choose import choose, global_p_values, null_distributions
from competency_gaps.findings.estimate import Z_95
from competency_gaps.findings.on_units import aggregate
from competency_gaps.findings.slice_model import fit, learn, observe
from competency_gaps.slices import Family

ITEMS = 1500
KINDS = ("dense", "sparse", "columns", "tree", "mixed")
SCALES = {6: 0.04, 14: 0.04, 44: 0.05, 150: 0.07}


def tree(rng: np.random.Generator, fine: np.ndarray) -> np.ndarray:
    """Nodes of four scales, nested but for some: bool of shape (K, N)."""
    nodes = []
    for count in SCALES:
        above = np.arange(150) * count // 150
        moved = (rng.random(150) < 0.15) & (count < 150)
        above[moved] = rng.integers(0, count, moved.sum())
        nodes.append(above[fine] == np.arange(count)[:, None])
    return np.concatenate(nodes)


def drawn(kind: str, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Weights of each family, and the items' chances of being right."""
    fine = rng.choice(150, ITEMS, p=rng.dirichlet(np.full(150, 2.0)))
    category = rng.integers(0, 14, ITEMS) if kind != "mixed" else rng.integers(0, 14, 150)[fine]
    columns = category == np.arange(14)[:, None]
    families, chance = {"columns": columns}, 0.5 + rng.normal(0, 0.05, 14) @ columns
    if kind in ("tree", "mixed"):
        families["profiles"] = tree(rng, fine)
        sizes = np.repeat(list(SCALES.values()), list(SCALES)) * (0.6 if kind == "mixed" else 1.0)
        chance += rng.normal(0, sizes) @ families["profiles"]
    if kind in ("dense", "sparse", "mixed"):
        rate = np.exp(rng.normal(0, 1.3, (600, 150)) * (kind == "mixed"))
        rate *= 0.04 / rate.mean(axis=1, keepdims=True)
        families["concepts"] = rng.random((600, ITEMS)) < np.minimum(rate, 0.9)[:, fine]
        effect = rng.normal(0, 0.07, 600) * (rng.random(600) < 0.25)
        if kind == "sparse":
            effect = 0.2 * rng.choice([-1, 1], 600) * (np.arange(600) < 10)
        chance += effect @ families["concepts"]
    return families, np.clip(0.5 + chance - chance.mean(), 0.02, 0.98)


def listed(kind: str, seed: int) -> list[tuple[str, float, float, float]]:
    """Family, shown gap, its error and the true gap of each slice of a world's list."""
    rng = np.random.default_rng(seed)
    made, chance = drawn(kind, rng)
    none = np.zeros(0, np.int64)
    units = units_of(ItemSample((rng.random(ITEMS) < chance) * 1.0, np.zeros(ITEMS, np.int64), lambda _: None, none))
    families = []
    for name, members in made.items():
        count, question = len(members), "category" if name == "columns" else None
        rows = sp.csr_array(members.astype(np.float32))
        names = [f"{name} {i}" for i in range(count)]
        family = Family(name, rows, names, [question] * count, np.full(count, -1), np.arange(count))
        families.append(aggregate(family, units, np.ones(ITEMS, bool)))
    nulls, whole = null_distributions(families, units.outcome, units.block), np.ones((ITEMS, 1), bool)
    p = global_p_values(families, nulls, units.outcome, whole, units.block)
    observed = observe(families, units.outcome, whole[:, 0], units.block)
    slice_model = fit(observed, learn([observed]))
    true = slice_model.design.rows @ (chance - chance.mean()) / slice_model.design.size
    (chosen,) = choose(slice_model, units.outcome, whole, p)
    return [
        (families[slice_model.design.family[one.position]].family.name, one.gap, one.error, true[one.position])
        for one in chosen
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=16)
    args = parser.parse_args()
    print(f"{'world':9}{'family':10}{'listed':>7}{'hold':>7}{'slope':>7}{'shown':>7}{'true':>7}")
    for kind in KINDS:
        found = [one for seed in range(args.worlds) for one in listed(kind, seed)]
        for name in dict.fromkeys(one[0] for one in found):
            shown, error, true = np.array([one[1:] for one in found if one[0] == name]).T
            hold = (np.abs(shown - true) <= Z_95 * error).mean()
            means = np.abs(shown).mean(), (np.sign(shown) * true).mean()
            print(
                f"{kind:9}{name:10}{len(shown):7}{hold:7.3f}{shown @ true / (shown @ shown):7.2f}"
                f"{means[0]:7.3f}{means[1]:7.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
