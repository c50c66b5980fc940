"""The items that a finding shows, with what differs between prompts of their benchmark split from the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.findings.differing import Piece, fold, template_of
from competency_gaps.runs.covariates import repeats

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder


PROBED = 5
"""Concepts of a finding that are probed: the leader and its surest followers."""


@dataclass(frozen=True)
class ShownItem:
    """An item as an example of a finding. Texts are as read; what shows them must escape them."""

    row: int
    """Row in ``items.parquet``."""
    benchmark: str
    item_id: str
    prompt: tuple[Piece, ...]
    """The prompt in pieces that its benchmark's other prompts share or not."""
    choices: tuple[str, ...] | None
    answer: str | None
    """What was expected."""
    response: str | None
    score: float | None
    repeats: int
    """Items that ask the same, this one included; 1 where its cluster holds different texts that belong together."""


def shown_items(run: RunFolder, finding: Mapping[str, Any]) -> tuple[list[ShownItem], list[ShownItem]]:
    """Give the failing and the passing items of a finding.

    Parameters
    ----------
    finding
        A row of ``Run.findings``.

    Returns
    -------
    failing, passing : list of ShownItem
        Items at the same position are compared with each other; one list may be shorter.
    """
    templates: dict[str, list[str]] = {}
    same = run.items.filter(pl.Series(repeats(run.items)))
    sizes = dict(same["cluster"].value_counts().iter_rows())

    def shown(row: int) -> ShownItem:
        item = run.items.row(row, named=True)
        benchmark = item["benchmark"]
        if benchmark not in templates:
            templates[benchmark] = template_of(run.items.filter(pl.col("benchmark") == benchmark)["prompt"].to_list())
        return ShownItem(
            row,
            benchmark,
            item["item_id"],
            tuple(fold(item["prompt"], templates[benchmark])),
            None if item["choices"] is None else tuple(item["choices"]),
            item["answer"],
            item["response"],
            item["score"],
            int(sizes.get(item["cluster"], 1)),
        )

    return [shown(row) for row in finding["failing"]], [shown(row) for row in finding["passing"]]


def probe_arguments(run: RunFolder, finding: Mapping[str, Any]) -> list[str]:
    """Give the command that tests a finding on fresh items, as a list of arguments.

    Parameters
    ----------
    finding
        A row of ``Run.findings``.
    """
    from competency_gaps.errors import UserError
    from competency_gaps.runs.settings import run_config

    concepts = ",".join(str(concept) for concept in list(finding["concepts"])[:PROBED])
    arguments = ["cgaps", "probe", "concept", str(run.path), "--concept", concepts]
    try:
        families = run_config(run).generated
    except UserError:
        # Settings that this version cannot read: the command itself will say so.
        return arguments
    share = sum(part["share"] for part in finding["benchmarks"] if part["benchmark"] in families)
    return arguments if share > 0.5 else [*arguments, "--source", "endpoint", "--export", "questions.jsonl"]
