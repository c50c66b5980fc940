"""Does the answer find planted gaps of slices? Scores are drawn from known chances on the items of a finished run.

    python validation/planted_slices.py RUN [--worlds 20] [--gaps 0,0.1,0.2] [--planted 5] [--json FILE]

RUN is a finished run with scores, which are not used, and its families of slices are. In each world an item is right
with a chance that depends on its benchmark, and that five slices of one family (or of any) raise or lower by a gap,
each at random. The answer is what ``cgaps show`` says of these scores where no other model has any, against comparable
items. Printed are

recall      planted slices that a slice of the list stands for: a correlation of at least .5, on the same side
false       listed slices whose true gap is 0 or on the other side; ``small``: or less than a point on the same side
covered     intervals of the list that hold the slice's true gap; the same of those by half-samples
slope       of true gaps on those that the list shows
any         worlds whose list is not empty
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import competency_gaps as cg
from competency_gaps.evidence.outcomes import Outcome
from competency_gaps.findings.answer import analyse, answer_of, strata_of, units_with_outcomes
from competency_gaps.findings.finding import Finding
from competency_gaps.findings.on_units import FamilyOnUnits, aggregate, centred
from competency_gaps.findings.slice_model import Analysis
from competency_gaps.runs.scores import model_scores

FAMILIES = ("columns", "profiles", "clusters", "any")
FEWEST, MOST = 50, 0.2
"""Fewest units of a planted slice, in effect, and the largest share of them."""
ALIKE = 0.5
"""Correlation from which one slice stands for another."""
LEVELS = (0.3, 0.8)
"""Chances of the hardest and the easiest benchmark; between them where there is but one."""
SMALL = 0.01


def started(run: cg.Run) -> Analysis:
    """All kept items with the run's families, scored by nobody yet."""
    kept = run.items["excluded"].is_null().to_numpy()
    analysis = analyse(run, model_scores(run).models[0], "benchmark")
    families = [own.family for own in analysis.families]
    outcome = Outcome("score", analysis.outcome.model, np.where(kept, 0.5, np.nan))
    units, values = units_with_outcomes(run.items, outcome, strata_of(run, families))
    weighed = [aggregate(family, units, kept) for family in families]
    return analysis._replace(outcome=outcome, units=units, values=values, families=weighed, prior=None)


def net(analysis: Analysis, rows: np.ndarray) -> np.ndarray:
    """Rows of slices less their blocks' means, of unit length: shape (K, U)."""
    whole = np.ones((rows.shape[1], len(rows)), bool)
    left = centred(rows.T, whole, analysis.units.block).T.astype(np.float64)
    return np.asarray(left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-9))


def plantable(analysis: Analysis, name: str) -> list[tuple[FamilyOnUnits, int]]:
    """Slices of a family, or of any, of a size that may be planted."""
    found = []
    for own in analysis.families:
        if own.family.name == name or (name == "any" and own.family.name in FAMILIES):
            square = np.asarray(own.weights.power(2).sum(axis=1)).ravel()
            effective = own.size**2 / np.maximum(square, 1e-9)
            fits = own.usable & (effective >= FEWEST) & (own.size <= MOST * own.weights.shape[1])
            found += [(own, int(at)) for at in np.flatnonzero(fits)]
    return found


def row_of(own: FamilyOnUnits, at: int) -> np.ndarray:
    """The weights of a slice in the units."""
    return own.weights[[at]].toarray().ravel().astype(np.float64)


def plant(
    analysis: Analysis, slices: Sequence[tuple[FamilyOnUnits, int]], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Places of slices none of which stands for another."""
    taken: list[int] = []
    rows = np.zeros((0, len(analysis.values)))
    for place in rng.permutation(len(slices)):
        own, at = slices[place]
        row = net(analysis, row_of(own, at)[None])
        if len(taken) < count and not (np.abs(rows @ row.T) >= ALIKE).any():
            taken.append(int(place))
            rows = np.concatenate([rows, row])
    return np.array(taken)


def one_world(
    run: cg.Run, analysis: Analysis, slices: Sequence[tuple[FamilyOnUnits, int]], gap: float, count: int, seed: int
) -> dict[str, list[float]]:
    """Draw a world, ask, and compare with the truth: of each planted and each listed slice."""
    rng = np.random.default_rng((seed, round(1000 * gap)))
    _, benchmark = np.unique(run.items["benchmark"].to_numpy(), return_inverse=True)
    levels = np.linspace(*LEVELS, int(benchmark.max()) + 1) if benchmark.max() else np.array([np.mean(LEVELS)])
    chance = rng.permutation(levels)[benchmark]
    planted = [slices[place] for place in plant(analysis, slices, count, rng)] if gap else []
    signs = rng.choice([-1.0, 1.0], len(planted))
    for (own, at), sign in zip(planted, signs, strict=True):
        chance = chance + sign * gap * own.belongs(at)
    chance = np.clip(chance, 0.02, 0.98)
    kept = ~np.isnan(analysis.outcome.values)
    strata = strata_of(run, [own.family for own in analysis.families])
    truth = units_with_outcomes(run.items, replace(analysis.outcome, values=np.where(kept, chance, np.nan)), strata)[1]
    drawn = np.where(kept, rng.random(len(chance)) < chance, np.nan)
    outcome = replace(analysis.outcome, values=drawn)
    units, values = units_with_outcomes(run.items, outcome, strata)
    said = answer_of(analysis._replace(outcome=outcome, units=units, values=values)).findings
    left = centred(truth, np.ones((len(truth), 1), bool), analysis.units.block).ravel().astype(np.float64)
    by_name = {own.family.name: own for own in analysis.families}
    listed = []
    for one in said:
        own = by_name[one.family]
        listed.append((own, int(np.flatnonzero(own.family.number == one.slice)[0])))
    rows = [np.stack([row_of(own, at) for own, at in part]) if part else None for part in (planted, listed)]
    true = [float(row_of(own, at) @ left / own.size[at]) for own, at in listed]
    found = np.zeros(len(planted), bool)
    if rows[0] is not None and rows[1] is not None:
        alike = net(analysis, rows[0]) @ net(analysis, rows[1]).T
        same = alike * signs[:, None] * np.sign([one.gap for one in said]) >= ALIKE
        found = same.any(axis=1)
    return {
        "found": found.astype(float).tolist(),
        "gaps": [abs(float(row_of(own, at) @ left / own.size[at])) for own, at in planted],
        "shown": [one.gap for one in said],
        "true": true,
        "low": [one.low for one in said],
        "high": [one.high for one in said],
        "again": [float(held_by(one, gap)) for one, gap in zip(said, true, strict=True) if one.in_halves],
    }


def held_by(one: Finding, gap: float) -> bool:
    """Whether the interval by half-samples holds a gap."""
    return one.heldout_low is not None and one.heldout_high is not None and one.heldout_low <= gap <= one.heldout_high


def line(worlds: Sequence[dict[str, list[float]]]) -> str:
    """Figures of the worlds of one setting."""
    found, gaps, shown, true, low, high, again = (
        np.concatenate([np.array(world[key], float) for world in worlds])
        for key in ("found", "gaps", "shown", "true", "low", "high", "again")
    )
    lists = [np.array(world["shown"]) * np.array(world["true"]) for world in worlds]
    rates = np.array([np.mean(own <= 1e-9) if len(own) else 0.0 for own in lists])
    opened = np.mean([len(world["shown"]) > 0 for world in worlds])
    text = f"any {opened:.2f}; listed {len(shown) / len(worlds):.1f}"
    if len(found):
        text += f"; recall {found.mean():.2f} of gaps of {100 * np.median(gaps):.0f} points (median)"
    text += f"; false {rates.mean():.3f} +- {rates.std() / np.sqrt(len(rates)):.3f}"
    if len(shown):
        same = np.sign(shown) * true
        text += (
            f"; small {np.mean(same < SMALL):.3f}; covered {np.mean((low <= true) & (true <= high)):.3f}"
            f", by half-samples {again.mean() if len(again) else float('nan'):.3f}"
            f"; slope {shown @ true / (shown @ shown):.2f}"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--gaps", default="0,0.1,0.2")
    parser.add_argument("--planted", type=int, default=5)
    parser.add_argument("--json", type=Path, help="worlds that it holds are not drawn again")
    args = parser.parse_args()
    run = cg.open_run(args.run)
    analysis = started(run)
    held = json.loads(args.json.read_text()) if args.json and args.json.is_file() else {}
    for gap in map(float, args.gaps.split(",")):
        for name in FAMILIES if gap else ("nothing",):
            slices = plantable(analysis, name)
            if gap and len(slices) < args.planted:
                continue
            worlds = held.setdefault(f"{name} {gap:g}", [])
            for seed in range(len(worlds), args.worlds):
                worlds.append(one_world(run, analysis, slices, gap, args.planted, seed))
                if args.json:
                    args.json.write_text(json.dumps(held))
            size = np.median([own.size[at] for own, at in slices]) if slices else 0
            of = f"{name} ({len(slices)} of {size:.0f} units in the middle)"
            print(f"{of}, gap {gap:g}, {len(worlds)} worlds: {line(worlds)}", flush=True)


if __name__ == "__main__":
    main()
