"""AutoDetect's judged questions as a suite: are the points on which it calls a model weak seen without being told them?

    cgaps run --model MODEL --sae SAE --log RESULT_FOLDER --set ask=false --out RUN  # AutoDetect's result/ folders
    python validation/autodetect.py RUN [--part recovery points] [--draws 20] [--halves 20]

Every benchmark of RUN is one domain of one model, and the items' ``group`` is AutoDetect's point. Prints Markdown.

recovery    a point is recovered if a slice that goes with it (``competency_gaps.evidence.ranks``: chosen on half of its
            questions, confirmed on the other half, at equal length) is weak on the domain's questions: against others
            of the same task and phase (questions that AutoDetect began with, or searched for), net of length, false
            discoveries controlled over the slices of a family that go with a point. By family and by any, without
            columns and lists, which hold the points themselves. Beside the points that AutoDetect calls weak (mean
            grade below 5) stand the others, and chance: grades dealt out anew within task and phase.
points      rank correlation of true and foretold mean scores of points that were not seen, net of the phase: ridge
            regression on profiles, on ranked concepts and on sentence embeddings, the penalty chosen on seen points
            that are left out; mean over halves of the points. The last column is net of length too.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from rivals import sentence_embeddings
from scipy.stats import spearmanr
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

import competency_gaps as cg
from competency_gaps.evidence.ranks import Examples, strata, tell
from competency_gaps.findings.answer import analyse
from competency_gaps.findings.match import evidence_in, slices_beside
from competency_gaps.findings.slice_model import Analysis
from competency_gaps.slices.tree import concept_space

WEAK = 5
"""Mean grade, of 1 to 10, below which a point is weak."""
LEVELS = (0.05, 0.1, 0.2)
"""False-discovery rates of weak slices."""
PENALTIES = np.geomspace(1, 1e6, 7)


@dataclass(frozen=True)
class Domain:
    """The scored questions of one domain of one model. n questions, P points."""

    name: str
    rows: np.ndarray
    """int64 of shape (n,): rows of the run's items."""
    texts: list[str]
    scores: np.ndarray
    point: np.ndarray
    """int64 of shape (n,)."""
    cell: np.ndarray
    """int64 of shape (n,): task and phase."""
    phase: np.ndarray
    length: np.ndarray

    @property
    def weak(self) -> np.ndarray:
        """Whether a point's mean grade is below 5: bool of shape (P,); rounded, since 5 is not exact as a score."""
        return np.round(1 + 9 * self.means(self.scores), 9) < WEAK

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of values by point."""
        return np.bincount(self.point, values) / np.bincount(self.point)


def domain_of(run: cg.Run, name: str) -> Domain:
    """The kept, scored items of a benchmark."""
    items = run.items.with_row_index("row").filter(benchmark=name)
    items = items.filter(items["excluded"].is_null() & items["score"].is_not_null())
    phase = items["covariates"].str.contains("search").to_numpy().astype(float)
    task = items["group"].str.split(":").list.first().rank("dense").to_numpy().astype(int)
    return Domain(
        name,
        items["row"].to_numpy().astype(np.int64),
        items["prompt"].to_list(),
        items["score"].to_numpy().astype(float),
        items["group"].rank("dense").to_numpy().astype(int) - 1,
        2 * task + phase.astype(int),
        phase,
        items["n_span_tokens"].to_numpy().astype(float),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--part", nargs="+", default=["recovery", "points"])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--halves", type=int, default=20)
    args = parser.parse_args()
    run = cg.open_run(args.run)
    domains = [domain_of(run, name) for name in run.benchmarks["benchmark"]]
    if "recovery" in args.part:
        recovery(run, domains, args.draws)
    if "points" in args.part:
        unseen(run, domains, args.halves)


def recovery(run: cg.Run, domains: list[Domain], draws: int) -> None:
    """Print how many weak and other points are recovered."""
    analysis = analyse(run, against="benchmark")
    slices = slices_beside(run, run)
    used = np.flatnonzero(~np.isin(slices.family, ("columns", "lists")))
    family, weights = slices.family[used], slices.here[used]
    names = [*dict.fromkeys(family.tolist()), "any"]
    counts: dict[tuple[float, str], list[np.ndarray]] = {}
    told: dict[str, int] = dict.fromkeys(names, 0)
    head = "".join(f" at {level:g} |" for level in LEVELS)
    print(f"| domain, model | weak points |{head}\n| --- | --- | --- | --- | --- |")
    for domain in domains:
        member = sp.csr_array((np.ones(len(domain.rows)), (domain.point, np.arange(len(domain.rows)))))
        stratum = strata(np.zeros(len(domain.rows), np.int64), domain.length)
        ties = tell(Examples(weights[:, domain.rows], member, stratum, family))
        rng = np.random.default_rng(0)
        within = within_tasks(analysis, domain)
        outcomes = [within, *(dealt_grades(within, rng) for _ in range(draws))]
        tied = np.isin(np.arange(len(used)), ties.slice)
        found = [
            evidence_in(net_of_length(own, domain), weights, family, domain.rows, tested=tied, draws=0)
            for own in outcomes
        ]
        for level in LEVELS:
            weak = np.stack([(own.q[:, 0] <= level) & (own.z[:, 0] < 0) for own in found], axis=1)
            for name in names:
                own = np.flatnonzero((family[ties.slice] == name) | (name == "any"))
                which = np.zeros((member.shape[0], 1 + draws), bool)
                np.logical_or.at(which, ties.entry[own], weak[ties.slice[own]])
                row = np.r_[which[domain.weak].sum(axis=0), which[~domain.weak, 0].sum()]
                counts.setdefault((level, name), []).append(row)
                told[name] += len(np.unique(ties.entry[own])) if level == LEVELS[0] else 0
        cells = " | ".join(told_of(counts[level, "any"][-1]) for level in LEVELS)
        print(f"| {domain.name} | {domain.weak.sum()} of {len(domain.weak)} | {cells} |", flush=True)
    print(f"\n| slices | something goes with |{head}\n| --- | --- | --- | --- | --- |")
    for name in names:
        cells = " | ".join(told_of(np.sum(counts[level, name], axis=0)) for level in LEVELS)
        print(f"| {name} | {told[name]} | {cells} |")


def told_of(row: np.ndarray) -> str:
    """Weak points recovered, by chance, and others."""
    return f"{row[0]} ({row[1:-1].mean():.1f}, up to {np.quantile(row[1:-1], 0.95):.0f}), others {row[-1]}"


def within_tasks(analysis: Analysis, domain: Domain) -> Analysis:
    """The same with a domain's tasks and phases as strata: what AutoDetect searched for is harder than what it began
    with, and so are whole tasks."""
    unit = analysis.units.unit[domain.rows]
    block = np.full(len(analysis.values), -1)
    block[unit] = domain.cell
    return analysis._replace(units=replace(analysis.units, block=block))


def net_of_length(analysis: Analysis, domain: Domain) -> Analysis:
    """The same with outcomes net of the logarithm of the length, by a line within strata."""
    unit, place = np.unique(analysis.units.unit[domain.rows], return_inverse=True)
    block = np.unique(analysis.units.block[unit], return_inverse=True)[1]
    length = np.bincount(place, np.log(domain.length)) / np.bincount(place)
    length, left = (
        own - (np.bincount(block, own) / np.bincount(block))[block] for own in (length, analysis.values[unit])
    )
    values = analysis.values.copy()
    values[unit] = left - length * (length @ left) / (length @ length)
    return analysis._replace(values=values)


def dealt_grades(analysis: Analysis, rng: np.random.Generator) -> Analysis:
    """The same with grades dealt out anew within strata; questions that repeat keep one grade."""
    values = analysis.values.copy()
    for number in range(analysis.units.block.max() + 1):
        own = np.flatnonzero(analysis.units.block == number)
        values[own] = values[rng.permutation(own)]
    return analysis._replace(values=values)


def unseen(run: cg.Run, domains: list[Domain], halves: int) -> None:
    """Print how well the mean scores of unseen points are foretold."""
    ranked = np.flatnonzero(run.concepts["ranked"].to_numpy())
    print("\n| domain, model | from | rank correlation | net of length |\n| --- | --- | --- | --- |")
    rows: dict[str, list[np.ndarray]] = {}
    for domain in domains:
        cas = run.by_concept.cas(ranked, run.items.height)[:, domain.rows].T.toarray()
        spaces = {
            "profiles": np.asarray(concept_space(run.by_concept, domain.rows))[:, :100],
            "ranked concepts": np.log1p(cas),
            "sentence embeddings": sentence_embeddings(tuple(domain.texts)),
        }
        for name, values in spaces.items():
            values = StandardScaler().fit_transform(values)
            table = np.array([foretold(domain, values @ values.T, half) for half in range(halves)])
            rows.setdefault(name, []).append(table.mean(axis=0))
            print(
                f"| {domain.name} | {name} | " + " | ".join(f"{v:.2f}" for v in table.mean(axis=0)) + " |", flush=True
            )
    for name, means in rows.items():
        print(f"\n{name}: {np.mean(means, axis=0)[0]:.2f}, net of length {np.mean(means, axis=0)[1]:.2f}")


def foretold(domain: Domain, products: np.ndarray, seed: int) -> tuple[float, float]:
    """Rank correlation of a random half of the points, and net of length."""
    points = len(np.bincount(domain.point))
    chosen = np.random.default_rng(seed).permutation(points)[: points // 2]
    seen = ~np.isin(domain.point, chosen)
    phase = domain.phase[:, None]
    scores = net(domain.scores, phase, seen)
    rows = np.flatnonzero(seen)
    wrong = np.zeros(len(PENALTIES))
    for train, test in GroupKFold(5).split(rows, groups=domain.point[rows]):
        guesses = ridge(products, scores, rows[train])[rows[test]]
        wrong += ((guesses - scores[rows[test], None]) ** 2).mean(axis=0)
    guess = net(ridge(products, scores, rows)[:, np.argmin(wrong)], phase, seen)
    length = np.log(domain.length)[:, None]
    pairs = [(scores, guess), tuple(net(own, length, seen) for own in (scores, guess))]
    return tuple(float(spearmanr(*(domain.means(own)[chosen] for own in pair)).statistic) for pair in pairs)  # type: ignore[return-value]


def ridge(products: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Ridge regressions on some rows, one per penalty, from scalar products of all: float of shape (n, penalties)."""
    value, vector = np.linalg.eigh(products[np.ix_(rows, rows)])
    mean = scores[rows].mean()
    turned = vector.T @ (scores[rows] - mean)
    return mean + products[:, rows] @ (vector @ (turned[:, None] / (np.maximum(value, 0)[:, None] + PENALTIES)))


def net(values: np.ndarray, covariates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What a line through the seen items does not explain."""
    design = np.column_stack([np.ones(len(values)), covariates])
    return values - design @ np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]


if __name__ == "__main__":
    main()
