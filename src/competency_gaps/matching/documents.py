"""A matching, and findings on a scope, as JSON documents: printed by ``--json`` and kept in the run folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from competency_gaps.matching.scope import ScopeFindings
    from competency_gaps.matching.shares import Share
    from competency_gaps.matching.summary import Matching


def matching_document(found: Matching) -> dict[str, Any]:
    """A matching as one JSON document, all pairs included."""
    shares = ("recovery", "recovery_weak", "coverage", "coverage_of_matched", "unnamed_share")
    return {
        **{name: _share(getattr(found, name)) for name in shares},
        "weak_by_chance": asdict(found.weak_by_chance),
        "calibration": asdict(found.calibration),
        "theme_calibration": asdict(found.theme_calibration) if found.theme_calibration else None,
        "verdicts": found.verdicts,
        "entries": found.entries.to_dicts(),
        "pairs": found.pairs.to_dicts(),
        "dropped": found.dropped.to_dicts(),
        "themes": found.themes.to_dicts(),
        "unnamed": found.unnamed.to_dicts(),
    }


def scope_document(found: ScopeFindings, limit: int) -> dict[str, Any]:
    """Findings on a scope as one JSON document, with ``limit`` rows of what is lacking."""
    return {
        "benchmark": found.benchmark,
        "clauses": found.clauses,
        **{name: _share(getattr(found, name)) for name in ("covered", "under", "missing", "null_rate")},
        "bound": found.bound,
        "unlabelled": found.unlabelled,
        "labels": found.labels,
        "alpha": found.alpha,
        "verdicts": found.verdicts,
        "rows": found.lacking.head(limit).to_dicts(),
    }


def _share(one: Share) -> dict[str, Any]:
    return {"count": one.count, "of": one.of, "share": one.value, "low": one.low, "high": one.high}
