"""The statements of an answer that say how far to trust its findings."""

from __future__ import annotations

import polars as pl

from competency_gaps.findings.answer_parts import AnsweredRun, Statement, alike
from competency_gaps.findings.pooled import led_groups
from competency_gaps.robustness import read_assessment
from competency_gaps.runs.covariates import repeats
from competency_gaps.text import percent, plural, share_of


def confidence_statements(run: AnsweredRun) -> tuple[Statement, ...]:
    """Say how far to trust the findings: ``unseen``, ``repeats``, ``vanished``, ``rate``, ``gate``, ``tests``."""
    statements = (_unseen(run.findings), _repeats(run.items), _vanished(run), _rate(run), _gate(run), _tests(run))
    return tuple(statement for statement in statements if statement is not None)


def _unseen(findings: pl.DataFrame) -> Statement | None:
    if findings.is_empty():
        return None
    holds = findings["holds"]
    good, bad = int((holds == True).sum()), int((holds == False).sum())  # noqa: E712
    open_ = findings.height - good - bad
    text = (
        f"{good} of {plural(findings.height, 'finding')} show on the other half of the items too where one half finds "
        "them again"
    )
    text += f", {bad} not clearly" if bad else ""
    text += f", {open_} undecided" if open_ else ""
    text += ". They were chosen on all items, so this is no test on new ones."
    numbers = {"hold": good, "fail": bad, "open": open_}
    return Statement("unseen", text, "bad" if bad else "good" if good else "open", numbers=numbers)


def _repeats(items: pl.DataFrame) -> Statement | None:
    kept = items.filter(pl.col("excluded").is_null())
    different = kept["cluster"].n_unique()
    if different == kept.height:
        return None
    same = items.filter(pl.Series(repeats(items)) & pl.col("excluded").is_null())
    again = same.height - same["cluster"].n_unique()
    together = kept.filter(pl.col("cluster").is_duplicated()).join(same, on="cluster", how="anti")
    clauses = []
    if again:
        clauses.append(f"{share_of(again, kept.height)} items repeat another one, word for word or nearly")
    if together.height:
        clauses.append(
            f"{share_of(together.height, kept.height)} items belong together in "
            f"{plural(together['cluster'].n_unique(), 'cluster')}, such as questions on one passage"
        )
    text = f"{'; '.join(clauses)}. Each cluster counts once: {kept.height:,} items count as {different:,}."
    numbers = {"items": kept.height, "clusters": different, "repeats": again, "together": together.height}
    return Statement("repeats", text, numbers=numbers)


def _vanished(run: AnsweredRun) -> Statement | None:
    count = int(run.concepts.filter(pl.col("ranked"))["vanishes"].sum())
    among = alike(run.manifest["evidence"])
    if not count or not among:
        return None
    what = "concept stands" if count == 1 else "concepts stand"
    text = f"{count:,} {what} out among all items but not {among}, and {'is' if count == 1 else 'are'} not counted."
    return Statement("vanished", text, numbers={"concepts": count})


def _rate(run: AnsweredRun) -> Statement | None:
    if run.findings.is_empty():
        return None
    q = float(run.manifest["evidence"]["q"])
    left = len(led_groups(run.concepts)) - run.findings.height
    text = f"Findings are chosen so that on average at most {percent(q, 1)} of them are accidents"
    if left > 0:
        groups = "group of weak or strong concepts does" if left == 1 else "groups of weak or strong concepts do"
        text += f"; {left:,} further {groups} not pass this, and {'is' if left == 1 else 'are'} no finding"
    return Statement("rate", text + ".", numbers={"q": q, "findings": run.findings.height, "left_out": left})


def _gate(run: AnsweredRun) -> Statement | None:
    """Say that the SAE passed its gate; one that failed stands among what comes first."""
    gate = run.manifest["gate"]
    explained = gate.get("explained_variance")
    if not gate.get("passed") or explained is None:
        return None
    text = f"The SAE passed its gate: it explains {percent(explained, 1)} of what the model computes where it is read."
    return Statement("gate", text, "good", numbers={"explained_variance": explained})


def _tests(run: AnsweredRun) -> Statement:
    verdicts = (read_assessment(run) or {}).get("verdicts") or []
    if not verdicts:
        return Statement("tests", "Robustness was not tested: ‘cgaps robustness’ does it.", "open")
    passed, failed = (sum(verdict["tone"] == tone for verdict in verdicts) for tone in ("good", "bad"))
    text = f"Of {plural(len(verdicts), 'test')} of robustness {passed} passed and {failed} failed."
    numbers = {"passed": passed, "failed": failed, "tests": len(verdicts)}
    return Statement("tests", text, "bad" if failed else "good", numbers=numbers)
