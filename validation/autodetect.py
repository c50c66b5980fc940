"""AutoDetect's judged questions as a suite: are the points on which it calls a model weak seen without being told them?

    cgaps run --model MODEL --sae SAE --log RESULT_FOLDER --out RUN        # AutoDetect's own result/ folders
    python validation/autodetect.py RUN [--part recovery points additional] [--draws 20] [--halves 20]

Every benchmark of RUN is one domain of one model, and the items' ``group`` is AutoDetect's point. Prints Markdown.

recovery    a point that AutoDetect calls weak (mean grade below 5) is recovered at a level q if something is weak at q
            on the domain's items and tells the point's prompts from the others: a concept of the SAE, a node of a tree
            of sentence embeddings, or a word. By chance: the same with scores shuffled within tasks.
points      mean scores of points that were not seen: from concepts' gaps on half of the points, a ridge on concepts,
            one on sentence embeddings, one on the mean residual stream, and the length alone. Both sides are net of
            the phase (questions that AutoDetect began with, or searched for); in the last column of length too.
additional  concepts that are weak within the points that AutoDetect calls strong, each point against itself
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from rivals import sentence_embeddings, tree_nodes
from scipy.stats import rankdata, spearmanr
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

import competency_gaps as cg
from competency_gaps.evidence import Evidence, ItemSample, evidence, sample_of
from competency_gaps.matching.markers import Examples, find_markers
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.settings import evidence_config, run_config
from competency_gaps.sae.pair import load_pair
from probes import features

WEAK = (5.0 - 1) / 9
"""Mean score below which a point is weak: a grade of 5 of 1 to 10."""
SMALLEST = 8
"""Fewest items of a tree's node or with a word: a point has about 15."""
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)
LONGEST = 2048
"""Tokens of a prompt that the residual stream is averaged over."""
SHOWN = 5
"""Additional gaps that are shown of a benchmark."""


@dataclass(frozen=True)
class Domain:
    """One domain of one model. N items."""

    name: str
    items: pl.DataFrame
    cas: sp.csr_array
    """float of shape (N, concepts)."""
    ranked: np.ndarray
    """bool of shape (concepts,)."""

    @cached_property
    def scores(self) -> np.ndarray:
        return self.items["score"].to_numpy().astype(float)

    @cached_property
    def point(self) -> np.ndarray:
        return self.items["group"].rank("dense").to_numpy().astype(int) - 1

    @cached_property
    def means(self) -> np.ndarray:
        """Mean score of each point."""
        return np.bincount(self.point, self.scores) / np.bincount(self.point)

    @cached_property
    def task(self) -> np.ndarray:
        return self.items["group"].str.split(":").list.first().rank("dense").to_numpy().astype(int)

    @cached_property
    def texts(self) -> list[str]:
        return self.items["prompt"].to_list()

    @cached_property
    def length(self) -> np.ndarray:
        return self.items["n_span_tokens"].to_numpy().astype(float)

    @cached_property
    def phase(self) -> np.ndarray:
        """1 for questions that AutoDetect searched for, 0 for those it began with."""
        return self.items["covariates"].str.contains("search").to_numpy().astype(float)

    def sample(
        self, values: sp.csr_array, scores: np.ndarray | None = None, strata: tuple[str, ...] = ()
    ) -> ItemSample:
        """The items for the evidence, in strata of length and phase (and others)."""
        return sample_of(
            values,
            self.scores if scores is None else scores,
            np.zeros(len(self.scores), np.int64),
            cluster=self.items["cluster"].cast(pl.Int64).to_numpy(),
            covariates=item_covariates(self.items, ("length", "phase", *strata)),
            repeats=repeats(self.items),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--part", nargs="+", default=["recovery", "points", "additional"])
    parser.add_argument("--draws", type=int, default=20, help="draws of shuffled scores")
    parser.add_argument("--halves", type=int, default=20, help="random halves of the points")
    args = parser.parse_args()
    run = cg.open_run(args.run)
    domains = [domain_of(run, name) for name in run.benchmarks["benchmark"]]
    if "recovery" in args.part:
        recovery(run, domains, args.draws)
    if "points" in args.part:
        points(run, domains, args.halves)
    if "additional" in args.part:
        additional(run, domains)


def domain_of(run: cg.Run, name: str) -> Domain:
    """The scored items of one benchmark."""
    items = run.items.filter(benchmark=name)
    kept = (items["excluded"].is_null() & items["score"].is_not_null()).to_numpy()
    return Domain(name, items.filter(kept), sp.csr_array(run.cas(name))[kept], run.concepts["ranked"].to_numpy())


# Recovery


def recovery(run: cg.Run, domains: list[Domain], draws: int) -> None:
    """Print how many weak and strong points are recovered, by level."""
    config = evidence_config(run)
    print("| domain, model | points, weak | by | " + " | ".join(f"q {q:g}" for q in LEVELS) + " |")
    print("| --- | --- | --- |" + " --- |" * len(LEVELS))
    for domain in domains:
        weak = domain.means < WEAK
        for what, values, able in alternatives(domain):
            tells = marked(domain, values, able)
            found = evidence(domain.sample(values), config, eligible=able, groups=False)
            rng = np.random.default_rng(0)
            null = [
                evidence(domain.sample(values, shuffled(domain, rng)), config, eligible=able, groups=False)
                for _ in range(draws)
            ]
            cells = []
            for q in LEVELS:
                got = recovered(tells, found, q)
                chance = [recovered(tells, one, q)[weak].sum() for one in null]
                cells.append(
                    f"{got[weak].sum()}, chance {np.mean(chance):.1f} ({np.quantile(chance, 0.95):.0f}); "
                    f"strong {got[~weak].sum()}"
                )
            print(f"| {domain.name} | {len(weak)}, {weak.sum()} | {what} | " + " | ".join(cells) + " |", flush=True)


def alternatives(domain: Domain) -> list[tuple[str, sp.csr_array, np.ndarray]]:
    """What points may be recovered by: a name, values of shape (items, features), and which of them may be used."""
    nodes = [items for items in tree_nodes(tuple(domain.texts), SMALLEST) if len(items) < len(domain.texts)]
    tree = np.zeros((len(domain.texts), len(nodes)))
    for column, items in enumerate(nodes):
        tree[items, column] = 1
    words = CountVectorizer(min_df=SMALLEST, max_df=0.5, binary=True).fit_transform(domain.texts)
    return [
        ("concepts", domain.cas, domain.ranked),
        ("tree of embeddings", sp.csr_array(tree), np.ones(tree.shape[1], bool)),
        ("words", sp.csr_array(words, dtype=float), np.ones(words.shape[1], bool)),
    ]


def marked(domain: Domain, values: sp.csr_array, able: np.ndarray) -> sp.csr_array:
    """Which features tell which points, confirmed on the half of a point's prompts that did not choose them."""
    count = len(domain.texts)
    member = sp.csr_array((np.ones(count), (domain.point, np.arange(count))))
    examples = Examples(sp.csr_array(values), member, np.zeros(count, np.int64), domain.length)
    found = find_markers(examples, able, groups=False)
    pairs = found.entry[found.confirmed], found.concept[found.confirmed]
    return sp.csr_array((np.ones(len(pairs[0])), pairs), shape=(member.shape[0], values.shape[1]))


def recovered(tells: sp.csr_array, found: Evidence, q: float) -> np.ndarray:
    """Points that something weak at this level tells: bool of shape (points,)."""
    weak = (found.gap < 0) & (np.nan_to_num(found.q_value, nan=1.0) <= q)
    return np.asarray(tells @ weak.astype(float)) > 0


def shuffled(domain: Domain, rng: np.random.Generator) -> np.ndarray:
    """Scores dealt out anew within each task."""
    scores = domain.scores.copy()
    for task in np.unique(domain.task):
        rows = np.flatnonzero(domain.task == task)
        scores[rows] = scores[rng.permutation(rows)]
    return scores


# Points that were not seen


def points(run: cg.Run, domains: list[Domain], halves: int) -> None:
    """Print how well the mean scores of unseen points are predicted."""
    print("| domain, model | from | rank correlation | AUC of weak points | net of length |")
    print("| --- | --- | --- | --- | --- |")
    residual = mean_residuals(run, [domain.texts for domain in domains])
    for domain, means in zip(domains, residual, strict=True):
        dense = {
            "sentence embeddings": sentence_embeddings(tuple(domain.texts)),
            "residual stream": means,
            "concepts": np.log1p(domain.cas[:, domain.ranked].toarray()),
        }
        predictors: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
            "gaps of concepts": lambda seen, scores, domain=domain: by_gaps(run, domain, seen, scores),
            **{
                f"ridge on {name}": lambda seen, scores, values=values: by_ridge(values, seen, scores)
                for name, values in dense.items()
            },
            "length alone": lambda seen, scores, domain=domain: by_ridge(np.log(domain.length)[:, None], seen, scores),
        }
        for name, predict in predictors.items():
            print_points(domain, name, predict, halves)
        print_points(domain, "gaps of concepts, scores shuffled", predictors["gaps of concepts"], halves, shuffle=True)


def print_points(
    domain: Domain,
    name: str,
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
    halves: int,
    *,
    shuffle: bool = False,
) -> None:
    """Print one predictor's figures: mean and standard deviation over random halves of the points."""
    rng = np.random.default_rng(0)
    kept: list[tuple[float, float, float]] = []
    for _ in range(halves):
        order = rng.permutation(len(domain.means))
        unseen_points = order[: len(order) // 2]
        unseen = np.isin(domain.point, unseen_points)
        scores = shuffled(domain, rng) if shuffle else domain.scores
        scores = net(scores, domain.phase[:, None], ~unseen)
        predicted = predict(~unseen, scores)
        truth, guess = (per_point(domain, values, unseen_points) for values in (scores, predicted))
        weak = domain.means[unseen_points] < WEAK
        lengths = np.log(domain.length)[:, None]
        flat = [per_point(domain, net(values, lengths, ~unseen), unseen_points) for values in (scores, predicted)]
        kept.append((spearmanr(truth, guess).statistic, auc(-guess, weak), spearmanr(*flat).statistic))
    cells = [f"{np.nanmean(column):.2f} ± {np.nanstd(column):.2f}" for column in np.array(kept).T]
    print(f"| {domain.name} | {name} | " + " | ".join(cells) + " |", flush=True)


def per_point(domain: Domain, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the items of each chosen point."""
    return (np.bincount(domain.point, values) / np.bincount(domain.point))[chosen]


def net(values: np.ndarray, covariates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What a line through the seen items does not explain."""
    design = np.column_stack([np.ones(len(values)), covariates])
    return values - design @ np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]


def auc(value: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve; NaN where all are of one kind."""
    ones, zeros = positive.sum(), (~positive).sum()
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(value)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def by_gaps(run: cg.Run, domain: Domain, seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mean gap of an item's concepts, weighted by CAS; gaps on few items are drawn towards 0."""
    low, high = scores.min(), scores.max()
    sample = domain.sample(domain.cas, (scores - low) / (high - low))
    known = replace(sample, scores=np.where(seen, sample.scores, np.nan))
    found = evidence(known, evidence_config(run), eligible=domain.ranked, groups=False)
    gap = np.nan_to_num(found.gap * found.n_eff / (found.n_eff + 20)) * domain.ranked
    cas = domain.cas[:, domain.ranked]
    return np.asarray(cas @ gap[domain.ranked]) / np.maximum(np.asarray(cas.sum(axis=1)).ravel(), 1e-9)


def by_ridge(values: np.ndarray, seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Ridge regression on standardised columns, its penalty chosen by leaving items out."""
    scaler = StandardScaler().fit(values[seen])
    model = RidgeCV(alphas=np.geomspace(1, 1e6, 13)).fit(scaler.transform(values[seen]), scores[seen])
    return model.predict(scaler.transform(values))


def mean_residuals(run: cg.Run, texts: list[list[str]]) -> list[np.ndarray]:
    """Mean activation of each text at the run's hook: float32 of shape (texts, width), for each list."""
    settings = run_config(run)
    pair = load_pair(settings.model, settings.sae)
    means = features(pair, [text for part in texts for text in part], LONGEST)[1]
    return np.split(means, np.cumsum([len(part) for part in texts])[:-1])


# Gaps that AutoDetect does not report


def additional(run: cg.Run, domains: list[Domain]) -> None:
    """Print concepts that are weak within strong points, with the prompts that count most."""
    labels = dict(run.concepts.select("concept", "label").iter_rows()) if "label" in run.concepts.columns else {}
    for domain in domains:
        strong = domain.means[domain.point] >= WEAK
        sample = domain.sample(domain.cas, np.where(strong, domain.scores, np.nan), ("group",))
        found = evidence(sample, evidence_config(run), eligible=domain.ranked)
        weak = np.flatnonzero((found.status == "weak") & (found.leader == np.arange(len(found.gap))))
        print(f"\n{domain.name}: {strong.sum()} items of {(domain.means >= WEAK).sum()} strong points; "
              f"{(found.status == 'weak').sum()} weak concepts in {len(weak)} groups")  # fmt: skip
        for concept in weak[np.argsort(found.gap[weak])][:SHOWN]:
            value = np.asarray(domain.cas[:, [concept]].todense()).ravel() * strong
            failed = np.argsort(-(value * (1 - domain.scores)), kind="stable")[:3]
            print(f"- {concept} {labels.get(concept) or ''}: {found.gap[concept]:+.2f}, q {found.q_value[concept]:.3f}")
            for i in failed:
                print(f"  - {domain.scores[i]:.2f} {domain.items['group'][int(i)]}: {domain.texts[i][:160]!r}")


if __name__ == "__main__":
    main()
