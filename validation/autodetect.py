"""AutoDetect's judged questions as a suite: are the points on which it calls a model weak seen without being told them?

    cgaps run --model MODEL --sae SAE --log RESULT_FOLDER --out RUN        # AutoDetect's own result/ folders
    python validation/autodetect.py RUN [--part recovery points additional] [--draws 20] [--halves 20]

Every benchmark of RUN is one domain of one model, and the items' ``group`` is AutoDetect's point. Prints Markdown.

recovery    a point is recovered at a level q if something is weak at q on the domain's items and tells the point's
            prompts from the others: a concept, a theme, a node of a tree of sentence embeddings, or a word. Beside the
            points that AutoDetect calls weak (mean grade below 5) stand the others, and the same with scores shuffled
            within task and phase. "Other questions": weak by one half of each point's questions, and the points by the
            other half. The q-values are Benjamini-Hochberg's over all that is tested, without a least gap. Who leads a
            group plays no part: each member is weak itself.
points      mean scores of points that were not seen (``unseen_points.py``)
additional  concepts that are weak within the points that AutoDetect calls strong, each point against itself, with
            scores net of phase and length
"""

from __future__ import annotations

import argparse

import numpy as np
import scipy.sparse as sp
from judged_points import SMALLEST, Domain, domain_of, judged, net, shuffled
from rivals import tree_nodes
from scipy.stats import false_discovery_control, fisher_exact
from sklearn.feature_extraction.text import CountVectorizer
from unseen_points import print_unseen

import competency_gaps as cg
from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import evidence
from competency_gaps.matching.division import Examples
from competency_gaps.matching.markers import find_markers

LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)
SHOWN = 5
"""Additional gaps that are shown of a benchmark."""


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
        print_unseen(run, domains, args.halves)
    if "additional" in args.part:
        additional(run, domains)


# Recovery


def recovery(run: cg.Run, domains: list[Domain], draws: int) -> None:
    """Print how many weak and other points are recovered, by level."""
    print("| domain, model | by | weak points, told | " + " | ".join(f"q {q:g}" for q in LEVELS) + " | p at q 0.05 |")
    print("| --- | --- | --- |" + " --- |" * (len(LEVELS) + 1))
    config = judged(run)
    for domain in domains:
        for what, values, able in alternatives(run, domain):
            tells = marked(domain, values, able)
            rng = np.random.default_rng(0)
            null = [weak_q(domain, values, able, config, shuffled(domain, rng)) for _ in range(draws)]
            q_value = weak_q(domain, values, able, config, domain.scores)
            print_row(domain, what, tells, q_value, domain.weak, null)
            if what == "concepts":
                first = np.where(domain.second_half, np.nan, domain.scores)
                weak = domain.is_weak(domain.per_point(np.where(domain.second_half, domain.scores, np.nan)))
                q_value = weak_q(domain, values, able, config, first)
                print_row(domain, "concepts, other questions", tells, q_value, weak, [])


def print_row(
    domain: Domain, what: str, tells: sp.csr_array, q_value: np.ndarray, weak: np.ndarray, null: list[np.ndarray]
) -> None:
    """Print how many points are recovered by one alternative."""
    told = np.asarray(tells.sum(axis=1)).ravel() > 0
    cells = []
    for q in LEVELS:
        got = recovered(tells, q_value, q)
        chance = [recovered(tells, values, q)[weak].sum() for values in null]
        beside = f", chance {np.mean(chance):.1f}, up to {np.quantile(chance, 0.95):.0f}" if chance else ""
        cells.append(f"{got[weak].sum()}{beside}; others {got[~weak].sum()}")
    got = recovered(tells, q_value, 0.05)
    table = [[got[weak].sum(), (~got)[weak].sum()], [got[~weak].sum(), (~got)[~weak].sum()]]
    both = weak.any() and (~weak).any()
    p_value = f"{fisher_exact(table, alternative='greater').pvalue:.3f}" if both else "N/A"
    counts = f"{weak.sum()} of {len(weak)}, told {told[weak].sum()}; others {told[~weak].sum()}"
    print(f"| {domain.name} | {what} | {counts} | " + " | ".join(cells) + f" | {p_value} |", flush=True)


def alternatives(run: cg.Run, domain: Domain) -> list[tuple[str, sp.csr_array, np.ndarray]]:
    """What points may be recovered by: a name, values of shape (items, features), and which of them may be used."""
    nodes = [items for items in tree_nodes(tuple(domain.texts), SMALLEST) if len(items) < len(domain.texts)]
    tree = np.zeros((len(domain.texts), len(nodes)))
    for column, items in enumerate(nodes):
        tree[items, column] = 1
    words = CountVectorizer(min_df=SMALLEST, max_df=0.5, binary=True).fit_transform(domain.texts)
    of_themes = domain.cas @ theme_members(run, domain.ranked)
    return [
        ("concepts", domain.cas, domain.ranked),
        ("themes", of_themes, np.ones(of_themes.shape[1], bool)),
        ("tree of embeddings", sp.csr_array(tree), np.ones(tree.shape[1], bool)),
        ("words", sp.csr_array(words, dtype=float), np.ones(words.shape[1], bool)),
    ]


def theme_members(run: cg.Run, ranked: np.ndarray) -> sp.csr_array:
    """Which ranked concepts belong to which theme, of shape (concepts, themes)."""
    if run.themes is None:
        raise SystemExit(f"{run.path} has no themes: name it with a dictionary that has them")
    of_theme = run.themes.sort("concept")["theme"].fill_null(-1).to_numpy()
    members = np.flatnonzero(ranked & (of_theme >= 0))
    return sp.csr_array((np.ones(len(members)), (members, of_theme[members])), (len(ranked), of_theme.max() + 1))


def marked(domain: Domain, values: sp.csr_array, able: np.ndarray) -> sp.csr_array:
    """Which features tell which points, confirmed on the half of a point's prompts that did not choose them."""
    count = len(domain.texts)
    member = sp.csr_array((np.ones(count), (domain.point, np.arange(count))))
    examples = Examples(sp.csr_array(values), member, np.zeros(count, np.int64), domain.length)
    found = find_markers(examples, able, groups=False)
    pairs = found.entry[found.confirmed], found.concept[found.confirmed]
    return sp.csr_array((np.ones(len(pairs[0])), pairs), shape=(member.shape[0], values.shape[1]))


def weak_q(
    domain: Domain, values: sp.csr_array, able: np.ndarray, config: EvidenceConfig, scores: np.ndarray
) -> np.ndarray:
    """The q-value of each feature that goes with lower scores; 1 for the others."""
    found = evidence(domain.sample(values, scores), config, eligible=able, groups=False)
    tested = ~np.isnan(found.p_value)
    q_value = np.ones(len(found.p_value))
    q_value[tested] = false_discovery_control(found.p_value[tested])
    return np.where(found.gap < 0, q_value, 1.0)


def recovered(tells: sp.csr_array, q_value: np.ndarray, q: float) -> np.ndarray:
    """Points that something weak at this level tells: bool of shape (points,)."""
    return np.asarray(tells @ (q_value <= q).astype(float)) > 0


# Gaps that AutoDetect does not report


def additional(run: cg.Run, domains: list[Domain]) -> None:
    """Print concepts that are weak within strong points, with the prompts that count most."""
    labels = dict(run.concepts.select("concept", "label").iter_rows()) if "label" in run.concepts.columns else {}
    for domain in domains:
        strong = ~domain.weak[domain.point]
        if (~domain.weak).sum() < 2:
            print(f"\n{domain.name}: {(~domain.weak).sum()} strong points, so that nothing can be compared")
            continue
        # A point's questions are too few to be divided by length and phase as well, so the scores are made net of them.
        beside = np.column_stack([domain.phase, np.log(domain.length)])
        scores = net(domain.scores, beside, strong)
        spread = np.ptp(scores[strong])
        scores = (scores - scores[strong].min()) / spread
        sample = domain.sample(domain.cas, np.where(strong, scores, np.nan), strata=("group",))
        found = evidence(sample, judged(run), eligible=domain.ranked)
        weak = np.flatnonzero((found.status == "weak") & (found.leader == np.arange(len(found.gap))))
        print(f"\n{domain.name}: {strong.sum()} items of {(~domain.weak).sum()} strong points; "
              f"{(found.status == 'weak').sum()} weak concepts in {len(weak)} groups")  # fmt: skip
        for concept in weak[np.argsort(found.gap[weak])][:SHOWN]:
            value = np.asarray(domain.cas[:, [concept]].todense()).ravel() * strong
            failed = np.argsort(-(value * (1 - domain.scores)), kind="stable")[:3]
            gap = spread * found.gap[concept]
            print(f"- {concept} {labels.get(concept) or ''}: {gap:+.2f}, q {found.q_value[concept]:.3f}")
            for i in failed:
                print(f"  - {domain.scores[i]:.2f} {domain.items['group'][int(i)]}: {domain.texts[i][:160]!r}")


if __name__ == "__main__":
    main()
