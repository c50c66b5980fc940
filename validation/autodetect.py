"""AutoDetect's judged questions as a suite: are the points on which it calls a model weak seen without being told them?

    cgaps run --model MODEL --sae SAE --log RESULT_FOLDER --no-ask --out RUN        # AutoDetect's own result/ folders
    python validation/autodetect.py RUN [--part recovery points] [--draws 20] [--halves 20]

Every benchmark of RUN is one domain of one model, and the items' ``group`` is AutoDetect's point. Prints Markdown.

recovery    a point is recovered if a slice that goes with it (``competency_gaps.matching.ranks``: chosen on half of its
            questions, confirmed on the other half, at equal length) is weak at q = 0.05 on the domain's questions,
            net of length and phase; by family of slices and by all together, without columns. Beside the points
            that AutoDetect calls weak (mean grade below 5) stand the others, and chance: grades dealt out
            anew within task and phase (questions that AutoDetect began with, or searched for).
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
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import competency_gaps as cg
from competency_gaps.findings.answer import Asked, ask
from competency_gaps.matching.match import evidence_in, slices_beside
from competency_gaps.matching.ranks import Examples, strata, tell
from competency_gaps.slices.tree import concept_space

WEAK = 5
"""Mean grade, of 1 to 10, below which a point is weak."""
LEVEL = 0.05


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
    asked = net_of_phase(ask(run, against="benchmark"), run)
    slices = slices_beside(run, run)
    names = [
        "concepts",
        *(name for name in dict.fromkeys(slices.family.tolist()) if name not in ("concepts", "columns")),
    ]
    groups = {**{name: slices.family == name for name in names}, "all": slices.family != "columns"}
    totals = {name: np.zeros(3 + draws) for name in groups}
    print("| domain, model | weak points | " + " | ".join(groups) + " |\n|" + " --- |" * (2 + len(groups)))
    for domain in domains:
        weights = sp.csr_array(slices.here[:, domain.rows])
        member = sp.csr_array((np.ones(len(domain.rows)), (domain.point, np.arange(len(domain.rows)))))
        stratum = strata(np.zeros(len(domain.rows), np.int64), domain.length)
        rng = np.random.default_rng(0)
        outcomes = [asked, *(dealt_grades(asked, domain, rng) for _ in range(draws))]
        weak = np.stack([weak_slices(one, slices.here, slices.family, domain) for one in outcomes], axis=1)
        cells = []
        for name, which in groups.items():
            numbers = np.flatnonzero(which)
            ties = tell(Examples(weights[numbers], member, stratum), level=LEVEL)
            found = np.zeros((member.shape[0], 1 + draws), bool)
            np.logical_or.at(found, ties.entry, weak[numbers[ties.slice]])
            counts = found[domain.weak].sum(axis=0)
            others = int(found[~domain.weak, 0].sum())
            told = len(np.unique(ties.entry))
            chance = counts[1:]
            cells.append(
                f"{counts[0]} ({chance.mean():.1f}, up to {np.quantile(chance, 0.95):.0f}); {others}; told {told}"
            )
            totals[name] += [counts[0], others, told, *chance]
        print(f"| {domain.name} | {domain.weak.sum()} of {len(domain.weak)} | " + " | ".join(cells) + " |", flush=True)
    for name, total in totals.items():
        print(f"\n{name}: {total[0]:.0f} weak points, {total[1]:.0f} others, {total[2]:.0f} told; by chance "
              f"{total[3:].mean():.1f} weak points, up to {np.quantile(total[3:], 0.95):.0f}")  # fmt: skip


def net_of_phase(asked: Asked, run: cg.Run) -> Asked:
    """The same with strata of the phase too: what AutoDetect searched for is harder than what it began with."""
    phase = run.items["covariates"].fill_null("").str.contains("search").to_numpy().astype(int)
    of_unit = np.zeros(len(asked.values), int)
    scored = asked.units.unit >= 0
    of_unit[asked.units.unit[scored]] = phase[scored]
    return asked._replace(units=replace(asked.units, block=2 * asked.units.block + of_unit))


def weak_slices(asked: Asked, weights: sp.csr_array, family: np.ndarray, domain: Domain) -> np.ndarray:
    """Which slices are weak on a domain's questions: bool of shape (K,)."""
    found = evidence_in(asked, weights, family, domain.rows, draws=0)
    return np.asarray((found.q[:, 0] <= LEVEL) & (found.z[:, 0] < 0))


def dealt_grades(asked: Asked, domain: Domain, rng: np.random.Generator) -> Asked:
    """The same with the domain's grades dealt out anew within task and phase; questions that repeat keep their own."""
    unit = asked.units.unit[domain.rows]
    values = asked.values.copy()
    for cell in np.unique(domain.cell):
        own = np.unique(unit[(domain.cell == cell) & (unit >= 0)])
        values[own] = values[rng.permutation(own)]
    return asked._replace(values=values)


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
            table = np.array([foretold(domain, values, half) for half in range(halves)])
            rows.setdefault(name, []).append(table.mean(axis=0))
            print(
                f"| {domain.name} | {name} | " + " | ".join(f"{v:.2f}" for v in table.mean(axis=0)) + " |", flush=True
            )
    for name, means in rows.items():
        print(f"\n{name}: {np.mean(means, axis=0)[0]:.2f}, net of length {np.mean(means, axis=0)[1]:.2f}")


def foretold(domain: Domain, values: np.ndarray, seed: int) -> tuple[float, float]:
    """Rank correlation of a random half of the points, and net of length."""
    points = len(np.bincount(domain.point))
    chosen = np.random.default_rng(seed).permutation(points)[: points // 2]
    seen = ~np.isin(domain.point, chosen)
    phase = domain.phase[:, None]
    scores = net(domain.scores, phase, seen)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": np.geomspace(1, 1e6, 7)}, cv=GroupKFold(5)
    )
    fitted = search.fit(values[seen], scores[seen], groups=domain.point[seen])
    guess = net(fitted.predict(values), phase, seen)
    length = np.log(domain.length)[:, None]
    pairs = [(scores, guess), tuple(net(own, length, seen) for own in (scores, guess))]
    return tuple(float(spearmanr(*(domain.means(own)[chosen] for own in pair)).statistic) for pair in pairs)  # type: ignore[return-value]


def net(values: np.ndarray, covariates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What a line through the seen items does not explain."""
    design = np.column_stack([np.ones(len(values)), covariates])
    return values - design @ np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]


if __name__ == "__main__":
    main()
