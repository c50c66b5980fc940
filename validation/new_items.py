"""Do findings come back on new items? By recorded scores, by asking the embedded model, and with a written item each.

    python validation/new_items.py recorded RUN... [--json FILE]
    python validation/new_items.py asked RUN [CORPUS...] [--n 50] [--json FILE]
    python validation/new_items.py written RUN --llm FILE --out FOLDER [--n 8] [--findings 10] [--json FILE]

``recorded``: each model's list is chosen on half of the clusters of a run's items. The other half plays the corpus,
of which nothing but texts is known until items are chosen: membership, learnt from the first half, says which excite a
finding's slice and which are without it; then their recorded scores count. ``asked``: the run's model is asked the
items of other benchmarks, or new ones of the run's generators. ``written``: a language model writes the items.
Printed is how many findings have a gap of the same sign on the new items (by chance half of them), how many surely
(by chance one in forty), and in how many the two intervals agree: the difference of the gaps lies within 1.96 of its
standard errors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import competency_gaps as cg
from competency_gaps.cli.shared import llm_config
from competency_gaps.findings.answer import (
    MAX_PRIOR_MODELS,
    Analysis,
    analyse,
    answer_of,
    slices_of,
    strata_of,
    units_with_outcomes,
)
from competency_gaps.findings.estimate import Z_95
from competency_gaps.findings.finding import Finding
from competency_gaps.findings.on_units import aggregate
from competency_gaps.findings.slice_model import Observed, learn, observe
from competency_gaps.improve.membership import Fresh, fresh_gap, membership_of
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.errors import UserError


def halved(run: cg.Run, analysis: Analysis, half: np.ndarray) -> Analysis:
    """The same with outcomes of one half of the items; the prior of a run is of all items."""
    outcome = replace(analysis.outcome, values=np.where(half, analysis.outcome.values, np.nan))
    families = [own.family for own in analysis.families]
    units, values = units_with_outcomes(run.items, outcome, strata_of(run, families))
    return analysis._replace(
        outcome=outcome,
        units=units,
        values=values,
        families=[aggregate(own, units, half) for own in families],
        prior=None,
    )


def observed_of(analysis: Analysis) -> Observed:
    """An outcome, for the prior."""
    return observe(analysis.families, analysis.values, np.ones(len(analysis.values), bool), analysis.units.block)


def recorded(path: Path, seed: int = 0) -> list[dict[str, Any]]:
    """The findings of every model of a run, tested on the other half."""
    run = cg.open_run(path)
    cluster, length = (run.items[name].to_numpy() for name in ("cluster", "n_span_tokens"))
    kept = run.items["excluded"].is_null().to_numpy()
    half = (np.random.default_rng(seed).random(cluster.max() + 1) < 0.5)[cluster]
    scores = model_scores(run)
    models = sorted(scores.models, key=lambda model: float(np.nanmean(scores.of(model))))
    halves = {model: halved(run, analyse(run, model), half & kept) for model in models}
    pool = np.unique(np.linspace(0, len(models) - 1, min(MAX_PRIOR_MODELS, len(models))).round().astype(int))
    prior = learn([observed_of(halves[models[at]]) for at in pool])
    rows, memberships = [], dict[int, Any]()
    for model in scores.models:
        analysis = analyse(run, model)
        for finding in answer_of(halves[model]._replace(prior=prior)).findings:
            family, place = placed(run, finding)
            own = family.member[[place]].toarray().ravel() > 0
            if finding.slice not in memberships:
                try:
                    membership = membership_of(run, family, place, half & kept)
                    memberships[finding.slice] = (membership, membership.measure(run))
                except UserError:
                    memberships[finding.slice] = None
            row: dict[str, Any] = {"run": path.name, "model": model, "family": finding.family, "name": finding.name}
            row |= {"sure": not finding.low <= 0 <= finding.high, "told": memberships[finding.slice] is not None}
            if row["told"]:
                membership, values = memberships[finding.slice]
                new = ~half & kept
                expected = finding.gap / (1 - own[kept].mean())
                fresh = fresh_gap(
                    analysis.outcome.values,
                    new & (values >= membership.threshold),
                    new & (values < membership.floor),
                    length,
                    expected,
                )
                true = fresh_gap(analysis.outcome.values, new & own, new & ~own, length, expected)
                row |= of_fresh(fresh, finding) | {"own": None if true is None else true.gap}
            rows.append(row)
        print(model, len(rows), flush=True)
    return rows


def asked(path: Path, corpora: Sequence[Path], n: int, **options: Any) -> list[dict[str, Any]]:
    """The findings of a run's own model, which is asked new items of each corpus; without one, written items."""
    run, rows = cg.open_run(path), list[dict[str, Any]]()
    sources: Sequence[Path | None] = corpora or [None]
    for corpus in sources:
        route = corpus.parent.name if corpus else "written" if "llm" in options else "generated"
        for finding in run.answer().findings[: options.get("findings", 10)]:
            row: dict[str, Any] = {"run": f"{path.name}, {route}", "family": finding.family}
            row |= {"name": finding.name, "sure": not finding.low <= 0 <= finding.high, "told": True}
            with tempfile.TemporaryDirectory() as place:
                out = options["out"] / f"new-{finding.number}" if "out" in options else Path(place)
                try:
                    drafts = run.new_items(finding.number, corpus=corpus, llm=options.get("llm"), n=n, out=out)
                except UserError as error:
                    print(finding.name, error, flush=True)
                    rows.append({**row, "told": False})
                    continue
            row |= {"kept": drafts.kept.height, "refused": dict(drafts.refused["code"].value_counts().iter_rows())}
            rows.append({**row, **of_fresh(drafts.fresh, finding)})
            print(rows[-1], flush=True)
    return rows


def placed(run: cg.Run, finding: Finding) -> Any:
    """The family of a finding's slice and its place there."""
    for family in slices_of(run):
        at = np.flatnonzero(family.number == finding.slice)
        if len(at):
            return family, int(at[0])
    raise KeyError(finding.slice)


def of_fresh(fresh: Fresh | None, finding: Finding) -> dict[str, Any]:
    """A test beside its finding."""
    if fresh is None:
        return {"verdict": None}
    expected = float(fresh.expected or 0)
    errors = (
        (fresh.high - fresh.low) / (2 * Z_95),
        (finding.high - finding.low) / (2 * Z_95) * expected / finding.gap,
    )
    return {**vars(fresh), "agrees": abs(fresh.gap - expected) <= Z_95 * float(np.hypot(*errors))}


def show(rows: list[dict[str, Any]], title: str) -> None:
    """A line of the table."""
    told = [row for row in rows if row.get("verdict")]
    if not told:
        print(f"{title}: nothing tested of {len(rows)}")
        return
    same = np.array([row["verdict"] != "not" for row in told])
    # The same slice is found for many models, and tested on the same items: slices are drawn, with all of their tests.
    slices = np.unique([f"{row['run']} {row['name']}" for row in told], return_inverse=True)[1]
    sums, sizes = np.bincount(slices, same), np.bincount(slices)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (2000, len(sizes)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (0.025, 0.975))
    sure = np.mean([row["verdict"] == "holds" for row in told])
    gap, expected = (np.array([row[name] for row in told]) for name in ("gap", "expected"))
    slope = float((gap * expected).sum() / (expected**2).sum())
    print(
        f"{title}: tested {len(told)} of {len(rows)}, {len(sizes)} slices; same sign {100 * same.mean():.0f}% "
        f"({100 * low:.0f} to {100 * high:.0f}), surely {100 * sure:.0f}%; intervals agree "
        f"{100 * np.mean([row['agrees'] for row in told]):.0f}%; gap per expected one {slope:.2f}; "
        f"items {np.median([row['items'] for row in told]):.0f}"
    )


def main() -> None:
    """Parse, test, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["recorded", "asked", "written"])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--findings", type=int, default=10)
    parser.add_argument("--llm", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if arguments.what == "recorded":
        done = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else []
        for path in arguments.runs:  # one that is done is not done again
            rows += [row for row in done if row["run"] == path.name] or recorded(path)
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=1))
    elif arguments.what == "asked":
        rows = asked(arguments.runs[0], arguments.runs[1:], arguments.n)
    else:
        llm = llm_config(arguments.llm)
        rows = asked(arguments.runs[0], [], arguments.n, llm=llm, out=arguments.out, findings=arguments.findings)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    runs = dict.fromkeys(row["run"] for row in rows)
    for name, own in [("all", rows), *((name, [row for row in rows if row["run"] == name]) for name in runs)]:
        show(own, f"{name}, {len({(row['run'], row.get('model')) for row in own})} models")
        show([row for row in own if row["sure"]], f"{name}, sure ones")
        show([row for row in own if not row["sure"]], f"{name}, perhaps")
        for family in dict.fromkeys(row["family"] for row in own):
            show([row for row in own if row["family"] == family], f"{name}, {family}")


if __name__ == "__main__":
    main()
